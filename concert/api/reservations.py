"""JSON calls about holding seats."""

from __future__ import annotations

from typing import Any

from flask import Response

from concert.api.door import (
    Written,
    answer,
    answers,
    attempt,
    new_door,
    queue_token,
    security,
    takes,
    user_id,
    written,
)
from concert.api.schemas import (
    ConcertPath,
    ReservationAnswer,
    ReservationPath,
    ReservationsAnswer,
    Retry,
    SeatPath,
    Which,
    WhichSeats,
)
from concert.catalogue.labels import called_in_json
from concert.catalogue.service import concert_of, find_performance
from concert.ground.idempotency import or_first_answer
from concert.reservations.service import (
    Reservation,
    hold_best_seats,
    hold_seats,
    release_reservation,
    reservation_of,
    reservations_of,
)

door = new_door("reservations", "Seats held for you until a deadline.")


@door.post(
    "/concerts/<concert_id>/seats/<seat_no>/reservations",
    summary="Hold a seat",
    security=security("queue"),
    responses=answers({200: ReservationAnswer}, 400, 401, 403, 404, 409, 413, 415, 429),
)
@takes("queue", admitted=True)
def post_seat_reservation(path: SeatPath, body: Which, header: Retry) -> Written:
    """The seat is yours until `held_until`, and nobody else's."""
    return _hold(path.concert_id, [path.seat_no], body)


@door.post(
    "/concerts/<concert_id>/reservations",
    summary="Hold several seats, all or nothing",
    security=security("queue"),
    responses=answers({200: ReservationAnswer}, 400, 401, 403, 404, 409, 413, 415, 429),
)
@takes("queue", admitted=True)
def post_reservation(path: ConcertPath, body: WhichSeats, header: Retry) -> Written:
    """They are held, released and paid together. Name them, or let us choose the `best` ones."""
    if body.best is not None:
        return _hold_best(path.concert_id, body.best, body)
    return _hold(path.concert_id, body.seats or [], body)


@door.get(
    "/reservations",
    summary="My reservations, newest first",
    security=security("user_or_queue"),
    responses=answers({200: ReservationsAnswer}, 401, 403),
)
@takes("user_or_queue")
def get_reservations() -> Response:
    """Those that are over included."""
    return answer(
        {"reservations": [reservation_document(one) for one in reservations_of(user_id())]}
    )


@door.get(
    "/reservations/<reservation_id>",
    summary="One of my reservations",
    security=security("user_or_queue"),
    responses=answers({200: ReservationAnswer}, 400, 401, 403, 404),
)
@takes("user_or_queue")
def get_reservation(path: ReservationPath) -> Response:
    """With its status as it is now."""
    return answer(reservation_document(reservation_of(user_id(), path.reservation_id)))


@door.delete(
    "/reservations/<reservation_id>",
    summary="Release held seats",
    security=security("user_or_queue"),
    responses=answers({204: None}, 400, 401, 403, 404, 409),
)
@takes("user_or_queue")
def delete_reservation(path: ReservationPath) -> Response:
    """They are free for anyone at once."""
    release_reservation(user_id(), path.reservation_id)
    return Response(status=204)


def reservation_document(reservation: Reservation) -> dict[str, Any]:
    """A reservation as JSON shows it."""
    return {
        "reservation_id": reservation.reservation_id,
        "concert_id": reservation.concert_id,
        "performance_id": reservation.performance_id,
        "date": reservation.date,
        "seats": priced_seats(reservation.performance_id, reservation.seat_nos, reservation.prices),
        "amount": reservation.amount,
        "status": reservation.status,
        "created_at": reservation.created_at,
        "held_until": reservation.held_until,
    }


def priced_seats(
    performance_id: int, seat_nos: tuple[int, ...], prices: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Seats with their prices as JSON shows them, and what they are called where a plan says so."""
    return [
        {"seat_no": seat_no, "price": price, **called_in_json(performance_id, seat_no)}
        for seat_no, price in zip(seat_nos, prices, strict=True)
    ]


def _hold(concert_id: int, seat_nos: list[int], body: Which) -> Written:
    asked = {**body.model_dump(exclude_none=True), "seats": sorted(seat_nos)}
    key = attempt("hold", concert=concert_id, **asked)

    def hold() -> Reservation:
        concert = concert_of(concert_id)
        performance = find_performance(concert, date=body.date, performance_id=body.performance_id)
        return hold_seats(queue_token(), concert.room, performance, seat_nos, key)

    return written(reservation_document(or_first_answer(key, Reservation, hold)))


def _hold_best(concert_id: int, count: int, body: Which) -> Written:
    key = attempt("hold best", concert=concert_id, **body.model_dump(exclude_none=True))

    def hold() -> Reservation:
        concert = concert_of(concert_id)
        performance = find_performance(concert, date=body.date, performance_id=body.performance_id)
        return hold_best_seats(queue_token(), concert.room, performance, count, key)

    return written(reservation_document(or_first_answer(key, Reservation, hold)))
