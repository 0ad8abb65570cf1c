"""How many users one address may make: each costs a row, so each process counts them."""

from __future__ import annotations

from flask import Flask
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from concert.ground.errors import RateLimited
from concert.ground.parts import keep, part
from concert.ground.settings import Settings


def init_limits(app: Flask) -> None:
    """Count in this process."""
    keep(app, MovingWindowRateLimiter(MemoryStorage()))


def limit_new_users(address: str) -> None:
    """Count one more user from this address.

    Raises:
        RateLimited: it has made as many in the last minute as it may, on this process.
    """
    settings = part(Settings)
    if not part(MovingWindowRateLimiter).hit(
        RateLimitItemPerMinute(settings.new_users_per_minute), "users", address
    ):
        raise RateLimited(60)
