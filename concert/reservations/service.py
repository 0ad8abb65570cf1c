"""Holding seats, releasing them, and seeing what is held."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any, Literal, NamedTuple
from uuid import UUID, uuid4

import structlog
from flask import Flask

from concert.catalogue.labels import layout_of_performance, plan_of_performance
from concert.catalogue.service import REMEMBERED_SECONDS, Performance, require_seats
from concert.ground import events
from concert.ground.database import (
    Connection,
    array,
    connection,
    text_array,
    undone_together,
)
from concert.ground.errors import (
    AlreadyPaid,
    BadRequest,
    DomainError,
    HoldExpired,
    LoneSeat,
    NotFound,
    NotTogether,
    NotYours,
    ReholdTooSoon,
    SalesNotOpen,
    SeatLimit,
    SeatTaken,
    TokenExpired,
    TooManyLapsed,
    Unavailable,
    UnknownUser,
)
from concert.ground.idempotency import Attempt, once, recall
from concert.ground.limits import limit
from concert.ground.observability import counts_refusals, note_event
from concert.ground.parts import keep, part
from concert.ground.sale_health import note_lapsed
from concert.ground.settings import Settings
from concert.ground.together import Together
from concert.halls.best import Wish, best_choices, could_spare_singles, left_alone
from concert.reservations import queries
from concert.reservations.snapshots import seats_lately
from concert.waiting_room import service as waiting_room
from concert.waiting_room.seats import Moved, Taker, tell_moved
from concert.waiting_room.tokens import QueueToken

log = structlog.get_logger()

State = Literal["available", "held", "sold", "blocked"]
# What is for sale, and the one state more that a seat may be in.
STATES: dict[str, State] = {"a": "available", "h": "held", "s": "sold"}
SEAT_STATES: dict[str, State] = {**STATES, "b": "blocked"}
MOST_LISTED = 200
MOST_TIDIED_AT_ONCE = 1000
# In a rush for the best seats: how many places are tried in one statement, and how often the
# map is read anew before somebody is told that others were quicker.
MOST_CHOICES = 100
MOST_TRIALS = 6


@dataclass(frozen=True, slots=True)
class Reservation:
    """Seats held together, with their prices in won, in seat order.

    ``status`` is ``held``, ``paid``, ``expired``, ``cancelled`` or ``refunded``, as it is now. What
    is paid has the seats that are still its user's; when all were given back, it is refunded.
    """

    reservation_id: UUID
    user_id: UUID
    concert_id: int
    performance_id: int
    date: dt.date
    seat_nos: tuple[int, ...]
    prices: tuple[int, ...]
    amount: int
    status: str
    created_at: datetime
    held_until: datetime


class SeatState(NamedTuple):
    """One seat as one user sees it; ``mine`` where that user holds or owns it."""

    seat_no: int
    price: int
    state: State
    mine: bool


@dataclass(frozen=True, slots=True)
class SeatCounts:
    """How many seats of a performance are in each state; those that are blocked are in none."""

    available: int
    held: int
    sold: int


@dataclass(slots=True)
class RememberedPrices:
    """What seats cost, as this process has read it: until when it may be believed, and the prices."""

    by_performance: dict[int, tuple[float, tuple[int, ...]]] = field(default_factory=dict)


@dataclass(slots=True)
class AskedHold:
    """A hold of one seat that is done with others': whose, of what, under which id.

    ``visit`` and ``row``, what ``hold_seats`` has put out, are found on the way. Without a
    visit nobody was let in yet; without a row nothing was judged.
    """

    token: QueueToken
    performance: Performance
    seat_no: int
    made: UUID
    visit: waiting_room.Visit | None = None
    row: Sequence[Any] | None = None


class HoldsTogether(Together[AskedHold]):
    """The holds of this process that are asked for at the same time."""

    def __init__(self) -> None:
        super().__init__(_hold_together)


@dataclass(slots=True)
class AskedForHeld:
    """Somebody who looks at a page, and what they hold, which every page says."""

    user_id: UUID
    held: Reservation | None = None


class HeldTogether(Together[AskedForHeld]):
    """Those who look at pages of this process at the same time."""

    def __init__(self) -> None:
        super().__init__(_look_together)


def init_reservations(app: Flask) -> None:
    """Remember the prices of this app's seats, and do together what is asked for together."""
    keep(app, RememberedPrices())
    keep(app, HoldsTogether())
    keep(app, HeldTogether())


@counts_refusals("hold")
def hold_seats(
    token: QueueToken,
    room: str,
    performance: Performance,
    seat_nos: Sequence[int],
    attempt: Attempt | None = None,
) -> Reservation:
    """Hold seats for ``HOLD_SECONDS``, all or nothing, for somebody whose turn it is in ``room``.

    Whoever asks again for just the seats that they hold gets the reservation they have.

    Raises:
        BadRequest: a seat is out of range or named twice.
        NotAdmitted, TokenExpired, TokenInvalid: it is not this user's turn.
        SalesNotOpen: the performance is not on sale now.
        SeatLimit: the user would have more seats of it than one person may.
        SeatTaken: somebody else has one of them, or it is not for sale.
        LoneSeat: they would leave a single seat between others, where that is refused and need not be.
        ReholdTooSoon: a hold of theirs on one of them has lapsed just now.
        TooManyLapsed: too many of their holds have lapsed in this visit.
        IdempotencyConflict: the key was used for another request.
        RateLimited: the user asks too often.
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    limit("holds", token.user_id)
    wanted = require_seats(performance, seat_nos)
    # Most ask for one seat. A key needs a transaction of its own.
    may_share = len(wanted) == 1 and attempt is None and token.room == room
    is_usual = performance.lone_seats != "refuse" and performance.seat_limit is None
    if may_share and is_usual:
        return _hold_with_others(token, performance, wanted)
    with _visit_for_a_hold(token, room) as visit:
        if performance.lone_seats == "refuse":
            _refuse_lone_seats(performance, wanted, attempt)
        return _hold_during(visit, performance, wanted, attempt)


@counts_refusals("hold")
def hold_best_seats(
    token: QueueToken,
    room: str,
    performance: Performance,
    count: int,
    attempt: Attempt | None = None,
    *,
    category: str | None = None,
    near: Sequence[int] = (),
    wheelchair: bool = False,
) -> Reservation:
    """Hold the best ``count`` free seats side by side; where somebody is quicker, the next best.

    Best is near the stage and the middle, or near the seats ``near``; of one ``category`` where it
    is named. With ``wheelchair`` one is a place for a wheelchair, and the others are beside it.
    Where the performance says so, no single seat is left between others as long as it need not be.

    Raises:
        BadRequest: the count is not 1 to the most that one person may have, or the hall has no such
            category or seat.
        NotTogether: there are not so many side by side.
        SeatTaken: others were quicker every time.
        And what :func:`hold_seats` raises.
    """
    limit("holds", token.user_id)
    most = seat_limit_of(performance)
    if not 1 <= count <= most:
        raise BadRequest(f"Choose 1 to {most} seats.")
    wish = Wish(
        count,
        _category_index(performance, category),
        require_seats(performance, near) if near else (),
        wheelchair,
    )
    with _visit_for_a_hold(token, room) as visit:
        held = recall(attempt, Reservation) if attempt else None
        if held is not None:
            _end_failed_hold(visit)
            return held
        for trial in range(MOST_TRIALS):
            letters = _letters_now(performance)
            choices = best_choices(
                layout_of_performance(performance, len(letters)),
                letters,
                wish,
                most=MOST_CHOICES,
                spare_singles=performance.lone_seats != "off",
                released=performance.released_seats,
            )
            if not choices:
                raise NotTogether(count)
            try:
                # Whoever found all of them being taken waits for one of them, and so for news.
                if trial % 2:
                    return _hold_during(visit, performance, choices[0], attempt)
                wanted = tuple(chain.from_iterable(choices))
                return _hold_during(visit, performance, wanted, attempt, together=count)
            except SeatTaken:
                log.info("best_seats_lost", performance=performance.performance_id, trial=trial)
        raise SeatTaken(choices[0])


def lone_seats_of(performance: Performance, seat_nos: Sequence[int], letters: str) -> list[int]:
    """The seats that would be left alone between others if these were taken, where it need not be.

    ``letters`` is the state of each seat. Nothing where other seats would leave some alone, too, or
    where some of these are not to be had anyway.
    """
    if max(seat_nos) > len(letters) or any(letters[seat_no - 1] != "a" for seat_no in seat_nos):
        return []
    layout = layout_of_performance(performance, len(letters))
    alone = left_alone(layout, letters, seat_nos, performance.released_seats)
    if alone and could_spare_singles(layout, letters, seat_nos, performance.released_seats):
        return alone
    return []


def release_reservation(user_id: UUID, reservation_id: UUID) -> None:
    """Give the seats of a live reservation back; one that was cancelled already stays so.

    Raises:
        NotFound: there is no such reservation.
        NotYours: it is somebody else's.
        AlreadyPaid: it is paid.
        HoldExpired: its deadline has passed.
        Unavailable: PostgreSQL cannot be reached.
    """
    with connection() as link:
        row = link.execute(
            queries.RELEASE, {"reservation": reservation_id, "user": user_id}
        ).fetchone()
        if row is None:
            _explain_release(_read(link, reservation_id), user_id)
            return
        performance_id, seat_nos, room = row
        until = link.execute(queries.HOLDS_UNTIL, (user_id, room)).fetchone()
    note_event(
        "released",
        user_id,
        room=room,
        performance=performance_id,
        seats=seat_nos,
        reservation=reservation_id,
    )
    events.publish_seats(performance_id, seat_nos, "available")
    try:
        waiting_room.end_hold(room, user_id, until[0] if until else None, len(seat_nos))
    except Unavailable:
        log.warning("visit_not_shortened", room=room)


def release_all_of(performance_id: int) -> int:
    """Give the seats of every live reservation of a performance back; returns how many there were.

    For a date that is cancelled: its seats are for nobody, so the line is not told of them. What
    somebody is paying at this moment stays.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    released = 0
    asked = {"performance": performance_id, "most": MOST_TIDIED_AT_ONCE}
    while True:
        with connection() as link:
            rows = link.execute(queries.RELEASE_OF_PERFORMANCE, asked).fetchall()
        for reservation_id, user_id, seat_nos, room, others_until in rows:
            note_event(
                "released",
                user_id,
                room=room,
                performance=performance_id,
                seats=seat_nos,
                reservation=reservation_id,
            )
            try:
                waiting_room.end_hold(room, user_id, others_until, 0)
            except Unavailable:
                log.warning("visit_not_shortened", room=room)
        released += len(rows)
        if len(rows) < MOST_TIDIED_AT_ONCE:
            return released


def leave_line(token: QueueToken) -> None:
    """Give up a place in line, and with it the seats that its user holds behind the room.

    Raises:
        TokenExpired: the place is completed.
        TokenInvalid: the user has lined up again since.
        Unavailable: PostgreSQL or Redis cannot be reached; asking again finishes it.
    """
    waiting_room.leave(token)
    with connection() as link:
        asked = {"user": token.user_id, "room": token.room}
        rows = link.execute(queries.RELEASE_BEHIND, asked).fetchall()
    note_event("left", token.user_id, room=token.room, place=token.sequence)
    if rows:
        _tell_moved(token.room, "given", sum(len(seat_nos) for _, seat_nos, _ in rows))
    for performance_id, seat_nos, reservation_id in rows:
        note_event(
            "released",
            token.user_id,
            room=token.room,
            performance=performance_id,
            seats=seat_nos,
            reservation=reservation_id,
        )
        events.publish_seats(performance_id, seat_nos, "available")


def reservation_of(user_id: UUID, reservation_id: UUID) -> Reservation:
    """One of a user's reservations.

    Raises:
        NotFound: there is no such reservation.
        NotYours: it is somebody else's.
    """
    with connection() as link:
        reservation = _read(link, reservation_id)
    if reservation.user_id != user_id:
        raise NotYours("This reservation is somebody else's.")
    return reservation


def reservations_of(user_id: UUID) -> list[Reservation]:
    """A user's reservations, newest first, 200 at the most."""
    with connection() as link:
        return [
            _reservation(row)
            for row in link.execute(queries.MINE, (user_id, MOST_LISTED)).fetchall()
        ]


def next_to_lapse(user_id: UUID) -> Reservation | None:
    """What a user holds at this moment; of several reservations, the one that ends first.

    Raises:
        Unavailable: PostgreSQL cannot be reached.
    """
    mine = AskedForHeld(user_id)
    part(HeldTogether).do(mine)
    return mine.held


def _look_together(asked: Sequence[AskedForHeld]) -> None:
    with connection() as link:
        users = array({one.user_id for one in asked})
        rows = queries.NEXT_TO_LAPSE.rows(link, {"users": users})
    held = {one.user_id: one for one in map(_reservation, rows)}
    for one in asked:
        one.held = held.get(one.user_id)


def seat_letters(user_id: UUID | None, performance_ids: Sequence[int]) -> dict[int, str]:
    """Every seat of some performances as this user sees them: a letter a seat, in number order.

    ``a`` is available, ``h`` held, ``s`` sold and ``b`` blocked; a capital where it is the user's own.
    This is what the map is made of, and a twentieth of the work of a row for each seat.
    """
    with connection() as link:
        rows = queries.LETTERS.rows(link, {"user": user_id, "performances": array(performance_ids)})
    return dict(rows)


def seat_prices(performance_id: int, count: int) -> tuple[int, ...]:
    """What the first ``count`` seats cost (won), in number order, as this process read it lately.

    Where seats have come to a performance since, they are read anew.
    """
    remembered = part(RememberedPrices).by_performance
    now = time.monotonic()
    found = remembered.get(performance_id)
    if found is None or found[0] < now or len(found[1]) < count:
        with connection() as link:
            row = link.execute(queries.PRICES, (performance_id,)).fetchone()
        found = (now + REMEMBERED_SECONDS, tuple((row and row[0]) or ()))
        remembered[performance_id] = found
    return found[1][:count]


def seat_limit_of(performance: Performance) -> int:
    """How many seats of a performance one user may have."""
    return performance.seat_limit or part(Settings).max_seats_per_user


def _letters_now(performance: Performance) -> str:
    return seat_letters(None, [performance.performance_id])[performance.performance_id]


def _refuse_lone_seats(
    performance: Performance, wanted: tuple[int, ...], attempt: Attempt | None
) -> None:
    """Refuse a choice that leaves a single seat; what was read lately clears nearly everybody.

    Raises:
        LoneSeat: it does, as it is now, and need not.
    """
    [reading] = seats_lately([performance.performance_id])
    if not lone_seats_of(performance, wanted, reading.letters):
        return
    if attempt is not None and recall(attempt, Reservation) is not None:
        return
    alone = lone_seats_of(performance, wanted, _letters_now(performance))
    if alone:
        raise LoneSeat(alone)


def _category_index(performance: Performance, category: str | None) -> int | None:
    if category is None:
        return None
    plan = plan_of_performance(performance)
    names = [] if plan is None else [one.name for one in plan.categories]
    if category not in names:
        raise BadRequest(f"There is no category {category!r} here.")
    return names.index(category)


def seat_counts(performance_ids: Sequence[int]) -> dict[int, SeatCounts]:
    """How many seats of some performances are available, held and sold."""
    with connection() as link:
        rows = link.execute(queries.COUNTS, (array(performance_ids),)).fetchall()
    # Where every seat is blocked there is none to count.
    nothing = dict.fromkeys(performance_ids, SeatCounts(0, 0, 0))
    return nothing | {row[0]: SeatCounts(*row[1:]) for row in rows}


def tidy_expired() -> int:
    """Write down which holds have lapsed and tell the live pages; returns how many seats were freed.

    Nothing waits for this: a lapsed hold is free already, whoever asks.
    """
    freed = 0
    with connection() as link:
        while True:
            rows = link.execute(queries.TIDY_LAPSED, (MOST_TIDIED_AT_ONCE,)).fetchall()
            seats = [row[:2] for row in rows if row[1] is not None]
            lapsed = [row for row in rows if row[1] is None]
            _note_lapsed(lapsed)
            _publish_free(seats)
            freed += len(seats)
            if len(lapsed) < MOST_TIDIED_AT_ONCE:
                return freed


@contextmanager
def _visit_for_a_hold(token: QueueToken, room: str) -> Iterator[waiting_room.Visit]:
    """The visit, lasting for a hold that begins now; shortened again where the work fails."""
    visit = waiting_room.enter(token, room, hold_seconds=part(Settings).hold_seconds)
    try:
        yield visit
    except Exception:
        _end_failed_hold(visit)
        raise


def _hold_with_others(
    token: QueueToken, performance: Performance, wanted: tuple[int, ...]
) -> Reservation:
    """Hold one seat together with what others ask for at this moment; or alone, where that does not do."""
    mine = AskedHold(token, performance, wanted[0], uuid4())
    try:
        part(HoldsTogether).do(mine)
        if mine.visit is not None:
            if mine.row is None:
                return _hold_during(mine.visit, performance, wanted, None)
            if mine.row[0] == "held":
                reservation = _new_reservation(token, performance, mine.made, mine.row)
                _note_held(token, reservation)
                return reservation
            with connection() as link:
                reservation = _had_before(link, token, performance, wanted, None, mine.row)
            _end_failed_hold(mine.visit)
            return reservation
    except Exception:
        if mine.visit is not None:
            _end_failed_hold(mine.visit)
        raise
    with _visit_for_a_hold(token, token.room) as visit:
        return _hold_during(visit, performance, wanted, None)


def _hold_together(asked: Sequence[AskedHold]) -> None:
    """Let people in and hold a seat for each: a round trip to Redis, one to PostgreSQL, and one to tell of it."""
    settings = part(Settings)
    visits = waiting_room.enter_together(
        [one.token for one in asked], hold_seconds=settings.hold_seconds
    )
    for one, visit in zip(asked, visits, strict=True):
        one.visit = visit
    let_in = [one for one in asked if one.visit is not None]
    if not let_in:
        return
    rows: list[tuple[Any, ...]] = []
    with connection() as link, undone_together("hold"):
        rows = queries.HOLD_ALL.rows(
            link,
            {
                "users": array(one.token.user_id for one in let_in),
                "rooms": text_array(one.token.room for one in let_in),
                "sequences": array(one.token.sequence for one in let_in),
                "performances": array(one.performance.performance_id for one in let_in),
                "wanted": array(one.seat_no for one in let_in),
                "reservations": array(one.made for one in let_in),
                "hold": settings.hold_seconds,
                "limit": settings.max_seats_per_user,
                "rehold": settings.rehold_seconds,
                "lapsed_limit": settings.max_lapsed_holds,
            },
        )
    takers: dict[str, list[Taker]] = {}
    for number, *row in rows:
        one = let_in[number - 1]
        one.row = row
        if row[0] == "held":
            taker = _taker(one.token.user_id, one.performance, (one.seat_no,), row[-1])
            takers.setdefault(one.token.room, []).append(taker)
    for room, of_room in takers.items():
        _tell_moved(room, "taken", len(of_room), of_room)


def _hold_during(
    visit: waiting_room.Visit,
    performance: Performance,
    wanted: tuple[int, ...],
    attempt: Attempt | None,
    together: int | None = None,
) -> Reservation:
    made = uuid4()
    reservation = once(
        attempt,
        Reservation,
        lambda link: _hold(link, visit.token, performance, wanted, together, made),
    )
    if reservation.reservation_id == made:
        token, seat_nos = visit.token, reservation.seat_nos
        _note_held(token, reservation)
        taker = _taker(token.user_id, performance, seat_nos, reservation.held_until)
        _tell_moved(token.room, "taken", len(seat_nos), [taker])
    else:
        # Nothing was held now, so there is no fact to tell and nothing to lengthen the visit for.
        _end_failed_hold(visit)
    return reservation


def _note_held(token: QueueToken, reservation: Reservation) -> None:
    note_event(
        "held",
        token.user_id,
        room=token.room,
        place=token.sequence,
        performance=reservation.performance_id,
        seats=reservation.seat_nos,
        reservation=reservation.reservation_id,
    )


def _taker(
    user_id: UUID, performance: Performance, seat_nos: tuple[int, ...], held_until: datetime
) -> Taker:
    """Who has taken seats, with the fact that tells of it."""
    fact = events.seats_message(performance.performance_id, seat_nos, "held", user_id)
    return Taker(user_id, int(held_until.timestamp() * 1000), *fact)


def _hold(
    link: Connection,
    token: QueueToken,
    performance: Performance,
    wanted: tuple[int, ...],
    together: int | None,
    made: UUID,
) -> Reservation:
    settings = part(Settings)
    row = queries.HOLD.row(
        link,
        {
            "user": token.user_id,
            "room": token.room,
            "sequence": token.sequence,
            "performance": performance.performance_id,
            "wanted": array(wanted),
            "reservation": made,
            "hold": settings.hold_seconds,
            "limit": seat_limit_of(performance),
            "together": together,
            "rehold": settings.rehold_seconds,
            "lapsed_limit": settings.max_lapsed_holds,
        },
    )
    if row is None:
        raise TokenExpired("This place has ended with a payment; line up again for more.")
    if row[0] != "held":
        return _had_before(link, token, performance, wanted, together, row)
    return _new_reservation(token, performance, made, row)


def _new_reservation(
    token: QueueToken, performance: Performance, made: UUID, row: Sequence[Any]
) -> Reservation:
    _, _, seats, prices, amount, held_at, held_until = row
    return Reservation(
        made,
        token.user_id,
        performance.concert_id,
        performance.performance_id,
        performance.date,
        tuple(seats),
        tuple(prices),
        amount,
        "held",
        held_at,
        held_until,
    )


def _had_before(
    link: Connection,
    token: QueueToken,
    performance: Performance,
    wanted: tuple[int, ...],
    together: int | None,
    row: Sequence[Any],
) -> Reservation:
    """The reservation of just these seats that the user has; else the error that says why there is none."""
    outcome, _, seats, _, _, held_at, held_until = row
    if together is None:
        again = link.execute(
            queries.SAME_AGAIN, (token.user_id, performance.performance_id, array(wanted))
        ).fetchone()
        if again is not None:
            return _reservation(again)
    if outcome == "limit":
        raise SeatLimit(seat_limit_of(performance))
    raise _refusal(outcome, wanted[:together], seats or (), held_until, held_at)


def _refusal(
    outcome: str,
    wanted: Sequence[int],
    seats: Sequence[int],
    until: datetime,
    now: datetime,
) -> DomainError:
    """Why nothing was held; ``seats`` and ``until`` as ``hold_seats`` has put them out."""
    settings = part(Settings)
    if outcome == "no_user":
        return UnknownUser()
    if outcome == "closed":
        return SalesNotOpen("This performance is not on sale now.")
    if outcome == "lapsed":
        return TooManyLapsed(settings.max_lapsed_holds)
    if outcome == "too_soon":
        return ReholdTooSoon(sorted(seats), math.ceil((until - now).total_seconds()))
    return SeatTaken(sorted(set(wanted) - set(seats)))


def _explain_release(reservation: Reservation, user_id: UUID) -> None:
    if reservation.user_id != user_id:
        raise NotYours("This reservation is somebody else's.")
    if reservation.status in ("paid", "refunded"):
        raise AlreadyPaid("This reservation is paid.")
    if reservation.status == "expired":
        raise HoldExpired("The time to pay for these seats is over; they are free again.")


def _end_failed_hold(visit: waiting_room.Visit) -> None:
    try:
        waiting_room.end_failed_hold(visit)
    except Unavailable:
        log.warning("visit_not_shortened", room=visit.token.room)


def _tell_moved(room: str, kind: Moved, seats: int, takers: Sequence[Taker] = ()) -> None:
    """Tell the room of seats that have moved; where it cannot be told, its next count knows."""
    try:
        tell_moved(room, kind, seats, takers)
    except Unavailable:
        log.warning("seats_not_told", room=room, kind=kind)


def _note_lapsed(rows: Sequence[Sequence[Any]]) -> None:
    for performance_id, _, reservation_id, user_id, seat_nos in rows:
        note_event(
            "lapsed",
            user_id,
            performance=performance_id,
            seats=seat_nos,
            reservation=reservation_id,
        )
    if rows:
        with suppress(Unavailable):
            note_lapsed(len(rows))


def _publish_free(rows: Sequence[Sequence[int]]) -> None:
    freed: dict[int, list[int]] = {}
    for performance_id, seat_no in rows:
        freed.setdefault(performance_id, []).append(seat_no)
    for performance_id, seat_nos in freed.items():
        events.publish_seats(performance_id, seat_nos, "available")


def _read(link: Connection, reservation_id: UUID) -> Reservation:
    row = link.execute(queries.READ, (reservation_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such reservation.")
    return _reservation(row)


def _reservation(row: Sequence[object]) -> Reservation:
    reservation = Reservation(*row)  # type: ignore[arg-type]  # the columns of queries.RESERVATION, in order
    return replace(
        reservation, seat_nos=tuple(reservation.seat_nos), prices=tuple(reservation.prices)
    )
