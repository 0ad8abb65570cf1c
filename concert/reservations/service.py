"""Holding seats, releasing them, and seeing what is held."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID, uuid4

import structlog
from flask import Flask

from concert.catalogue.seating import best_together
from concert.catalogue.service import REMEMBERED_SECONDS, Performance, require_seats
from concert.ground import events
from concert.ground.database import Connection, array, connection
from concert.ground.errors import (
    AlreadyPaid,
    BadRequest,
    HoldExpired,
    NotFound,
    NotTogether,
    NotYours,
    SalesNotOpen,
    SeatLimit,
    SeatTaken,
    Unavailable,
    UnknownUser,
)
from concert.ground.idempotency import Attempt, once, recall
from concert.ground.parts import keep, part
from concert.ground.settings import Settings
from concert.reservations import queries
from concert.waiting_room import service as waiting_room
from concert.waiting_room.tokens import QueueToken

log = structlog.get_logger()

State = Literal["available", "held", "sold"]
STATES: dict[str, State] = {"a": "available", "h": "held", "s": "sold"}
MOST_LISTED = 200
MOST_TIDIED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Reservation:
    """Seats held together, with their prices in won, in seat order.

    ``status`` is ``held``, ``paid``, ``expired`` or ``cancelled``, as it is now.
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
    """How many seats of a performance are in each state."""

    available: int
    held: int
    sold: int


@dataclass(slots=True)
class RememberedPrices:
    """What seats cost, as this process has read it: until when it may be believed, and the prices."""

    by_performance: dict[int, tuple[float, tuple[int, ...]]] = field(default_factory=dict)


def init_reservations(app: Flask) -> None:
    """Remember the prices of this app's seats."""
    keep(app, RememberedPrices())


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
        SeatTaken: somebody else has one of them.
        IdempotencyConflict: the key was used for another request.
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    settings = part(Settings)
    wanted = require_seats(performance, seat_nos)
    visit = waiting_room.enter(token, room, hold_seconds=settings.hold_seconds)
    made = uuid4()
    try:
        reservation = once(
            attempt,
            Reservation,
            lambda link: _hold(link, token.user_id, performance, wanted, settings, made),
        )
    except Exception:
        _end_failed_hold(visit)
        raise
    if reservation.reservation_id == made:
        events.publish_seats(
            performance.performance_id, reservation.seat_nos, "held", token.user_id
        )
    else:
        # Nothing was held now, so there is no fact to tell and nothing to lengthen the visit for.
        _end_failed_hold(visit)
    return reservation


def hold_best_seats(
    token: QueueToken,
    room: str,
    performance: Performance,
    count: int,
    attempt: Attempt | None = None,
) -> Reservation:
    """Hold the best ``count`` free seats side by side; where somebody is quicker, the next best.

    Raises:
        BadRequest: the count is not 1 to the most that one person may have.
        NotTogether: there are not so many side by side.
        And what :func:`hold_seats` raises.
    """
    settings = part(Settings)
    if not 1 <= count <= settings.max_seats_per_user:
        raise BadRequest(f"Choose 1 to {settings.max_seats_per_user} seats.")
    waiting_room.enter(token, room)
    held = recall(attempt, Reservation) if attempt else None
    while held is None:
        seats = seats_of(None, [performance.performance_id])[performance.performance_id]
        free = [seat.seat_no for seat in seats if seat.state == "available"]
        best = best_together(free, count, performance.capacity)
        if best is None:
            raise NotTogether(count)
        try:
            held = hold_seats(token, room, performance, best, attempt)
        except SeatTaken:
            log.info("best_seats_lost", performance=performance.performance_id)
    return held


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
    events.publish_seats(performance_id, seat_nos, "available")
    try:
        waiting_room.end_hold(room, user_id, until[0] if until else None)
    except Unavailable:
        log.warning("visit_not_shortened", room=room)


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


def seat_letters(user_id: UUID | None, performance_ids: Sequence[int]) -> dict[int, str]:
    """Every seat of some performances as this user sees them: a letter a seat, in number order.

    ``a`` is available, ``h`` held and ``s`` sold; a capital where it is the user's own.
    This is what the map is made of, and a twentieth of the work of a row for each seat.
    """
    with connection() as link:
        rows = link.execute(
            queries.LETTERS, {"user": user_id, "performances": array(performance_ids)}
        ).fetchall()
    return dict(rows)


def seat_prices(performance_id: int) -> tuple[int, ...]:
    """What every seat costs (won), in number order, as this process read it lately."""
    remembered = part(RememberedPrices).by_performance
    found = remembered.get(performance_id)
    if found is None or found[0] < time.monotonic():
        with connection() as link:
            row = link.execute(queries.PRICES, (performance_id,)).fetchone()
        found = (time.monotonic() + REMEMBERED_SECONDS, tuple((row and row[0]) or ()))
        remembered[performance_id] = found
    return found[1]


def seats_of(user_id: UUID | None, performance_ids: Sequence[int]) -> dict[int, list[SeatState]]:
    """Every seat of some performances, in number order, as this user sees them."""
    letters = seat_letters(user_id, performance_ids)
    return {
        performance_id: [
            SeatState(number, price, STATES[letter.lower()], letter.isupper())
            for number, (letter, price) in enumerate(
                zip(letters[performance_id], seat_prices(performance_id), strict=True), 1
            )
        ]
        for performance_id in performance_ids
    }


def seat_counts(performance_ids: Sequence[int]) -> dict[int, SeatCounts]:
    """How many seats of some performances are available, held and sold."""
    with connection() as link:
        rows = link.execute(queries.COUNTS, (array(performance_ids),)).fetchall()
    return {row[0]: SeatCounts(*row[1:]) for row in rows}


def tidy_expired() -> int:
    """Write down which holds have lapsed and tell the live pages; returns how many seats were freed.

    Nothing waits for this: a lapsed hold is free already, whoever asks.
    """
    freed = 0
    with connection() as link:
        while (
            link.execute(queries.EXPIRE_RESERVATIONS, (MOST_TIDIED_AT_ONCE,)).rowcount
            == MOST_TIDIED_AT_ONCE
        ):
            pass
        while True:
            rows = link.execute(queries.FREE_LAPSED_SEATS, (MOST_TIDIED_AT_ONCE,)).fetchall()
            _publish_free(rows)
            freed += len(rows)
            if len(rows) < MOST_TIDIED_AT_ONCE:
                return freed


def differing_seats() -> list[dict[str, object]]:
    """Seats that contradict their reservation or payment: there should be none."""
    with connection() as link:
        rows = link.execute(queries.DIFFERING_SEATS).fetchall()
    return [{"performance_id": row[0], "seat_no": row[1], "difference": row[2]} for row in rows]


def _hold(
    link: Connection,
    user_id: UUID,
    performance: Performance,
    wanted: tuple[int, ...],
    settings: Settings,
    made: UUID,
) -> Reservation:
    row = link.execute(
        queries.HOLD,
        (
            user_id,
            performance.performance_id,
            array(wanted),
            made,
            settings.hold_seconds,
            settings.max_seats_per_user,
        ),
    ).fetchone()
    assert row is not None
    outcome, _, seats, prices, amount, held_at, held_until = row
    if outcome != "held":
        return _explain_hold(link, user_id, performance, wanted, outcome, seats or (), settings)
    return Reservation(
        made,
        user_id,
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


def _explain_hold(
    link: Connection,
    user_id: UUID,
    performance: Performance,
    wanted: tuple[int, ...],
    outcome: str,
    free: Sequence[int],
    settings: Settings,
) -> Reservation:
    if outcome == "no_user":
        raise UnknownUser()
    if outcome == "closed":
        raise SalesNotOpen("This performance is not on sale now.")
    again = link.execute(
        queries.SAME_AGAIN, (user_id, performance.performance_id, array(wanted))
    ).fetchone()
    if again is not None:
        return _reservation(again)
    if outcome == "limit":
        raise SeatLimit(settings.max_seats_per_user)
    raise SeatTaken(sorted(set(wanted) - set(free)))


def _explain_release(reservation: Reservation, user_id: UUID) -> None:
    if reservation.user_id != user_id:
        raise NotYours("This reservation is somebody else's.")
    if reservation.status == "paid":
        raise AlreadyPaid("This reservation is paid.")
    if reservation.status == "expired":
        raise HoldExpired("The time to pay for these seats is over; they are free again.")


def _end_failed_hold(visit: waiting_room.Visit) -> None:
    try:
        waiting_room.end_failed_hold(visit)
    except Unavailable:
        log.warning("visit_not_shortened", room=visit.token.room)


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
