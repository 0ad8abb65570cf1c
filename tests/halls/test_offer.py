"""Seats that are blocked are not for sale, and are counted nowhere; the organiser releases them."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import TestResponse

from concert.ground.events import performance_channel
from concert.ground.fanout import Fanout, Listener
from concert.ground.parts import part
from concert.overview.sales import sale_of
from concert.payments.service import differing_seats
from concert.reservations.service import tidy_expired
from concert.waiting_room.rooms import room_state
from tests.halls.hall import concert_in, keep, letters, performance_of, two_rows
from tests.sale import Sale
from tests.waiting import wait_until


def change(sale: Sale, performance: int, **body: Any) -> TestResponse:
    """Block or release seats."""
    return sale.organise("PATCH", f"/v1/performances/{performance}/seats", json=body)


@pytest.fixture
def concert(sale: Sale) -> int:
    """A concert with five seats, and something else to be let in for."""
    sale.something_else()
    return sale.concert(capacity=5)


@pytest.fixture
def performance(sale: Sale, concert: int) -> int:
    return performance_of(sale, concert)


def test_a_blocked_seat_cannot_be_held_until_it_is_released(
    sale: Sale, concert: int, performance: int
) -> None:
    fan = sale.admitted_fan(concert)
    assert change(sale, performance, block=[2, 3]).json == {
        "performance_id": performance,
        "blocked": [2, 3],
        "released": [],
        "lone_seats": "off",
    }
    for wanted in ([2], [1, 2], [2, 3]):
        refused = fan.hold(concert, *wanted)
        assert (refused.status_code, refused.json["code"]) == (409, "seat_taken")
        assert refused.json["seats"] == [seat for seat in wanted if seat != 1]
    assert change(sale, performance, release=[2]).json["blocked"] == [3]
    assert fan.hold(concert, 1, 2).status_code == 200
    assert letters(sale, concert) == "hhbaa"


def test_the_best_seats_are_never_blocked_ones(sale: Sale, concert: int, performance: int) -> None:
    change(sale, performance, block=[2, 3, 4])
    best = {"count": 1}
    path = f"/v1/concerts/{concert}/best-seats"
    held = [sale.admitted_fan(concert).call("POST", path, json=best) for _ in range(3)]
    assert sorted(one.json["seats"][0]["seat_no"] for one in held[:2]) == [1, 5]
    assert (held[2].status_code, held[2].json["code"]) == (409, "not_together")


def test_blocked_seats_are_neither_free_nor_sold_wherever_seats_are_counted(
    sale: Sale, concert: int, performance: int
) -> None:
    with sale.app.app_context():
        before = room_state("main").seats
    change(sale, performance, block=[4, 5])
    sale.admitted_fan(concert).hold(concert, 1)
    sale.count_seats()
    with sale.app.app_context():
        counts = sale_of(concert).counts[performance]
        after = room_state("main").seats
    assert (counts.available, counts.held, counts.sold) == (2, 1, 0)
    assert before is not None and after is not None
    assert (before.free - after.free, after.held, after.sold) == (3, 1, 0)
    dates = sale.admitted_fan(concert).call("GET", f"/v1/concerts/{concert}/dates").json["dates"]
    [date] = [one for one in dates if one["performance_id"] == performance]
    assert (date["capacity"], date["available"], date["held"], date["sold"]) == (5, 2, 1, 0)


def test_what_is_not_blocked_is_sold_out_when_it_is_sold(sale: Sale) -> None:
    concert = sale.concert(capacity=3)
    performance = performance_of(sale, concert)
    fan = sale.admitted_fan(concert, balance=1_000_000)
    change(sale, performance, block=[3])
    fan.hold(concert, 1, 2)
    assert fan.pay(concert, 1).status_code == 200
    sale.count_seats()
    assert sale.call("GET", f"/v1/concerts/{concert}").json["sales"] == "sold_out"
    seats = sale.call("GET", "/v1/rooms/main").json["seats"]
    assert seats == {"free": 0, "held": 0, "sold": 2, "state": "sold_out"}
    change(sale, performance, release=[3])
    sale.count_seats()
    assert sale.call("GET", f"/v1/concerts/{concert}").json["sales"] == "on_sale"


def test_a_date_whose_seats_are_all_blocked_is_not_over(sale: Sale) -> None:
    concert = sale.concert(capacity=2)
    change(sale, performance_of(sale, concert), block=[1, 2])
    sale.count_seats()
    with sale.app.app_context():
        seats = room_state("main").seats
    assert seats is not None
    assert (seats.free, seats.held, seats.sold) == (0, 0, 0)
    assert seats.state != "ended"
    with sale.app.app_context():
        assert sale_of(concert).counts[performance_of(sale, concert)].available == 0
    visitor = sale.app.test_client()
    assert visitor.get(f"/concerts/{concert}").status_code == 200
    assert visitor.get("/").status_code == 200


def test_a_seat_that_somebody_has_cannot_be_blocked_and_then_none_is(
    sale: Sale, concert: int, performance: int
) -> None:
    fan = sale.admitted_fan(concert, balance=100_000)
    fan.hold(concert, 2)
    refused = change(sale, performance, block=[1, 2])
    assert (refused.status_code, refused.json["code"], refused.json["seats"]) == (
        *(409, "seat_taken"),
        [2],
    )
    assert letters(sale, concert)[0] == "a"
    fan.pay(concert, 2)
    assert change(sale, performance, block=[2]).status_code == 409


def test_a_seat_whose_hold_has_lapsed_can_be_blocked_whether_or_not_anybody_has_tidied_up(
    sale: Sale, concert: int, performance: int
) -> None:
    sale.admitted_fan(concert).hold(concert, 2)
    sale.let_time_pass(301)
    assert change(sale, performance, block=[2]).json["blocked"] == [2]
    with sale.app.app_context():
        tidy_expired()
        assert differing_seats() == []
    assert letters(sale, concert) == "abaaa"


def test_what_is_so_already_stays_so_and_is_not_logged(sale: Sale, performance: int) -> None:
    change(sale, performance, block=[1], reason="camera")
    change(sale, performance, block=[1])
    change(sale, performance, release=[5])
    change(sale, performance)
    log = sale.organise("GET", "/v1/audit-log", query_string={"verb": "change_offer"}).json
    [entry] = log["entries"]
    assert entry["before"] == {"blocked": [], "released": [], "lone_seats": "off"}
    assert entry["after"] == {"blocked": [1], "released": [], "lone_seats": "off"}
    assert entry["reason"] == "camera"


@pytest.mark.parametrize(
    "body",
    [{"block": [0]}, {"block": [6]}, {"block": [1, 1]}, {"block": [1], "release": [1]}]
    + [{"block": ["1"]}, {"block": 1}, {"lone_seats": "sometimes"}, {"seats": [1]}],
    ids=str,
)
def test_a_change_that_cannot_be_is_400(sale: Sale, performance: int, body: Any) -> None:
    assert change(sale, performance, **body).status_code == 400


def test_seats_of_a_performance_that_is_not_there_are_404(sale: Sale) -> None:
    assert change(sale, 987_654, block=[1]).status_code == 404


class Heard(Listener):
    """Keeps what it is told."""

    def __init__(self, fanout: Fanout, channel: str) -> None:
        super().__init__(fanout, channel, timeout=20.0)
        self.facts: list[Any] = []

    def put(self, item: Any) -> bool:
        self.facts.append((item.kind, item.data))
        return True


def test_live_maps_hear_of_each_change(sale: Sale, performance: int) -> None:
    with sale.app.app_context():
        heard = Heard(part(Fanout), performance_channel(performance))
        with heard:
            change(sale, performance, block=[1, 2])
            change(sale, performance, release=[2])
            wait_until(
                lambda: len([one for one in heard.facts if one[0] == "seats"]) == 2, seconds=20
            )
    told = [(data["seats"], data["state"]) for kind, data in heard.facts if kind == "seats"]
    assert told == [([1, 2], "blocked"), ([2], "available")]


def test_seats_that_the_plan_blocks_are_blocked_when_the_date_is_made(sale: Sale) -> None:
    sale.something_else()
    plan = two_rows()
    plan["sections"][0]["rows"][1]["seats"][0]["flags"] = ["blocked"]
    concert = concert_in(sale, keep(sale, plan))
    assert letters(sale, concert) == "aaaabaaa"
    assert change(sale, performance_of(sale, concert)).json["blocked"] == [5]


def test_places_for_wheelchairs_are_for_all_when_they_are_released(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()))
    performance = performance_of(sale, concert)
    path, front = f"/v1/concerts/{concert}/best-seats", {"count": 4, "category": "Front"}
    fan = sale.admitted_fan(concert)
    assert fan.call("POST", path, json=front).json["code"] == "not_together"
    assert change(sale, performance, release=[1, 2, 3]).json["released"] == [1, 2]
    held = fan.call("POST", path, json=front)
    assert [seat["seat_no"] for seat in held.json["seats"]] == [1, 2, 3, 4]
    fan.call("DELETE", f"/v1/reservations/{held.json['reservation_id']}")
    assert change(sale, performance, block=[1]).json["released"] == [2]
