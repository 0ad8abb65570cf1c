"""The cockpit: one page for one sale, what each lever would do, and pulling it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from concert.ground.parts import keep
from concert.overview.lately import LatelyRead
from concert.waiting_room.rooms import room_of
from tests.sale import SEOUL, Sale
from tests.staff.crew import Colleague, lines, signed_in
from tests.web.browser import Document

PAGE = "/organiser/sales/main"
LEVER = f"{PAGE}/lever"


@pytest.fixture
def boss(sale: Sale) -> Colleague:
    """An organiser with a browser."""
    return signed_in(sale, "Haneul", "organiser")


def preview(boss: Colleague, query: str) -> Document:
    return boss.browser.read(f"{LEVER}?{query}")


def pulled(boss: Colleague, query: str, **filled: str) -> None:
    """See what a lever would do, and do it."""
    answer = boss.browser.send(preview(boss, query).form_to("/lever"), **filled)
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"] == PAGE
    keep(boss.browser.client.application, LatelyRead())


def a_line(sale: Sale, concert: int, people: int) -> None:
    for _ in range(people):
        sale.fan().join(concert)


def test_the_page_says_how_the_sale_stands_without_any_script(sale: Sale, boss: Colleague) -> None:
    concert = sale.concert(capacity=10)
    sale.room(capacity=3)
    fan = sale.admitted_fan(concert, balance=100_000)
    fan.hold(concert, 1, 2)
    fan.pay(concert, 1)
    a_line(sale, concert, 7)
    page = boss.browser.read(PAGE)
    for words in (
        "In line 4",
        "Inside 3 of at most 3",
        "Sold 2 of 10, 20 %",
        "Free seats 8",
        "Money ₩100,000",
        "Holds that are paid 100 %",
    ):
        assert words in page.text, words
    assert "Winter Songs" in page.text
    # The numbers of the charts stand in a table, too.
    assert [one for one in page.with_tag("table") if one.get("id") == "points"]
    assert "In line 4" in boss.browser.read(f"/organiser/sales/concerts/{concert}").text


def test_the_page_is_there_in_korean_and_without_redis_says_what_to_do(
    sale: Sale, boss: Colleague
) -> None:
    sale.concert()
    korean = signed_in(sale, "Minseo", "organiser", "ko")
    page = korean.browser.read(PAGE)
    assert "대기 중" in page.text
    assert "PostgreSQL" in page.text
    # Nothing ticks in this test.
    assert "docker compose restart clock" in boss.browser.read(PAGE).text


def test_what_a_page_asks_for_when_something_moved_is_what_it_shows(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert()
    sale.room(capacity=1)
    a_line(sale, concert, 3)
    told = boss.browser.open(f"{PAGE}/now?since=1").json
    assert set(told) == {"now", "dates", "parts", "version", "points"}
    assert "In line 2" in Document(told["now"]).text
    assert told["points"][-1][1:3] == [2, 1]
    assert boss.browser.open(f"{PAGE}/now?concert={concert}").status_code == 200
    sale.room("aside")
    other = sale.concert(room="aside")
    assert boss.browser.open(f"{PAGE}/now?concert={other}").status_code == 404


def test_a_room_or_concert_that_is_not_there_is_404(boss: Colleague) -> None:
    for path in (
        "/organiser/sales/nowhere",
        "/organiser/sales/nowhere/now",
        "/organiser/sales/concerts/77",
        "/organiser/sales/nowhere/lever?lever=pause",
        "/live/organiser/sales/nowhere",
    ):
        assert boss.browser.open(path).status_code == 404, path


def test_a_pause_says_who_it_stops_is_done_by_a_second_step_and_undone_by_going_on(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert()
    sale.room(capacity=2)
    a_line(sale, concert, 5)
    page = preview(boss, "lever=pause")
    assert "3 people in line keep their places; 2 inside go on" in page.text
    assert not room_of("main").paused
    pulled(boss, "lever=pause", reason="the hall is not ready")
    assert room_of("main").paused
    assert "Paused" in boss.browser.read(PAGE).text
    (line,) = lines(verb="change_room", reason="the hall is not ready")
    assert (line.actor_name, line.after) == ("Haneul", {"paused": True})
    assert "would change" in preview(boss, "lever=pause").text
    assert "3 people wait" in preview(boss, "lever=resume").text
    pulled(boss, "lever=resume")
    assert not room_of("main").paused


def test_a_new_rate_says_how_long_the_last_one_waits_and_is_taken_back_by_one_lever(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert(capacity=500)
    sale.room(capacity=1, admit_per_minute=60)
    a_line(sale, concert, 241)
    before = room_of("main")
    page = preview(boss, "lever=pace&capacity=200&admit_per_minute=120")
    assert "240 people wait; at 120 a minute the last one comes in after about 2 minutes" in (
        page.text
    )
    assert "about 4 minutes" in page.text or "instead of" in page.text
    pulled(boss, "lever=pace&capacity=200&admit_per_minute=120")
    assert (room_of("main").capacity, room_of("main").admit_per_minute) == (200, 120)
    undo = preview(boss, "lever=undo")
    assert "200 → 1" in undo.text and "120 → 60" in undo.text
    pulled(boss, "lever=undo")
    after = room_of("main")
    assert (after.capacity, after.admit_per_minute) == (before.capacity, before.admit_per_minute)


def test_somebody_else_s_change_meanwhile_is_not_overwritten(sale: Sale, boss: Colleague) -> None:
    sale.concert()
    form = preview(boss, "lever=pace&capacity=50&admit_per_minute=100").form_to("/lever")
    sale.room(capacity=77)
    answer = boss.browser.send(form)
    assert answer.status_code == 409
    assert "changed by somebody else meanwhile" in Document(answer.text).text
    assert room_of("main").capacity == 77
    assert boss.browser.send(Document(answer.text).form_to("/lever")).status_code == 303
    assert room_of("main").capacity == 50


def test_doors_open_later_in_the_time_of_the_venue_and_at_once(sale: Sale, boss: Colleague) -> None:
    concert = sale.concert()
    sale.room(capacity=1)
    a_line(sale, concert, 3)
    later = datetime.now(UTC) + timedelta(days=1)
    typed = later.astimezone(SEOUL).strftime("%Y-%m-%dT%H:%M")
    assert (
        "2 people in line keep their places" in preview(boss, f"lever=later&opens_at={typed}").text
    )
    pulled(boss, f"lever=later&opens_at={typed}")
    opens_at = room_of("main").opens_at
    assert opens_at is not None and abs((opens_at - later).total_seconds()) < 61
    pulled(boss, "lever=open")
    assert room_of("main").opens_at is None
    for wrong in ("", "tomorrow", "2026-13-01T10:00"):
        assert boss.browser.open(f"{LEVER}?lever=later&opens_at={wrong}").status_code == 400


def test_a_message_is_shown_to_the_line_in_both_languages_until_it_is_taken_away(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert()
    sale.room(capacity=1)
    a_line(sale, concert, 1)
    waits = sale.fan()
    waits.join(concert)
    pulled(boss, "lever=message&ko=잠시만요&en=One moment")
    assert waits.place().json["message"] == {"ko": "잠시만요", "en": "One moment"}
    pulled(boss, "lever=silence")
    assert waits.place().json["message"] is None
    answer = boss.browser.send(preview(boss, "lever=message&ko=네&en=").form_to("/lever"))
    assert answer.status_code == 400


def test_a_sale_is_ended_for_the_dates_that_were_chosen(sale: Sale, boss: Colleague) -> None:
    concert = sale.concert(dates=2, capacity=10)
    fan = sale.admitted_fan(concert, balance=50_000)
    first, second = (
        one["performance_id"] for one in sale.call("GET", f"/v1/concerts/{concert}").json["dates"]
    )
    assert fan.hold(concert, 1, performance_id=first).status_code == 200
    page = preview(boss, f"lever=end&performance={first}")
    assert "9 free seats stay unsold" in page.text
    assert "1 seats that are held can still be paid" in page.text
    assert "1 other date behind this line goes on" in page.text
    pulled(boss, f"lever=end&performance={first}", reason="it rains in")
    later = sale.admitted_fan(concert)
    assert later.hold(concert, 2, performance_id=first).status_code == 400
    assert later.hold(concert, 2, performance_id=second).status_code == 200
    assert fan.pay(concert, 1, performance_id=first).status_code == 200
    (line,) = lines(verb="end_sale")
    assert (line.subject_kind, line.subject_id, line.reason) == (
        "performance",
        str(first),
        "it rains in",
    )
    assert line.before and line.after
    # Both: the line closes with it.
    assert "The line closes" in preview(boss, f"lever=end&performance={second}").text
    assert "would change" in preview(boss, f"lever=end&performance={first}").text


def test_a_lever_that_makes_no_sense_is_refused(sale: Sale, boss: Colleague) -> None:
    sale.concert()
    for query in (
        "",
        "lever=destroy",
        "lever=undo",
        "lever=pace&capacity=many&admit_per_minute=1",
        "lever=pace&capacity=1",
    ):
        assert boss.browser.open(f"{LEVER}?{query}").status_code == 400, query
    form = preview(boss, "lever=pace&capacity=0&admit_per_minute=1").form_to("/lever")
    assert boss.browser.send(form).status_code == 400


def test_the_overview_leads_to_every_sale(sale: Sale, boss: Colleague) -> None:
    sale.room("winter")
    links = [one.get("href") for one in boss.browser.read("/organiser").with_tag("a")]
    assert {"/organiser/sales/main", "/organiser/sales/winter", "/organiser/reports"} <= set(links)
