"""How sales stand, read once a second however many ask."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from concert.factory import create_app
from concert.ground.errors import NotFound
from concert.ground.parts import keep, part
from concert.ground.settings import Settings
from concert.overview.lately import LatelyRead
from concert.overview.sales import list_sales, sale_of
from tests.sale import Sale

PAGE = 20


def test_a_crowd_that_asks_at_once_waits_for_one_reading() -> None:
    remembered = LatelyRead()
    readings = []
    together = threading.Barrier(20)

    def read() -> int:
        readings.append(time.monotonic())
        # Long enough for all of them to have asked meanwhile.
        time.sleep(0.2)
        return len(readings)

    def ask(_: int) -> int:
        together.wait()
        return remembered.read("front page", read)

    with ThreadPoolExecutor(20) as crowd:
        assert set(crowd.map(ask, range(20))) == {1}
    assert len(readings) == 1


def test_a_reading_is_told_for_a_second_and_not_longer() -> None:
    remembered = LatelyRead(seconds=0.05)
    numbers = iter(range(10))
    first = remembered.read("one", lambda: next(numbers))
    assert remembered.read("one", lambda: next(numbers)) == first
    assert remembered.read("another", lambda: next(numbers)) == 1
    time.sleep(0.06)
    assert remembered.read("one", lambda: next(numbers)) == 2
    assert LatelyRead().seconds == 1


def test_a_reading_that_failed_is_not_told(sale: Sale) -> None:
    with pytest.raises(NotFound):
        sale_of(1)
    assert sale_of(sale.concert()).concert.title == "Winter Songs"


def test_what_was_read_is_judged_by_the_moment_in_which_it_is_asked(sale: Sale) -> None:
    now = datetime.now(UTC)
    opens, closes = now + timedelta(seconds=30), now + timedelta(seconds=60)
    concert = sale.concert(sales_open_at=opens.isoformat(), sales_close_at=closes.isoformat())
    found = sale_of(concert)
    states = [found.state(now + timedelta(seconds=seconds)) for seconds in (0, 31, 61)]
    assert states == ["upcoming", "open", "ended"]
    assert [found.free(now + timedelta(seconds=seconds)) for seconds in (0, 31, 61)] == [0, 50, 0]


def test_a_date_to_come_is_what_one_waits_for_where_the_others_are_sold_out(sale: Sale) -> None:
    concert = sale.concert(capacity=1, price=0)
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 1).status_code == 200
    assert fan.pay(concert, 1).status_code == 200
    later = {
        "starts_at": "2031-02-01T19:00:00+09:00",
        "price": 0,
        "sales_open_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [later]})
    keep(sale.app, LatelyRead())
    now = datetime.now(UTC)
    assert sale_of(concert).state(now) == "upcoming"
    assert not sale_of(concert).stands_by(now)


def test_what_is_on_sale_is_known_while_nobody_knows_the_lines(
    sale: Sale, settings: Settings
) -> None:
    concert = sale.concert()
    elsewhere = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with elsewhere.app_context():
        ((found,), _) = list_sales(None, PAGE)
    assert found.concert.concert_id == concert
    assert found.line is None
    assert found.state(datetime.now(UTC)) == "open"


def test_pages_behind_the_first_are_not_remembered_as_there_is_no_end_of_them(sale: Sale) -> None:
    for _ in range(3):
        sale.concert()
    for after in range(2, 50):
        list_sales(after, PAGE)
    list_sales(None, PAGE)
    assert list(part(LatelyRead).found) == [("newest", PAGE)]


def test_what_is_not_there_leaves_nothing_behind(sale: Sale) -> None:
    for number in range(10_000, 10_100):
        with pytest.raises(NotFound):
            sale_of(number)
    lately = part(LatelyRead)
    assert not [one for one in (*lately.found, *lately.readers) if one in range(10_000, 10_100)]
