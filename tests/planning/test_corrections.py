"""Correcting concerts and dates by JSON: what changes, what stays, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from concert.ground.audit import Entry
from concert.ground.database import connection
from tests.sale import NEW_YEARS_EVE, Fan, Sale
from tests.staff.crew import lines


def plan(sale: Sale, concert: int) -> Any:
    response = sale.organise("GET", f"/v1/planning/{concert}")
    assert response.status_code == 200, response.text
    return response.json


def date_of(sale: Sale, concert: int, which: int = 0) -> Any:
    return plan(sale, concert)["dates"][which]


def change(sale: Sale, concert: int, **changes: Any) -> TestResponse:
    return sale.organise("PATCH", f"/v1/concerts/{concert}", json=changes)


def move(sale: Sale, concert: int, **changes: Any) -> TestResponse:
    """Change the concert's one date."""
    number = date_of(sale, concert)["performance_id"]
    return sale.organise("PATCH", f"/v1/performances/{number}", json=changes)


def buyer(sale: Sale, concert: int, *seats: int) -> Fan:
    fan = sale.admitted_fan(concert, balance=1_000_000)
    assert fan.hold(concert, *seats).status_code == 200
    paid = fan.pay(concert, seats[0])
    assert paid.status_code == 200, paid.text
    return fan


def holder(sale: Sale, concert: int, *seats: int) -> Fan:
    fan = sale.admitted_fan(concert, balance=1_000_000)
    assert fan.hold(concert, *seats).status_code == 200
    return fan


def effects(response: TestResponse) -> dict[str, int]:
    assert response.status_code == 200, response.text
    return {one["code"]: one["count"] for one in response.json["effects"]}


def the_line(verb: str) -> Entry:
    [line] = lines(verb=verb)
    return line


def seats_seen(sale: Sale, concert: int, fan: Fan | None = None) -> list[dict[str, Any]]:
    looking = fan or sale.admitted_fan(concert)
    found: list[dict[str, Any]] = looking.seats(concert).json["dates"][0]["seats"]
    return found


def test_a_typo_is_corrected_and_everybody_sees_it_at_once(sale: Sale) -> None:
    concert = sale.concert()
    assert sale.call("GET", f"/v1/concerts/{concert}").json["title"] == "Winter Songs"
    assert "Winter Songs" in sale.app.test_client().get(f"/concerts/{concert}").text
    changed = change(
        sale,
        concert,
        title="Winter Songs!",
        venue="Red Hall",
        artist="Yuna",
        description="Two hours\nof songs.",
        age_limit=12,
        running_minutes=120,
        entry_minutes=45,
    )
    assert changed.status_code == 200, changed.text
    assert changed.headers["ETag"] == '"2"'
    seen = sale.call("GET", f"/v1/concerts/{concert}").json
    assert (seen["title"], seen["venue"], seen["artist"]) == ("Winter Songs!", "Red Hall", "Yuna")
    assert (seen["age_limit"], seen["running_minutes"], seen["entry_minutes"]) == (12, 120, 45)
    assert seen["description"] == "Two hours\nof songs."
    assert "Winter Songs!" in sale.app.test_client().get(f"/concerts/{concert}").text
    assert "Winter Songs!" in sale.app.test_client().get("/").text


def test_a_correction_is_a_line_of_the_log_with_what_differs_before_and_after(sale: Sale) -> None:
    concert = sale.concert()
    change(sale, concert, title="Winter Songs!", venue="Blue Hall", reason="a typo")
    line = the_line("change_concert")
    assert line.before == {"title": "Winter Songs"}
    assert line.after == {"title": "Winter Songs!"}
    assert (line.reason, line.subject_kind, line.subject_id) == ("a typo", "concert", str(concert))
    move(sale, concert, price=60_000)
    line = the_line("change_date")
    assert (line.before, line.after) == ({"price": 50_000}, {"price": 60_000})


def test_a_change_that_changes_nothing_is_no_change(sale: Sale) -> None:
    concert = sale.concert()
    assert change(sale, concert, title="Winter Songs").json["version"] == 1
    assert move(sale, concert, price=50_000).json["version"] == 1
    assert lines(verb="change_concert") == lines(verb="change_date") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"title": None},
        {"title": "a\tb"},
        {"venue": "x" * 201},
        {"description": "x" * 5_001},
        {"description": "a\x07"},
        {"age_limit": 100},
        {"running_minutes": -1},
        {"draft": None},
        {"draft": 1},
        {"colour": "red"},
        {"version": 0},
    ],
)
def test_a_concert_cannot_become_what_no_concert_is(sale: Sale, changes: dict[str, Any]) -> None:
    concert = sale.concert()
    assert change(sale, concert, **changes).status_code == 400
    assert plan(sale, concert)["version"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"price": -1},
        {"price": None},
        {"capacity": 0},
        {"capacity": 20_001},
        {"seat_limit": 0},
        {"starts_at": "2030-12-31T19:00:00"},
        {"starts_at": "2400-12-31T19:00:00+09:00"},
        {"sales_open_at": "2031-01-31T19:00:00+09:00"},
        {"returns_until": "2031-01-31T19:00:00+09:00"},
        {"tickets": "burn"},
        {"sales_open_at": None},
    ],
)
def test_a_date_cannot_become_what_no_date_is(sale: Sale, changes: dict[str, Any]) -> None:
    concert = sale.concert()
    assert move(sale, concert, **changes).status_code == 400
    assert date_of(sale, concert)["version"] == 1


def test_what_is_not_there_cannot_be_changed(sale: Sale) -> None:
    assert change(sale, 999, title="x").status_code == 404
    assert sale.organise("PATCH", "/v1/performances/999", json={"price": 1}).status_code == 404
    huge = 2**63 - 1
    assert sale.organise("PATCH", f"/v1/performances/{huge}", json={"price": 1}).status_code == 404
    assert change(sale, sale.concert(), room="nowhere").status_code == 404


def test_a_new_price_is_for_seats_that_are_not_sold_and_those_who_hold_one_pay_the_old(
    sale: Sale,
) -> None:
    concert = sale.concert(capacity=5)
    buyer(sale, concert, 1)
    waiting = holder(sale, concert, 2, 3)
    changed = move(sale, concert, price=60_000)
    assert effects(changed) == {"price_kept": 1, "price_of_holds": 2}
    prices = {one["seat_no"]: one["price"] for one in seats_seen(sale, concert)}
    assert prices[1] == 50_000
    assert prices[4] == prices[5] == 60_000
    before = waiting.balance()
    assert waiting.pay(concert, 2).json["amount"] == 100_000
    assert waiting.balance() == before - 100_000
    late = holder(sale, concert, 4)
    assert late.pay(concert, 4).json["amount"] == 60_000
    assert sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["price"] == 60_000


def test_a_hold_that_lapses_is_offered_at_the_new_price(sale: Sale) -> None:
    concert = sale.concert(capacity=2)
    holder(sale, concert, 1)
    move(sale, concert, price=60_000)
    sale.let_time_pass(400)
    assert {one["price"] for one in seats_seen(sale, concert)} == {60_000}


def test_a_house_grows_at_its_end_and_the_new_seats_can_be_had_at_once(sale: Sale) -> None:
    concert = sale.concert(capacity=2)
    buyer(sale, concert, 1)
    buyer(sale, concert, 2)
    sale.count_seats()
    assert sale.call("GET", "/v1/rooms/main").json["seats"]["state"] == "sold_out"
    assert effects(move(sale, concert, capacity=4)) == {"seats_added": 2}
    room = sale.call("GET", "/v1/rooms/main").json["seats"]
    assert (room["free"], room["sold"], room["state"]) == (2, 2, "open")
    buyer(sale, concert, 3, 4)


def test_a_house_shrinks_by_free_seats_only(sale: Sale) -> None:
    concert = sale.concert(capacity=5)
    late = sale.admitted_fan(concert)
    buyer(sale, concert, 3)
    holder(sale, concert, 4)
    refused = move(sale, concert, capacity=2)
    assert (refused.status_code, refused.json["code"]) == (409, "seats_in_use")
    assert refused.json["seats"] == [3, 4]
    assert date_of(sale, concert)["capacity"] == len(seats_seen(sale, concert, late)) == 5
    assert effects(move(sale, concert, capacity=4)) == {"seats_removed": 1}
    assert len(seats_seen(sale, concert, late)) == 4
    assert late.hold(concert, 5).status_code == 400
    sale.let_time_pass(400)
    assert effects(move(sale, concert, capacity=3)) == {"seats_removed": 1}


def test_a_date_of_which_nothing_is_sold_is_moved_without_a_word_about_tickets(sale: Sale) -> None:
    concert = sale.concert()
    later = NEW_YEARS_EVE + timedelta(days=1)
    moved = move(sale, concert, starts_at=later.isoformat())
    assert effects(moved) == {"sale_follows": 0}
    assert moved.json["date"] == "2031-01-01"
    assert moved.json["sales_close_at"] == moved.json["starts_at"]
    seen = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]
    assert datetime.fromisoformat(seen["starts_at"]) == later


def test_a_date_of_which_seats_are_sold_is_moved_only_with_a_word_about_its_tickets(
    sale: Sale,
) -> None:
    concert = sale.concert()
    fan = buyer(sale, concert, 1, 2)
    later = (NEW_YEARS_EVE + timedelta(days=1)).isoformat()
    refused = move(sale, concert, starts_at=later)
    assert (refused.status_code, refused.json["code"]) == (409, "tickets_undecided")
    assert refused.json["tickets"] == 2
    assert "changes" not in fan.call_as_user("GET", "/v1/payments").json["payments"][0]
    assert move(sale, concert, starts_at=later, tickets="return").status_code == 400
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    late = move(sale, concert, starts_at=later, tickets="return", returns_until=past)
    assert late.status_code == 400
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    moved = move(sale, concert, starts_at=later, tickets="return", returns_until=until)
    assert effects(moved)["told"] == 2
    [change] = fan.call_as_user("GET", "/v1/payments").json["payments"][0]["changes"]
    assert change["kind"] == "moved"
    assert datetime.fromisoformat(change["before"]) == NEW_YEARS_EVE
    assert datetime.fromisoformat(change["after"]) == datetime.fromisoformat(later)
    assert datetime.fromisoformat(change["returns_until"]) == datetime.fromisoformat(until)
    told = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["returns_until"]
    assert datetime.fromisoformat(told) == datetime.fromisoformat(until)


def test_owners_are_told_on_their_tickets_and_whoever_bought_later_knew(sale: Sale) -> None:
    concert = sale.concert()
    fan = buyer(sale, concert, 1)
    later = (NEW_YEARS_EVE + timedelta(days=1)).isoformat()
    assert effects(move(sale, concert, starts_at=later, tickets="keep"))["told"] == 1
    assert effects(change(sale, concert, venue="Red Hall")) == {"told": 1}
    payment = fan.call_as_user("GET", "/v1/payments").json["payments"][0]
    one = fan.call_as_user("GET", f"/v1/payments/{payment['payment_id']}").json
    assert [change["kind"] for change in one["changes"]] == ["moved", "venue"]
    assert (one["changes"][1]["before"], one["changes"][1]["after"]) == ("Blue Hall", "Red Hall")
    assert one["changes"][0]["returns_until"] is None
    second = buyer(sale, concert, 2)
    assert "changes" not in second.call_as_user("GET", "/v1/payments").json["payments"][0]


def test_of_two_who_edit_at_once_the_second_is_told_and_changes_nothing(sale: Sale) -> None:
    concert = sale.concert()
    assert change(sale, concert, title="First", version=1).status_code == 200
    second = change(sale, concert, title="Second", version=1)
    assert (second.status_code, second.json["code"]) == (409, "edit_conflict")
    assert second.json["version"] == 2
    assert plan(sale, concert)["title"] == "First"
    number = date_of(sale, concert)["performance_id"]
    path = f"/v1/performances/{number}"
    tag = {"If-Match": '"1"'}
    done = sale.organise("PATCH", path, json={"price": 1}, headers=tag)
    assert (done.status_code, done.headers["ETag"]) == (200, '"2"')
    late = sale.organise("PATCH", path, json={"price": 2}, headers=tag)
    assert late.json["code"] == "edit_conflict"
    fresh = sale.organise("PATCH", path, json={"price": 2}, headers={"If-Match": 'W/"2"'})
    assert fresh.status_code == 200
    odd = sale.organise("PATCH", path, json={"price": 3}, headers={"If-Match": '"a", "b"'})
    assert odd.status_code == 400


def test_a_seat_limit_of_a_date_is_that_date_s_alone(sale: Sale) -> None:
    concert = sale.concert()
    assert move(sale, concert, seat_limit=1).status_code == 200
    fan = sale.admitted_fan(concert)
    refused = fan.hold(concert, 1, 2)
    assert refused.json["code"] == "seat_limit"
    assert "1 seats" in refused.json["detail"]
    best = fan.call("POST", f"/v1/concerts/{concert}/reservations", json={"best": 2})
    assert best.status_code == 400
    assert fan.hold(concert, 1).status_code == 200
    assert move(sale, concert, seat_limit=6).status_code == 200
    assert sale.admitted_fan(concert).hold(concert, 2, 3, 4, 5, 6, 7).status_code == 200
    assert move(sale, concert, seat_limit=None).status_code == 200
    assert sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["seat_limit"] == 4


def test_a_sale_that_is_closed_and_opened_again_is_so_at_once(sale: Sale) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert)
    now = datetime.now(UTC)
    assert (
        move(
            sale,
            concert,
            sales_close_at=(now - timedelta(seconds=1)).isoformat(),
            sales_open_at=(now - timedelta(days=1)).isoformat(),
        ).status_code
        == 200
    )
    assert sale.fan().join(concert).json["code"] == "sales_ended"
    assert sale.call("GET", f"/v1/concerts/{concert}").json["sales"] == "ended"
    assert move(sale, concert, sales_close_at=None).status_code == 200
    assert sale.fan().join(concert).status_code == 200
    assert sale.call("GET", f"/v1/concerts/{concert}").json["sales"] == "on_sale"


def test_a_concert_keeps_its_room_while_it_is_on_sale(sale: Sale) -> None:
    sale.room("other")
    concert = sale.concert()
    refused = change(sale, concert, room="other")
    assert (refused.status_code, refused.json["code"]) == (409, "has_sales")
    future = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert move(sale, concert, sales_open_at=future).status_code == 200
    assert change(sale, concert, room="other").status_code == 200
    assert sale.fan().join(concert).json["room"] == "other"


def test_a_ticket_stays_paid_and_every_count_true_after_all_this(sale: Sale) -> None:
    concert = sale.concert(capacity=4)
    buyer(sale, concert, 2)
    move(sale, concert, price=1_000, capacity=6)
    move(sale, concert, capacity=3)
    change(sale, concert, venue="Elsewhere")
    counts = date_of(sale, concert)
    assert (counts["available"], counts["held"], counts["sold"]) == (2, 0, 1)
    with connection() as link:
        row = link.execute("SELECT seat_no, price FROM seats WHERE sold_at IS NOT NULL").fetchone()
    assert row == (2, 50_000)
