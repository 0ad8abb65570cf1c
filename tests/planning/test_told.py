"""Who is told of a correction at once: viewers of the map, the line, and what this and other processes keep."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from concert.catalogue.service import Remembered, concert_of
from concert.ground.database import connection
from concert.ground.parts import part
from concert.overview.lately import LatelyRead
from concert.overview.sales import sale_of
from concert.reservations.service import RememberedPrices, seat_prices
from tests.halls.hall import concert_in, keep, two_rows
from tests.planning.test_corrections import buyer, change, date_of, move
from tests.sale import Sale
from tests.waiting import wait_until
from tests.web.browser import Browser
from tests.web.test_live import stream, until


def test_a_viewer_of_the_map_is_told_to_draw_it_anew(sale: Sale) -> None:
    concert = sale.concert(capacity=5)
    fan = sale.admitted_fan(concert)
    other = sale.admitted_fan(concert)
    number = date_of(sale, concert)["performance_id"]
    with stream(Browser(sale).become(fan), f"/live/performances/{number}") as events:
        assert "resync" in next(events)
        assert move(sale, concert, price=1_234, capacity=6).status_code == 200
        assert until(events, "event:corrected")
        # What is told of seats from then on has the new price, and the new seats.
        assert other.hold(concert, 6).status_code == 200
        assert "1,234" in until(events, "#seat-6")


def test_a_viewer_of_a_hall_that_a_script_draws_is_told_of_new_prices(sale: Sale) -> None:
    concert = concert_in(sale, keep(sale, two_rows()), prices={"Front": 300, "Back": 100})
    fan = sale.admitted_fan(concert)
    number = date_of(sale, concert)["performance_id"]
    with stream(Browser(sale).become(fan), f"/live/performances/{number}?as=facts") as events:
        assert "resync" in next(events)
        assert move(sale, concert, prices={"Front": 500, "Back": 200}).status_code == 200
        assert until(events, "event:corrected")


def test_the_map_shows_what_was_corrected_at_once(sale: Sale) -> None:
    concert = sale.concert(capacity=5)
    inside = Browser(sale).become(sale.admitted_fan(concert))
    path = f"/concerts/{concert}/seats/2030-12-31"
    assert "₩50,000" in inside.read(path).text or "50,000" in inside.open(path).text
    move(sale, concert, price=1_234, capacity=7, seat_limit=2)
    page = inside.open(path)
    assert 'id="seat-7"' in page.text and "₩1,234" in page.text
    assert 'data-limit="2"' in page.text
    move(sale, concert, capacity=3)
    page = inside.open(path)
    assert page.status_code == 200 and 'id="seat-4"' not in page.text


def test_the_line_moves_at_once_when_seats_are_added(sale: Sale) -> None:
    concert = sale.concert(capacity=1)
    buyer(sale, concert, 1)
    sale.count_seats()
    waiting = sale.fan()
    place = waiting.join(concert).json
    assert (place["status"], place["seats"]["state"]) == ("waiting", "sold_out")
    assert move(sale, concert, capacity=2).status_code == 200
    assert waiting.place().json["seats"]["state"] == "open"
    assert sale.admit() == 1
    assert waiting.place().json["status"] == "admitted"


def test_what_another_process_has_corrected_is_seen_within_a_second(sale: Sale) -> None:
    """Each thing that a process keeps of a concert, by itself: it is not believed for longer."""
    concert = sale.concert(capacity=5)
    number = date_of(sale, concert)["performance_id"]
    fan = sale.admitted_fan(concert)
    kept = concert_of(concert), sale_of(concert), seat_prices(number, 5)
    assert kept[2] == (50_000,) * 5
    assert fan.seats(concert).status_code == 200
    began = time.monotonic()
    # As another process would: it writes, and cannot reach what this one keeps.
    with connection() as link:
        link.execute("UPDATE concerts SET title = 'Corrected'")
        link.execute("UPDATE performances SET price = 7, capacity = 4")
        link.execute("DELETE FROM seats WHERE seat_no = 5")
        link.execute("UPDATE seats SET price = 7")
    # Whatever is read meanwhile may be a second old, and is no fault.
    assert fan.seats(concert).status_code == 200
    inside = Browser(sale).become(fan)
    assert inside.open(f"/concerts/{concert}/seats/2030-12-31").status_code == 200
    for kept_until in (
        part(Remembered).concerts[concert][0],
        part(RememberedPrices).by_performance[number][0],
        part(LatelyRead).found.get(concert, (0.0, None))[0],
    ):
        assert kept_until <= began + 1.0
    wait_until(lambda: concert_of(concert).title == "Corrected", seconds=20)
    wait_until(lambda: sale_of(concert).concert.performances[0].capacity == 4, seconds=20)
    wait_until(lambda: seat_prices(number, 4) == (7,) * 4, seconds=20)
    seats = fan.seats(concert).json["dates"][0]["seats"]
    assert [one["price"] for one in seats] == [7] * 4


def test_a_house_that_another_process_enlarged_is_shown_whole(sale: Sale) -> None:
    concert = sale.concert(capacity=5)
    fan = sale.admitted_fan(concert)
    assert fan.seats(concert).status_code == 200
    with connection() as link:
        link.execute("UPDATE performances SET capacity = 7")
        link.execute(
            "INSERT INTO seats (performance_id, seat_no, price) VALUES (1, 6, 1), (1, 7, 1)"
        )
    wait_until(lambda: len(fan.seats(concert).json["dates"][0]["seats"]) == 7, seconds=20)
    inside = Browser(sale).become(fan)
    assert inside.open(f"/concerts/{concert}/seats/2030-12-31").status_code == 200
    best = f"/v1/concerts/{concert}/reservations"
    assert fan.call("POST", best, json={"best": 2}).status_code == 200


def test_a_countdown_on_the_concert_s_page_follows_a_new_opening(sale: Sale) -> None:
    opens = datetime.now(UTC) + timedelta(days=3)
    concert = sale.concert(sales_open_at=opens.isoformat())
    page = sale.app.test_client().get(f"/concerts/{concert}").text
    later = opens + timedelta(days=1)
    assert move(sale, concert, sales_open_at=later.isoformat()).status_code == 200
    newer = sale.app.test_client().get(f"/concerts/{concert}").text
    assert newer != page
    assert str(round(later.timestamp() * 1000)) in newer
    assert change(sale, concert, description="More\n\nto read").status_code == 200
    assert "to read" in sale.app.test_client().get(f"/concerts/{concert}").text
