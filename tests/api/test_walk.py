"""The main job: line up, be let in, hold, charge, pay, own; and the queue token is over."""

from tests.sale import Sale


def test_a_program_buys_a_seat(sale: Sale) -> None:
    concert = sale.concert(dates=2, price=50_000)
    fan = sale.fan()

    place = fan.join(concert).json
    assert place["status"] == "admitted"
    dates = fan.call("GET", f"/v1/concerts/{concert}/dates").json["dates"]
    assert [date["available"] for date in dates] == [50, 50]
    date = dates[0]["date"]

    held = fan.hold(concert, 12, date=date)
    assert held.status_code == 200
    assert held.json["seats"] == [{"seat_no": 12, "price": 50_000}]
    assert fan.charge(100_000).json["balance"] == 100_000
    paid = fan.pay(concert, 12, date=date)
    assert paid.status_code == 200
    assert paid.json["balance"] == 50_000

    owned = fan.call_as_user("GET", "/v1/payments").json["payments"]
    assert [payment["payment_id"] for payment in owned] == [paid.json["payment_id"]]
    assert fan.call("GET", f"/v1/concerts/{concert}/dates").status_code == 401
    assert fan.place().json["code"] == "token_expired"
