"""Pages of money back: at the till, for the owner, and of dates that are cancelled."""

from __future__ import annotations

import pytest

from concert.ground.parts import keep, part
from concert.ground.settings import Settings
from concert.refunds.cancelling import SETTLED_SECONDS, refund_cancelled
from tests.refunds.money import (
    PRICE,
    REASON,
    allow,
    bought,
    performances,
    refund,
    tomorrow,
)
from tests.sale import Sale
from tests.staff.crew import lines, signed_in
from tests.web.browser import Browser


@pytest.fixture
def house(sale: Sale) -> Sale:
    """Everybody is let in at once."""
    sale.room(capacity=10_000, admit_per_minute=1_000_000)
    sale.something_else()
    return sale


def test_a_payment_is_found_and_refunded_at_the_till_after_its_effect_was_shown(
    house: Sale,
) -> None:
    concert = house.concert(price=PRICE)
    (performance,) = performances(house, concert)
    fan, payment = bought(house, concert, 3, 4)
    till = signed_in(house, "Mina", "box-office").browser
    for query in (f"q={payment}", f"q={fan.user_id}", f"date={performance}&seat=4"):
        found = till.read(f"/organiser/payments?{query}")
        assert "1 payment" in found.text, query
        assert f"/organiser/payments/{payment}" in [one.get("href") for one in found.with_tag("a")]
    page = till.read(f"/organiser/payments/{payment}?seats=4&reason={REASON}")
    assert "₩10,000 go to the wallet of user" in page.text
    assert "1 ticket is void at once" in page.text
    assert fan.balance() == 0
    form = page.form_to("/refund")
    assert till.send(form).status_code == 303
    assert till.send(form).status_code == 303  # the same form again
    assert fan.balance() == PRICE
    (line,) = lines(verb="refund")
    assert (line.actor_name, line.reason) == ("Mina", REASON)
    shown = till.read(f"/organiser/payments/{payment}").text
    assert "What went back" in shown
    assert REASON in shown


def test_the_till_says_what_cannot_be_refunded_or_found(house: Sale) -> None:
    fan, payment = bought(house, house.concert(price=PRICE), 3)
    till = signed_in(house, "Mina", "box-office").browser
    page = till.read(f"/organiser/payments/{payment}?seats=3&reason=x")
    form = page.form_to("/refund")
    refund(house, payment)
    again = till.send(form)
    assert (again.status_code, "given back already" in again.text) == (409, True)
    assert till.send(form, reason=" ").status_code == 400
    assert till.open(f"/organiser/payments/{payment}?seats=77&reason=x").status_code == 409
    assert till.open("/organiser/payments?q=nonsense").status_code == 400
    assert till.open("/organiser/payments?date=1&seat=x").status_code == 400
    assert "0 payments" in till.read(f"/organiser/payments?q={payment[:-4]}0000").text
    assert till.open(f"/organiser/payments/{fan.user_id}").status_code == 404


def test_an_organiser_pays_a_balance_out_and_the_till_does_not(house: Sale) -> None:
    fan = house.fan(balance=1000)
    office = signed_in(house, "Haneul", "organiser").browser
    form = office.read(f"/organiser/payments?q={fan.user_id}").form_to("/payout")
    for _twice in range(2):
        assert office.send(form, amount="400", note="Bank").status_code == 303
    assert fan.balance() == 600
    refused = office.send(form, amount="9999", note="Bank", key="another", follow=True)
    assert "The wallet has less than that" in refused.text
    assert fan.balance() == 600
    till = signed_in(house, "Mina", "box-office").browser
    assert "/payout" not in str(till.read(f"/organiser/payments?q={fan.user_id}").forms)


def test_a_date_is_cancelled_by_typing_its_day_and_the_page_shows_how_far_it_is(
    house: Sale,
) -> None:
    concert = house.concert(price=PRICE)
    (performance,) = performances(house, concert)
    fan, _ = bought(house, concert, 3)
    office = signed_in(house, "Haneul", "organiser").browser
    path = f"/organiser/performances/{performance}/cancellation"
    page = office.read(path)
    assert "1 payment goes back to its wallet: ₩10,000." in page.text
    form = page.form_to("/cancellation")
    assert office.send(form, reason="Ill.", day="2030-12-30").status_code == 400
    assert office.send(form, reason=" ", day="2030-12-31").status_code == 400
    assert "cancelled" not in house.call("GET", f"/v1/concerts/{concert}").json["sales"]
    assert office.send(form, reason="Ill.", day="2030-12-31").status_code == 303
    shown = office.read(path)
    assert "The money is going back" in shown.text
    assert "0 / 1" in shown.text
    refund_cancelled()
    house.let_time_pass(SETTLED_SECONDS + 1)
    refund_cancelled()
    told = office.read(f"{path}?part=progress")
    assert ("Everybody has the money back" in told.text, "1 / 1" in told.text) == (True, True)
    assert fan.balance() == PRICE


def test_an_organiser_says_until_when_tickets_may_be_given_back(house: Sale) -> None:
    concert = house.concert()
    (performance,) = performances(house, concert)
    office = signed_in(house, "Haneul", "organiser").browser
    path = f"/organiser/performances/{performance}/cancellation"
    form = office.read(path).form_to("/returns")
    assert office.send(form, until="2030-12-30T12:00").status_code == 303
    (date,) = house.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert date["returns_until"].startswith("2030-12-30T03:00")
    for wrong in ("2031-01-01T00:00", "soon"):
        assert office.send(form, until=wrong).status_code == 400
    assert office.send(form, until="").status_code == 303
    (date,) = house.call("GET", f"/v1/concerts/{concert}").json["dates"]
    assert date["returns_until"] is None


def test_a_fan_is_told_of_a_refund_with_its_reason_and_where_to_appeal(house: Sale) -> None:
    fan, payment = bought(house, house.concert(price=PRICE), 3)
    refund(house, payment)
    (reservation,) = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
    browser = Browser(house).become(fan)
    pages = (f"/tickets/{payment}", f"/reservations/{reservation['reservation_id']}")
    for page in pages:
        told = browser.read(page).text
        assert "₩10,000 came back to your wallet" in told, page
        assert (REASON in told, "ask the organiser" in told) == (True, True)
    assert (REASON in (wallet := browser.read("/wallet").text), "Money back" in wallet) == (
        True,
        True,
    )
    assert "not good any more" in browser.read("/tickets").text
    told_where = part(Settings).model_copy(update={"appeal_address": "help@concert.example"})
    before = part(Settings)
    keep(house.app, told_where)
    try:
        assert "write to help@concert.example" in browser.read(pages[0]).text
    finally:
        keep(house.app, before)
    korean = Browser(house, "ko").become(fan)
    assert "10,000원이 지갑으로 돌아왔어요" in korean.read(pages[0]).text


def test_a_fan_gives_a_ticket_back_by_page(house: Sale) -> None:
    concert = house.concert(price=PRICE)
    (performance,) = performances(house, concert)
    fan, payment = bought(house, concert, 3, 4)
    browser = Browser(house).become(fan)
    path = f"/tickets/{payment}/seats/4/return"
    assert "cannot be given back now" in browser.read(path).text
    allow(house, performance, tomorrow())
    assert path in [one.get("href") for one in browser.read(f"/tickets/{payment}").with_tag("a")]
    form = browser.read(path).form_to("/return")
    for _twice in range(2):
        assert browser.send(form).status_code == 303
    assert fan.balance() == PRICE
    told = browser.read(f"/tickets/{payment}").text
    assert "You gave it back." in told
    stranger = Browser(house).become(house.fan())
    assert stranger.open(path).status_code == 403
    assert browser.open(f"/tickets/{payment}/seats/9/return").status_code == 404
    allow(house, performance, None)
    late = browser.post(
        f"/tickets/{payment}/seats/3/return", {"csrf_token": form.fields["csrf_token"]}
    )
    assert (late.status_code, "cannot be given back now" in late.text) == (409, True)


def test_a_cancelled_date_looks_cancelled_on_every_page(house: Sale) -> None:
    concert = house.concert(price=PRICE)
    (performance,) = performances(house, concert)
    fan, payment = bought(house, concert, 3)
    fan.join()
    assert fan.hold(concert, 5).status_code == 200
    browser = Browser(house).become(fan)
    body = {"reason": "Ill."}
    house.organise("POST", f"/v1/performances/{performance}/cancellation", json=body)
    held = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
    (released,) = [one["reservation_id"] for one in held if one["status"] == "cancelled"]
    assert "Cancelled" in browser.read("/").text
    assert "It does not take place." in browser.read(f"/concerts/{concert}").text
    assert "This date is cancelled" in browser.read(f"/concerts/{concert}/seats/2030-12-31").text
    assert "This date is cancelled" in browser.read(f"/reservations/{released}").text
    assert "This date is cancelled" in browser.read(f"/tickets/{payment}").text
    assert "cancelled" in browser.read("/tickets").text
    office = signed_in(house, "Haneul", "organiser").browser
    assert "Cancelled" in office.read("/organiser").text
    assert "Cancelled" in office.read("/organiser/payments").text
