"""What pulling a lever would do, by numbers of the moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from concert.ground.parts import keep
from concert.overview.cockpit import sale_behind
from concert.overview.lately import LatelyRead
from concert.overview.levers import effects_of_change, effects_of_ending, pace_of
from tests.sale import Sale


def kinds(sale: Sale, **changes: Any) -> dict[str, dict[str, Any]]:
    """The effects of a change, by kind."""
    keep(sale.app, LatelyRead())
    return {one.kind: one.numbers for one in effects_of_change(sale_behind("main"), changes)}


def a_line(sale: Sale, concert: int, people: int) -> None:
    for _ in range(people):
        sale.fan().join(concert)


def test_what_is_so_already_changes_nothing(sale: Sale) -> None:
    sale.concert()
    assert list(kinds(sale, paused=False)) == ["no_change"]
    assert list(kinds(sale, paused=False, capacity=200)) == ["no_change"]


def test_a_faster_line_says_how_long_the_last_one_waits_and_waited(sale: Sale) -> None:
    concert = sale.concert(capacity=500)
    sale.room(admit_per_minute=60, capacity=1)
    a_line(sale, concert, 181)
    found = kinds(sale, admit_per_minute=180, capacity=1000)
    assert found["comes_in"] == {"waiting": 180, "per_minute": 180, "seconds": 60}
    assert found["faster"]["seconds"] == 60
    assert found["more_inside"] == {"people": 180}


def test_fewer_places_send_nobody_out(sale: Sale) -> None:
    concert = sale.concert()
    sale.room(capacity=5)
    a_line(sale, concert, 7)
    assert kinds(sale, capacity=2)["fewer_inside"] == {"people": 3}


def test_where_seats_are_few_it_says_so_instead_of_promising_a_turn(sale: Sale) -> None:
    concert = sale.concert(capacity=3)
    sale.room(capacity=1, admit_per_minute=60)
    a_line(sale, concert, 8)
    found = kinds(sale, admit_per_minute=30)
    assert list(found) == ["few_seats"]
    assert (found["few_seats"]["waiting"], found["few_seats"]["free"]) == (7, 3)


def test_where_no_seat_is_free_nobody_is_let_in_however_fast(sale: Sale) -> None:
    concert = sale.concert(capacity=1)
    inside = sale.admitted_fan(concert)
    assert inside.hold(concert, 1).status_code == 200
    a_line(sale, concert, 2)
    sale.count_seats()
    assert kinds(sale, admit_per_minute=30) == {"no_seats": {"waiting": 2}}


def test_a_pause_and_a_later_opening_stop_the_line_whatever_else_changes(sale: Sale) -> None:
    concert = sale.concert()
    sale.room(capacity=1)
    a_line(sale, concert, 3)
    assert kinds(sale, paused=True) == {"stops": {"waiting": 2, "inside": 1}}
    later = datetime.now(UTC) + timedelta(hours=1)
    assert kinds(sale, opens_at=later) == {"opens_later": {"waiting": 2}}
    sale.room(paused=True)
    assert "comes_in" in kinds(sale, paused=False)


def test_a_full_house_holds_the_line_up_and_not_the_rate(sale: Sale) -> None:
    sale.concert()
    sale.room(capacity=10, admit_per_minute=6000)
    found = sale_behind("main")
    assert found.line is not None
    full = replace(found.line, inside=10, admissions_per_minute=30.0)
    # As many come in as go out; twice the places, twice as many.
    assert pace_of(found.room, full, 20, 6000) == 60
    assert pace_of(found.room, full, 20, 40) == 40
    half_empty = replace(full, inside=5)
    assert pace_of(found.room, half_empty, 20, 6000) == 6000


def test_ending_a_sale_counts_what_is_left_and_who_waits(sale: Sale) -> None:
    concert = sale.concert(capacity=10)
    sale.room(capacity=1)
    inside = sale.admitted_fan(concert)
    inside.hold(concert, 1, 2)
    a_line(sale, concert, 3)
    keep(sale.app, LatelyRead())
    found = sale_behind("main")
    (date,) = found.dates
    ending = effects_of_ending(found, [date.performance.performance_id])
    assert {one.kind: one.numbers for one in ending} == {
        "unsold": {"free": 8},
        "held_can_be_paid": {"held": 2},
        "line_ends": {"waiting": 3},
    }
    assert [one.kind for one in effects_of_ending(found, [999])] == ["no_change"]
