"""JSON calls about users."""

from __future__ import annotations

from flask import Response, request

from concert.accounts.service import create_user
from concert.api.door import answer, answers, new_door
from concert.api.schemas import NewUser, UserAnswer
from concert.ground.limits import limit, network_of

door = new_door("users", "Who you are.")


@door.post(
    "/users",
    summary="Create a user and issue a user token",
    responses=answers({201: UserAnswer}, 400, 413, 415, 429),
)
def post_user(body: NewUser) -> Response:
    """There is no login: keep the token, it is who you are."""
    limit("new users", network_of(request.remote_addr or ""))
    account = create_user(body.name)
    made = {"user_id": account.user_id, "name": account.name, "user_token": account.user_token}
    return answer(made, 201)
