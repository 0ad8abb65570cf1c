"""Pages of planning: making a concert, correcting it, and what its fans see of that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from concert.planning.warnings import SAYS, Warning
from concert.web.planning import warning_words
from tests.planning.test_corrections import buyer, date_of, lines, move, plan
from tests.sale import SEOUL, Sale
from tests.staff.crew import Colleague, signed_in
from tests.web.browser import Browser, Document

FIRST = {
    "title": "Spring Songs",
    "venue": "Blue Hall",
    "starts_at": "2031-04-01T19:30",
    "price": "40,000",
    "capacity": "8",
    "description": "Songs\r\nof spring.",
    "age_limit": "7",
    "room": "main",
}


@pytest.fixture
def boss(sale: Sale) -> Colleague:
    return signed_in(sale, "Boss", "organiser")


def made(sale: Sale, boss: Colleague, **more: str) -> int:
    page = boss.browser.read("/organiser/concerts/new")
    form = page.form_to("/organiser/concerts/new")
    answer = boss.browser.send(form, **{**FIRST, "draft": "1", **more})
    assert answer.status_code == 303, Document(answer.text).text
    return int(answer.headers["Location"].rsplit("/", 1)[1])


def test_a_concert_is_made_as_a_draft_on_a_page_and_then_shown(
    sale: Sale, boss: Colleague, visitor: Browser
) -> None:
    concert = made(sale, boss)
    assert "Spring Songs" in boss.browser.read("/organiser/concerts").text
    found = plan(sale, concert)
    assert (found["title"], found["draft"], found["age_limit"]) == ("Spring Songs", True, 7)
    assert found["description"] == "Songs\nof spring."
    [date] = found["dates"]
    assert datetime.fromisoformat(date["starts_at"]) == datetime(2031, 4, 1, 19, 30, tzinfo=SEOUL)
    assert (date["price"], date["capacity"]) == (40_000, 8)
    assert visitor.open(f"/concerts/{concert}").status_code == 404
    page = boss.browser.read(f"/organiser/concerts/{concert}")
    assert "This cannot work as it is planned" in page.text
    assert boss.browser.send(page.form_to(f"/{concert}/publication")).status_code == 303
    seen = visitor.read(f"/concerts/{concert}").text
    assert "of spring." in seen and "from 7 years" in seen
    again = boss.browser.read(f"/organiser/concerts/{concert}")
    assert "Everybody sees it now." in again.text
    boss.browser.send(again.form_to(f"/{concert}/publication"))
    assert visitor.open(f"/concerts/{concert}").status_code == 404


def test_what_cannot_be_is_said_with_its_field_and_what_was_typed_is_kept(
    sale: Sale, boss: Colleague
) -> None:
    form = boss.browser.read("/organiser/concerts/new").form_to("/organiser/concerts/new")
    wrong = {"price": "much", "starts_at": "tomorrow", "age_limit": "-1", "capacity": "x"}
    answer = boss.browser.send(form, **{**FIRST, **wrong})
    assert answer.status_code == 400
    page = Document(answer.text)
    kept = page.form_to("/organiser/concerts/new").fields
    assert (kept["title"], kept["price"]) == ("Spring Songs", "much")
    assert "A whole number of won" in page.text and "such as 2026-12-24T19:00" in page.text
    for wrong in (
        {"title": " "},
        {"capacity": "30000"},
        {"sales_open_at": "2031-05-01T00:00"},
        {"seat_limit": "101"},
        {"room": "nowhere"},
        {"running_minutes": "2000"},
        {"starts_at": ""},
    ):
        answer = boss.browser.send(form, **{**FIRST, **wrong})
        assert answer.status_code == 400, wrong
        assert "field-fault" in answer.text, wrong
    assert sale.organise("GET", "/v1/planning").json["concerts"] == []


def test_a_title_is_corrected_on_its_page_with_a_reason(
    sale: Sale, boss: Colleague, visitor: Browser
) -> None:
    concert = sale.concert()
    page = boss.browser.read(f"/organiser/concerts/{concert}")
    form = page.form_to(f"/organiser/concerts/{concert}")
    values = {"title": "Winter Songs!", "room": "main", "description": "", "reason": "a typo"}
    form = next(one for one in page.forms if one.action.endswith(f"/concerts/{concert}"))
    assert boss.browser.send(form, **values).status_code == 303
    assert "Winter Songs!" in visitor.read(f"/concerts/{concert}").text
    [line] = lines(verb="change_concert")
    assert (line.before, line.after) == ({"title": "Winter Songs"}, {"title": "Winter Songs!"})
    assert (line.actor_name, line.reason) == ("Boss", "a typo")


def test_of_two_pages_the_second_is_told_what_is_different_and_keeps_what_was_typed(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert()
    path = f"/organiser/concerts/{concert}"
    page = boss.browser.read(path)
    form = next(one for one in page.forms if one.action.endswith(path))
    sale.organise("PATCH", f"/v1/concerts/{concert}", json={"title": "Theirs"})
    answer = boss.browser.send(form, title="Mine", room="main")
    assert answer.status_code == 409
    again = Document(answer.text)
    assert "Somebody else has changed this meanwhile" in again.text and "Theirs" in again.text
    kept = next(one for one in again.forms if one.action.endswith(path))
    assert kept.fields["title"] == "Mine"
    assert boss.browser.send(kept, room="main").status_code == 303
    assert plan(sale, concert)["title"] == "Mine"
    date = date_of(sale, concert)["performance_id"]
    path = f"/organiser/dates/{date}"
    form = boss.browser.read(path).form_to(path)
    move(sale, concert, price=1)
    late = boss.browser.send(form, price="2")
    assert late.status_code == 409
    kept = Document(late.text).form_to(path)
    assert kept.fields["price"] == "2"
    assert boss.browser.send(kept).status_code == 303
    assert date_of(sale, concert)["price"] == 2


def test_a_date_is_corrected_on_its_page_and_what_stays_is_said(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert(capacity=5)
    buyer(sale, concert, 1)
    path = f"/organiser/dates/{date_of(sale, concert)['performance_id']}"
    form = boss.browser.read(path).form_to(path)
    saved = boss.browser.send(form, follow=True, price="60000", capacity="6", seat_limit="2")
    said = Document(saved.text).text
    assert "1 seat is sold and keeps the old price." in said and "1 seat was added." in said
    found = date_of(sale, concert)
    assert (found["price"], found["capacity"], found["seat_limit"]) == (60_000, 6, 2)
    # What was not touched is as it was, to the second.
    [line] = lines(verb="change_date")
    assert line.after is not None and set(line.after) == {"price", "capacity", "seat_limit"}
    form = boss.browser.read(path).form_to(path)
    refused = boss.browser.send(form, capacity="0")
    assert refused.status_code == 400 and "field-fault" in refused.text
    buyer(sale, concert, 6)
    form = boss.browser.read(path).form_to(path)
    taken = boss.browser.send(form, capacity="5")
    assert taken.status_code == 409
    assert "somebody has 6" in Document(taken.text).text


def test_moving_a_date_asks_about_its_tickets_and_tells_their_owners(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert()
    fan = buyer(sale, concert, 1)
    owner = Browser(sale).become(fan)
    assert "This date was moved" not in owner.read("/tickets").text
    path = f"/organiser/dates/{date_of(sale, concert)['performance_id']}"
    form = boss.browser.read(path).form_to(path)
    form.fields.pop("tickets")
    asked = boss.browser.send(form, starts_at="2031-01-02T18:00")
    assert asked.status_code == 409
    assert "Say what becomes of the tickets" in Document(asked.text).text
    until = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    told = {"starts_at": "2031-01-02T18:00", "tickets": "return", "returns_until": until}
    saved = boss.browser.send(form, follow=True, **told)
    assert "The owner of 1 ticket is told, and may give it back" in Document(saved.text).text
    listed = owner.read("/tickets").text
    assert "This date was moved" in listed and "You may give it back" in listed
    payment = fan.call_as_user("GET", "/v1/payments").json["payments"][0]["payment_id"]
    ticket = owner.read(f"/tickets/{payment}").text
    assert "This date was moved" in ticket and "6:00 PM" in ticket
    korean = Browser(sale, "ko").become(fan).read("/tickets").text
    assert "공연 일시가 바뀌었어요" in korean


def test_dates_are_added_copied_hidden_and_shown_on_pages(
    sale: Sale, boss: Colleague, visitor: Browser
) -> None:
    concert = sale.concert(capacity=5)
    plan_path = f"/organiser/concerts/{concert}"
    form = boss.browser.read(plan_path).form_to(f"{plan_path}/dates")
    form.fields.pop("draft")
    day = {"starts_at": "2031-01-03T19:00", "price": "5", "capacity": "5"}
    assert boss.browser.send(form, **day).status_code == 303
    again = boss.browser.send(form, **day)
    assert again.status_code == 400
    assert "Another date of this concert starts at this time" in Document(again.text).text
    assert boss.browser.send(form, **{**day, "price": "?"}).status_code == 400
    first = date_of(sale, concert)["performance_id"]
    date = boss.browser.read(f"/organiser/dates/{first}")
    copied = boss.browser.send(date.form_to(f"/{first}/copy"), starts_at="2031-01-05T19:00")
    assert copied.status_code == 303
    for odd in ("", "nonsense", "2031-01-05T19:00"):
        refused = boss.browser.send(date.form_to(f"/{first}/copy"), follow=True, starts_at=odd)
        assert "notice-bad" in refused.text
    found = plan(sale, concert)["dates"]
    assert [one["draft"] for one in found] == [False, False, True]
    third = found[2]["performance_id"]
    page = boss.browser.read(plan_path)
    assert boss.browser.send(page.form_to(f"/dates/{third}/publication")).status_code == 303
    assert "5 January" in visitor.read(f"/concerts/{concert}").text
    page = boss.browser.read(plan_path)
    boss.browser.send(page.form_to(f"/dates/{third}/publication"))
    assert "5 January" not in visitor.read(f"/concerts/{concert}").text
    fan = sale.admitted_fan(concert, balance=1_000_000)
    assert fan.hold(concert, 1, date="2030-12-31").status_code == 200
    assert fan.pay(concert, 1, date="2030-12-31").status_code == 200
    refused = boss.browser.send(page.form_to(f"/concerts/{concert}/publication"), follow=True)
    assert "1 seats are sold" in Document(refused.text).text


def test_a_concert_is_copied_on_its_page(sale: Sale, boss: Colleague) -> None:
    concert = sale.concert()
    page = boss.browser.read(f"/organiser/concerts/{concert}")
    form = page.form_to(f"/concerts/{concert}/copy")
    answer = boss.browser.send(form, title="Once more", days="1")
    copy = int(answer.headers["Location"].rsplit("/", 1)[1])
    assert (plan(sale, copy)["title"], plan(sale, copy)["draft"]) == ("Once more", True)
    for odd in ({"title": ""}, {"days": "soon"}, {"days": "99999"}):
        assert "notice-bad" in boss.browser.send(form, follow=True, **odd).text


@pytest.mark.parametrize("path", ["/organiser/concerts/999", "/organiser/dates/999"])
def test_what_is_not_there_has_no_plan(boss: Colleague, path: str) -> None:
    assert boss.browser.open(path).status_code == 404


def test_every_warning_is_said_in_both_languages(sale: Sale) -> None:
    numbers = dict.fromkeys(
        ("rate", "seats", "minutes", "visit", "hold", "capacity", "free"), 1_234
    )
    for code in SAYS:
        one = Warning(code, None, numbers)
        english_page, korean_page = (
            sale.app.test_request_context(headers={"Accept-Language": code})
            for code in ("en", "ko")
        )
        with sale.app.app_context(), english_page:
            english = warning_words(one)
            assert english == one.message.replace("1234", "1,234")
        with sale.app.app_context(), korean_page:
            assert warning_words(one) != english


def test_pages_of_planning_are_read_in_korean(sale: Sale) -> None:
    boss = signed_in(sale, "Boss", "organiser", "ko")
    concert = sale.concert()
    page = boss.browser.read(f"/organiser/concerts/{concert}").text
    assert "공연 복사" in page and "Copy" not in page
    number = date_of(sale, concert)["performance_id"]
    assert "판매 시작" in boss.browser.read(f"/organiser/dates/{number}").text
