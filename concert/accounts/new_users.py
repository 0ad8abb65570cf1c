"""How many users one address may make: each costs a row, so each process counts them."""

from __future__ import annotations

from flask import current_app
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from concert.errors import RateLimited
from concert.settings import Settings


def limit_new_users(address: str) -> None:
    """Count one more user from this address.

    Raises:
        RateLimited: it has made as many in the last minute as it may, on this process.
    """
    settings: Settings = current_app.extensions["concert.settings"]
    limiter = current_app.extensions.setdefault(
        "concert.limiter", MovingWindowRateLimiter(MemoryStorage())
    )
    if not limiter.hit(RateLimitItemPerMinute(settings.new_users_per_minute), "users", address):
        raise RateLimited(60)
