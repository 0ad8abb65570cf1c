"""Corrections of dates in a hall, of houses that somebody has a seat in, and of what was bought once."""

from __future__ import annotations

from concert.ground.database import connection
from tests.halls.hall import concert_in, keep, performance_of, two_rows
from tests.planning.test_corrections import buyer, change, date_of, effects, move, seats_seen
from tests.refunds.money import refund
from tests.sale import Sale
from tests.web.browser import Browser


def test_prices_of_a_hall_are_corrected_by_category_and_its_seats_stay(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), prices={"Front": 300, "Back": 100})
    buyer(sale, concert, 3)
    before = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["plan"]["version"]
    changed = move(sale, concert, prices={"Front": 500, "Back": 200})
    assert effects(changed) == {"price_kept": 1}
    assert (changed.json["price"], changed.json["prices"]) == (200, {"Front": 500, "Back": 200})
    prices = {one["seat_no"]: one["price"] for one in seats_seen(sale, concert)}
    assert (prices[3], prices[4], prices[5]) == (300, 500, 200)
    # Whoever draws the map knows the plan by another version now, with the new prices.
    after = sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["plan"]["version"]
    assert after != before
    assert move(sale, concert, price=50).json["prices"] == {"Front": 50, "Back": 50}
    assert move(sale, concert, seat_limit=2).json["prices"] == {"Front": 50, "Back": 50}
    for wrong in ({"capacity": 9}, {"prices": {"Front": 1}}, {"prices": {}, "price": 1}):
        assert move(sale, concert, **wrong).status_code == 400
    assert move(sale, sale.concert(), prices={"Front": 1}).status_code == 400


def test_a_date_in_a_hall_is_copied_with_its_prices(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), prices={"Front": 300, "Back": 100})
    path = f"/v1/concerts/{concert}/copies"
    copy = sale.organise("POST", path, json={"days": 1}).json["dates"][0]
    assert (copy["prices"], copy["capacity"]) == ({"Front": 300, "Back": 100}, 8)
    assert copy["hall"] == date_of(sale, concert)["hall"]


def test_seats_of_a_draft_can_be_blocked_before_anybody_sees_it(sale: Sale) -> None:
    concert = sale.concert(capacity=5)
    assert change(sale, concert, draft=True).status_code == 200
    number = date_of(sale, concert)["performance_id"]
    path = f"/v1/performances/{number}/seats"
    assert sale.organise("PATCH", path, json={"block": [1]}).status_code == 200
    assert sale.call("GET", f"/v1/performances/{number}/plan").status_code == 404
    change(sale, concert, draft=False)
    assert date_of(sale, concert)["available"] == 4


def test_a_house_that_grows_leaves_sold_seats_in_their_rows(sale: Sale) -> None:
    concert = sale.concert(capacity=50)
    owner = Browser(sale).become(buyer(sale, concert, 12))
    assert "Row B, seat 2" in owner.read("/tickets").text
    assert move(sale, concert, capacity=100).status_code == 200
    assert "Row B, seat 2" in owner.read("/tickets").text
    inside = Browser(sale).become(sale.admitted_fan(concert))
    assert "Row J" in inside.read(f"/concerts/{concert}/seats/2030-12-31").text
    assert move(sale, concert, capacity=95).status_code == 200
    assert "Row B, seat 2" in owner.read("/tickets").text
    best = sale.admitted_fan(concert)
    path = f"/v1/concerts/{concert}/reservations"
    assert best.call("POST", path, json={"best": 4}).status_code == 200


def test_a_house_of_which_nobody_has_a_seat_is_laid_out_anew(sale: Sale) -> None:
    concert = sale.concert(capacity=50)
    assert move(sale, concert, capacity=100).status_code == 200
    with connection() as link:
        row = link.execute("SELECT row_seats FROM performances").fetchone()
    assert row == (None,)


def test_what_was_bought_and_given_back_has_no_draft_since_a_ticket_leads_there(
    sale: Sale,
) -> None:
    concert = sale.concert(capacity=5)
    fan = buyer(sale, concert, 1)
    payment = fan.call_as_user("GET", "/v1/payments").json["payments"][0]["payment_id"]
    assert refund(sale, payment).status_code == 201
    refused = change(sale, concert, draft=True)
    assert (refused.status_code, refused.json["code"], refused.json["sold"]) == (
        409,
        "has_sales",
        0,
    )
    assert move(sale, concert, draft=True).json["code"] == "has_sales"
    assert Browser(sale).become(fan).open("/tickets").status_code == 200


def test_a_cancelled_date_stays_as_it_is(sale: Sale) -> None:
    concert = sale.concert(capacity=5)
    number = performance_of(sale, concert)
    with connection() as link:
        link.execute("UPDATE performances SET sales_close_at = now(), cancelled_at = now()")
    assert (
        sale.organise("PATCH", f"/v1/performances/{number}", json={"price": 1}).status_code == 400
    )
