"""Where a plan cannot work: each warning when it is due, and none for a plan that works."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.planning.test_corrections import change, date_of, move, plan
from tests.sale import Sale

SANE = {"capacity": 5, "admit_per_minute": 10, "visit_seconds": 600}


def warnings(sale: Sale, concert: int) -> set[str]:
    return {one["code"] for one in plan(sale, concert)["warnings"]}


def hours(count: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=count)).isoformat()


def sane(sale: Sale, **date: Any) -> int:
    sale.room(**SANE, opens_at=None, paused=False)
    return sale.concert(**date)


def test_a_plan_that_works_has_no_warning(sale: Sale) -> None:
    assert warnings(sale, sane(sale)) == set()


def test_a_room_that_opens_at_another_time_than_its_sale(sale: Sale) -> None:
    concert = sane(sale, sales_open_at=hours(2))
    assert warnings(sale, concert) == {"room_opens_before_sale"}
    sale.room(opens_at=hours(1))
    assert warnings(sale, concert) == {"room_opens_before_sale"}
    sale.room(opens_at=hours(3))
    assert warnings(sale, concert) == {"room_opens_after_sale"}
    sale.room(opens_at=date_of(sale, concert)["sales_open_at"])
    assert warnings(sale, concert) == set()


def test_more_people_a_minute_than_seats_and_more_inside_than_can_find_one(sale: Sale) -> None:
    concert = sane(sale, capacity=8)
    assert warnings(sale, concert) == {"rate_above_seats"}
    sale.room(admit_per_minute=8, capacity=9)
    assert warnings(sale, concert) == {"capacity_above_free"}
    [warning] = plan(sale, concert)["warnings"]
    assert warning["numbers"] == {"capacity": 9, "free": 8}
    assert "9 people" in warning["message"] and "8 seats" in warning["message"]


def test_a_visit_that_is_shorter_than_a_hold(sale: Sale) -> None:
    concert = sane(sale)
    sale.room(visit_seconds=299)
    assert warnings(sale, concert) == {"visit_shorter_than_hold"}


def test_a_sale_that_is_over_or_too_short_for_its_line(sale: Sale) -> None:
    concert = sane(sale, sales_close_at=hours(0.05))
    assert warnings(sale, concert) == {"sale_too_short"}
    move(sale, concert, sales_open_at=hours(-2), sales_close_at=hours(-1))
    assert warnings(sale, concert) == {"sale_over"}
    move(sale, concert, sales_close_at="2031-01-02T00:00:00+09:00")
    assert warnings(sale, concert) == {"sale_after_start"}


def test_two_dates_at_one_time_at_one_place(sale: Sale) -> None:
    concert = sane(sale)
    other = sane(sale)
    assert warnings(sale, concert) == warnings(sale, other) == {"at_one_time"}
    change(sale, other, venue="Elsewhere")
    assert warnings(sale, concert) == set()
    # A second show that begins before the first is over.
    change(sale, concert, running_minutes=90)
    number = date_of(sale, concert)["performance_id"]
    at = datetime.fromisoformat(date_of(sale, concert)["starts_at"])
    path = f"/v1/performances/{number}/copies"
    made = sale.organise("POST", path, json={"starts_at": (at + timedelta(hours=1)).isoformat()})
    assert "at_one_time" in {one["code"] for one in made.json["warnings"]}
    change(sale, concert, running_minutes=50)
    assert "at_one_time" not in warnings(sale, concert)


def test_a_draft_behind_an_open_room_and_one_in_the_past(sale: Sale) -> None:
    concert = sane(sale)
    change(sale, concert, draft=True)
    assert warnings(sale, concert) == {"draft_in_open_room"}
    sale.room(paused=True)
    assert "draft_in_open_room" not in warnings(sale, concert)
    change(sale, concert, draft=False)
    assert warnings(sale, concert) == {"room_paused"}
    change(sale, concert, draft=True)
    move(sale, concert, starts_at=hours(-48), sales_open_at=hours(-72))
    assert warnings(sale, concert) == {"starts_in_past"}


def test_a_correction_answers_with_the_warnings_that_it_makes(sale: Sale) -> None:
    concert = sane(sale)
    changed = move(sale, concert, sales_open_at=hours(2))
    assert [one["code"] for one in changed.json["warnings"]] == ["room_opens_before_sale"]
