"""What is on sale: the list, one concert, its dates, and how organisers make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.parts import part
from concert.ground.settings import Settings
from tests.sale import NEW_YEARS_EVE, Sale

DATE = {
    "performance_id",
    "date",
    "starts_at",
    "price",
    "capacity",
    "sales_open_at",
    "sales_close_at",
    "hall",
    "prices",
    "plan",
    "lone_seats",
    "seat_limit",
    "returns_until",
    "cancelled_at",
}
TEXTS = {"description", "artist", "age_limit", "running_minutes", "entry_minutes"}


def listed(sale: Sale, concert: int) -> dict[str, Any]:
    found: dict[str, Any] = sale.call("GET", f"/v1/concerts/{concert}").json
    return found


def ahead(**distance: float) -> str:
    return (datetime.now(UTC) + timedelta(**distance)).isoformat()


def test_a_concert_has_the_fields_that_programs_rely_on(sale: Sale) -> None:
    concert = sale.concert(dates=2)
    document = listed(sale, concert)
    assert document.keys() == {"id", "title", "venue", "room", "sales", "dates"} | TEXTS
    assert (document["id"], document["room"], document["sales"]) == (concert, "main", "on_sale")
    assert all(date.keys() == DATE for date in document["dates"])
    in_list = sale.call("GET", "/v1/concerts").json
    assert in_list == {"concerts": [document], "next": None}


def test_the_list_is_paged_newest_first_and_each_concert_comes_once(sale: Sale) -> None:
    made = [sale.concert() for _ in range(5)]
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = sale.call("GET", "/v1/concerts", query_string=query).json
        seen += [concert["id"] for concert in page["concerts"]]
        cursor, pages = page["next"], pages + 1
        if pages == 1:
            sale.concert()  # made while somebody pages: it shifts nothing
    assert seen == list(reversed(made))
    assert pages == 3


def test_a_page_that_ends_with_the_last_concert_names_no_next(sale: Sale) -> None:
    for _ in range(2):
        sale.concert()
    assert sale.call("GET", "/v1/concerts", query_string={"limit": 2}).json["next"] is None


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "limit=", "limit=1.0", "cursor=0", "cursor=-1", "page=2"],
)
def test_a_page_that_cannot_be_is_400(sale: Sale, query: str) -> None:
    refused = sale.call("GET", f"/v1/concerts?{query}")
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request")


def test_a_concert_is_upcoming_then_on_sale_then_ended(sale: Sale) -> None:
    concert = sale.concert(sales_open_at=ahead(minutes=10), sales_close_at=ahead(minutes=20))
    assert listed(sale, concert)["sales"] == "upcoming"
    sale.let_time_pass(11 * 60)
    assert listed(sale, concert)["sales"] == "on_sale"
    sale.let_time_pass(11 * 60)
    assert listed(sale, concert)["sales"] == "ended"


def test_a_concert_without_an_unsold_seat_is_sold_out(sale: Sale) -> None:
    concert = sale.concert(capacity=1)
    fan = sale.admitted_fan(concert, balance=50_000)
    fan.hold(concert, 1)
    assert listed(sale, concert)["sales"] == "on_sale"
    assert fan.pay(concert, 1).status_code == 200
    assert listed(sale, concert)["sales"] == "sold_out"


@pytest.mark.parametrize("concert", ["0", "999999", "-1", "9" * 19, "9" * 60])
def test_a_concert_that_is_not_there_is_404_everywhere(sale: Sale, concert: str) -> None:
    fan = sale.admitted_fan()
    calls = [
        ("GET", ""),
        ("GET", "/dates"),
        ("GET", "/seats"),
        ("POST", "/seats/1/reservations"),
        ("POST", "/seats/1/payments"),
    ]
    for method, rest in calls:
        missed = fan.call(method, f"/v1/concerts/{concert}{rest}")
        assert (missed.status_code, missed.json["code"]) == (404, "not_found"), rest
    body = {"dates": [{"starts_at": NEW_YEARS_EVE.isoformat(), "price": 1}]}
    assert sale.organise("POST", f"/v1/concerts/{concert}/dates", json=body).status_code == 404


@pytest.mark.parametrize("concert", ["abc", "1.0", "1e3", "%20", "٣", "1%00"])
def test_a_concert_number_that_is_none_is_400(sale: Sale, concert: str) -> None:
    assert sale.call("GET", f"/v1/concerts/{concert}").status_code == 400


def test_the_dates_that_can_be_booked_come_with_seats_left(sale: Sale) -> None:
    concert = sale.concert(dates=2, capacity=5, price=1000)
    fan = sale.admitted_fan(concert, balance=1000)
    first, second = (
        date["performance_id"]
        for date in fan.call("GET", f"/v1/concerts/{concert}/dates").json["dates"]
    )
    sale.admitted_fan(concert).hold(concert, 1, 2, performance_id=first)
    fan.hold(concert, 3, performance_id=first)
    fan.hold(concert, 1, performance_id=second)
    assert fan.pay(concert, 3, performance_id=first).status_code == 200
    answer = fan.call("GET", f"/v1/concerts/{concert}/dates")
    assert answer.json.keys() == {"dates"}
    dates = answer.json["dates"]
    assert all(date.keys() == DATE | {"available", "held", "sold"} for date in dates)
    left = [(date["available"], date["held"], date["sold"]) for date in dates]
    assert left == [(2, 2, 1), (4, 1, 0)]
    assert [date["date"] for date in dates] == ["2030-12-31", "2031-01-01"]


def test_a_date_that_is_not_on_sale_is_not_among_those_that_can_be_booked(sale: Sale) -> None:
    sale.something_else()
    concert = sale.concert(dates=1, sales_open_at=ahead(minutes=10))
    fan = sale.admitted_fan(concert)
    assert fan.call("GET", f"/v1/concerts/{concert}/dates").json == {"dates": []}
    assert fan.seats(concert).json == {"dates": []}
    for refused in (fan.seats(concert, date="2030-12-31"), fan.hold(concert, 1)):
        assert (refused.status_code, refused.json["code"]) == (400, "sales_not_open")


def test_a_date_whose_sale_has_ended_is_not_among_those_that_can_be_booked(sale: Sale) -> None:
    sale.something_else()
    concert = sale.concert(dates=1, sales_close_at=ahead(minutes=10))
    sale.let_time_pass(601)
    fan = sale.admitted_fan(concert)
    assert fan.call("GET", f"/v1/concerts/{concert}/dates").json == {"dates": []}
    assert fan.seats(concert).json == {"dates": []}


def test_a_date_is_the_day_in_the_concerts_own_time_zone(sale: Sale) -> None:
    late = NEW_YEARS_EVE.replace(hour=1).astimezone(UTC)
    body = {"dates": [{"starts_at": late.isoformat(), "price": 0}], "title": "T", "venue": "V"}
    made = sale.organise("POST", "/v1/concerts", json=body)
    assert made.json["dates"][0]["date"] == "2030-12-31"


def test_an_organiser_adds_dates_and_they_can_be_booked_at_once(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    fan.seats(concert)
    added = {"starts_at": "2031-03-01T19:00:00+09:00", "price": 7000, "capacity": 3}
    made = sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [added]})
    assert (made.status_code, len(made.json["dates"])) == (201, 2)
    held = fan.hold(concert, 3, date="2031-03-01")
    assert (held.status_code, held.json["amount"]) == (200, 7000)


def test_a_date_has_fifty_seats_unless_the_organiser_says_otherwise(sale: Sale) -> None:
    body = {
        "title": "T",
        "venue": "V",
        "dates": [{"starts_at": NEW_YEARS_EVE.isoformat(), "price": 1}],
    }
    assert sale.organise("POST", "/v1/concerts", json=body).json["dates"][0]["capacity"] == 50


GOOD_DATE = {"starts_at": "2030-12-31T19:00:00+09:00", "price": 1000}
BAD_DATES = [
    {**GOOD_DATE, "price": -1},
    {**GOOD_DATE, "price": 10_000_001},
    {**GOOD_DATE, "price": 1.5},
    {**GOOD_DATE, "price": True},
    {**GOOD_DATE, "capacity": 0},
    {**GOOD_DATE, "capacity": 20_001},
    {**GOOD_DATE, "starts_at": "2030-12-31T19:00:00"},
    {**GOOD_DATE, "starts_at": "0000-00-00T00:00:00+00:00"},
    {**GOOD_DATE, "starts_at": "9999-12-31T23:59:59-12:00"},
    {**GOOD_DATE, "starts_at": "0001-01-01T00:00:00+14:00"},
    {**GOOD_DATE, "starts_at": "1999-12-31T19:00:00+09:00"},
    {**GOOD_DATE, "starts_at": 1924941600},
    {**GOOD_DATE, "sales_open_at": "2030-12-31T19:00:00+09:00"},
    {**GOOD_DATE, "sales_close_at": "2020-12-31T19:00:00+09:00"},
    {**GOOD_DATE, "seats": 10},
    {"price": 1000},
]


@pytest.mark.parametrize("date", BAD_DATES, ids=str)
def test_a_date_that_cannot_be_is_400_and_makes_no_concert(
    sale: Sale, date: dict[str, Any]
) -> None:
    body = {"title": "T", "venue": "V", "dates": [GOOD_DATE, date]}
    refused = sale.organise("POST", "/v1/concerts", json=body)
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert sale.call("GET", "/v1/concerts").json["concerts"] == []


def test_two_dates_of_one_concert_cannot_start_at_one_moment(sale: Sale) -> None:
    body = {"title": "T", "venue": "V", "dates": [GOOD_DATE, GOOD_DATE]}
    assert sale.organise("POST", "/v1/concerts", json=body).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [{"title": ""}, {"title": "a" * 201}, {"venue": "a\x00b"}, {"title": " "}, {"dates": []}],
    ids=str,
)
def test_a_concert_that_cannot_be_is_400(sale: Sale, changes: dict[str, Any]) -> None:
    body = {"title": "T", "venue": "V", "dates": [GOOD_DATE], **changes}
    assert sale.organise("POST", "/v1/concerts", json=body).status_code == 400


def test_a_concert_behind_a_room_that_is_not_there_is_404(sale: Sale) -> None:
    body = {"title": "T", "venue": "V", "room": "nowhere", "dates": [GOOD_DATE]}
    refused = sale.organise("POST", "/v1/concerts", json=body)
    assert (refused.status_code, refused.json["code"]) == (404, "not_found")


ORGANISER_CALLS = [
    ("POST", "/v1/concerts"),
    ("POST", "/v1/concerts/1/dates"),
    ("PUT", "/v1/rooms/main"),
    ("PATCH", "/v1/rooms/main"),
]


@pytest.mark.parametrize(("method", "path"), ORGANISER_CALLS)
def test_organiser_calls_need_the_organisers_key(sale: Sale, method: str, path: str) -> None:
    missing = sale.call(method, path, json={})
    assert (missing.status_code, missing.json["code"]) == (401, "token_missing")
    fan = sale.admitted_fan()
    for token in (fan.user_token, fan.queue_token, "wrong", "열쇠".encode().decode("latin-1")):
        refused = sale.call(method, path, token=token, json={})
        assert (refused.status_code, refused.json["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer x", ""])
def test_where_no_key_is_set_nobody_is_the_organiser(
    sale: Sale, settings: Settings, header: str
) -> None:
    client = create_app(settings.model_copy(update={"organiser_key": ""})).test_client()
    refused = client.patch("/v1/rooms/main", json={}, headers={"Authorization": header})
    assert refused.status_code == 401


def test_a_date_that_another_instance_has_added_can_be_booked_at_once(
    sale: Sale, settings: Settings
) -> None:
    concert = sale.concert(price=0)
    fan = sale.admitted_fan(concert)
    assert fan.seats(concert).status_code == 200
    elsewhere = create_app(settings)
    with elsewhere.app_context():
        date = {"starts_at": "2031-01-05T19:00:00+09:00", "price": 0}
        added = Sale(elsewhere).organise(
            "POST", f"/v1/concerts/{concert}/dates", json={"dates": [date]}
        )
    part(Database, elsewhere).pool.close()
    assert added.status_code == 201
    assert fan.hold(concert, 1, date="2031-01-05").status_code == 200


def test_room_settings_are_answered_as_they_are_kept(sale: Sale) -> None:
    asked = {"capacity": 3, "admit_per_minute": 60, "entry_seconds": 9, "visit_seconds": 99}
    made = sale.organise("PUT", "/v1/rooms/side", json={**asked, "paused": True})
    assert made.status_code == 201
    assert made.json == {
        "slug": "side",
        **asked,
        "paused": True,
        "opens_at": None,
        "message": None,
    }
    changed = sale.organise("PATCH", "/v1/rooms/side", json={"paused": False})
    assert changed.json == {**made.json, "paused": False}
    again = sale.organise("PUT", "/v1/rooms/side", json={})
    assert (again.status_code, again.json) == (200, changed.json)
    assert sale.organise("PATCH", "/v1/rooms/nowhere", json={}).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity": 0},
        {"capacity": True},
        {"capacity": None},
        {"admit_per_minute": 0},
        {"entry_seconds": -1},
        {"visit_seconds": 86_401},
        {"paused": 1},
        {"paused": None},
        {"opens_at": "tomorrow"},
        {"opens_at": "2030-12-31T19:00:00"},
        {"opens_at": "9999-12-31T23:59:59-12:00"},
        {"speed": 1},
    ],
    ids=str,
)
def test_a_room_setting_that_cannot_be_is_400_and_changes_nothing(
    sale: Sale, changes: dict[str, Any]
) -> None:
    before = sale.organise("PATCH", "/v1/rooms/main", json={}).json
    for method in ("PATCH", "PUT"):
        refused = sale.organise(method, "/v1/rooms/main", json={"capacity": 7, **changes})
        assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert sale.organise("PATCH", "/v1/rooms/main", json={}).json == before


@pytest.mark.parametrize(
    "slug", ["Main", "-a", "a-", "a_b", "a" * 41, "a%00b", "%EB%B0%A9", "%20", "a%0A"]
)
def test_a_room_name_that_cannot_be_is_400(sale: Sale, slug: str) -> None:
    assert sale.organise("PUT", f"/v1/rooms/{slug}", json={}).status_code == 400
