"""The seat map and the way to it, without JavaScript."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from concert.ground.database import connection
from concert.reservations import snapshots
from tests.reservations.test_snapshots import hear, take
from tests.sale import NEW_YEARS_EVE, Sale, forget_all
from tests.web.browser import Browser, Document

DAY = NEW_YEARS_EVE.date()


def inside(sale: Sale, visitor: Browser, concert: int) -> str:
    """Let the visitor in; returns the address of the seat map."""
    visitor.become(sale.admitted_fan(concert, balance=500_000))
    return f"/concerts/{concert}/seats/{DAY}"


def seats(page: Document) -> dict[int, dict[str, str]]:
    boxes = [found for found in page.with_tag("input") if found.get("name") == "seats"]
    return {int(box["value"]): box for box in boxes}


def send(visitor: Browser, path: str, action: str, **data: Any) -> TestResponse:
    form = visitor.read(path).form_to(action)
    return visitor.post(form.action, {"csrf_token": form.fields["csrf_token"], **data})


def test_every_seat_is_a_box_that_says_row_number_price_and_state(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    path = inside(sale, visitor, concert)
    sale.admitted_fan(concert).hold(concert, 12)
    found = seats(visitor.read(path))
    assert len(found) == 50
    assert found[1]["aria-label"] == "Row A, seat 1, ₩50,000, available"
    assert found[12]["aria-label"] == "Row B, seat 2 (no. 12), ₩50,000, held"
    assert "disabled" in found[12] and "disabled" not in found[1]


def test_chosen_seats_are_held_together_and_lead_to_the_checkout(
    sale: Sale, visitor: Browser
) -> None:
    path = inside(sale, visitor, sale.concert())
    held = send(visitor, path, "/hold", seats=["4", "5"])
    assert held.status_code == 303
    checkout = visitor.read(held.headers["Location"])
    assert "Row A, seat 4" in checkout.text and "Row A, seat 5" in checkout.text


def test_a_lost_seat_is_said_and_the_nearest_free_one_is_chosen_instead(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    path = inside(sale, visitor, concert)
    sale.admitted_fan(concert).hold(concert, 13)
    answer = send(visitor, path, "/hold", seats=["12", "13"])
    assert answer.status_code == 409
    page = Document(answer.text)
    assert "Seat 13 was just taken by somebody else." in page.text
    assert sorted(number for number, box in seats(page).items() if "checked" in box) == [12, 14]


def test_two_chosen_seats_that_are_taken_together_are_both_named(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    path = inside(sale, visitor, concert)
    sale.admitted_fan(concert).hold(concert, 12, 13)
    page = Document(send(visitor, path, "/hold", seats=["12", "13"]).text)
    assert "Seats 12, 13 were just taken by somebody else." in page.text
    offered = [label for label in page.with_tag("label") if "seat-offered" in label["class"]]
    assert len(offered) == 2


def test_when_nothing_is_left_the_page_says_that_held_seats_come_back(
    sale: Sale, visitor: Browser
) -> None:
    sale.something_else()
    concert = sale.concert(capacity=1)
    path = inside(sale, visitor, concert)
    sale.admitted_fan(concert).hold(concert, 1)
    answer = send(visitor, path, "/hold", seats=["1"])
    assert "There is no free seat left at the moment." in Document(answer.text).text


@pytest.mark.parametrize(
    ("chosen", "status", "words"),
    [
        ([], 400, "Choose at least one seat."),
        (["1", "2", "3", "4", "5"], 409, "at most 4 seats"),
        (["51"], 400, "Choose at least one seat."),
    ],
    ids=["none", "too many", "out of range"],
)
def test_a_choice_that_cannot_be_is_said_on_the_map(
    sale: Sale, visitor: Browser, chosen: list[str], status: int, words: str
) -> None:
    path = inside(sale, visitor, sale.concert())
    answer = send(visitor, path, "/hold", seats=chosen)
    assert answer.status_code == status
    assert words in Document(answer.text).text


def test_the_best_seats_are_held_with_one_button(sale: Sale, visitor: Browser) -> None:
    path = inside(sale, visitor, sale.concert())
    held = send(visitor, path, "/best", count="2")
    assert "Row A, seat 5" in visitor.read(held.headers["Location"]).text


def test_too_few_seats_side_by_side_are_said_on_the_map(sale: Sale, visitor: Browser) -> None:
    path = inside(sale, visitor, sale.concert(capacity=2))
    answer = send(visitor, path, "/best", count="3")
    assert answer.status_code == 409
    assert "not free side by side" in Document(answer.text).text


def test_what_i_hold_is_named_above_the_map(sale: Sale, visitor: Browser) -> None:
    path = inside(sale, visitor, sale.concert())
    send(visitor, path, "/hold", seats=["7"])
    page = visitor.read(path)
    assert page.text.count("Seat 7 is held for you for another") == 1
    assert seats(page)[7]["aria-label"].endswith("yours")


def test_the_map_alone_and_its_states_can_be_asked_for(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert(capacity=5)
    path = inside(sale, visitor, concert)
    other = sale.admitted_fan(concert, balance=50_000)
    other.hold(concert, 1)
    other.pay(concert, 1)
    sale.admitted_fan(concert).hold(concert, 2)
    send(visitor, path, "/hold", seats=["3"])
    assert visitor.open(f"{path}?part=states").text == "shmaa"
    fragment = visitor.open(f"{path}?part=map").text
    assert "<html" not in fragment and 'id="seat-3"' in fragment


@pytest.mark.parametrize("action", ["", "/hold", "/best"])
def test_whoever_still_waits_is_led_back_to_the_line(
    sale: Sale, visitor: Browser, action: str
) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    form = visitor.become(fan).read(f"/rooms/main?concert={concert}").form_to("/leave")
    path = f"/concerts/{concert}/seats/2030-12-31"
    if action:
        data = {"csrf_token": form.fields["csrf_token"], "seats": "1", "count": "1"}
        answer = visitor.post(path + action, data)
    else:
        answer = visitor.open(path)
    assert answer.headers["Location"] == f"/rooms/main?concert={concert}"
    assert fan.call_as_user("GET", "/v1/reservations").json["reservations"] == []


@pytest.mark.parametrize("action", ["", "/hold", "/best"])
def test_whoever_is_not_let_in_is_led_back_to_the_line(
    sale: Sale, visitor: Browser, action: str
) -> None:
    concert = sale.concert()
    path = inside(sale, visitor, concert)
    form = visitor.read(path).form_to("/hold")
    visitor.post("/rooms/main/leave", {"csrf_token": form.fields["csrf_token"]})
    if action:
        data = {"csrf_token": form.fields["csrf_token"], "seats": "1", "count": "1"}
        answer = visitor.post(path + action, data)
    else:
        answer = visitor.open(path)
    assert answer.headers["Location"] == f"/rooms/main?concert={concert}"
    assert visitor.open(f"/concerts/{concert}/seats").headers["Location"] == (
        f"/rooms/main?concert={concert}"
    )


def test_two_dates_are_offered_with_what_is_left_of_each(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert(dates=2)
    inside(sale, visitor, concert)
    page = visitor.read(f"/concerts/{concert}/seats")
    assert page.text.count("50 available") == 2
    links = [link["href"] for link in page.with_tag("a") if "/seats/" in link.get("href", "")]
    assert len(links) == 2


def test_two_performances_on_one_day_have_a_map_each(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert()
    evening = {"starts_at": NEW_YEARS_EVE.replace(hour=22).isoformat(), "price": 1000}
    sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [evening]})
    inside(sale, visitor, concert)
    page = visitor.read(f"/concerts/{concert}/seats")
    links = [link["href"] for link in page.with_tag("a") if "/seats/" in link.get("href", "")]
    prices = [seats(visitor.read(link))[1]["data-price"] for link in links]
    assert prices == ["50000", "1000"]


def test_a_date_that_is_not_there_and_a_sale_that_is_closed_are_pages(
    sale: Sale, visitor: Browser
) -> None:
    sale.something_else()
    concert = sale.concert(sales_open_at=NEW_YEARS_EVE.replace(hour=1).isoformat())
    path = inside(sale, visitor, concert)
    assert visitor.open(path).status_code == 400
    assert visitor.open(f"/concerts/{concert}/seats/2030-01-01").status_code == 404
    assert visitor.open(f"/concerts/{concert}/seats/tomorrow").status_code == 404
    assert "No date of this concert" in visitor.read(f"/concerts/{concert}/seats").text


def test_once_the_sale_has_ended_the_page_says_so_and_offers_what_can_still_be_done(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert(dates=2)
    path = inside(sale, visitor, concert)
    form = visitor.read(path).form_to("/hold")
    send(visitor, path, "/hold", seats=["7"])
    end_sale(sale, concert)
    assert visitor.open(f"{path}?part=states").text == "ended"
    assert visitor.open(f"{path}?part=map").headers["Location"] == path
    page = visitor.read(path)
    assert "Sales are over" in page.text
    assert "You are holding seat 7. What you hold can still be paid." in page.text
    links = [link["href"] for link in page.with_tag("a")]
    assert any(link.startswith("/reservations/") for link in links)
    assert f"/concerts/{concert}/seats" in links
    assert page.forms == []
    late = visitor.post(form.action, {"csrf_token": form.fields["csrf_token"], "seats": "9"})
    assert late.status_code == 400
    assert "Sales are over" in Document(late.text).text


def end_sale(sale: Sale, concert: int) -> None:
    """Let the sale of a concert's first date be over."""
    with sale.app.app_context():
        with connection() as link:
            link.execute(
                """UPDATE performances SET sales_close_at = now() WHERE id =
                (SELECT min(id) FROM performances WHERE concert_id = %s)""",
                (concert,),
            )
        forget_all(sale.app)


def test_two_shows_on_one_day_are_told_apart(
    sale: Sale, new_visitor: Callable[..., Browser]
) -> None:
    concert = sale.concert()
    evening = {"starts_at": NEW_YEARS_EVE.replace(hour=22).isoformat(), "price": 0}
    sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [evening]})
    visitor = new_visitor("ko")
    inside(sale, visitor, concert)
    page = visitor.read(f"/concerts/{concert}/seats")
    assert "오후 7:00 · 1회차 50,000원" in page.text and "오후 10:00 · 2회차 무료" in page.text
    links = [link["href"] for link in page.with_tag("a") if "/seats/" in link.get("href", "")]
    shown = visitor.read(links[1])
    assert "2회차" in shown.text
    assert seats(shown)[1]["aria-label"] == "A열 1번, 무료, 예매 가능"
    assert "5분간 선점하기" in shown.text


def test_a_map_that_was_drawn_for_many_shows_nobody_what_is_somebody_s_own(
    sale: Sale, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "KEPT_SECONDS", 3600.0)
    concert = sale.concert()
    path = inside(sale, visitor, concert)
    stranger, korean = Browser(sale), Browser(sale)
    for other in (stranger, korean):
        other.become(sale.admitted_fan(concert))
    send(visitor, path, "/hold", seats=["7"])

    def of(who: Browser, query: str = "") -> str:
        return seats(who.read(path + query))[7]["aria-label"].rpartition(", ")[2]

    # Whoever looks first, each sees it as it is to them, also the second time.
    for _ in range(2):
        assert of(visitor) == "yours"
        assert of(stranger) == "held"
        assert of(korean, "?lang=ko") not in ("held", "yours", "available")
    # What was chosen and lost by one is marked for that one alone.
    lost = send(stranger, path, "/hold", seats=["7", "9"])
    assert "checked" in seats(Document(lost.text))[9]
    fresh = Browser(sale)
    fresh.become(sale.admitted_fan(concert))
    assert not any("checked" in box for box in seats(fresh.read(path)).values())


def test_whoever_is_refused_is_shown_the_seats_as_they_are_now(
    sale: Sale, visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "KEPT_SECONDS", 3600.0)
    concert = sale.concert()
    path = inside(sale, visitor, concert)
    hear(sale)
    visitor.read(path)
    take(sale.fan(), 4)
    lost = seats(Document(send(visitor, path, "/hold", seats=["4", "5"]).text))
    assert lost[4]["aria-label"].endswith("held") and "checked" not in lost[4]
