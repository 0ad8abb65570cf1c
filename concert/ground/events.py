"""Facts for the live pages, published through Redis with flask-sse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import structlog
from flask import Flask
from flask_sse import ServerSentEventsBlueprint
from redis import Redis

from concert.ground.errors import Unavailable
from concert.ground.parts import keep, part
from concert.ground.redis_client import redis, unavailable_on_failure

log = structlog.get_logger()


class Publisher(ServerSentEventsBlueprint):  # type: ignore[misc]  # flask-sse has no types
    """flask-sse's publisher on the app's own connection pool; its own opens one at every call."""

    @property
    def redis(self) -> Redis:
        """The app's client."""
        return redis()


publisher = Publisher("facts", __name__)


@dataclass(slots=True)
class Hearers:
    """Who in this process is told of a change of seats (of which performance) before anybody else."""

    of_seats: list[Callable[[int], None]] = field(default_factory=list)


def init_events(app: Flask) -> None:
    """Nobody in this process hears of changes yet."""
    keep(app, Hearers())


# Where facts about all rooms are told.
ROOMS = "rooms"


def performance_channel(performance_id: int) -> str:
    """Where facts about a performance's seats are told."""
    return f"performance:{performance_id}"


def publish_seats(
    performance_id: int, seat_nos: Sequence[int], state: str, holder: UUID | None = None
) -> None:
    """Tell that seats of a performance are ``available``, ``held`` or ``sold`` from now on.

    ``holder`` is whose they are; it never leaves the servers.

    The database has committed by then, so a fact that cannot be told is logged and
    not raised: every page that connects anew begins with a snapshot.
    """
    _hear(performance_id)
    fact = _seats_fact(seat_nos, state, holder)
    _publish(performance_channel(performance_id), "seats", fact)


def seats_message(
    performance_id: int, seat_nos: Sequence[int], state: str, holder: UUID | None = None
) -> tuple[str, bytes]:
    """The channel and the message of such a fact, for whoever has a script that sends it.

    Whoever hears of seats in this process does so now.
    """
    _hear(performance_id)
    told = {"data": _seats_fact(seat_nos, state, holder), "type": "seats"}
    return performance_channel(performance_id), orjson.dumps(told)


def publish_closed(performance_id: int) -> None:
    """Tell that the sale of a performance has ended."""
    _publish(performance_channel(performance_id), "closed", {})


def publish_corrected(performance_id: int, price: int, capacity: int) -> None:
    """Tell that a performance is another one now: what its free seats cost, and how many it has."""
    _hear(performance_id)
    fact: dict[str, object] = {"price": price, "capacity": capacity}
    _publish(performance_channel(performance_id), "corrected", fact)


def publish_room(slug: str, admitted: int) -> None:
    """Tell that people were let into a room, so that those behind them have moved up."""
    _publish(ROOMS, "moved", {"room": slug, "admitted": admitted})


def understood(message: bytes) -> tuple[str, dict[str, Any]]:
    """The kind of a fact that was told, and what is known of it.

    Raises:
        ValueError: it is no fact as they are told here.
    """
    match orjson.loads(message):
        case {"type": "seats", "data": {"seats": list(seat_nos), "state": str()} as fact}:
            if all(isinstance(seat_no, int) for seat_no in seat_nos):
                return "seats", fact
        case {"type": "corrected", "data": {"price": int(), "capacity": int()} as fact}:
            return "corrected", fact
        case {"type": str(kind), "data": dict(fact)} if kind not in ("seats", "corrected"):
            return kind, fact
    raise ValueError("It is no fact as they are told here.")


def _hear(performance_id: int) -> None:
    for hear in part(Hearers).of_seats:
        hear(performance_id)


def _seats_fact(seat_nos: Sequence[int], state: str, holder: UUID | None) -> dict[str, object]:
    return {
        "seats": list(seat_nos),
        "state": state,
        "holder": str(holder) if holder else None,
    }


def _publish(channel: str, kind: str, fact: dict[str, object]) -> None:
    try:
        with unavailable_on_failure():
            publisher.publish(fact, type=kind, channel=channel)
    except Unavailable:
        log.warning("fact_not_published", channel=channel, kind=kind)
