"""Pages of a concert in a hall with a plan: what seats are called, the best seats, single seats."""

from __future__ import annotations

from typing import Any

import pytest

from tests.halls.hall import concert_in, keep, performance_of, two_rows
from tests.sale import Sale
from tests.web.browser import Browser
from tests.web.test_seats import inside, seats, send

PRICES = {"Front": 80_000, "Back": 50_000}
NAMES = {"en": "Stalls, row B, seat 2", "ko": "Stalls B열 2번"}


def in_hall(sale: Sale, visitor: Browser, **date: Any) -> tuple[int, str]:
    """Let the visitor in to a concert in the small hall; its number and its seat map."""
    concert = concert_in(sale, keep(sale, two_rows()), prices=PRICES, **date)
    return concert, inside(sale, visitor, concert)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_page_calls_a_seat_as_its_hall_does(
    sale: Sale, new_visitor: Any, language: str
) -> None:
    visitor, name = new_visitor(language), NAMES[language]
    _, path = in_hall(sale, visitor)
    assert seats(visitor.read(path))[6]["aria-label"].startswith(f"{name}, ")
    held = send(visitor, path, "/hold", seats=["6"])
    checkout = visitor.read(held.headers["Location"])
    assert name in checkout.text
    assert name in visitor.read("/").text
    paid = visitor.send(checkout.form_to("/pay"))
    assert paid.status_code == 303
    assert name in visitor.read(paid.headers["Location"]).text
    assert name in visitor.read("/tickets").text


def test_released_seats_are_called_so_too(sale: Sale, visitor: Browser) -> None:
    _, path = in_hall(sale, visitor)
    held = send(visitor, path, "/hold", seats=["6"])
    checkout = visitor.read(held.headers["Location"])
    visitor.send(checkout.form_to("/release"))
    assert f"Free again for anyone: {NAMES['en']}." in visitor.read(held.headers["Location"]).text


def test_the_best_seats_of_a_category_are_held_by_a_form(sale: Sale, visitor: Browser) -> None:
    _, path = in_hall(sale, visitor)
    page = visitor.read(path).text
    assert "Front · ₩80,000" in page and "Back · ₩50,000" in page
    held = send(visitor, path, "/best", count="2", category="Back")
    text = visitor.read(held.headers["Location"]).text
    assert "Stalls, row B, seat 2" in text and "Stalls, row B, seat 3" in text


def test_a_wheelchair_is_asked_for_by_the_same_form(sale: Sale, visitor: Browser) -> None:
    _, path = in_hall(sale, visitor)
    held = send(visitor, path, "/best", count="2", wheelchair="1")
    text = visitor.read(held.headers["Location"]).text
    assert "Stalls, row A, seat 1" in text and "Stalls, row A, seat 2" in text


def test_the_form_of_the_usual_hall_asks_only_how_many(sale: Sale, visitor: Browser) -> None:
    page = visitor.read(inside(sale, visitor, sale.concert()))
    assert 'name="category"' not in page.text and 'name="wheelchair"' not in page.text


def test_a_choice_that_leaves_a_single_seat_is_advised_against_and_held_all_the_same(
    sale: Sale, visitor: Browser
) -> None:
    _, path = in_hall(sale, visitor, lone_seats="advise")
    told = send(visitor, path, "/hold", seats=["6"])
    assert told.status_code == 409
    assert "Your choice would leave a single seat: Stalls, row B, seat 1." in told.text
    assert 'name="anyway"' in told.text
    assert send(visitor, path, "/hold", seats=["6"], anyway="1").status_code == 303


def test_where_it_is_refused_the_page_says_so_and_offers_no_way_around(
    sale: Sale, visitor: Browser
) -> None:
    _, path = in_hall(sale, visitor, lone_seats="refuse")
    for more in ({}, {"anyway": "1"}):
        told = send(visitor, path, "/hold", seats=["6"], **more)
        assert told.status_code == 409
        assert "Stalls, row B, seat 1" in told.text and 'name="anyway"' not in told.text


def test_a_blocked_seat_is_not_for_sale_on_the_map(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert()
    path = inside(sale, visitor, concert)
    performance = performance_of(sale, concert)
    sale.organise("PATCH", f"/v1/performances/{performance}/seats", json={"block": [12]})
    box = seats(visitor.read(path))[12]
    assert box["aria-label"].endswith("not for sale")
    assert "disabled" in box
    assert visitor.open(f"{path}?part=states").text[11] == "b"
