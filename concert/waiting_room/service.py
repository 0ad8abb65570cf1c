"""Places in a line: joining, asking, entering, leaving, completing, and letting people in."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from concert.ground.database import connection
from concert.ground.errors import NotAdmitted, TokenExpired, TokenInvalid
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.waiting_room.keys import room_keys
from concert.waiting_room.rooms import build_up
from concert.waiting_room.scripts import (
    ADMIT,
    COMPLETE,
    END_HOLD,
    ENTER,
    FORGET,
    JOIN,
    LEAVE,
    RESTORE,
    STATUS,
)
from concert.waiting_room.tokens import QueueToken

Status = Literal["waiting", "admitted", "completed", "expired", "left"]

# How often a waiting person is asked to look: LEAST near the front, MOST far back.
LEAST_POLL_SECONDS, MOST_POLL_SECONDS = 1.0, 30.0
PACE_WINDOW_SECONDS = 60.0
MOST_AT_ONCE = 1000
# The visit outlasts a hold by a moment, since the two ends are set by two clocks.
GRACE_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Place:
    """One user's place in a room, at the moment it was asked for.

    ``position`` is 1 for the next; ``waiting`` counts people in line; times are
    aware datetimes; ``estimated_wait_seconds`` is None until a pace was measured.
    """

    token: QueueToken
    status: Status
    position: int | None
    waiting: int
    estimated_wait_seconds: int | None
    poll_after_seconds: float
    admitted_until: datetime | None
    opens_at: datetime | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """An admitted person's visit: when it ends (ms since 1970), and when it would have before this check."""

    token: QueueToken
    ends_ms: int
    ended_before_ms: int

    @property
    def ends_at(self) -> datetime:
        """When the visit ends."""
        return _moment(self.ends_ms)


@dataclass(frozen=True, slots=True)
class Admission:
    """What one call of :func:`admit` did, and what it left: numbers of people."""

    admitted: int
    ended: int
    waiting: int
    inside: int


IS_COMPLETED = (
    "SELECT 1 FROM completed_places WHERE room_slug = %s AND user_id = %s AND sequence = %s"
)
LATELY_COMPLETED = """
SELECT room_slug, user_id, sequence FROM completed_places
WHERE completed_at > clock_timestamp() - %s * interval '1 second' ORDER BY completed_at LIMIT 5000"""


def join(room: str, user_id: UUID) -> Place:
    """Give a user a place in a room, or the place that the user has.

    Raises:
        NotFound: there is no such room.
        Unavailable: Redis cannot be reached.
    """
    answer = _in_known_room(room, lambda: JOIN.run(room_keys(room), (user_id.bytes,)))
    return _place(QueueToken(user_id, room, int(answer[1])), answer)


def place_of(token: QueueToken) -> Place:
    """Where a place stands now. A place that Redis has lost is put back in order.

    Raises:
        TokenExpired: the place is completed.
        TokenInvalid: the user has lined up again since.
        Unavailable: Redis cannot be reached.
    """
    answer = _in_known_room(token.room, lambda: STATUS.run(room_keys(token.room), _whose(token)))
    if answer[0] == b"unknown":
        answer = _restored(token)
    if answer[0] in (b"completed", b"superseded"):
        raise _refusal(answer[0].decode())
    return _place(token, answer)


def find_token(room: str, user_id: UUID) -> QueueToken | None:
    """The place that a user has in a room now, waiting or admitted, whoever has its token.

    It is what joining would answer, but nobody who has no place is given one.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    keys = room_keys(room)
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        pipeline.zscore(keys[0], user_id.bytes)
        pipeline.hget(keys[2], user_id.bytes)
        waiting, admitted = pipeline.execute()
    sequence = waiting if waiting is not None else admitted
    return None if sequence is None else QueueToken(user_id, room, int(sequence))


def places_of(tokens: Sequence[QueueToken]) -> list[Place | None]:
    """Where many places stand, in one round trip; None for one that needs a look of its own.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    STATUS.load()
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        for token in tokens:
            STATUS.queue(pipeline, room_keys(token.room), _whose(token))
        # An error of one answer, of a room whose keys are broken, say, is that one's own.
        answers = pipeline.execute(raise_on_error=False)
    return [_readable(token, answer) for token, answer in zip(tokens, answers, strict=True)]


def enter(token: QueueToken, room: str, *, hold_seconds: int = 0) -> Visit:
    """Check that it is this user's turn in ``room`` now; the first check begins the visit.

    With ``hold_seconds`` the visit lasts at least as long as a hold that begins now;
    give the visit to :func:`end_hold` where no hold came of it.

    Raises:
        NotAdmitted: it is not the user's turn, the turn is over, or the token is another room's.
        TokenExpired: the place is completed.
        TokenInvalid: the user has left, or has lined up again since.
        Unavailable: Redis cannot be reached.
    """
    if token.room != room:
        raise NotAdmitted(
            f"This is a place in the line of {token.room!r}; this concert's line is {room!r}."
        )
    lasting = (hold_seconds + GRACE_SECONDS) * 1000 if hold_seconds else 0
    answer = _in_known_room(room, lambda: ENTER.run(room_keys(room), (*_whose(token), lasting)))
    if answer[0] == b"admitted":
        return Visit(token, int(answer[1]), int(answer[2]))
    if answer[0] == b"unknown":
        answer = _restored(token)
    raise _refusal(answer[0].decode())


def end_failed_hold(visit: Visit) -> None:
    """Give back the time that a visit got for a hold that did not come about.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    if visit.ends_ms != visit.ended_before_ms:
        token = visit.token
        END_HOLD.run(
            room_keys(token.room), (token.user_id.bytes, visit.ended_before_ms, visit.ends_ms)
        )


def end_hold(room: str, user_id: UUID, others_until: datetime | None) -> None:
    """Let a visit end when it would have without a hold that was released.

    ``others_until`` is when the last of the user's other holds behind this room ends.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    others = int(others_until.timestamp() + GRACE_SECONDS) * 1000 if others_until else 0
    END_HOLD.run(room_keys(room), (user_id.bytes, others, ""))


def leave(token: QueueToken) -> None:
    """Give up a place; one that is over already stays as it is.

    Raises:
        TokenExpired: the place is completed.
        TokenInvalid: the user has lined up again since.
        Unavailable: Redis cannot be reached.
    """
    answer = LEAVE.run(room_keys(token.room), _whose(token))
    if answer[0] in (b"completed", b"superseded"):
        raise _refusal(answer[0].decode())


def complete(token: QueueToken) -> None:
    """End a place that has served its purpose; the next in line gets its slot.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    COMPLETE.run(room_keys(token.room), _whose(token))


def complete_lately_paid(seconds: int) -> int:
    """Complete every place whose payment was written in the last ``seconds``; returns how many there are.

    The payment does so itself; this finishes what a crash or a lost Redis has cut off.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    with connection() as link:
        rows = link.execute(LATELY_COMPLETED, (seconds,)).fetchall()
    if rows:
        COMPLETE.load()
        with unavailable_on_failure():
            pipeline = redis().pipeline(transaction=False)
            for room, user_id, sequence in rows:
                COMPLETE.queue(pipeline, room_keys(room), (user_id.bytes, sequence))
            pipeline.execute()
    return len(rows)


def admit(room: str) -> Admission:
    """End the turns that are over and let in who may come in, strictly from the front.

    Raises:
        NotFound: there is no such room.
        Unavailable: Redis cannot be reached.
    """
    admitted = ended = 0
    while True:
        answer = _in_known_room(room, lambda: ADMIT.run(room_keys(room), (MOST_AT_ONCE,)))
        admitted, ended = admitted + answer[0], ended + answer[1]
        if answer[0] < MOST_AT_ONCE and answer[1] < MOST_AT_ONCE:
            return Admission(admitted, ended, answer[2], answer[3])


def forget_ended(room: str, older_than_seconds: int) -> int:
    """Drop what Redis remembers of places that ended longer ago than their tokens last.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    before = int((datetime.now(UTC).timestamp() - older_than_seconds) * 1000)
    cursor: Any = b"0"
    dropped: int = 0
    while True:
        cursor, count = FORGET.run(room_keys(room), (cursor, before))
        dropped += count
        if cursor == b"0":
            return dropped


def poll_after(position: int, until_open: float, chance: float) -> float:
    """Seconds until a waiting person should ask again: more the further back, spread by ``chance`` (0 to 1)."""
    seconds = min(MOST_POLL_SECONDS * 0.8, LEAST_POLL_SECONDS + math.sqrt(position) / 5)
    if until_open > seconds:
        seconds = min(MOST_POLL_SECONDS * 0.8, until_open)
    return round(seconds * (0.75 + 0.5 * chance), 1)


def _whose(token: QueueToken) -> tuple[bytes, int]:
    return token.user_id.bytes, token.sequence


def _in_known_room(room: str, ask: Callable[[], Any]) -> Any:
    answer = ask()
    if answer[0] == b"no_room":
        build_up(room)
        answer = ask()
    return answer


def _restored(token: QueueToken) -> Any:
    with connection() as link:
        completed = link.execute(
            IS_COMPLETED, (token.room, token.user_id, token.sequence)
        ).fetchone()
    if completed:
        complete(token)
        return [b"completed"]
    return _in_known_room(token.room, lambda: RESTORE.run(room_keys(token.room), _whose(token)))


def _refusal(status: str) -> Exception:
    if status == "completed":
        return TokenExpired("This place has ended with a payment; line up again for more.")
    if status == "superseded":
        return TokenInvalid("You have lined up again since; use the newer queue token.")
    if status == "left":
        return TokenInvalid("You have left the line; line up again.")
    if status == "over":
        return NotAdmitted(
            "Your visit is over; you can still pay for the seats you hold, but not hold more."
        )
    if status == "expired":
        return NotAdmitted("Your turn is over; line up again.")
    return NotAdmitted("It is not your turn yet.")


def _readable(token: QueueToken, answer: Any) -> Place | None:
    """The place in an answer, where it has one."""
    readable = (b"waiting", b"admitted", b"expired", b"left")
    if not isinstance(answer, list) or answer[0] not in readable:
        return None
    try:
        return _place(token, answer)
    except (ValueError, TypeError, IndexError):
        return None  # A look of its own will fail likewise, and say why.


def _place(token: QueueToken, answer: Sequence[Any]) -> Place:
    status: Status = answer[0].decode()
    now_ms, opens_ms = int(answer[5]), int(answer[6])
    waiting = status == "waiting"
    position = int(answer[2]) + 1 if waiting else None
    paused = bool(answer[7])
    return Place(
        token=token,
        status=status,
        position=position,
        waiting=int(answer[3]),
        estimated_wait_seconds=_estimated_wait(position, answer) if position else None,
        poll_after_seconds=poll_after(
            position or 1, max(0, opens_ms - now_ms) / 1000, random.random()
        ),
        admitted_until=_moment(int(answer[4])) if status == "admitted" else None,
        opens_at=_moment(opens_ms) if opens_ms else None,
        paused=paused,
    )


def _estimated_wait(position: int, answer: Sequence[Any]) -> int | None:
    """The place divided by the pace measured over the last minute, in seconds."""
    now_ms = int(answer[5])
    pace, pace_at_ms, since_ms = float(answer[8]), int(answer[9]), int(answer[10])
    if not since_ms or pace <= 0:
        return None
    faded = pace * math.exp((pace_at_ms - now_ms) / 1000 / PACE_WINDOW_SECONDS)
    # The first tick's people are those of the second before it.
    measured_seconds = (now_ms - since_ms) / 1000 + 1.0
    weight = PACE_WINDOW_SECONDS * (1 - math.exp(-measured_seconds / PACE_WINDOW_SECONDS))
    per_second = faded / weight
    return math.ceil(position / per_second) if per_second > 1e-4 else None


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
