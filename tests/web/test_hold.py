"""What is held is said on every page, with the clock and the way to the checkout."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from concert.factory import create_app
from concert.ground.settings import Settings
from tests.sale import Fan, Sale
from tests.web.browser import Browser, Document

PAGES = ("/", "/concerts/{concert}", "/wallet", "/tickets", "/me", "/no-such-page")


def said(visitor: Browser, path: str) -> Document | None:
    """What a page says of a hold, or None where it says nothing."""
    text = visitor.open(path).text
    _, found, rest = text.partition('<aside class="hold"')
    return Document(rest.partition("</aside>")[0]) if found else None


def holding(sale: Sale, visitor: Browser) -> tuple[Fan, int, str]:
    """Have the visitor hold seat 7; the address is the checkout's."""
    concert = sale.concert(dates=2, price=10)
    fan = sale.admitted_fan(concert, balance=10)
    visitor.become(fan)
    held = fan.hold(concert, 7, date="2030-12-31")
    assert held.status_code == 200, held.text
    return fan, concert, f"/reservations/{held.json['reservation_id']}"


def test_while_seats_are_held_every_page_says_so_with_the_clock_and_the_way_to_pay(
    sale: Sale, visitor: Browser
) -> None:
    _, concert, checkout = holding(sale, visitor)
    for path in (*PAGES, "/concerts/{concert}/seats", "/concerts/{concert}/seats/2030-12-31"):
        bar = said(visitor, path.format(concert=concert))
        assert bar is not None, path
        assert "Seat 7 is held for you" in bar.text
        assert [link["href"] for link in bar.with_tag("a")] == [checkout]
        assert visitor.open(path.format(concert=concert)).headers["Cache-Control"] == "no-store"
        (clock,) = bar.with_tag("time")
        left = (int(clock["data-until"]) - int(clock["data-now"])) / 1000
        assert 290 < left <= 300


def test_the_checkout_has_one_clock(sale: Sale, visitor: Browser) -> None:
    _, _, checkout = holding(sale, visitor)
    assert said(visitor, checkout) is None
    assert len([one for one in visitor.read(checkout).with_tag("time") if "data-until" in one]) == 1


def test_of_several_holds_the_one_that_ends_first_is_said(sale: Sale, visitor: Browser) -> None:
    fan, concert, first = holding(sale, visitor)
    sale.let_time_pass(60)
    later = fan.hold(concert, 8, date="2031-01-01").json["reservation_id"]
    bar = said(visitor, "/")
    assert bar is not None and [link["href"] for link in bar.with_tag("a")] == [first]
    assert said(visitor, f"/reservations/{later}") is not None


@pytest.mark.parametrize("ending", ["paid", "released", "lapsed"])
def test_what_is_paid_given_back_or_over_is_said_no_more(
    sale: Sale, visitor: Browser, ending: str
) -> None:
    fan, concert, checkout = holding(sale, visitor)
    if ending == "paid":
        assert fan.pay(concert, 7, date="2030-12-31").status_code == 200
    elif ending == "released":
        visitor.send(visitor.read(checkout).form_to("/release"))
    else:
        sale.let_time_pass(301)
    for path in PAGES:
        assert said(visitor, path.format(concert=concert)) is None, path


def test_nobody_is_told_of_what_others_hold(
    sale: Sale, visitor: Browser, new_visitor: Callable[..., Browser]
) -> None:
    _, concert, _ = holding(sale, visitor)
    for other in (new_visitor(), new_visitor().become(sale.admitted_fan(concert))):
        assert said(other, "/") is None


def test_parts_of_pages_do_not_ask_for_it(sale: Sale, visitor: Browser) -> None:
    _, concert, checkout = holding(sale, visitor)
    for path in (f"{checkout}?part=checkout", f"/concerts/{concert}/seats/2030-12-31?part=map"):
        assert "held for you" not in visitor.open(path).text


def test_a_page_that_says_what_is_broken_does_not_wait_for_it(
    sale: Sale, visitor: Browser, settings: Settings
) -> None:
    holding(sale, visitor)
    visitor.client.application = create_app(
        settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/nothing"})
    )
    refused = visitor.open("/wallet")
    assert refused.status_code == 503
    assert "data-hold-unknown" in refused.text
