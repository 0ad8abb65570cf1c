"""What a member of the crew does in a storm, beside a single call of the JSON API."""

from __future__ import annotations

import random
from functools import partial
from uuid import UUID

from concert.factory import ConcertApp
from concert.ground.errors import DomainError
from concert.payments import service as payments
from concert.reservations.service import tidy_expired
from concert.waiting_room.tokens import queue_token_of
from tests.races.crew import Answer, Step, ask, asking
from tests.sale import Fan

SEAT_TAKEN = 409


def hold(fan: Fan, concert: int, *seat_nos: int, key: str = "") -> Step:
    """Ask for seats, all or nothing."""
    path = f"/v1/concerts/{concert}/reservations"
    return asking("POST", path, fan.queue_token, {"seats": list(seat_nos)}, key)


def hold_best(fan: Fan, concert: int, count: int, key: str = "") -> Step:
    """Ask for the best seats together."""
    path = f"/v1/concerts/{concert}/reservations"
    return asking("POST", path, fan.queue_token, {"best": count}, key)


def pay(fan: Fan, concert: int, seat_no: int, key: str = "") -> Step:
    """Pay the reservation that holds this seat."""
    path = f"/v1/concerts/{concert}/seats/{seat_no}/payments"
    return asking("POST", path, fan.queue_token, {}, key)


def top_up_and_pay(fan: Fan, reservation_id: str, most: int) -> Step:
    """Tap on "Top up and pay", which the page offers with this amount."""
    return partial(_top_up_and_pay, token=fan.queue_token, reservation_id=reservation_id, most=most)


def _top_up_and_pay(app: ConcertApp, token: str, reservation_id: str, most: int) -> Answer:
    try:
        payment = payments.top_up_and_pay(queue_token_of(token), "main", UUID(reservation_id), most)
    except DomainError as error:
        return Answer(0, {"code": error.code})
    return Answer(200, {"payment_id": str(payment.payment_id)})


def release(fan: Fan, reservation_id: str) -> Step:
    """Give a reservation's seats back."""
    return asking("DELETE", f"/v1/reservations/{reservation_id}", fan.user_token)


def charge(fan: Fan, amount: int, key: str = "") -> Step:
    """Add to the wallet."""
    return asking("PATCH", "/v1/charges", fan.user_token, {"amount": amount}, key)


def take_any(app: ConcertApp, token: str, concert: int, luck: int) -> list[Answer]:
    """Choose among the seats that are shown as free until one is held or none is left.

    Returns what every try was answered; ``luck`` decides which seats are chosen.
    """
    chance, answers = random.Random(luck), list[Answer]()
    while not answers or answers[-1].status == SEAT_TAKEN:
        seats = ask(app, "GET", f"/v1/concerts/{concert}/seats", token).json["dates"][0]["seats"]
        free = [seat["seat_no"] for seat in seats if seat["state"] == "available"]
        if not free:
            break
        path = f"/v1/concerts/{concert}/seats/{chance.choice(free)}/reservations"
        answers.append(ask(app, "POST", path, token, {}))
    return answers


def tidy(app: ConcertApp, times: int) -> int:
    """Run the tidy-up job so often; returns how many seats it has freed."""
    return sum(tidy_expired() for _ in range(times))


def tidying(times: int) -> Step:
    """The tidy-up job, so many times."""
    return partial(tidy, times=times)
