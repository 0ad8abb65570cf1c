"""What every page says of the seats behind a line: free, held, sold out, over; and who is greeted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from concert.ground.database import connection
from concert.waiting_room.rooms import change_room
from concert.web.waiting_room import said
from tests.sale import NEW_YEARS_EVE, Fan, Sale
from tests.waiting_room.test_seats import MESSAGE, tick
from tests.web.browser import Browser, Document

DAY = NEW_YEARS_EVE.date()
NewVisitor = Callable[..., Browser]


def everything_held(sale: Sale, seats: int = 1) -> tuple[int, Fan]:
    """A concert whose every seat is held by one person."""
    concert = sale.concert(capacity=seats, price=0)
    holder = sale.admitted_fan(concert)
    assert holder.hold(concert, *range(1, seats + 1)).status_code == 200
    return concert, holder


def everything_sold(sale: Sale) -> int:
    """A concert whose only seat is sold."""
    concert, holder = everything_held(sale)
    assert holder.pay(concert, 1).status_code == 200
    sale.count_seats()
    return concert


def a_seat_comes_back(sale: Sale) -> None:
    """As a refund does."""
    with connection() as link:
        link.execute("UPDATE seats SET sold_at = NULL, reservation_id = NULL")
    sale.let_time_pass(0)


def room_page(visitor: Browser, concert: int) -> Document:
    return visitor.read(f"/rooms/main?concert={concert}")


def in_line(visitor: Browser, sale: Sale, concert: int) -> Document:
    fan = sale.fan()
    fan.join(concert)
    return room_page(visitor.become(fan), concert)


@pytest.mark.parametrize(
    ("language", "held", "behind"),
    [
        ("en", "All seats are being paid for right now", "0 free 1 being paid for 0 sold"),
        ("ko", "지금은 모든 좌석이 결제 진행 중이에요", "0 예매 가능 1 결제 진행 중 0 판매 완료"),
    ],
)
def test_where_all_is_held_the_line_says_that_some_may_come_back_and_no_time(
    sale: Sale, language: str, held: str, behind: str
) -> None:
    concert, _ = everything_held(sale)
    page = in_line(Browser(sale, language), sale, concert)
    assert held in page.text and behind in page.text
    assert ("Estimated wait" in page.text, "예상 대기" in page.text) == (False, False)
    stranger = room_page(Browser(sale, language), concert)
    assert held in stranger.text and behind in stranger.text
    assert stranger.form_to("/join")


@pytest.mark.parametrize(
    ("language", "button", "before", "after"),
    [
        ("en", "Stand by for a seat", "Whoever joins now stands by", "You are standing by."),
        (
            "ko",
            "취소 좌석 기다리기",
            "취소된 좌석을 기다리게 돼요",
            "취소된 좌석을 기다리는 중이에요.",
        ),
    ],
)
def test_in_a_sold_out_line_joining_is_standing_by_and_the_button_says_so_before(
    sale: Sale, language: str, button: str, before: str, after: str
) -> None:
    concert = everything_sold(sale)
    visitor = Browser(sale, language)
    page = room_page(visitor, concert)
    assert button in page.text and before in page.text
    visitor.send(page.form_to("/join"))
    page = room_page(visitor, concert)
    assert after in page.text and before not in page.text
    assert page.form_to("/leave")
    assert ("Estimated wait" in page.text, "예상 대기" in page.text) == (False, False)


def test_a_concert_s_page_offers_standing_by_where_that_is_what_joining_is(
    sale: Sale, visitor: Browser, new_visitor: NewVisitor
) -> None:
    concert = everything_sold(sale)
    page = visitor.read(f"/concerts/{concert}")
    assert "Stand by for a seat" in page.text and "Join the line" not in page.text
    assert "Sold out · stand by for returned seats" in visitor.read("/").text
    assert visitor.send(page.form_to("/join")).status_code == 303
    assert "You stand by, as number 1." in visitor.read(f"/concerts/{concert}").text
    # Where the line lets people in for something else, nobody can stand by for this.
    sale.concert()
    page = new_visitor().read(f"/concerts/{concert}")
    assert "Sold out" in page.text and page.forms == []
    assert "stand by" not in new_visitor().read("/").text


def test_a_seat_that_comes_back_is_said_everywhere_and_lets_the_first_in(
    sale: Sale, visitor: Browser, new_visitor: NewVisitor
) -> None:
    concert = everything_sold(sale)
    first, second = sale.fan(), sale.fan()
    first.join(concert)
    second.join(concert)
    a_seat_comes_back(sale)
    page = room_page(visitor.become(second), concert)
    assert "Sold out" not in page.text and "1 free 0 being paid for 0 sold" in page.text
    assert "1 seat is free at this moment." in new_visitor().read(f"/concerts/{concert}").text
    tick(sale)
    inside = new_visitor().become(first)
    assert inside.open(f"/rooms/main?concert={concert}").status_code == 303
    assert "data-position" in visitor.open(f"/rooms/main?concert={concert}").text


@pytest.mark.parametrize(
    ("language", "over", "elsewhere"),
    [("en", "The sale is over", "See what is on"), ("ko", "판매가 끝났어요", "공연 보러 가기")],
)
def test_when_the_sale_has_ended_the_place_says_so_and_nobody_is_offered_a_line(
    sale: Sale, language: str, over: str, elsewhere: str
) -> None:
    closes = datetime.now().astimezone() + timedelta(minutes=1)
    concert = sale.concert(capacity=1, sales_close_at=closes.isoformat())
    sale.admitted_fan(concert)
    visitor, stranger = Browser(sale, language), Browser(sale, language)
    in_line(visitor, sale, concert)
    form = room_page(stranger, concert).form_to("/join")
    sale.let_time_pass(61)
    tick(sale)
    for page in (room_page(visitor, concert), room_page(stranger, concert)):
        assert over in page.text and elsewhere in page.text
        assert [form for form in page.forms if "/join" in form.action] == []
        assert not [one for one in page.with_tag("meta") if one.get("http-equiv") == "refresh"]
    place = visitor.open(f"/rooms/main/place?concert={concert}").text
    assert 'data-status="expired" data-position="" data-seats="ended"' in place
    # Whoever had the page open hears it in words, too.
    assert stranger.send(form).status_code == 409


def test_a_missed_turn_in_a_sold_out_line_offers_standing_by(sale: Sale, visitor: Browser) -> None:
    sale.room(entry_seconds=10)
    concert = sale.concert(capacity=2, price=0)
    buyer, late = sale.admitted_fan(concert), sale.admitted_fan(concert)
    assert buyer.hold(concert, 1, 2).status_code == 200
    assert buyer.pay(concert, 1).status_code == 200
    sale.let_time_pass(11)
    page = room_page(visitor.become(late), concert)
    assert "Your turn has passed" in page.text and "Stand by for a seat" in page.text


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        ("likely", "You will likely find a seat."),
        ("maybe", "There may be a seat for you."),
        ("unlikely", "As things are, a seat for you is unlikely."),
    ],
)
def test_the_chance_is_said_in_plain_words(
    sale: Sale, visitor: Browser, chance: str, words: str
) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=20)
    sale.admitted_fan(concert)
    for _ in range({"likely": 0, "maybe": 7, "unlikely": 12}[chance]):
        sale.fan().join(concert)
    tick(sale)
    page = in_line(visitor, sale, concert)
    assert words in page.text
    assert page.text.count("seat for you") + page.text.count("likely find") == 1


def test_a_measured_wait_is_a_range(sale: Sale, visitor: Browser) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    first = sale.admitted_fan(concert)
    page = in_line(visitor, sale, concert)
    assert "being measured" in page.text
    in_line(visitor, sale, concert)
    first.call("DELETE", "/v1/enqueues")
    sale.let_time_pass(1)
    tick(sale)
    words = room_page(visitor, concert).text
    assert "less than a minute" in words or " minute" in words
    assert "being measured" not in words


def test_the_organiser_s_message_is_shown_in_the_reader_s_language_and_as_it_is(
    sale: Sale, new_visitor: NewVisitor
) -> None:
    sale.room(capacity=1, message={**MESSAGE, "en": "Doors <b>as</b> announced."})
    concert = sale.concert()
    sale.admitted_fan(concert)
    english, korean = new_visitor(), new_visitor("ko")
    for page in (in_line(english, sale, concert), room_page(new_visitor(), concert)):
        assert "From the organiser Doors <b>as</b> announced." in page.text
    assert "<b>as</b>" not in english.open(f"/rooms/main?concert={concert}").text
    assert "주최 측 안내 곧 열려요." in in_line(korean, sale, concert).text
    change_room("main", {"message": None})
    assert "From the organiser" not in room_page(english, concert).text


def test_a_message_in_one_language_is_better_than_none(sale: Sale) -> None:
    with sale.app.test_request_context(headers={"Accept-Language": "en"}):
        assert said({"ko": "곧 열려요."}) == ("곧 열려요.", "ko")
        assert said({"ko": "곧 열려요.", "en": ""}) == ("곧 열려요.", "ko")
        assert said(MESSAGE) == ("We open soon.", "en")
        assert said({}) is None and said(None) is None


@pytest.mark.parametrize("state", ["all_held", "sold_out"])
def test_a_map_with_nothing_free_says_so_and_offers_nothing_that_cannot_succeed(
    sale: Sale, visitor: Browser, state: str
) -> None:
    concert = sale.concert(capacity=2, price=0)
    holder, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    path = f"/concerts/{concert}/seats/{DAY}"
    visitor.become(other)
    assert offered(visitor.read(path)) == {"open"}
    assert holder.hold(concert, 1, 2).status_code == 200
    if state == "sold_out":
        assert holder.pay(concert, 1).status_code == 200
    page = visitor.read(path)
    assert offered(page) == {"all_held sold_out", state}
    assert "You can stay as long as your visit lasts" in page.text
    assert visitor.send(page.form_to("/leave")).status_code == 303
    assert other.place().json["status"] == "left"


def offered(page: Document) -> set[str]:
    """What is there to be seen of what hangs on the state of the seats."""
    return {
        one["data-when"] for _, one in page.elements if "data-when" in one and "hidden" not in one
    }


def test_the_choice_of_dates_says_which_are_sold_out_and_which_are_held(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert(dates=3, capacity=1, price=0)
    buyer, holder, other = (sale.admitted_fan(concert) for _ in range(3))
    days = [(DAY + timedelta(days=number)).isoformat() for number in range(3)]
    assert buyer.hold(concert, 1, date=days[0]).status_code == 200
    assert buyer.pay(concert, 1, date=days[0]).status_code == 200
    assert holder.hold(concert, 1, date=days[1]).status_code == 200
    visitor.become(other)
    page = visitor.read(f"/concerts/{concert}/seats")
    assert page.text.count("Sold out") == 1
    assert page.text.count("All seats are being paid for") == 1
    assert [form for form in page.forms if "/leave" in form.action] == []
    assert other.hold(concert, 1, date=days[2]).status_code == 200
    page = visitor.read(f"/concerts/{concert}/seats")
    assert "You can stay as long as your visit lasts, and look again." in page.text
    assert page.form_to("/leave")


def test_home_the_concert_the_dates_and_the_api_tell_the_same(
    sale: Sale, visitor: Browser, new_visitor: NewVisitor
) -> None:
    concert = sale.concert(dates=2, capacity=1, price=0)
    inside = [sale.admitted_fan(concert) for _ in range(2)]
    days = [DAY.isoformat(), (DAY + timedelta(days=1)).isoformat()]
    looking = new_visitor().become(inside[0])

    def told() -> tuple[str, ...]:
        home = visitor.read("/").text
        badges = ("All seats are being paid for", "Sold out · stand by", "On sale now On")
        page = visitor.read(f"/concerts/{concert}").text
        words = ("right now; some may come back", "Stand by for a seat", "free at this moment")
        (number,) = [n for n, badge in enumerate(badges) if badge in home] or [-1]
        assert words[number] in page, page
        sales = sale.call("GET", f"/v1/concerts/{concert}").json["sales"]
        return ("all_held", "sold_out", "open")[number], sales

    home = visitor.read("/").text
    assert "On sale" in home and "held" not in home
    for fan, day in zip(inside, days, strict=True):
        assert fan.hold(concert, 1, date=day).status_code == 200
    assert told() == ("all_held", "on_sale")
    assert (
        "All seats are being paid for right now" in looking.read(f"/concerts/{concert}/seats").text
    )
    for fan, day in zip(inside, days, strict=True):
        assert fan.pay(concert, 1, date=day).status_code == 200
    sale.count_seats()
    assert told() == ("sold_out", "sold_out")


def test_whoever_waits_is_greeted_with_it_and_so_is_whose_turn_it_is(
    sale: Sale, visitor: Browser, new_visitor: NewVisitor
) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=2)
    first = sale.admitted_fan(concert)
    visitor.send(visitor.read(f"/concerts/{concert}").form_to("/join"))
    for path in ("/", "/wallet", "/tickets", "/me"):
        page = visitor.read(path)
        assert "You are number 1 in line for Winter Songs." in page.text, path
        assert f"/rooms/main?concert={concert}" in [one["href"] for one in page.with_tag("a")]
    # The concert's page and the line say it themselves.
    for path in (f"/concerts/{concert}", f"/rooms/main?concert={concert}"):
        assert "greeting" not in [one.get("id") for one in visitor.read(path).with_tag("aside")]
    first.call("DELETE", "/v1/enqueues")
    tick(sale)
    answer = visitor.open("/")
    assert answer.headers["Cache-Control"] == "no-store"
    page = Document(answer.text)
    assert "It is your turn: Winter Songs." in page.text
    assert [one["role"] for one in page.with_tag("time")] == ["timer"]
    assert f"/concerts/{concert}/seats" in [one["href"] for one in page.with_tag("a")]
    assert "greeting" not in new_visitor().open("/").text


def test_a_hold_is_greeted_before_a_turn_so_there_is_one_clock(
    sale: Sale, visitor: Browser
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    assert fan.hold(concert, 12).status_code == 200
    page = visitor.become(fan).read("/")
    assert [one["id"] for one in page.with_tag("aside")] == ["hold"]
    assert len([one for one in page.with_tag("time") if "data-until" in one]) == 1


def test_standing_by_is_what_the_greeting_says_of_it(sale: Sale, visitor: Browser) -> None:
    concert = everything_sold(sale)
    visitor.send(visitor.read(f"/concerts/{concert}").form_to("/join"))
    assert "You stand by for Winter Songs, as number 1." in visitor.read("/").text
    visitor.client.set_cookie("wanted-main", "9" * 30)
    assert "You stand by, as number 1." in visitor.read("/").text


def test_a_place_that_is_over_is_no_greeting(sale: Sale, visitor: Browser) -> None:
    concert = everything_sold(sale)
    fan = sale.fan()
    fan.join(concert)
    visitor.become(fan)
    assert "You stand by" in visitor.read("/").text
    fan.call("DELETE", "/v1/enqueues")
    assert visitor.read("/").with_tag("aside") == []
