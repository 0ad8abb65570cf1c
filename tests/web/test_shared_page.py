"""The front page is written once for a crowd, and still tells each what is theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from concert.factory import ConcertApp
from concert.ground.parts import keep, part
from concert.overview.lately import LatelyRead
from concert.web.shared import MARK, SharedPages, render_shared
from tests.sale import Sale
from tests.web.browser import Browser


@pytest.fixture
def remembering(app: ConcertApp, sale: Sale) -> Sale:
    """A sale of which a reading lasts as long as the test; its page is written once."""
    keep(app, LatelyRead(seconds=3600))
    part(SharedPages, app).written.clear()
    return sale


def opened(browser: Browser, path: str) -> TestResponse:
    """A page as it is now: ``Browser.open`` would have everything read anew."""
    with browser.sale.app.app_context():
        return browser.client.get(path, headers={"Accept-Language": browser.language})


def somebody_new(sale: Sale, concert: int) -> Browser:
    return Browser(sale)


def somebody_in_line(sale: Sale, concert: int) -> Browser:
    fan = sale.fan()
    fan.join(concert)
    return Browser(sale).become(fan)


def somebody_inside(sale: Sale, concert: int) -> Browser:
    return Browser(sale).become(sale.admitted_fan(concert))


def somebody_who_holds(sale: Sale, concert: int) -> Browser:
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 7).status_code == 200
    return Browser(sale).become(fan)


PEOPLE: dict[str, tuple[Callable[[Sale, int], Browser], str]] = {
    "new": (somebody_new, ""),
    "in line": (somebody_in_line, "You are number 1 in line"),
    "inside": (somebody_inside, "It is your turn"),
    "holding": (somebody_who_holds, "Seat 7 is held for you"),
}


def test_everybody_gets_their_own_bar_on_one_page(remembering: Sale, app: ConcertApp) -> None:
    concert = remembering.concert()
    browsers = {}
    for name in ("holding", "inside", "new", "in line"):
        if name == "in line":
            remembering.room(paused=True)
        browsers[name] = PEOPLE[name][0](remembering, concert)
    written = part(SharedPages, app).written
    for _ in range(2):
        for name, browser in browsers.items():
            page = opened(browser, "/")
            said = [words for _, words in PEOPLE.values() if words and words in page.text]
            assert said == ([PEOPLE[name][1]] if PEOPLE[name][1] else [])
            assert "Winter Songs" in page.text
            assert MARK not in page.text
    assert len([key for key in written if key[1] == "en"]) == 1


def test_each_language_has_its_own(remembering: Sale) -> None:
    remembering.concert()
    english, korean = Browser(remembering), Browser(remembering, "ko")
    for _ in range(2):
        assert '<html lang="en"' in opened(english, "/").text
        assert '<html lang="ko"' in opened(korean, "/").text


def test_what_is_written_is_true_until_the_next_sale_opens_or_ends_or_doors_open(
    remembering: Sale, app: ConcertApp
) -> None:
    opens, ends, doors = (datetime.now(UTC) + timedelta(days=days) for days in (3, 5, 2))
    remembering.concert(sales_open_at=opens.isoformat(), sales_close_at=ends.isoformat())
    assert "Opens" in opened(Browser(remembering), "/").text
    [page] = part(SharedPages, app).written.values()
    assert page.until == opens
    keep(app, LatelyRead(seconds=3600))
    remembering.room(opens_at=doors.isoformat())
    assert "Opens" in opened(Browser(remembering), "/").text
    [page] = part(SharedPages, app).written.values()
    assert page.until is not None
    assert abs(page.until - doors) < timedelta(milliseconds=2)


def test_a_page_is_written_anew_for_another_reading_and_from_the_moment_on_that_it_changes(
    app: ConcertApp, sale: Sale
) -> None:
    part(SharedPages, app).written.clear()
    past, future = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    first, second = object(), object()
    written: list[object] = []

    def ask(reading: object, until: datetime | None, path: str = "/") -> int:
        """How often the page was written by then."""

        def context() -> dict[str, Any]:
            written.append(reading)
            return {"sections": [], "after": None}

        with app.test_request_context(path):
            assert render_shared("catalogue/home.html", reading, lambda: until, context).data
        return len(written)

    assert [ask(first, future), ask(first, future), ask(first, future)] == [1, 1, 1]
    assert [ask(second, None), ask(second, None)] == [2, 2]
    assert [ask(first, past), ask(first, past)] == [3, 4]
    # An address with a query is somebody's own page.
    assert ask(first, future) == 5
    assert [ask(first, future, "/?after=3"), ask(first, future)] == [6, 6]


def test_words_left_from_the_page_before_are_told_to_one_person(
    remembering: Sale, app: ConcertApp
) -> None:
    remembering.concert()
    visitor = Browser(remembering)
    assert opened(visitor, "/").status_code == 200
    with visitor.client.session_transaction() as session:
        session["_flashes"] = [("message", "Said to one person.")]
    assert "Said to one person." in opened(visitor, "/").text
    assert "Said to one person." not in opened(visitor, "/").text
    assert "Said to one person." not in opened(Browser(remembering), "/").text
