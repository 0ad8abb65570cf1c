"""How a date sells, and every room with its state, as JSON for whoever runs the sale."""

from __future__ import annotations

from datetime import datetime

from concert.ground.parts import keep
from concert.overview.lately import LatelyRead
from tests.sale import Sale
from tests.staff.crew import key_for


def test_a_date_tells_its_seats_its_money_and_its_holds(sale: Sale) -> None:
    concert = sale.concert(capacity=10)
    fan = sale.admitted_fan(concert, balance=100_000)
    fan.hold(concert, 1, 2)
    fan.pay(concert, 1)
    other = sale.admitted_fan(concert)
    other.hold(concert, 3)
    number = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["performance_id"]

    answer = sale.organise("GET", f"/v1/performances/{number}/sales")
    assert answer.status_code == 200
    told = answer.json
    assert {name: told[name] for name in ("free", "held", "sold", "revenue", "refunded")} == {
        "free": 7,
        "held": 1,
        "sold": 2,
        "revenue": 100_000,
        "refunded": 0,
    }
    assert told["by_price"] == [
        {"price": 50_000, "categories": [], "free": 7, "held": 1, "sold": 2}
    ]
    assert told["holds"] == {
        "live": 1,
        "paid": 1,
        "lapsed": 0,
        "released": 0,
        "paid_share": 1.0,
    }
    assert (told["concert_id"], told["date"]) == (concert, "2030-12-31")
    assert told["sold_out_at"] is None


def test_a_sale_with_a_pace_says_when_it_is_sold_out(sale: Sale) -> None:
    concert = sale.concert(capacity=40, price=0)
    for seat in range(1, 13):
        fan = sale.admitted_fan(concert)
        fan.hold(concert, seat)
        fan.pay(concert, seat)
        sale.let_time_pass(10)
    keep(sale.app, LatelyRead())
    number = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["performance_id"]
    told = sale.organise("GET", f"/v1/performances/{number}/sales").json
    assert 4 < told["sold_per_minute"] < 8
    assert datetime.fromisoformat(told["sold_out_at"]).tzinfo is not None


def test_a_date_that_is_not_there_is_404(sale: Sale) -> None:
    assert sale.organise("GET", "/v1/performances/1/sales").status_code == 404
    assert sale.organise("GET", "/v1/performances/x/sales").status_code == 400
    assert sale.organise("GET", f"/v1/performances/{2**64}/sales").status_code == 400


def test_every_room_is_told_with_its_settings_and_its_line(sale: Sale) -> None:
    sale.room("aside", capacity=7, paused=True)
    concert = sale.concert(capacity=5)
    sale.room(capacity=1)
    sale.admitted_fan(concert)
    sale.fan().join(concert)
    answer = sale.call("GET", "/v1/rooms", token=key_for("till", "box-office"))
    assert answer.status_code == 200
    aside, main = answer.json["rooms"]
    assert (aside["slug"], aside["capacity"], aside["paused"]) == ("aside", 7, True)
    assert (main["slug"], main["waiting"], main["inside"], main["joined"]) == ("main", 1, 1, 2)
    assert main["seats"] == {"free": 5, "held": 0, "sold": 0, "state": "open"}
