"""How one sale stands: seats, money, holds, pace and the past of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from concert.ground.errors import NotFound
from concert.ground.parts import keep
from concert.overview.cockpit import (
    history,
    rooms_now,
    sale_behind,
    sale_of_concert,
    sales_of_performance,
)
from concert.overview.lately import LatelyRead
from tests.halls.hall import concert_in, two_rows
from tests.halls.hall import keep as keep_hall
from tests.sale import Fan, Sale


def buyer(sale: Sale, concert: int, *seat_nos: int, price: int = 50_000) -> Fan:
    """Somebody who has bought these seats."""
    fan = sale.admitted_fan(concert, balance=price * len(seat_nos) or 1)
    assert fan.hold(concert, *seat_nos).status_code == 200
    assert fan.pay(concert, seat_nos[0]).status_code == 200
    keep(sale.app, LatelyRead())
    return fan


def test_seats_and_money_are_counted_by_date_and_price(sale: Sale) -> None:
    concert = sale.concert(capacity=10)
    dearer = {"starts_at": "2031-02-01T19:00:00+09:00", "price": 80_000, "capacity": 5}
    sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [dearer]})
    date = sale_of_concert(concert).dates[0].performance.performance_id
    fan = sale.admitted_fan(concert, balance=1_000_000)
    assert fan.hold(concert, 1, 2, performance_id=date).status_code == 200
    assert fan.pay(concert, 1, performance_id=date).status_code == 200
    other = sale.admitted_fan(concert)
    assert other.hold(concert, 3, performance_id=date).status_code == 200

    keep(sale.app, LatelyRead())
    found = sale_of_concert(concert)
    first, second = found.dates
    assert (first.seats.free, first.seats.held, first.seats.sold) == (7, 1, 2)
    assert (second.seats.free, second.seats.held, second.seats.sold) == (5, 0, 0)
    assert [(one.price, one.seats.free, one.seats.sold) for one in found.by_price] == [
        (80_000, 5, 0),
        (50_000, 7, 2),
    ]
    assert (first.revenue, second.revenue, found.revenue) == (100_000, 0, 100_000)
    assert found.seats.all == 15


def test_a_room_s_sale_is_of_all_that_is_behind_it_and_a_concert_s_of_its_own(sale: Sale) -> None:
    sale.room("elsewhere")
    one, other = sale.concert(capacity=4), sale.concert(capacity=6)
    sale.concert(capacity=9, room="elsewhere")
    assert sale_behind("main").seats.all == 10
    assert [found.concert_id for found in sale_behind("main").concerts] == [other, one]
    assert sale_of_concert(other).seats.all == 6
    assert sale_behind("elsewhere").seats.all == 9


def test_what_is_not_there_is_not_found(sale: Sale) -> None:
    for read in (
        lambda: sale_behind("nowhere"),
        lambda: sale_of_concert(1),
        lambda: sales_of_performance(1),
    ):
        with pytest.raises(NotFound):
            read()


def test_holds_are_told_by_what_became_of_them_and_the_share_that_was_paid(sale: Sale) -> None:
    concert = sale.concert()
    assert sale_of_concert(concert).holds.paid_share is None
    buyer(sale, concert, 1)
    walks_away = sale.admitted_fan(concert)
    walks_away.hold(concert, 2)
    sale.let_time_pass(301)
    gives_back = sale.admitted_fan(concert)
    held = gives_back.hold(concert, 3).json
    gives_back.call("DELETE", f"/v1/reservations/{held['reservation_id']}")
    holds_now = sale.admitted_fan(concert)
    holds_now.hold(concert, 4)

    keep(sale.app, LatelyRead())
    holds = sale_of_concert(concert).holds
    assert (holds.live, holds.paid, holds.lapsed, holds.released) == (1, 1, 1, 1)
    assert holds.paid_share == pytest.approx(1 / 3)


def test_a_lapsed_hold_is_a_free_seat(sale: Sale) -> None:
    concert = sale.concert(capacity=10)
    sale.admitted_fan(concert).hold(concert, 1, 2)
    assert sale_of_concert(concert).seats.held == 2
    sale.let_time_pass(301)
    found = sale_of_concert(concert).seats
    assert (found.free, found.held) == (10, 0)


def test_in_a_hall_prices_have_the_names_of_their_categories_and_blocked_seats_are_none(
    sale: Sale,
) -> None:
    prices = {"Front": 90_000, "Back": 60_000}
    concert = concert_in(sale, keep_hall(sale, two_rows()), prices=prices)
    found = sale_of_concert(concert)
    assert [(one.price, one.categories, one.seats.all) for one in found.by_price] == [
        (90_000, ("Front",), 4),
        (60_000, ("Back",), 4),
    ]
    number = found.dates[0].performance.performance_id
    blocked = sale.organise("PATCH", f"/v1/performances/{number}/seats", json={"block": [7, 8]})
    assert blocked.status_code == 200, blocked.text
    keep(sale.app, LatelyRead())
    assert [one.seats.free for one in sale_of_concert(concert).by_price] == [4, 2]


def test_a_sale_that_goes_on_is_sold_out_when_the_pace_says_so(sale: Sale) -> None:
    concert = sale.concert(capacity=60, price=0)
    for seat in range(1, 21):
        buyer(sale, concert, seat, price=0)
        sale.let_time_pass(10)
    keep(sale.app, LatelyRead())
    found = sale_of_concert(concert)
    # Twenty seats in two hundred seconds, the later ten of them in a hundred.
    assert found.forecast is not None and found.sold_out_at is not None
    assert found.forecast.per_minute == pytest.approx(6, rel=0.2)
    wait = (found.sold_out_at - found.at).total_seconds()
    assert wait == pytest.approx(400, rel=0.2)


def test_nothing_is_foretold_where_nobody_is_let_in_or_too_little_was_sold(sale: Sale) -> None:
    concert = sale.concert(capacity=30, price=0)
    buyer(sale, concert, 1, price=0)
    assert sale_of_concert(concert).forecast is None
    for seat in range(2, 14):
        buyer(sale, concert, seat, price=0)
        sale.let_time_pass(5)
    keep(sale.app, LatelyRead())
    assert sale_of_concert(concert).forecast is not None
    sale.room(paused=True)
    keep(sale.app, LatelyRead())
    assert sale_of_concert(concert).forecast is None


def test_the_rooms_are_told_with_their_lines(sale: Sale) -> None:
    sale.room("aside", capacity=7)
    concert = sale.concert()
    sale.room(capacity=1)
    sale.admitted_fan(concert)
    sale.fan().join(concert)
    keep(sale.app, LatelyRead())
    found = {room.slug: (room.capacity, line and line.waiting) for room, line in rooms_now()}
    assert found == {"aside": (7, 0), "main": (1, 1)}


def test_the_past_of_a_room_without_one_is_nothing(sale: Sale) -> None:
    now = datetime.now(UTC)
    assert history("main", 6, now) == []
    assert history("main", None, now - timedelta(days=1)) == []
