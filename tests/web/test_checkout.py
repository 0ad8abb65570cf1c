"""The checkout, without JavaScript."""

from __future__ import annotations

import pytest
from werkzeug.test import TestResponse

from concert.ground.redis_client import redis
from concert.waiting_room.keys import room_keys
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


def test_one_tap_tops_up_what_is_missing_and_comes_back(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor, balance=20_000)
    answer = send(visitor, path, "/top-up")
    assert answer.headers["Location"] == path
    assert "Pay ₩50,000" in visitor.read(path).text


def test_a_top_up_that_is_sent_twice_adds_once(sale: Sale, visitor: Browser) -> None:
    path = holding(sale, visitor)
    form = visitor.read(path).form_to("/top-up")
    for _ in range(2):
        assert visitor.send(form).status_code == 303
    assert "Balance afterwards ₩0" in visitor.read(path).text


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
