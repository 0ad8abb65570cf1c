"""Halls by the JSON API: keeping them, dates in them, and the plan that everybody may see."""

from __future__ import annotations

import gzip
from typing import Any

import orjson
import pytest

from tests.halls.hall import concert_in, keep, keep_example, performance_of, two_rows
from tests.sale import NEW_YEARS_EVE, Sale

PRICES = {"Front": 80_000, "Back": 50_000}


def test_a_plan_is_kept_once_and_can_be_looked_at(sale: Sale) -> None:
    made = sale.organise("POST", "/v1/halls", json={"plan": two_rows()})
    assert (made.status_code, made.json["capacity"], made.json["name"]) == (201, 8, "Parlour")
    again = sale.organise("POST", "/v1/halls", json={"plan": two_rows()})
    assert (again.status_code, again.json) == (200, made.json)
    other = sale.organise("POST", "/v1/halls", json={"plan": two_rows(), "name": "Salon"})
    assert (other.status_code, other.json["name"]) == (201, "Salon")
    halls = sale.organise("GET", "/v1/halls").json["halls"]
    assert [hall["name"] for hall in halls] == ["Salon", "Parlour"]
    log = sale.organise("GET", "/v1/audit-log").json["entries"]
    assert [entry["verb"] for entry in log] == ["keep_hall", "keep_hall"]


@pytest.mark.parametrize("form", ["plain", "compact"])
def test_a_hall_that_is_given_can_be_sent_again_as_it_is(sale: Sale, form: str) -> None:
    hall = keep(sale, two_rows())
    given = sale.organise("GET", f"/v1/halls/{hall}", query_string={"form": form}).json
    again = sale.organise("POST", "/v1/halls", json={"plan": given["plan"]})
    assert (again.status_code, again.json["hash"]) == (200, given["hash"])


def test_a_table_is_a_hall_too(sale: Sale) -> None:
    table = "section,row,seat,category\nStalls,A,1-10,Front\nStalls,B,1-10,Back\n"
    made = sale.organise("POST", "/v1/halls", json={"table": table, "name": "Salon"})
    assert (made.status_code, made.json["capacity"]) == (201, 20)


def test_a_hall_of_thousands_may_be_larger_than_any_other_body(sale: Sale) -> None:
    hall = keep_example(sale, "arena")
    plain = sale.organise("GET", f"/v1/halls/{hall}").json["plan"]
    assert len(orjson.dumps(plain)) > 400_000
    again = sale.organise("POST", "/v1/halls", json={"plan": plain})
    assert (again.status_code, again.json["capacity"]) == (200, 5000)
    fan = sale.fan()
    refused = fan.call_as_user("PATCH", "/v1/charges", json={"amount": 1, "x": "y" * 100_000})
    assert refused.status_code == 413


def test_what_is_wrong_with_a_plan_is_told_thing_by_thing(sale: Sale) -> None:
    plan = two_rows()
    plan["sections"][0]["rows"][0]["seats"][3]["category"] = "Nowhere"
    plan["sections"][0]["rows"][1]["seats"][3]["label"] = "3"
    refused = sale.organise("POST", "/v1/halls", json={"plan": plan})
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert [error["what"] for error in refused.json["errors"]] == [
        "section 'Stalls', row 'A', seat '4': there is no category 'Nowhere'",
        "section 'Stalls', row 'B', seat '3' is there twice",
    ]


@pytest.mark.parametrize(
    "body",
    [{}, {"plan": two_rows(), "table": "x"}, {"table": "section"}, {"plan": []}, {"plan": {}}],
    ids=["nothing", "both", "a table without a name", "a list", "an empty one"],
)
def test_a_call_that_has_no_plan_is_400(sale: Sale, body: dict[str, Any]) -> None:
    assert sale.organise("POST", "/v1/halls", json=body).status_code == 400


def test_a_date_in_a_hall_has_its_seats_and_the_prices_of_its_categories(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), prices=PRICES)
    [date] = sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert (date["capacity"], date["price"], date["prices"]) == (8, 50_000, PRICES)
    fan = sale.admitted_fan(concert)
    seats = fan.seats(concert).json["dates"][0]["seats"]
    assert [seat["price"] for seat in seats] == [80_000] * 4 + [50_000] * 4
    held = fan.hold(concert, 4, 5)
    assert (held.status_code, held.json["amount"]) == (200, 130_000)


def test_one_price_is_for_all_categories(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), price=7000)
    [date] = sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert date["prices"] == {"Front": 7000, "Back": 7000}


@pytest.mark.parametrize(
    "date",
    [
        {"prices": {"Front": 1}},
        {"prices": {**PRICES, "Side": 1}},
        {"prices": {**PRICES, "Back": -1}},
        {"prices": {**PRICES, "Back": 10_000_001}},
        {"prices": PRICES, "price": 1},
        {"prices": {}},
        {"price": None},
        {"price": 1, "capacity": 9},
        {"price": 1, "hall": 10**9},
        {"price": 1, "hall": 0},
        {"price": 1, "lone_seats": "never"},
        {"prices": PRICES, "hall": None},
    ],
    ids=str,
)
def test_a_date_that_does_not_fit_its_hall_is_400(sale: Sale, date: dict[str, Any]) -> None:
    hall = keep(sale, two_rows())
    dates = [{"starts_at": NEW_YEARS_EVE.isoformat(), "hall": hall, **date}]
    body = {"title": "T", "venue": "V", "dates": dates}
    assert sale.organise("POST", "/v1/concerts", json=body).status_code == 400
    made = sale.concert()
    refused = sale.organise("POST", f"/v1/concerts/{made}/dates", json={"dates": dates})
    assert refused.status_code == 400


def test_the_capacity_of_a_hall_may_be_said_where_it_is_right(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), capacity=8)
    assert sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["capacity"] == 8


@pytest.mark.parametrize("form", ["plain", "compact"])
def test_everybody_gets_the_plan_with_the_prices_of_the_performance(sale: Sale, form: str) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), prices=PRICES)
    [date] = sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    name = "url" if form == "plain" else "compact_url"
    plan = sale.call("GET", date["plan"][name])
    assert plan.status_code == 200
    assert plan.json["version"] == date["plan"]["version"]
    assert plan.json["categories"][0] == {"name": "Front", "price": 80_000, "color": "#7a4fd0"}
    assert plan.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    row = plan.json["sections"][0]["rows"][1]
    if form == "plain":
        seat = {"seat_no": 5, "label": "1", "category": "Back", "flags": []}
        assert seat.items() <= row["seats"][0].items()
    else:
        assert (row["count"], row["first"], row["seats"], row["category"]) == (4, 5, 1, 1)


def test_a_plan_without_its_version_or_with_an_old_one_is_good_for_a_minute(sale: Sale) -> None:
    performance = performance_of(sale, concert_in(sale, keep(sale, two_rows())))
    for query in ({}, {"v": "0123456789abcdef"}):
        plan = sale.call("GET", f"/v1/performances/{performance}/plan", query_string=query)
        assert (plan.status_code, plan.headers["Cache-Control"]) == (200, "public, max-age=60")
        same = {"If-None-Match": plan.headers["ETag"]}
        again = sale.call("GET", f"/v1/performances/{performance}/plan", headers=same)
        assert (again.status_code, again.data) == (304, b"")


def test_a_plan_is_sent_compressed_to_whoever_takes_that(sale: Sale) -> None:
    performance = performance_of(sale, concert_in(sale, keep_example(sale, "arena")))
    path = f"/v1/performances/{performance}/plan?form=compact"
    plain = sale.call("GET", path)
    packed = sale.call("GET", path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < 20_000


def test_other_prices_are_another_version_of_the_same_hall(sale: Sale) -> None:
    hall = keep(sale, two_rows())
    versions = set()
    for prices in (PRICES, {**PRICES, "Back": 1}):
        concert = concert_in(sale, hall, prices=prices)
        versions.add(
            sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["plan"]["version"]
        )
    assert len(versions) == 2


def test_the_usual_hall_has_no_plan(sale: Sale) -> None:
    concert = sale.concert()
    [date] = sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert (date["hall"], date["prices"], date["plan"]) == (None, None, None)
    performance = date["performance_id"]
    for path in (f"/v1/performances/{performance}/plan", "/v1/performances/987654/plan"):
        refused = sale.call("GET", path)
        assert (refused.status_code, refused.json["code"]) == (404, "not_found")


def test_seats_are_called_in_both_languages_where_there_is_a_plan(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()))
    fan = sale.admitted_fan(concert, balance=10_000)
    [seat] = fan.hold(concert, 6).json["seats"]
    assert (seat["section"], seat["row"], seat["seat"]) == ("Stalls", "B", "2")
    assert seat["label"] == {"ko": "Stalls B열 2번", "en": "Stalls, row B, seat 2"}
    assert fan.call("GET", "/v1/reservations").json["reservations"][0]["seats"] == [seat]
    assert fan.pay(concert, 6).json["seats"] == [seat]
    assert fan.call_as_user("GET", "/v1/payments").json["payments"][0]["seats"] == [seat]
    [ticket] = fan.call_as_user("GET", "/v1/tickets").json["tickets"]
    assert {name: ticket[name] for name in seat} == seat


def test_a_seat_of_the_usual_hall_has_its_number_and_nothing_more(sale: Sale) -> None:
    concert = sale.concert()
    assert sale.admitted_fan(concert).hold(concert, 6).json["seats"] == [
        {"seat_no": 6, "price": 50_000}
    ]
