"""How a wait is said: rounded so that it holds, and to no more than is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask_babel import force_locale

from concert.web.formats import between, clock, clock_in
from tests.sale import Sale

MINUTE, HOUR = 60, 3600


@pytest.mark.parametrize(
    ("low", "high", "english", "korean"),
    [
        (0, 20, "less than a minute", "1분 미만"),
        (10, 55, "up to 1 minute", "최대 1분"),
        (30, 61, "up to 2 minutes", "최대 2분"),
        (10 * MINUTE + 30, 13 * MINUTE + 1, "10 to 14 minutes", "10~14분"),
        (28 * MINUTE, 41 * MINUTE, "25 to 45 minutes", "25~45분"),
        (51 * MINUTE, 99 * MINUTE, "50 to 100 minutes", "50~100분"),
        (100 * MINUTE, 3 * HOUR + 1, "1 to 4 hours", "1~4시간"),
        (40 * HOUR, 50 * HOUR, "1 to 3 days", "1~3일"),
    ],
)
def test_a_range_is_rounded_outwards_so_that_it_holds(
    sale: Sale, low: int, high: int, english: str, korean: str
) -> None:
    for language, words in (("en", english), ("ko", korean)):
        with sale.app.test_request_context(), force_locale(language):
            assert between((low, high)) == words


def test_a_clock_time_is_the_rounder_the_further_off_it_is(sale: Sale) -> None:
    with sale.app.test_request_context(headers={"Accept-Language": "en"}):
        assert clock_in(90) == ""
        for seconds, minutes in ((20 * MINUTE, 1), (80 * MINUTE, 5), (5 * HOUR, 15)):
            now = datetime.now(UTC)
            near = [
                now + timedelta(seconds=seconds + spread)
                for spread in range(-minutes * MINUTE, minutes * MINUTE, 20)
            ]
            rounded = {clock(one) for one in near if one.astimezone(UTC).minute % minutes == 0}
            assert any(clock_in(seconds).endswith(one) for one in rounded)
            assert clock_in(seconds).startswith("about ")
