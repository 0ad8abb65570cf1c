"""Handing a ticket on: once, at what the seat cost or as a present, until the organiser's limit."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from concert.ground.database import connection
from concert.tickets.service import void_tickets
from concert.wallet.service import differing_wallets
from tests.sale import Fan, Sale
from tests.tickets.buying import PRICE, Owner, may_be_returned, owner_of, ticket_of
from tests.web.browser import Browser


@pytest.fixture
def owner(sale: Sale) -> Owner:
    """Somebody with the seats 1 and 2, which may be handed on."""
    owner = owner_of(sale, 1, 2)
    may_be_returned(sale, owner.performance)
    return owner


def link_of(owner: Owner, **body: object) -> TestResponse:
    return owner.fan.call_as_user("POST", f"/v1/tickets/{owner.tickets[0]}/links", json=body)


def take(fan: Fan, code: str) -> TestResponse:
    return fan.call_as_user("POST", f"/v1/ticket-links/{code}", json={})


def test_whoever_takes_a_ticket_over_pays_what_the_seat_cost_to_whoever_gives_it(
    sale: Sale, owner: Owner
) -> None:
    before = owner.code()
    made = link_of(owner)
    assert made.status_code == 201 and made.json["price"] == PRICE
    assert made.json["link"] == f"http://localhost/tickets/take/{made.json['code']}"
    assert owner.ticket()["offered_for"] == PRICE
    taker = sale.fan(balance=PRICE + 1)
    seen = taker.call_as_user("GET", f"/v1/ticket-links/{made.json['code']}")
    assert (seen.json["seat_no"], seen.json["price"]) == (1, PRICE)

    taken = take(taker, made.json["code"])

    assert taken.status_code == 201, taken.text
    assert (taker.balance(), owner.fan.balance()) == (1, PRICE)
    assert taken.json["status"] == "valid" and taken.json["seat_no"] == 1
    assert taken.json["ticket_id"] != str(owner.tickets[0])
    assert taken.json["code"] != before
    mine = taker.call_as_user("GET", "/v1/tickets").json["tickets"]
    assert [one["ticket_id"] for one in mine] == [taken.json["ticket_id"]]
    given = owner.ticket()
    assert (given["status"], given["code"], given["offered_for"]) == ("handed_on", None, None)
    assert owner.ticket(1)["status"] == "valid"
    assert differing_wallets() == []
    entries = taker.call_as_user("GET", "/v1/charges?entries=1").json["entries"]
    assert [(one["kind"], one["amount"]) for one in entries] == [("handed_on", -PRICE)]


def test_a_present_costs_nothing(sale: Sale, owner: Owner) -> None:
    taker = sale.fan()

    assert take(taker, link_of(owner, gift=True).json["code"]).status_code == 201

    assert (taker.balance(), owner.fan.balance()) == (0, 0)


def test_a_link_works_once_and_says_the_same_again_to_whoever_used_it(
    sale: Sale, owner: Owner
) -> None:
    code = link_of(owner).json["code"]
    first, second = sale.fan(balance=PRICE), sale.fan(balance=PRICE)
    taken = take(first, code)

    assert take(first, code).json == taken.json
    refused = take(second, code)

    assert refused.status_code == 404
    assert (first.balance(), second.balance()) == (0, PRICE)
    assert second.call_as_user("GET", f"/v1/ticket-links/{code}").status_code == 404


def test_a_balance_that_is_too_small_takes_nothing(sale: Sale, owner: Owner) -> None:
    code = link_of(owner).json["code"]
    taker = sale.fan(balance=PRICE - 1)

    refused = take(taker, code)

    assert (refused.status_code, refused.json["missing"]) == (402, 1)
    assert owner.ticket()["status"] == "valid"
    assert (taker.balance(), owner.fan.balance()) == (PRICE - 1, 0)
    taker.charge(1)
    assert take(taker, code).status_code == 201


def test_a_wallet_that_is_full_takes_no_money_and_keeps_its_ticket(
    sale: Sale, owner: Owner
) -> None:
    code = link_of(owner).json["code"]
    for _ in range(100):
        owner.fan.charge(10_000_000)
    taker = sale.fan(balance=PRICE)

    refused = take(taker, code)

    assert (refused.status_code, refused.json["code"]) == (400, "balance_limit")
    assert taker.balance() == PRICE and owner.ticket()["status"] == "valid"


def test_a_newer_link_takes_the_place_of_the_one_before(sale: Sale, owner: Owner) -> None:
    before, after = link_of(owner).json["code"], link_of(owner, gift=True).json["code"]
    taker = sale.fan(balance=PRICE)

    assert take(taker, before).status_code == 404
    assert take(taker, after).status_code == 201
    assert taker.balance() == PRICE


def test_a_link_that_was_taken_back_works_no_more(sale: Sale, owner: Owner) -> None:
    code = link_of(owner).json["code"]
    path = f"/v1/tickets/{owner.tickets[0]}/links"

    assert owner.fan.call_as_user("DELETE", path).status_code == 204
    assert owner.fan.call_as_user("DELETE", path).status_code == 204

    assert take(sale.fan(balance=PRICE), code).status_code == 404
    assert owner.ticket()["offered_for"] is None


def test_nobody_takes_their_own_ticket_over(owner: Owner) -> None:
    assert take(owner.fan, link_of(owner).json["code"]).status_code == 400


def test_handing_on_ends_when_the_organiser_says(sale: Sale, owner: Owner) -> None:
    code = link_of(owner).json["code"]
    taker = sale.fan(balance=PRICE)
    for hours in (-1.0, None):
        if hours is None:
            with connection() as link:
                link.execute("UPDATE performances SET returns_until = NULL")
        else:
            may_be_returned(sale, owner.performance, hours)
        for refused in (
            link_of(owner),
            take(taker, code),
            taker.call_as_user("GET", f"/v1/ticket-links/{code}"),
        ):
            assert (refused.status_code, refused.json["code"]) == (409, "handing_on_closed")
    assert taker.balance() == PRICE


def test_a_ticket_that_became_void_is_not_taken_over(sale: Sale, owner: Owner) -> None:
    code = link_of(owner).json["code"]
    with connection() as link, link.transaction():
        void_tickets(link, payment_id=owner.payment, reason="refunded")
    taker = sale.fan(balance=PRICE)

    assert take(taker, code).status_code == 404
    assert taker.balance() == PRICE


def test_whoever_took_a_ticket_over_may_hand_it_on_and_owns_it_when_it_is_refunded(
    sale: Sale, owner: Owner
) -> None:
    taker, third = sale.fan(balance=PRICE), sale.fan(balance=PRICE)
    taken = take(taker, link_of(owner).json["code"]).json["ticket_id"]
    made = taker.call_as_user("POST", f"/v1/tickets/{taken}/links", json={})
    last = take(third, made.json["code"]).json["ticket_id"]

    with connection() as link, link.transaction():
        voided = void_tickets(link, payment_id=owner.payment, seat_nos=[1], reason="refunded")

    assert [(str(one.ticket_id), one.user_id) for one in voided] == [(last, third.user_id)]
    assert ticket_of(third, last)["status"] == "void"
    assert (owner.fan.balance(), taker.balance(), third.balance()) == (PRICE, PRICE, 0)


def test_a_code_that_is_no_link_is_unknown(sale: Sale) -> None:
    assert take(sale.fan(), str(uuid4())).status_code == 404


def test_the_pages_hand_a_ticket_on_without_a_script(
    sale: Sale, owner: Owner, visitor: Browser, new_visitor: Callable[..., Browser]
) -> None:
    page = visitor.become(owner.fan).read(f"/tickets/{owner.payment}")
    shown = visitor.send(page.form_to(f"/tickets/{owner.tickets[0]}/link"), gift="yes")
    assert shown.status_code == 200 and shown.headers["Cache-Control"] == "no-store"
    code = shown.text.partition("/tickets/take/")[2].partition("<")[0].strip()
    assert "own ticket" in visitor.read(f"/tickets/take/{code}").text

    taker = new_visitor()
    offered = taker.read(f"/tickets/take/{code}")
    assert "Winter Songs" in offered.text and "Row A, seat 1" in offered.text
    got = taker.send(offered.form_to("/tickets/take/"), follow=True)

    assert got.status_code == 200 and "The ticket is yours" in got.text
    assert "Row A, seat 1" in got.text and "Row A, seat 2" not in got.text
    assert new_visitor().open(f"/tickets/take/{code}").status_code == 404
    mine = visitor.read(f"/tickets/{owner.payment}").text
    assert "Handed on" in mine and "Somebody else has taken it over" in mine


def test_a_page_makes_a_new_code_and_takes_a_link_back(
    sale: Sale, owner: Owner, visitor: Browser
) -> None:
    before = owner.code()
    link_of(owner)
    page = visitor.become(owner.fan).read(f"/tickets/{owner.payment}")

    visitor.send(page.form_to(f"/tickets/{owner.tickets[0]}/code"), follow=True)
    said = visitor.send(page.form_to("/link/withdraw"), follow=True)

    assert owner.code() != before
    assert "The link works no more" in said.text and owner.ticket()["offered_for"] is None
