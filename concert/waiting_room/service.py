"""Places in a line: joining, asking, entering, leaving, completing, and letting people in."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import structlog
from redis.exceptions import NoScriptError

from concert.ground.database import connection
from concert.ground.errors import (
    NotAdmitted,
    SalesEnded,
    TokenExpired,
    TokenInvalid,
    Unavailable,
)
from concert.ground.observability import note_event
from concert.ground.redis_client import redis, run_all, unavailable_on_failure
from concert.waiting_room import ended
from concert.waiting_room.answers import AdmitAnswer, EnterAnswer, PlaceAnswer
from concert.waiting_room.chance import Chance, chance_of, message_of
from concert.waiting_room.ended import Ended, proof_of
from concert.waiting_room.keys import room_keys
from concert.waiting_room.mirror import build_up, mirror_room, note_loss
from concert.waiting_room.pace import per_second, wait_range
from concert.waiting_room.records import Room
from concert.waiting_room.scripts import (
    ADMIT,
    END_HOLD,
    ENTER,
    FORGET,
    JOIN,
    LEAVE,
    LOOK,
    PRESENT,
    READMIT,
    RESTORE,
    SETTLE,
    STATUS,
)
from concert.waiting_room.seats import Count, SeatsBehind, hand_in, seats_known
from concert.waiting_room.tokens import QueueToken

log = structlog.get_logger()

Status = Literal["waiting", "admitted", "completed", "expired", "left"]

# How often a waiting person is asked to look: LEAST near the front, MOST far back; and FARTHEST where
# the wait is known to be long, a twentieth of which is soon enough.
LEAST_POLL_SECONDS, MOST_POLL_SECONDS, FARTHEST_POLL_SECONDS = 1.0, 30.0, 180.0
OF_THE_WAIT = 20
# Whoever stands by for returned seats: still well within the time to show up.
STANDING_BY_SECONDS, MOST_STANDING_BY_SECONDS = 10.0, 60.0
MOST_AT_ONCE = 1000
# The visit outlasts a hold by a moment, since the two ends are set by two clocks.
GRACE_SECONDS = 5
# How far back places that ended are told to Redis again after it has lost what was written last:
# many times what a log or a replica can be behind.
TOLD_AGAIN_SECONDS = 600


class Place(NamedTuple):
    """One user's place in a room, at the moment it was asked for.

    ``position`` is 1 for the next; ``waiting`` counts people in line; times are
    aware datetimes; ``estimated_wait_seconds`` is None until a pace was measured, and where
    nobody is let in for want of seats, and so is its range (at the least, at the most);
    ``resumes_at`` is when people are let in again after a loss of Redis' data, None
    where it has lost nothing. ``seats`` is None where the room is in front of no date,
    ``chance`` there and unless waiting; ``message`` is what the organiser says, by language.
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
    resumes_at: datetime | None
    seats: SeatsBehind | None
    chance: Chance | None
    estimated_wait_range: tuple[int, int] | None
    message: dict[str, str] | None


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
    """What one call of :func:`admit` did, and what it left: numbers of people.

    ``newest`` and ``last`` are the greatest sequence numbers that were let in and given,
    ``begins`` the one up to which places may have been lost; ``unsaved`` counts ended
    places that PostgreSQL has not been told of. ``seats_changed``: the state of the seats is another one.
    """

    admitted: int
    ended: int
    waiting: int
    inside: int
    newest: int
    last: int
    begins: int
    unsaved: int
    seats_changed: bool = False


# Write down what a room's line has come to; a number never falls.
KEEP_UP = """
UPDATE rooms SET
    admitted_sequence = greatest(admitted_sequence, %(newest)s), last_sequence = greatest(last_sequence, %(last)s),
    longest_poll_seconds = %(longest)s, short_since = CASE WHEN %(short)s THEN coalesce(short_since, statement_timestamp()) END
WHERE slug = %(slug)s"""


def join(room: str, user_id: UUID, earlier: QueueToken | None = None) -> Place:
    """Give a user a place in a room, or the place that the user has.

    ``earlier`` is a token that the user still has; where Redis has lost its place and it
    is not over, the user gets that place back.

    Raises:
        NotFound: there is no such room.
        SalesEnded: no sale behind the room is open or to come, and the user has no place.
        Unavailable: Redis cannot be reached; or PostgreSQL, where the earlier place is lost.
    """
    if earlier is not None and (earlier.user_id, earlier.room) == (user_id, room):
        number = earlier.sequence
        answer = _in_known_room(room, lambda: JOIN.run(room_keys(room), (user_id.bytes, number)))
        if answer[0] != b"unknown":
            return _joined(room, user_id, answer)
        _restored(earlier)
    answer = _in_known_room(room, lambda: JOIN.run(room_keys(room), (user_id.bytes, "")))
    return _joined(room, user_id, answer)


def place_of(token: QueueToken) -> Place:
    """Where a place stands now. A place that Redis has lost is put back in order.

    Raises:
        TokenExpired: the place is completed.
        TokenInvalid: the user has lined up again since.
        Unavailable: Redis cannot be reached.
    """
    answer = PlaceAnswer(
        *_in_known_room(token.room, lambda: STATUS.run(room_keys(token.room), _whose(token)))
    )
    if answer.status == b"unknown":
        answer = _restored(token)
    if answer.status in (b"completed", b"superseded", b"unknown"):
        raise _refusal(answer.status)
    return _place(token, answer)


def confirm_presence(token: QueueToken) -> None:
    """Say that the person who waits at this place is there: near the front fewer of those are taken for absent.

    It changes nothing about the place, and says nothing of one that is over or far from the front.

    Raises:
        TokenExpired: the place is completed.
        TokenInvalid: the user has lined up again since.
        Unavailable: Redis cannot be reached.
    """
    keys, asked = room_keys(token.room), _whose(token)
    (status,) = _in_known_room(token.room, lambda: PRESENT.run(keys, asked))
    if status in (b"completed", b"superseded"):
        raise _refusal(status)


def find_token(room: str, user_id: UUID) -> QueueToken | None:
    """The place that a user has in a room now, waiting or admitted, whoever has its token.

    It is what joining would answer, but nobody who has no place is given one.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    keys = room_keys(room)
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        pipeline.zscore(keys.waiting, user_id.bytes)
        pipeline.hget(keys.sequences, user_id.bytes)
        waiting, admitted = pipeline.execute()
    sequence = waiting if waiting is not None else admitted
    return None if sequence is None else QueueToken(user_id, room, int(sequence))


def places_of(tokens: Sequence[QueueToken]) -> list[Place | None]:
    """Where many places stand, in one round trip; None for one that needs a look of its own.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    # An error of one answer, of a room whose keys are broken, say, is that one's own.
    answers = run_all([(STATUS, room_keys(token.room), _whose(token)) for token in tokens])
    return [_readable(token, answer) for token, answer in zip(tokens, answers, strict=True)]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at many places of a room has found: how many are ahead of each, in their order.

    ``ahead`` is -1 where a place does not simply wait, and is empty where the room could not be
    looked at; those need a look of their own.
    """

    front: PlaceAnswer | None
    ahead: Sequence[int]

    def place(self, token: QueueToken, ahead: int) -> Place:
        """The place of one who waits with so many ahead."""
        assert self.front is not None
        return _place(token, self.front._replace(ahead=ahead))


def look_at(groups: Sequence[tuple[str, Sequence[QueueToken]]]) -> list[Look]:
    """Where many places stand, each group behind its room, in one round trip.

    Redis answers nobody else meanwhile: a few hundred places take about a millisecond.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        for room, tokens in groups:
            asked = [part for token in tokens for part in _whose(token)]
            LOOK.queue(pipeline, room_keys(room), asked)
        # An error of one answer, of a room whose keys are broken, say, is that one's own.
        answers = pipeline.execute(raise_on_error=False)
    if any(isinstance(answer, NoScriptError) for answer in answers):
        LOOK.load()
    return [_looked(answer) for answer in answers]


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
    keys, asked = room_keys(room), (*_whose(token), _lasting(hold_seconds))
    answer = EnterAnswer(*_in_known_room(room, lambda: ENTER.run(keys, asked)))
    if answer.status == b"unknown":
        found = _restored(token)
        if found.status != b"admitted":
            raise _refusal(found.status)
        answer = EnterAnswer(*ENTER.run(keys, asked))
    if answer.status == b"admitted":
        return Visit(token, int(answer.deadline), int(answer.deadline_before))
    raise _refusal(answer.status)


def enter_together(tokens: Sequence[QueueToken], *, hold_seconds: int = 0) -> list[Visit | None]:
    """The same for several people, each at the door of their place's own room, in one round trip.

    None for whoever needs a look of their own by :func:`enter`: it is not their turn, or Redis does
    not know their place. Nothing was changed for them.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    lasting = _lasting(hold_seconds)
    answers = run_all(
        [(ENTER, room_keys(token.room), (*_whose(token), lasting)) for token in tokens]
    )
    return [
        Visit(token, int(answer[1]), int(answer[2]))
        if isinstance(answer, list) and answer[0] == b"admitted"
        else None
        for token, answer in zip(tokens, answers, strict=True)
    ]


def end_failed_hold(visit: Visit) -> None:
    """Give back the time that a visit got for a hold that did not come about.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    if visit.ends_ms != visit.ended_before_ms:
        token = visit.token
        END_HOLD.run(
            room_keys(token.room), (token.user_id.bytes, visit.ended_before_ms, visit.ends_ms, 0)
        )


def end_hold(room: str, user_id: UUID, others_until: datetime | None, seats: int) -> None:
    """Let a visit end when it would have without a hold of some seats that was released.

    ``others_until`` is when the last of the user's other holds behind this room ends.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    others = int(others_until.timestamp() + GRACE_SECONDS) * 1000 if others_until else 0
    END_HOLD.run(room_keys(room), (user_id.bytes, others, "", seats))


def leave(token: QueueToken) -> None:
    """Give up a place; one that is over already stays as it is.

    Raises:
        TokenExpired: the place is completed.
        TokenInvalid: the user has lined up again since.
        Unavailable: Redis cannot be reached.
    """
    status, sequence = LEAVE.run(room_keys(token.room), _whose(token))
    if status == b"unknown":
        _restored(token)
        status, sequence = LEAVE.run(room_keys(token.room), _whose(token))
    if status in (b"completed", b"superseded", b"unknown"):
        raise _refusal(status)
    if int(sequence):
        try:
            ended.save(token.room, [Ended(token.user_id, "left", int(sequence), ended.now_ms())])
        except Unavailable:
            # The tick writes it down when PostgreSQL is back; nobody needs PostgreSQL to leave.
            log.warning("left_place_not_saved", room=token.room)


def complete(token: QueueToken) -> None:
    """End a place that has served its purpose; the next in line gets its slot.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    SETTLE.run(room_keys(token.room), (token.user_id.bytes, "completed", token.sequence))


class Sold(NamedTuple):
    """That seats were sold at a place: whether that completes it, and the fact that tells of it."""

    token: QueueToken
    completed: bool
    fact: tuple[str, bytes]


def tell_sold(sold: Sequence[Sold]) -> None:
    """Complete places as :func:`complete` does, and then publish the facts, in one message.

    Raises:
        Unavailable: Redis cannot be reached; a job makes it good.
    """
    answers = run_all(
        [
            (SETTLE, room_keys(token.room), (token.user_id.bytes, "completed", token.sequence))
            for token, completed, _ in sold
            if completed
        ],
        facts=[one.fact for one in sold],
    )
    for answer in answers:
        if isinstance(answer, Exception):
            log.warning("place_not_completed", error=str(answer))


def admit(room: str) -> Admission:
    """End the turns that are over and let in who may come in, strictly from the front.

    Raises:
        NotFound: there is no such room.
        Unavailable: Redis cannot be reached.
    """
    admitted = over = 0
    while True:
        answer = AdmitAnswer(
            *_in_known_room(room, lambda: ADMIT.run(room_keys(room), (MOST_AT_ONCE,)))
        )
        admitted, over = admitted + answer.admitted, over + answer.ended
        for user, number in zip(answer.let_in[::2], answer.let_in[1::2], strict=True):
            note_event("admitted", UUID(bytes=user), room=room, place=int(float(number)))
        if answer.admitted < MOST_AT_ONCE and answer.ended < MOST_AT_ONCE:
            return Admission(
                admitted,
                over,
                answer.waiting,
                answer.inside,
                int(answer.newest),
                int(answer.sequence),
                int(answer.begins),
                answer.unsaved,
            )


def tend(room: Room, count: Count | None = None) -> Admission:
    """What a room needs every second: its settings and the count of its seats in Redis, people
    let in, and PostgreSQL told of what Redis must not be the only one to know.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    room = mirror_room(room)
    seats_changed = count is not None and hand_in(room.slug, count)
    admission = replace(admit(room.slug), seats_changed=seats_changed)
    if admission.unsaved:
        ended.save_unsaved(room.slug)
    if admission.begins > max(room.losses, default=0):
        _make_good(room, admission.begins)
    _keep_up(room, admission, standing_by=count is not None and count.sold_out)
    return admission


def forget_ended(room: str, older_than_seconds: int) -> int:
    """Drop what Redis and PostgreSQL remember of places that ended longer ago than their tokens last.

    Returns how many places Redis has dropped.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    before = int((datetime.now(UTC).timestamp() - older_than_seconds) * 1000)
    cursor: Any = b"0"
    dropped: int = 0
    while True:
        cursor, count = FORGET.run(room_keys(room), (cursor, before))
        dropped += count
        if cursor == b"0":
            break
    ended.forget(room, older_than_seconds)
    return dropped


def poll_after(
    position: int,
    until_open: float,
    chance: float,
    *,
    wait: float = 0,
    standing_by: bool = False,
) -> float:
    """Seconds until a waiting person should ask again: more the further back, spread by ``chance`` (0 to 1).

    ``wait`` is how long (seconds) the person will wait at the least, 0 where nobody knows. Whoever
    is ``standing_by`` in a line whose seats are all sold is asked to look rarely.
    """
    far = LEAST_POLL_SECONDS + math.sqrt(position) / 5
    soon = min(FARTHEST_POLL_SECONDS * 0.8, max(MOST_POLL_SECONDS * 0.8, wait / OF_THE_WAIT))
    seconds = min(far, soon)
    if standing_by:
        rare = min(MOST_STANDING_BY_SECONDS * 0.8, STANDING_BY_SECONDS + position / 4)
        seconds = max(seconds, rare)
    if until_open > seconds:
        seconds = max(seconds, min(MOST_POLL_SECONDS * 0.8, until_open))
    return round(seconds * (0.75 + 0.5 * chance), 1)


def _lasting(hold_seconds: int) -> int:
    """How long (ms) a visit lasts for such a hold."""
    return (hold_seconds + GRACE_SECONDS) * 1000 if hold_seconds else 0


def _whose(token: QueueToken) -> tuple[bytes, int]:
    return token.user_id.bytes, token.sequence


def _in_known_room(room: str, ask: Callable[[], Any]) -> Any:
    answer = ask()
    if answer[0] == b"no_room":
        build_up(room)
        answer = ask()
    return answer


def _joined(room: str, user_id: UUID, answer: Sequence[Any]) -> Place:
    if answer[0] == b"ended":
        raise SalesEnded()
    found = PlaceAnswer(*answer)
    place = int(found.sequence)
    # Of whoever had the place before, it was noted then.
    if found.status == b"admitted" and found.ahead < 0:
        note_event("admitted", user_id, room=room, place=place)
    return _place(QueueToken(user_id, room, place), found)


def _restored(token: QueueToken) -> PlaceAnswer:
    """What has become of a place that Redis does not know: over, or put back where it was."""
    keys, proof = room_keys(token.room), proof_of(token)
    if proof.ended:
        # Redis is told, so that the next question is answered without PostgreSQL.
        status, sequence = proof.ended
        SETTLE.run(keys, (token.user_id.bytes, status, sequence))
        answer = _in_known_room(token.room, lambda: STATUS.run(keys, _whose(token)))
        found = PlaceAnswer(*answer)
        # Where the user has a newer place, Redis cannot know of this one, but we do.
        return found._replace(status=b"superseded") if found.status == b"unknown" else found
    held_until = 0
    if proof.held_until:
        held_until = math.ceil((proof.held_until.timestamp() + GRACE_SECONDS) * 1000)
    proven = (int(proof.was_inside), held_until, proof.loss_before, proof.loss_after)
    return PlaceAnswer(
        *_in_known_room(token.room, lambda: RESTORE.run(keys, (*_whose(token), *proven)))
    )


def _make_good(room: Room, loss: int) -> None:
    """Tell Redis what it has lost of the last moments, while it lets nobody in.

    A log or a replica may be a moment behind. What PostgreSQL was told in that moment is
    told to Redis again; what nobody but the owner knows comes back with the token.
    """
    ended.settle_lately_ended(room.slug, TOLD_AGAIN_SECONDS)
    while READMIT.run(room_keys(room.slug), (room.admitted_sequence, MOST_AT_ONCE)):
        pass
    if note_loss(room.slug, loss):
        log.warning("redis_restarted", room=room.slug, recovery_seconds=room.recovery_seconds)


def _keep_up(room: Room, admission: Admission, *, standing_by: bool) -> None:
    until_open = (room.opens_at - datetime.now(UTC)).total_seconds() if room.opens_at else 0
    # However long their wait is, as far as anybody knows.
    last = max(1, admission.waiting)
    longest_now = poll_after(last, until_open, 1, wait=math.inf, standing_by=standing_by)
    now_longest = math.ceil(longest_now)
    longest = room.longest_poll_seconds
    if now_longest > longest or room.short_long_enough:
        longest = now_longest
    short = now_longest < longest
    if (
        admission.newest > room.admitted_sequence
        or admission.last > room.last_sequence
        or longest != room.longest_poll_seconds
        or short != (room.short_since is not None)
    ):
        asked = {
            "slug": room.slug,
            "newest": admission.newest,
            "last": admission.last,
            "longest": longest,
            "short": short,
        }
        with connection() as link:
            link.execute(KEEP_UP, asked)


def _refusal(status: bytes) -> Exception:
    if status == b"completed":
        return TokenExpired("This place has ended with a payment; line up again for more.")
    if status in (b"superseded", b"unknown"):
        return TokenInvalid("You have lined up again since; use the newer queue token.")
    if status == b"left":
        return TokenInvalid("You have left the line; line up again.")
    if status == b"over":
        return NotAdmitted(
            "Your visit is over; you can still pay for the seats you hold, but not hold more."
        )
    if status == b"expired":
        return NotAdmitted("Your turn is over; line up again.")
    return NotAdmitted("It is not your turn yet.")


def _readable(token: QueueToken, answer: Any) -> Place | None:
    """The place in an answer, where it has one."""
    readable = (b"waiting", b"admitted", b"expired", b"left")
    if not isinstance(answer, list) or answer[0] not in readable:
        return None
    try:
        return _place(token, PlaceAnswer(*answer))
    except (ValueError, TypeError, IndexError):
        return None  # A look of its own will fail likewise, and say why.


def _looked(answer: Any) -> Look:
    if not isinstance(answer, list) or len(answer) < 2:
        return Look(None, ())
    return Look(PlaceAnswer(*answer[0]), answer[1:])


def _place(token: QueueToken, answer: PlaceAnswer) -> Place:
    status: Status = answer.status.decode()  # type: ignore[assignment]  # the other statuses are refused before
    now_ms, opens_ms, resumes_ms = int(answer.now), int(answer.opens_at), int(answer.resumes_at)
    position = answer.ahead + 1 if status == "waiting" else None
    known = seats_known(answer.seats)
    # Where nothing can be held, nobody is let in, whatever the pace was.
    moves = known is None or (known.seats.state == "open" and known.bookable > 0)
    pace = _pace(answer) if position and moves else None
    wait = wait_range(position, pace, float(answer.pace)) if position and pace else None
    return Place(
        token=token,
        status=status,
        position=position,
        waiting=answer.waiting,
        estimated_wait_seconds=math.ceil(position / pace) if position and pace else None,
        poll_after_seconds=poll_after(
            position or 1,
            max(0, opens_ms - now_ms) / 1000,
            random.random(),
            wait=wait[0] if wait else 0,
            standing_by=known is not None and known.seats.state == "sold_out",
        ),
        admitted_until=_moment(int(answer.deadline)) if status == "admitted" else None,
        opens_at=_moment(opens_ms) if opens_ms else None,
        paused=bool(answer.paused),
        resumes_at=_moment(resumes_ms) if resumes_ms else None,
        seats=known.seats if known else None,
        chance=chance_of(answer.ahead, known) if position and known else None,
        estimated_wait_range=wait,
        message=message_of(answer.message),
    )


def _pace(answer: PlaceAnswer) -> float | None:
    """People let in a second, as measured."""
    return per_second(
        float(answer.pace), int(answer.pace_at), int(answer.pace_since), int(answer.now)
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
