"""Who I am: a name, and the same person on another device."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from concert.accounts.devices import OFFER_SECONDS
from concert.accounts.service import user_name
from concert.ground.redis_client import redis
from concert.web.door import USER_COOKIE
from tests.sale import Sale
from tests.web.browser import Browser, Document, Form


def test_a_name_is_kept(visitor: Browser) -> None:
    form = visitor.read("/me").form_to("/me/name")

    assert visitor.send(form, name="  유나  ").status_code == 303
    assert visitor.read("/me").form_to("/me/name").fields["name"] == "유나"


def test_a_name_can_be_taken_away(visitor: Browser, sale: Sale) -> None:
    fan = sale.fan()
    visitor.become(fan)
    visitor.send(visitor.read("/me").form_to("/me/name"), name="Yuna")
    visitor.send(visitor.read("/me").form_to("/me/name"), name=" ")

    assert user_name(fan.user_id) is None


@pytest.mark.parametrize("name", ["x" * 81, "a\x00b", "a\nb"])
def test_a_name_that_cannot_be_is_told_beside_the_field(visitor: Browser, name: str) -> None:
    answer = visitor.send(visitor.read("/me").form_to("/me/name"), name=name)

    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert visitor.cookie(USER_COOKIE) is None


def test_a_name_is_shown_as_it_is(visitor: Browser) -> None:
    name = '"><script>alert(1)</script>'
    visitor.send(visitor.read("/me").form_to("/me/name"), name=name)

    assert "<script>alert" not in visitor.open("/me").text
    assert visitor.read("/me").form_to("/me/name").fields["name"] == name


def offered_link(visitor: Browser) -> str:
    """The path of a link that takes another device over."""
    answer = visitor.send(visitor.read("/me").form_to("/me/devices"))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    (path,) = set(re.findall(r'href="http://localhost(/me/continue/[^"]+)"', answer.text))
    return path


@pytest.fixture
def phone(visitor: Browser, sale: Sale) -> Browser:
    """The browser of somebody with a name."""
    visitor.become(sale.fan())
    visitor.send(visitor.read("/me").form_to("/me/name"), name="Yuna")
    return visitor


def test_another_device_becomes_mine_and_the_first_stays_so(
    phone: Browser, new_visitor: Callable[..., Browser]
) -> None:
    laptop = new_visitor()
    link = offered_link(phone)

    answer = laptop.send(laptop.read(link).form_to("/me/continue/"))

    assert answer.status_code == 303
    for device in (phone, laptop):
        assert device.read("/me").form_to("/me/name").fields["name"] == "Yuna"


def test_another_device_has_the_place_the_turn_and_the_hold(
    visitor: Browser, new_visitor: Callable[..., Browser], sale: Sale
) -> None:
    sale.room(capacity=1)
    concert = sale.concert(price=10)
    inside = sale.admitted_fan(concert)
    fan = sale.fan(balance=10)
    fan.join(concert)
    phone, laptop = visitor.become(fan), new_visitor()
    laptop.send(laptop.read(offered_link(phone)).form_to("/me/continue/"))

    assert "You are number 1 in line." in laptop.read(f"/concerts/{concert}").text
    assert 'data-position="1"' in laptop.open(f"/rooms/main?concert={concert}").text

    inside.call("DELETE", "/v1/enqueues")
    sale.admit()
    assert "It is your turn!" in laptop.read(f"/concerts/{concert}").text
    assert laptop.open(f"/rooms/main?concert={concert}").headers["Location"] == (
        f"/concerts/{concert}/seats"
    )

    assert fan.hold(concert, 7).status_code == 200
    assert "Seat 7 is held for you" in laptop.read("/").text


def test_another_device_pays_for_what_the_first_one_holds(
    visitor: Browser, new_visitor: Callable[..., Browser], sale: Sale
) -> None:
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(concert, balance=10)
    held = fan.hold(concert, 7).json["reservation_id"]
    phone, laptop = visitor.become(fan), new_visitor()
    laptop.send(laptop.read(offered_link(phone)).form_to("/me/continue/"))

    paid = laptop.send(laptop.read(f"/reservations/{held}").form_to("/pay"))

    assert paid.headers["Location"].startswith("/tickets/")


def test_a_device_that_was_somebody_else_has_their_place_no_more(
    visitor: Browser, new_visitor: Callable[..., Browser], sale: Sale
) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    first, second = sale.fan(), sale.fan()
    first.join(concert)
    second.join(concert)
    laptop = new_visitor().become(second)
    assert "You are number 2 in line." in laptop.read(f"/concerts/{concert}").text
    laptop.send(laptop.read(offered_link(visitor.become(first))).form_to("/me/continue/"))

    assert "You are number 1 in line." in laptop.read(f"/concerts/{concert}").text


def test_a_preview_of_the_link_does_not_use_it_up(
    phone: Browser, new_visitor: Callable[..., Browser]
) -> None:
    link = offered_link(phone)
    for _ in range(3):
        preview = new_visitor()
        assert preview.open(link).status_code == 200
        assert preview.cookie(USER_COOKIE) is None
    laptop = new_visitor()

    assert laptop.send(laptop.read(link).form_to("/me/continue/")).status_code == 303


def test_the_link_works_once(phone: Browser, new_visitor: Callable[..., Browser]) -> None:
    link = offered_link(phone)
    first, second = new_visitor(), new_visitor()
    form = second.read(link).form_to("/me/continue/")
    first.send(first.read(link).form_to("/me/continue/"))

    assert second.send(form).status_code == 404
    assert second.cookie(USER_COOKIE) is None
    assert second.open(link).status_code == 404


def test_the_link_works_for_two_minutes(phone: Browser) -> None:
    link = offered_link(phone)
    (key,) = redis().keys("{concert:device:*")

    assert 0 < redis().ttl(key) <= OFFER_SECONDS == 120
    redis().delete(key)
    assert phone.open(link).status_code == 404


def test_redis_does_not_know_the_link(phone: Browser) -> None:
    code = offered_link(phone).rpartition("/")[2]
    (key,) = redis().keys("{concert:device:*")

    assert code.encode() not in key


def test_a_device_that_is_somebody_is_warned_first(
    phone: Browser, new_visitor: Callable[..., Browser], sale: Sale
) -> None:
    link = offered_link(phone)
    theirs = new_visitor().become(sale.fan())

    assert "This device is somebody already" in theirs.read(link).text
    assert "This device is somebody already" not in new_visitor().read(link).text


def test_nobody_has_nothing_to_take_to_another_device(visitor: Browser) -> None:
    page = visitor.read("/me")

    assert [form for form in page.forms if "devices" in form.action] == []
    token = page.form_to("/me/name").fields["csrf_token"]
    answer = visitor.send(Form("/me/devices", "POST", {"csrf_token": token}))
    assert answer.status_code == 401


def test_a_code_that_never_was_is_over(visitor: Browser) -> None:
    answer = visitor.open("/me/continue/nothing")

    assert answer.status_code == 404
    assert "This link is over" in Document(answer.text).text
