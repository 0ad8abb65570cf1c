"""Queue tokens: signed proof of a place in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from concert.ground.errors import TokenInvalid
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.signing import sign, understood


@dataclass(frozen=True, slots=True)
class QueueToken:
    """Whose place, in which room, and the sequence number that orders it.

    It holds all that is needed to put the place back after Redis has lost it.
    """

    user_id: UUID
    room: str
    sequence: int

    def encoded(self) -> str:
        """The token as it is handed out."""
        hours = part(Settings).queue_token_hours
        claims = {"sub": str(self.user_id), "room": self.room, "seq": self.sequence}
        return sign("queue", hours * 3600, claims)


def queue_token_of(token: str) -> QueueToken:
    """The place that a token proves.

    Raises:
        TokenInvalid: it is not a queue token of ours.
        TokenExpired: its time is over.
    """
    return understood(token, "queue", ["sub", "room", "seq"], _place_in)


def _place_in(claims: dict[str, Any]) -> QueueToken:
    try:
        return QueueToken(UUID(claims["sub"]), str(claims["room"]), int(claims["seq"]))
    except (ValueError, TypeError, AttributeError) as error:  # signed by us, but not for this
        raise TokenInvalid("The token is not valid.") from error
