"""The page of a hall with a plan, without JavaScript: the list from section to row to seat."""

from __future__ import annotations

import html
import re
from typing import Any

import orjson
import pytest

from concert.reservations import snapshots
from concert.web.hall import MOST_PLACES
from tests.halls.hall import concert_in, keep, keep_example, performance_of, two_rows
from tests.sale import NEW_YEARS_EVE, Sale
from tests.web.browser import Browser, Document
from tests.web.test_seats import seats, send

PRICES = {"Front": 90_000, "Back": 60_000}


def way_in(sale: Sale, visitor: Browser, concert: int) -> str:
    """Let the visitor in; returns the address of the map."""
    visitor.become(sale.admitted_fan(concert, balance=500_000))
    return f"/concerts/{concert}/seats/{NEW_YEARS_EVE.date()}"


def parlour(sale: Sale, **plan: Any) -> int:
    return concert_in(sale, keep(sale, two_rows(**plan)), prices=PRICES)


def test_the_list_leads_from_section_to_row_to_seat_by_links(sale: Sale, visitor: Browser) -> None:
    concert = concert_in(sale, keep_example(sale, "arena"))
    path = way_in(sale, visitor, concert)
    first = visitor.read(path)
    steps = [one["href"] for one in first.with_tag("a") if "data-step" in one]
    assert len(steps) == 31 and seats(first) == {}

    rows = visitor.read(path + steps[1].removesuffix("#list"))
    of_rows = [one["href"] for one in rows.with_tag("a") if one.get("data-step") == "seats"]
    assert len(of_rows) > 5 and seats(rows) == {}

    row = visitor.read(path + of_rows[-1].removesuffix("#list"))
    boxes = seats(row)
    assert 5 < len(boxes) < 40
    number, box = next(iter(boxes.items()))
    assert re.fullmatch(r"101, row \w+, seat 1, ₩1,000, .*available", box["aria-label"])

    held = send(visitor, path, "/hold", seats=[str(number), str(number + 1)])
    assert held.status_code == 303


def test_a_seat_says_what_it_is_and_whose(sale: Sale, visitor: Browser) -> None:
    concert = parlour(sale)
    path = way_in(sale, visitor, concert)
    sale.admitted_fan(concert).hold(concert, 3)
    send(visitor, path, "/hold", seats=["4"])
    performance = performance_of(sale, concert)
    blocked = sale.organise("PATCH", f"/v1/performances/{performance}/seats", json={"block": [2]})
    assert blocked.status_code == 200

    labels = {
        n: box["aria-label"] for n, box in seats(visitor.read(f"{path}?section=0&row=0")).items()
    }
    assert labels == {
        1: "Stalls, row A, seat 1, ₩90,000, wheelchair space, available",
        2: "Stalls, row A, seat 2, ₩90,000, seat beside a wheelchair space, not on sale",
        3: "Stalls, row A, seat 3, ₩90,000, held",
        4: "Stalls, row A, seat 4, ₩90,000, yours",
    }
    assert visitor.open(f"{path}?part=states").text == "abhmaaaa"
    alone = visitor.open(f"{path}?section=0&row=1&part=list").text
    assert "<html" not in alone and "₩60,000" in html.unescape(alone)


def test_a_lost_seat_is_named_and_its_row_is_open_with_the_nearest_one_chosen(
    sale: Sale, visitor: Browser
) -> None:
    concert = parlour(sale)
    path = way_in(sale, visitor, concert)
    sale.admitted_fan(concert).hold(concert, 6)
    answer = send(visitor, path, "/hold", seats=["6"])
    assert answer.status_code == 409
    page = Document(answer.text)
    assert "Stalls, row B, seat 2 was just taken by somebody else." in page.text
    boxes = seats(page)
    [offered] = [number for number, box in boxes.items() if "checked" in box]
    assert set(boxes) == {5, 6, 7, 8} and offered in (5, 7)
    [hall] = [one for one in page.with_tag("section") if one.get("id") == "hall"]
    assert (hall["data-lost"], hall["data-offered"]) == ("6", str(offered))


def test_a_standing_area_offers_a_few_of_its_places(sale: Sale, visitor: Browser) -> None:
    concert = concert_in(sale, keep_example(sale, "arena"))
    path = way_in(sale, visitor, concert)
    boxes = seats(visitor.read(f"{path}?section=0"))
    assert len(boxes) == MOST_PLACES
    assert boxes[1]["aria-label"] == "Floor, place 1, ₩1,000, available"
    assert send(visitor, path, "/hold", seats=["1", "2"]).status_code == 303
    after = seats(visitor.read(f"{path}?section=0"))
    assert [after[n]["aria-label"][-5:] for n in (1, 2)] == ["yours", "yours"]


@pytest.mark.parametrize(
    "asked", ["section=99", "section=-1", "section=x&row=1", "section=0&row=99"]
)
def test_a_step_that_is_not_there_shows_the_steps_that_are(
    sale: Sale, visitor: Browser, asked: str
) -> None:
    path = way_in(sale, visitor, parlour(sale))
    assert seats(visitor.read(f"{path}?{asked}")) == {}


def test_the_list_that_was_drawn_for_many_is_drawn_anew_for_each_language(
    sale: Sale, visitor: Browser, new_visitor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "KEPT_SECONDS", 3600.0)
    concert = parlour(sale)
    path = way_in(sale, visitor, concert)
    assert "8 free" in visitor.read(path).text
    korean = new_visitor("ko").become(sale.admitted_fan(concert))
    assert "8석 남음" in korean.read(path).text


def test_the_page_names_a_plan_that_is_good_for_a_year(sale: Sale, visitor: Browser) -> None:
    page = visitor.read(way_in(sale, visitor, parlour(sale)))
    [hall] = [one for one in page.with_tag("section") if one.get("id") == "hall"]
    plan = visitor.open(hall["data-plan"])
    assert "max-age=31536000" in plan.headers["Cache-Control"]
    assert orjson.loads(plan.data)["capacity"] == len(hall["data-states"]) == 8
    assert orjson.loads(hall["data-words"])["seat"] == "{section}, row {row}, seat {seat}"


def test_whose_turn_it_is_not_sees_no_list(sale: Sale, visitor: Browser) -> None:
    concert = parlour(sale)
    path = way_in(sale, visitor, concert)
    visitor.become(sale.fan())
    for asked in ("?part=list&section=0", "?part=states"):
        assert visitor.open(path + asked).headers["Location"].startswith("/rooms/main")
