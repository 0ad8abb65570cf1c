"""What is on, and each concert's page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from concert.factory import create_app
from concert.ground.settings import Settings
from tests.sale import NEW_YEARS_EVE, Sale, forget_all
from tests.web.browser import Browser

NOW = datetime.now(UTC)
TOMORROW = (NOW + timedelta(days=1)).isoformat()
YESTERDAY = (NOW - timedelta(days=1)).isoformat()
LONG_AGO = (NOW - timedelta(days=2)).isoformat()


def test_an_empty_house_says_so(visitor: Browser) -> None:
    assert "Nothing is announced yet" in visitor.read("/").text


def test_the_front_page_tells_what_is_on_sale_soon_sold_out_and_over(
    visitor: Browser, sale: Sale
) -> None:
    sale.concert()
    sale.concert(sales_open_at=TOMORROW)
    sale.concert(sales_open_at=LONG_AGO, sales_close_at=YESTERDAY)
    full = sale.concert(capacity=1)
    fan = sale.admitted_fan(full, balance=50_000)
    fan.hold(full, 1)
    assert fan.pay(full, 1).status_code == 200

    words = visitor.read("/").text
    headings = ["On sale now", "On sale soon", "Sold out", "Over"]

    assert sorted(headings, key=words.index) == headings


def test_the_front_page_has_further_pages(visitor: Browser, sale: Sale) -> None:
    first = sale.concert()
    for _ in range(20):
        sale.concert()
    page = visitor.read("/")
    further = next(a["href"] for a in page.with_tag("a") if "after=" in a["href"])

    assert f"/concerts/{first}" not in [a["href"] for a in page.with_tag("a")]
    assert f"/concerts/{first}" in [a["href"] for a in visitor.read(further).with_tag("a")]


def test_a_concert_shows_its_dates_prices_and_seats_honestly(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert(dates=2, price=55_000)
    day, other = NEW_YEARS_EVE.date().isoformat(), "2031-01-01"
    holder, buyer = sale.admitted_fan(concert), sale.admitted_fan(concert, balance=110_000)
    assert holder.hold(concert, 1, 2, 3, date=day).status_code == 200
    assert buyer.hold(concert, 4, 5, date=day).status_code == 200
    assert buyer.pay(concert, 4, date=day).status_code == 200
    assert other != day

    words = visitor.read(f"/concerts/{concert}").text

    assert "Tuesday, 31 December 2030" in words and "Wednesday, 1 January 2031" in words
    assert "₩55,000" in words
    assert "45 available 3 held 2 sold" in words
    assert "50 available 0 held 0 sold" in words
    assert "95 seats are free at this moment." in words


def test_a_lapsed_hold_is_counted_as_available_at_once(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert()
    sale.admitted_fan(concert).hold(concert, 1)
    sale.let_time_pass(301)

    assert "50 available 0 held 0 sold" in visitor.read(f"/concerts/{concert}").text


def test_a_concert_on_sale_has_a_form_that_joins_its_line(visitor: Browser, sale: Sale) -> None:
    sale.room("small")
    concert = sale.concert(room="small")

    form = visitor.read(f"/concerts/{concert}").form_to("/rooms/small/join")

    assert form.method == "POST"
    assert form.fields["concert"] == str(concert)
    assert form.fields["csrf_token"]


def test_before_the_opening_there_is_a_countdown_on_the_server_s_clock(
    visitor: Browser, sale: Sale
) -> None:
    opens_at = datetime.now(UTC) + timedelta(minutes=10)
    concert = sale.concert(sales_open_at=opens_at.isoformat())

    page = visitor.read(f"/concerts/{concert}")
    (countdown,) = [time for time in page.with_tag("time") if "data-until" in time]

    assert abs(int(countdown["data-until"]) - opens_at.timestamp() * 1000) < 1000
    left = (int(countdown["data-until"]) - int(countdown["data-now"])) / 1000
    assert 500 < left <= 600
    assert countdown["data-at-end"] == "reload"


def test_nobody_lines_up_for_a_sale_that_has_not_begun_where_the_line_moves_already(
    visitor: Browser, sale: Sale
) -> None:
    concert = sale.concert(sales_open_at=TOMORROW)

    assert visitor.read(f"/concerts/{concert}").forms == []


def test_people_may_line_up_before_a_room_opens(visitor: Browser, sale: Sale) -> None:
    sale.room("dawn", opens_at=TOMORROW)
    concert = sale.concert(room="dawn", sales_open_at=TOMORROW)

    assert visitor.read(f"/concerts/{concert}").form_to("/rooms/dawn/join")


def test_whoever_stands_in_the_line_is_led_back_to_it(
    visitor: Browser, new_visitor: Callable[..., Browser], sale: Sale
) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    fan = sale.fan()
    fan.join(concert)
    visitor.become(fan)

    page = visitor.read(f"/concerts/{concert}")

    assert page.forms == []
    assert "You are number 1 in line." in page.text
    assert f"/rooms/main?concert={concert}" in [a["href"] for a in page.with_tag("a")]
    assert new_visitor().read(f"/concerts/{concert}").forms != []


def test_whoever_is_inside_is_led_to_the_seats(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert()
    visitor.become(sale.admitted_fan(concert))

    page = visitor.read(f"/concerts/{concert}")

    assert page.forms == []
    assert "It is your turn!" in page.text
    assert f"/concerts/{concert}/seats" in [a["href"] for a in page.with_tag("a")]


def test_whoever_has_missed_the_turn_may_line_up_again(visitor: Browser, sale: Sale) -> None:
    sale.room(entry_seconds=10)
    concert = sale.concert()
    visitor.become(sale.admitted_fan(concert))
    sale.let_time_pass(11)

    page = visitor.read(f"/concerts/{concert}")

    assert "Your turn has passed" in page.text and "Line up again" in page.text
    assert page.form_to("/rooms/main/join")


def test_seats_on_sale_behind_doors_that_open_later_are_on_sale_soon(
    visitor: Browser, sale: Sale
) -> None:
    sale.room("dawn", opens_at=TOMORROW)
    concert = sale.concert(room="dawn")

    words = visitor.read("/").text
    assert "On sale soon" in words and "On sale now" not in words
    page = visitor.read(f"/concerts/{concert}")
    assert "The doors open in" in page.text and "Line up now; doors open at" in page.text
    assert page.form_to("/rooms/dawn/join")
    (countdown,) = [time for time in page.with_tag("time") if "data-until" in time]
    assert countdown["data-at-end"] == "reload"


def test_of_a_sale_and_its_doors_the_later_is_what_one_waits_for(
    visitor: Browser, sale: Sale
) -> None:
    soon = (NOW + timedelta(hours=1)).isoformat()
    sale.room("dawn", opens_at=TOMORROW)
    late_doors = sale.concert(room="dawn", sales_open_at=soon)
    sale.room("dusk", opens_at=soon)
    late_sale = sale.concert(room="dusk", sales_open_at=TOMORROW)

    assert "The doors open in" in visitor.read(f"/concerts/{late_doors}").text
    assert "Sales open in" in visitor.read(f"/concerts/{late_sale}").text
    for concert in (late_doors, late_sale):
        page = visitor.read(f"/concerts/{concert}")
        (countdown,) = [time for time in page.with_tag("time") if "data-until" in time]
        assert int(countdown["data-until"]) == round(
            datetime.fromisoformat(TOMORROW).timestamp() * 1000
        )


def test_a_concert_is_shown_though_nobody_knows_who_stands_in_its_line(
    visitor: Browser, sale: Sale, settings: Settings
) -> None:
    concert = sale.concert()
    visitor.become(sale.admitted_fan(concert))
    visitor.client.application = create_app(
        settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    )

    page = visitor.read(f"/concerts/{concert}")

    assert "You are in this line" in page.text


def test_sold_out_and_over_offer_no_line(visitor: Browser, sale: Sale) -> None:
    over = sale.concert(sales_open_at=LONG_AGO, sales_close_at=YESTERDAY)
    full = sale.concert(capacity=1)
    fan = sale.admitted_fan(full, balance=50_000)
    fan.hold(full, 1)
    fan.pay(full, 1)

    assert "Sales are over" in visitor.read(f"/concerts/{over}").text
    assert "Every seat has found its owner." in visitor.read(f"/concerts/{full}").text


def test_where_every_seat_is_held_the_page_says_that_some_may_come_back(
    visitor: Browser, sale: Sale
) -> None:
    concert = sale.concert(capacity=1)
    sale.admitted_fan(concert).hold(concert, 1)

    assert "may come back" in visitor.read(f"/concerts/{concert}").text


def test_a_concert_that_is_not_there_is_a_page(visitor: Browser) -> None:
    for path in ("/concerts/999", "/concerts/99999999999999999999999", "/concerts/one"):
        assert visitor.open(path).status_code == 404


def test_the_words_of_an_organiser_are_shown_as_they_are(visitor: Browser, sale: Sale) -> None:
    title = '<img src=x onerror="alert(1)">\'&'
    body = {
        "title": title,
        "venue": "<b>Hall</b>",
        "dates": [{"starts_at": NEW_YEARS_EVE.isoformat(), "price": 1}],
    }
    concert = sale.organise("POST", "/v1/concerts", json=body).json["id"]

    for path in ("/", f"/concerts/{concert}"):
        page = visitor.open(path).text
        assert "<img" not in page and "<b>Hall" not in page
        assert title in visitor.read(path).text


def test_odd_questions_about_further_pages_do_no_harm(visitor: Browser) -> None:
    for after in ("-1", "0", "x", "9" * 30):
        assert visitor.open(f"/?after={after}").status_code == 200


def test_a_card_names_a_day_once_and_says_what_is_free(
    sale: Sale, new_visitor: Callable[..., Browser]
) -> None:
    concert = sale.concert(price=0)
    visitor = new_visitor("ko")
    late = {"starts_at": NEW_YEARS_EVE.replace(hour=22).isoformat(), "price": 0}
    sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [late]})
    words = visitor.read("/").text
    assert words.count("12월 31일 (화)") == 1
    assert "무료" in words and "0원" not in words
    page = visitor.read(f"/concerts/{concert}").text
    assert "오후 7:00 · 1회차" in page and "오후 10:00 · 2회차" in page
    dear = {"starts_at": NEW_YEARS_EVE.replace(day=30).isoformat(), "price": 50_000}
    sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [dear]})
    forget_all(sale.app)
    assert "무료 ~ 50,000원" in visitor.read("/").text
    assert "12월 30일 (월) – 12월 31일 (화)" in visitor.read("/").text
