"""JSON calls about users."""

from __future__ import annotations

from flask import Response, current_app, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from concert.accounts.service import create_user
from concert.api.door import answer, answers, new_door
from concert.api.schemas import NewUser, UserAnswer
from concert.errors import RateLimited
from concert.settings import Settings

door = new_door("users", "Who you are.")


@door.post(
    "/users",
    summary="Create a user and issue a user token",
    responses=answers({201: UserAnswer}, 400, 413, 415, 429),
)
def post_user(body: NewUser) -> Response:
    """There is no login: keep the token, it is who you are."""
    _limit_by_address()
    account = create_user(body.name)
    made = {"user_id": account.user_id, "name": account.name, "user_token": account.user_token}
    return answer(made, 201)


def _limit_by_address() -> None:
    """Making users costs a row each, so one address may make only so many a minute on one process."""
    settings: Settings = current_app.extensions["concert.settings"]
    limiter = current_app.extensions.setdefault(
        "concert.limiter", MovingWindowRateLimiter(MemoryStorage())
    )
    if not limiter.hit(
        RateLimitItemPerMinute(settings.new_users_per_minute), "users", request.remote_addr or ""
    ):
        raise RateLimited(60)
