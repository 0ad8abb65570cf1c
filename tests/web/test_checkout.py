"""The checkout, without JavaScript."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from concert.ground.redis_client import redis
from concert.waiting_room.keys import room_keys
from concert.wallet.service import differing_wallets
from tests.sale import Fan, Sale
from tests.web.browser import Browser, Document


def holding(sale: Sale, visitor: Browser, *, balance: int = 0, price: int = 50_000) -> str:
    """Have the visitor hold seat 7; returns the address of the checkout."""
    concert = sale.concert(price=price)
    fan = sale.admitted_fan(concert, balance=balance)
    visitor.become(fan)
    return f"/reservations/{fan.hold(concert, 7).json['reservation_id']}"


def send(visitor: Browser, path: str, action: str) -> TestResponse:
    return visitor.send(visitor.read(path).form_to(action))


def test_it_says_what_is_held_what_it_costs_and_what_is_missing(
    sale: Sale, visitor: Browser
) -> None:
    words = visitor.read(holding(sale, visitor, balance=20_000)).text
    assert "Row A, seat 7 ₩50,000" in words
    assert "Your balance ₩20,000" in words
    assert "Still missing ₩30,000" in words


def entries(fan: Fan) -> list[int]:
    """The amounts of the ledger, in won, the oldest first."""
    shown = fan.call_as_user("GET", "/v1/charges", query_string={"entries": 50}).json["entries"]
    return [entry["amount"] for entry in reversed(shown)]


def test_one_tap_tops_up_what_is_missing_and_pays(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor, balance=20_000)
    page = visitor.read(path)
    assert "Top up ₩30,000 and pay" in page.text
    answer = visitor.send(page.form_to("/top-up"))
    assert answer.headers["Location"].startswith("/tickets/")
    assert visitor.read("/wallet").text.count("Balance ₩0") == 1


def test_a_top_up_that_is_sent_again_adds_nothing_and_leads_to_the_same_ticket(
    sale: Sale, visitor: Browser
) -> None:
    path = holding(sale, visitor)
    form = visitor.read(path).form_to("/top-up")
    first, second = visitor.send(form), visitor.send(form)
    assert first.headers["Location"] == second.headers["Location"]
    assert "Balance ₩0" in visitor.read("/wallet").text


def test_a_stale_tab_adds_nothing_for_what_has_been_paid_from_another(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    path = f"/reservations/{fan.hold(concert, 7).json['reservation_id']}"
    stale = visitor.become(fan).read(path).form_to("/top-up")
    fan.charge(50_000)
    assert fan.pay(concert, 7).status_code == 200
    assert visitor.send(stale).headers["Location"].startswith("/tickets/")
    assert entries(fan) == [50_000, -50_000]


def test_a_stale_tab_adds_nothing_for_a_hold_that_has_lapsed_or_was_released(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    visitor.become(fan)
    path = f"/reservations/{fan.hold(concert, 7).json['reservation_id']}"
    stale = visitor.read(path).form_to("/top-up")
    sale.let_time_pass(301)
    answer = visitor.send(stale)
    assert answer.status_code == 409
    assert "The time to pay is over" in Document(answer.text).text
    path = f"/reservations/{fan.hold(concert, 8).json['reservation_id']}"
    page = visitor.read(path)
    visitor.send(page.form_to("/release"))
    assert visitor.send(page.form_to("/top-up")).status_code == 409
    assert entries(fan) == []


def test_only_what_is_missing_by_now_is_added(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    path = f"/reservations/{fan.hold(concert, 7).json['reservation_id']}"
    form = visitor.become(fan).read(path).form_to("/top-up")
    fan.charge(20_000)
    assert visitor.send(form).headers["Location"].startswith("/tickets/")
    assert entries(fan) == [20_000, 30_000, -50_000]


def test_more_than_the_page_had_shown_is_never_added_but_asked_for_again(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert(dates=2)
    fan = sale.admitted_fan(concert, balance=50_000)
    dates = fan.call("GET", f"/v1/concerts/{concert}/dates").json["dates"]
    first, second = (date["performance_id"] for date in dates)
    fan.hold(concert, 1, performance_id=first)
    wanted = fan.hold(concert, 7, 8, performance_id=second).json["reservation_id"]
    form = visitor.become(fan).read(f"/reservations/{wanted}").form_to("/top-up")
    assert form.fields["amount"] == "50000"
    fan.pay(concert, 1, performance_id=first)
    answer = visitor.send(form)
    page = Document(answer.text)
    assert answer.status_code == 402
    assert "More is missing now than this page had shown: ₩100,000." in page.text
    assert entries(fan) == [50_000, -50_000]
    asked_again = page.form_to("/top-up")
    assert asked_again.fields["amount"] == "100000"
    assert visitor.send(asked_again).headers["Location"].startswith("/tickets/")
    assert entries(fan) == [50_000, -50_000, 100_000, -100_000]


@pytest.mark.parametrize("amount", ["", "0", "-1", "1e9", "many"])
def test_a_top_up_without_an_amount_adds_nothing(sale: Sale, visitor: Browser, amount: str) -> None:
    path = holding(sale, visitor)
    answer = visitor.send(visitor.read(path).form_to("/top-up"), amount=amount)
    assert answer.status_code == 402
    assert "Nothing yet." in visitor.read("/wallet").text


def test_a_bill_above_the_largest_charge_is_topped_up_and_paid_with_one_tap(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert(price=10_000_000)
    fan = sale.admitted_fan(concert, balance=1)
    path = f"/reservations/{fan.hold(concert, 7, 8, 9).json['reservation_id']}"
    answer = send(visitor.become(fan), path, "/top-up")
    assert answer.headers["Location"].startswith("/tickets/")
    assert entries(fan) == [1, 10_000_000, 10_000_000, 9_999_999, -30_000_000]
    assert differing_wallets() == []


def test_a_device_whose_place_nobody_knows_adds_nothing(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor)
    form = visitor.read(path).form_to("/top-up")
    visitor.client.delete_cookie("concert_queue_main")
    redis().delete(*room_keys("main"))
    assert visitor.send(form).status_code == 403
    assert "Nothing yet." in visitor.read("/wallet").text


def test_the_page_of_a_refused_payment_refreshes_to_the_checkout_itself(
    sale: Sale, visitor: Browser
) -> None:
    path = holding(sale, visitor)
    answer = visitor.send(visitor.read(path).form_to("/top-up"), amount="1")
    (refresh,) = [
        meta["content"]
        for meta in Document(answer.text).with_tag("meta")
        if meta.get("http-equiv") == "refresh"
    ]
    assert refresh.endswith(f"url={path}")


def test_paying_leads_to_the_ticket_and_so_does_paying_again(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor, balance=50_000)
    form = visitor.read(path).form_to("/pay")
    first, second = visitor.send(form), visitor.send(form)
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    assert first.headers["Location"].startswith("/tickets/")
    assert visitor.open(path).headers["Location"] == first.headers["Location"]


def test_paying_with_too_little_takes_nothing_and_says_so(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor, balance=1)
    token = visitor.read(path).form_to("/top-up").fields["csrf_token"]
    answer = visitor.post(f"{path}/pay", {"csrf_token": token})
    assert answer.status_code == 402
    assert "Nothing was taken." in Document(answer.text).text


@pytest.mark.parametrize("action", ["/pay", "/release"])
def test_after_the_deadline_the_page_says_so_and_leads_back(
    sale: Sale, visitor: Browser, action: str
) -> None:
    path = holding(sale, visitor, balance=50_000)
    form = visitor.read(path).form_to(action)
    sale.let_time_pass(301)
    visitor.send(form)
    page = visitor.read(path)
    assert "The time to pay is over" in page.text
    assert any("/seats/" in link.get("href", "") for link in page.with_tag("a"))


def test_releasing_returns_to_the_map_and_frees_the_seat(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor)
    answer = send(visitor, path, "/release")
    assert "/seats/" in answer.headers["Location"]
    assert "You have released these seats" in visitor.read(path).text
    assert sale.admitted_fan().hold(1, 7).status_code == 200


def test_what_is_paid_cannot_be_released(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor, balance=50_000)
    page = visitor.read(path)
    visitor.send(page.form_to("/pay"))
    answer = visitor.send(page.form_to("/release"))
    assert answer.headers["Location"].startswith("/tickets/")


def test_a_device_whose_place_nobody_knows_cannot_pay_and_is_told_so(
    sale: Sale, visitor: Browser
) -> None:
    path = holding(sale, visitor, balance=50_000)
    page = visitor.read(path)
    visitor.client.delete_cookie("concert_queue_main")
    redis().delete(*room_keys("main"))
    answer = visitor.send(page.form_to("/pay"))
    assert answer.status_code == 403
    assert "Nothing was taken." in Document(answer.text).text
    assert "Back to the line" in Document(answer.text).text


def test_the_part_that_changes_can_be_asked_for_alone(sale: Sale, visitor: Browser) -> None:
    fragment = visitor.open(f"{holding(sale, visitor)}?part=checkout").text
    assert "<html" not in fragment and "What you are buying" in fragment


def test_it_is_nobody_elses(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor)
    stranger = Browser(sale)
    assert stranger.open(path).status_code == 401
    other: Fan = sale.fan()
    assert stranger.become(other).open(path).status_code == 403


def test_a_seat_that_costs_nothing_needs_no_money(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor, price=0)
    assert send(visitor, path, "/pay").headers["Location"].startswith("/tickets/")
