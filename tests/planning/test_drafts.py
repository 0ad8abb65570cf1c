"""Drafts: seen by staff alone, wherever one looks; and copies, which are drafts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from concert.catalogue.service import Remembered, concert_of
from concert.ground.database import connection
from concert.ground.errors import SalesNotOpen
from concert.ground.parts import part
from concert.reservations.service import hold_seats
from concert.waiting_room.tokens import queue_token_of
from tests.planning.test_corrections import (
    buyer,
    change,
    date_of,
    holder,
    lines,
    move,
    plan,
)
from tests.sale import NEW_YEARS_EVE, Sale
from tests.web.browser import Browser


def draft(sale: Sale, **more: Any) -> int:
    day = {"starts_at": NEW_YEARS_EVE.isoformat(), "price": 50_000, "capacity": 5}
    body = {"title": "Secret Songs", "venue": "Blue Hall", "dates": [day], "draft": True, **more}
    made = sale.organise("POST", "/v1/concerts", json=body)
    assert made.status_code == 201, made.text
    number: int = made.json["id"]
    return number


def seen_nowhere(sale: Sale, concert: int, browser: Browser) -> None:
    """By nobody who is not of the staff: not in lists, by number, in its room, or behind it."""
    fan = sale.admitted_fan()
    browser.become(fan)
    assert sale.call("GET", f"/v1/concerts/{concert}").status_code == 404
    assert concert not in [one["id"] for one in sale.call("GET", "/v1/concerts").json["concerts"]]
    assert fan.join(concert).status_code == 404
    assert fan.seats(concert).status_code == 404
    assert fan.call("GET", f"/v1/concerts/{concert}/dates").status_code == 404
    assert fan.hold(concert, 1).status_code == 404
    assert fan.pay(concert, 1).status_code == 404
    assert browser.open(f"/concerts/{concert}").status_code == 404
    assert browser.open(f"/concerts/{concert}/seats").status_code == 404
    assert browser.open(f"/concerts/{concert}/seats/2030-12-31").status_code == 404
    assert "Secret Songs" not in browser.open("/").text
    assert "Secret Songs" not in browser.open(f"/rooms/main?concert={concert}").text
    stream = browser.open(f"/live/performances/{date_of(sale, concert)['performance_id']}")
    assert stream.status_code == 404


def test_a_draft_is_seen_by_staff_alone_until_it_is_shown(sale: Sale, visitor: Browser) -> None:
    concert = draft(sale)
    seen_nowhere(sale, concert, visitor)
    assert plan(sale, concert)["title"] == "Secret Songs"
    assert plan(sale, concert)["draft"] is True
    [listed] = sale.organise("GET", "/v1/planning").json["concerts"]
    assert (listed["id"], listed["draft"]) == (concert, True)
    assert change(sale, concert, draft=False).status_code == 200
    assert sale.call("GET", f"/v1/concerts/{concert}").json["title"] == "Secret Songs"
    assert visitor.open(f"/concerts/{concert}").status_code == 200
    buyer(sale, concert, 1)


def test_what_was_shown_and_not_bought_becomes_a_draft_and_is_gone_at_once(
    sale: Sale, visitor: Browser
) -> None:
    concert = draft(sale, draft=False)
    fan = sale.admitted_fan(concert)
    # Everything that a process remembers of it is remembered now.
    assert fan.seats(concert).status_code == 200
    assert visitor.become(fan).open(f"/rooms/main/place?concert={concert}").status_code == 200
    assert visitor.open(f"/concerts/{concert}").status_code == 200
    fan.call("DELETE", "/v1/enqueues")
    assert change(sale, concert, draft=True).status_code == 200
    seen_nowhere(sale, concert, visitor)


def test_one_date_alone_may_be_a_draft(sale: Sale) -> None:
    concert = sale.concert(dates=2, capacity=5)
    second = date_of(sale, concert, 1)["performance_id"]
    path = f"/v1/performances/{second}"
    assert sale.organise("PATCH", path, json={"draft": True}).status_code == 200
    [shown] = sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert shown["date"] == "2030-12-31"
    fan = sale.admitted_fan(concert)
    assert len(fan.seats(concert).json["dates"]) == 1
    assert fan.hold(concert, 1, performance_id=second).status_code == 400
    assert fan.hold(concert, 1, date="2031-01-01").status_code == 400
    assert sale.call("GET", "/v1/rooms/main").json["seats"]["free"] == 5
    assert sale.organise("PATCH", path, json={"draft": False}).status_code == 200
    assert fan.hold(concert, 1, performance_id=second).status_code == 200
    assert sale.call("GET", "/v1/rooms/main").json["seats"]["free"] == 9


def test_what_somebody_has_a_seat_of_cannot_become_a_draft(sale: Sale) -> None:
    concert = sale.concert(capacity=5)
    holder(sale, concert, 1)
    refused = change(sale, concert, draft=True)
    assert (refused.status_code, refused.json["code"]) == (409, "has_sales")
    assert (refused.json["sold"], refused.json["held"]) == (0, 1)
    assert move(sale, concert, draft=True).json["code"] == "has_sales"
    buyer(sale, concert, 2)
    sale.let_time_pass(400)
    refused = change(sale, concert, draft=True)
    assert (refused.json["sold"], refused.json["held"]) == (1, 0)
    assert move(sale, concert, draft=True).json["code"] == "has_sales"
    assert plan(sale, concert)["draft"] is False


def test_a_draft_is_no_sale_for_its_line(sale: Sale) -> None:
    shown = sale.concert(capacity=2)
    draft(sale)
    sale.count_seats()
    assert sale.call("GET", "/v1/rooms/main").json["seats"]["free"] == 2
    assert move(sale, shown, draft=True).status_code == 200
    # With nothing but drafts behind it, it is a room in front of nothing.
    assert sale.call("GET", "/v1/rooms/main").json["seats"]["free"] == 0


@pytest.mark.parametrize("whose", ["concert", "date"])
def test_the_database_holds_nothing_of_a_draft_whatever_a_process_believes(
    sale: Sale, whose: str
) -> None:
    concert = sale.concert(capacity=5)
    fan = sale.admitted_fan(concert)
    known = concert_of(concert)
    hide = change if whose == "concert" else move
    assert hide(sale, concert, draft=True).status_code == 200
    with pytest.raises(SalesNotOpen):
        hold_seats(queue_token_of(fan.queue_token), "main", known.performances[0], [1])


def test_adding_a_date_to_a_draft_keeps_it_a_draft(sale: Sale) -> None:
    concert = draft(sale)
    day = {"starts_at": (NEW_YEARS_EVE + timedelta(days=1)).isoformat(), "price": 1}
    added = sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [day]})
    assert added.status_code == 201
    assert len(added.json["dates"]) == 2
    assert sale.call("GET", f"/v1/concerts/{concert}").status_code == 404


def test_a_concert_is_copied_as_a_draft_with_everything_but_its_sales(sale: Sale) -> None:
    concert = sale.concert(dates=2, capacity=5, seat_limit=2)
    change(sale, concert, description="Songs.", age_limit=12)
    buyer_of = sale.admitted_fan(concert, balance=100_000)
    assert buyer_of.hold(concert, 1, date="2030-12-31").status_code == 200
    made = sale.organise(
        "POST", f"/v1/concerts/{concert}/copies", json={"title": "Again", "days": 7}
    )
    assert made.status_code == 201, made.text
    copy = made.json
    assert (copy["title"], copy["draft"], copy["description"]) == ("Again", True, "Songs.")
    assert [one["date"] for one in copy["dates"]] == ["2031-01-07", "2031-01-08"]
    assert {(one["available"], one["seat_limit"]) for one in copy["dates"]} == {(5, 2)}
    assert sale.call("GET", f"/v1/concerts/{copy['id']}").status_code == 404
    assert lines(verb="create_concert")[-1].subject_id == str(copy["id"])
    assert sale.organise("POST", "/v1/concerts/999/copies", json={}).status_code == 404


def test_a_date_is_copied_as_a_draft_whose_sale_is_as_long_before_it(sale: Sale) -> None:
    opens = NEW_YEARS_EVE - timedelta(days=30)
    concert = sale.concert(price=7, capacity=5, sales_open_at=opens.isoformat())
    number = date_of(sale, concert)["performance_id"]
    path = f"/v1/performances/{number}/copies"
    later = NEW_YEARS_EVE + timedelta(days=2)
    made = sale.organise("POST", path, json={"starts_at": later.isoformat()})
    assert made.status_code == 201, made.text
    copy = made.json["dates"][1]
    assert (copy["draft"], copy["price"], copy["capacity"]) == (True, 7, 5)
    assert datetime.fromisoformat(copy["sales_open_at"]) == later - timedelta(days=30)
    assert len(sale.call("GET", f"/v1/concerts/{concert}").json["dates"]) == 1
    assert sale.organise("POST", path, json={"starts_at": later.isoformat()}).status_code == 400


def test_a_page_of_the_line_knows_its_concert_after_another_process_gave_it_another_room(
    sale: Sale, visitor: Browser
) -> None:
    sale.room("other")
    concert = sale.concert()
    assert "Winter Songs" in visitor.open(f"/rooms/main?concert={concert}").text
    # As another process would: it cannot reach what this one remembers, which is a second old at most.
    with connection() as link:
        link.execute("UPDATE concerts SET room_slug = 'other'")
    part(Remembered).concerts.clear()
    assert "Winter Songs" in visitor.open(f"/rooms/other?concert={concert}").text
    assert "Winter Songs" not in visitor.open(f"/rooms/main?concert={concert}").text
