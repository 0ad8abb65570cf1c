"""Creating users, and saying who a user token belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from concert.accounts.models import LONGEST_NAME
from concert.ground.database import connection
from concert.ground.errors import BadRequest, TokenInvalid, UnknownUser
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.signing import sign, understood

CREATE = "INSERT INTO users (id, name) VALUES (%s, %s)"
READ = "SELECT name FROM users WHERE id = %s"
RENAME = "UPDATE users SET name = %s WHERE id = %s RETURNING name"


@dataclass(frozen=True, slots=True)
class Account:
    """A user, and a fresh token that says so."""

    user_id: UUID
    name: str | None
    user_token: str


def create_user(name: str | None = None) -> Account:
    """Make a user and issue a user token.

    Raises:
        BadRequest: the name is empty, too long or holds control characters.
    """
    user_id = uuid4()
    name = checked_name(name)
    with connection() as link:
        link.execute(CREATE, (user_id, name))
    return Account(user_id, name, issue_user_token(user_id))


def user_name(user_id: UUID) -> str | None:
    """The user's name, or None where none was given.

    Raises:
        UnknownUser: there is no such user.
    """
    with connection() as link:
        row = link.execute(READ, (user_id,)).fetchone()
    if row is None:
        raise UnknownUser()
    name: str | None = row[0]
    return name


def rename_user(user_id: UUID, name: str | None) -> str | None:
    """Give the user another name; None takes it away.

    Raises:
        BadRequest: the name is empty, too long or holds control characters.
        UnknownUser: there is no such user.
    """
    name = checked_name(name)
    with connection() as link:
        row = link.execute(RENAME, (name, user_id)).fetchone()
    if row is None:
        raise UnknownUser()
    renamed: str | None = row[0]
    return renamed


def issue_user_token(user_id: UUID) -> str:
    """A token of ``typ: user`` for this user."""
    days = part(Settings).user_token_days
    return sign("user", days * 86_400, {"sub": str(user_id)})


def user_of_token(token: str) -> UUID:
    """Whose token this is.

    Raises:
        TokenInvalid: it is not a user token of ours.
        TokenExpired: its time is over.
    """
    return understood(token, "user", ["sub"], _user_in)


def _user_in(claims: dict[str, Any]) -> UUID:
    try:
        return UUID(claims["sub"])
    except ValueError as error:
        raise TokenInvalid("The token is not valid.") from error


def checked_name(name: str | None) -> str | None:
    """The name without surrounding space.

    Raises:
        BadRequest: it is empty, too long or holds control characters.
    """
    if name is None:
        return None
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"A name has 1 to {LONGEST_NAME} printable characters.")
    return name
