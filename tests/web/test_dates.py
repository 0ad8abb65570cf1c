"""Many dates of one concert: a strip instead of a card each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.sale import NEW_YEARS_EVE, Sale
from tests.web.browser import Browser, Document

FREE = {"price": 0, "capacity": 3}


def tiles(page: Document) -> list[str]:
    return [
        one["class"]
        for one in (*page.with_tag("a"), *page.with_tag("div"))
        if "date-tile" in one.get("class", "")
    ]


def test_twelve_dates_are_a_strip_that_says_what_each_costs_and_what_is_left(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert(dates=9, capacity=60)
    later = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    days = [NEW_YEARS_EVE + timedelta(days=20 + day) for day in range(3)]
    dates = [
        {"starts_at": days[0].isoformat(), **FREE},
        {"starts_at": days[1].isoformat(), "price": 70_000, "capacity": 1},
        {"starts_at": days[2].isoformat(), "price": 1000, "sales_open_at": later},
    ]
    made = sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": dates})
    assert made.status_code == 201
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 1, date=days[1].date().isoformat())

    page = visitor.read(f"/concerts/{concert}")
    assert [one.split()[-1] for one in tiles(page)] == [
        *["date-tile-open"] * 9,
        "date-tile-few",
        "date-tile-all_held",
        "date-tile-upcoming",
    ]
    assert page.text.count("60 free") == 9
    for words in ("Only 3 left", "All being paid for", "₩70,000", "Tue 31 Dec", "7:00 PM"):
        assert words in page.text

    # Who is inside chooses one of those that are on sale, by a link.
    inside = visitor.become(fan).read(f"/concerts/{concert}/seats")
    links = [one["href"] for one in inside.with_tag("a") if "date-tile" in one.get("class", "")]
    assert len(links) == 11
    assert links[0].endswith(f"/seats/{NEW_YEARS_EVE.date()}")


def test_three_dates_have_a_card_each(sale: Sale, visitor: Browser) -> None:
    assert tiles(visitor.read(f"/concerts/{sale.concert(dates=3)}")) == []
