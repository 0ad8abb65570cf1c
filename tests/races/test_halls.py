"""Many people at once in a hall with a plan: the best seats, and seats that are blocked meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from concert.factory import ConcertApp
from concert.ground.database import connection
from concert.ground.errors import SeatTaken
from concert.halls.service import example
from concert.reservations import offer
from tests.halls.hall import concert_in, keep_example, performance_of
from tests.races import steps
from tests.races.crew import Answer, Crew, Step, asking
from tests.races.test_holds import people, rush
from tests.races.verdict import assert_nothing_is_left_behind, contradictions
from tests.sale import Fan, Sale
from tests.waiting import wait_until

WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%SELECT seat_no, blocked%'"

pytestmark = pytest.mark.races

__all__ = ["rush"]


def best_seats(fan: Fan, concert: int, **wish: Any) -> Step:
    """Ask for the best seats."""
    return asking("POST", f"/v1/concerts/{concert}/best-seats", fan.queue_token, wish)


def fifty_want_two(sale: Sale, crew: Crew) -> tuple[int, list[Answer]]:
    concert = concert_in(sale, keep_example(sale, "club"), lone_seats="advise")
    fans = people(sale, 50)
    return concert, crew.storm([best_seats(fan, concert, count=2) for fan in fans])


def test_of_fifty_people_each_gets_two_side_by_side_or_hears_that_there_are_none(
    rush: Sale, crew: Crew
) -> None:
    plan = example("club")
    concert, answers = fifty_want_two(rush, crew)
    held = [answer for answer in answers if answer.status == 200]
    pairs = [tuple(seat["seat_no"] for seat in answer.json["seats"]) for answer in held]
    assert all(plan.run_of_seats[one - 1] == plan.run_of_seats[two - 1] for one, two in pairs)
    assert all(two == one + 1 for one, two in pairs)
    assert len({number for pair in pairs for number in pair}) == 2 * len(pairs)
    refused = {answer.code for answer in answers if answer.status != 200}
    assert refused <= {"not_together", "seat_taken"}
    # Ten runs of five have two pairs each, whichever were taken first; but in the one with the
    # wheelchair's place three seats are for others.
    path, more = f"/v1/concerts/{concert}/best-seats", 0
    while rush.admitted_fan(concert).call("POST", path, json={"count": 2}).status_code == 200:
        more += 1
    assert len(pairs) + more == 19
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def _block(app: ConcertApp, performance: int, seat_no: int) -> str:
    try:
        offer.change_offer(performance, block=[seat_no])
    except SeatTaken:
        return "taken"
    return "blocked"


def _hold(app: ConcertApp, pause: float, step: Step) -> Answer:
    time.sleep(pause)
    answer: Answer = step(app)
    return answer


def blocking_and_holding(
    sale: Sale, crew: Crew, pause: float = 0, **altered: Any
) -> list[tuple[str, int]]:
    """Every seat is wanted by somebody, after a pause, and blocked by the organiser, at one moment."""
    concert = sale.concert(capacity=30)
    performance = performance_of(sale, concert)
    fans = people(sale, 30)
    storm: list[Step] = []
    for number, fan in enumerate(fans, 1):
        held = partial(_hold, pause=pause, step=steps.hold(fan, concert, number))
        blocked = partial(_block, performance=performance, seat_no=number)
        storm += [held, blocked] if number % 2 else [blocked, held]
    changed = {("concert.reservations.offer", name): text for name, text in altered.items()}
    answers = crew.storm(storm, changed)
    found = []
    for number in range(1, 31):
        first, second = answers[2 * number - 2 : 2 * number]
        hold, block = (first, second) if number % 2 else (second, first)
        found.append((block, hold.status))
    return found


def test_a_seat_is_blocked_or_held_and_never_both(rush: Sale, crew: Crew) -> None:
    found = blocking_and_holding(rush, crew)
    assert set(found) <= {("blocked", 409), ("taken", 200)}
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


# Looks at the seats without locking them, and acts on what it saw a moment later.
LOOK_ONLY = offer.LOCK_SEATS.replace(" FOR UPDATE", "").replace(
    "SELECT seat_no", "SELECT seat_no + (pg_sleep(1) IS NULL)::integer"
)


def test_control_without_the_lock_a_seat_is_blocked_under_somebody_who_has_just_held_it(
    rush: Sale, crew: Crew
) -> None:
    unlocked = {
        "LOCK_SEATS": LOOK_ONLY,
        "LOCK_PERFORMANCE": offer.LOCK_PERFORMANCE.replace(" FOR NO KEY UPDATE", ""),
    }
    found = blocking_and_holding(rush, crew, 0.5, **unlocked)
    assert ("blocked", 200) in found
    assert "a live reservation lacks its seat" in contradictions(rush)


def test_blocking_waits_for_whoever_is_taking_the_seat(sale: Sale, app: ConcertApp) -> None:
    performance = performance_of(sale, sale.concert(capacity=3))
    with connection() as link, connection() as looking:
        link.execute("BEGIN")
        link.execute(
            "SELECT 1 FROM seats WHERE performance_id = %s AND seat_no = 2 FOR UPDATE",
            (performance,),
        )
        with ThreadPoolExecutor(1) as pool:

            def block() -> None:
                with app.app_context():
                    offer.change_offer(performance, block=[2])

            waiting = pool.submit(block)
            try:
                wait_until(
                    lambda: waiting.done() or looking.execute(WAITING).fetchall(), seconds=20
                )
                # Whoever has waited too long has given up, which is as good.
                has_passed = waiting.done() and waiting.exception() is None
            finally:
                link.execute("COMMIT")
    assert not has_passed
