"""The pages of the waiting room, without JavaScript."""

from __future__ import annotations

import pytest

from concert.ground.redis_client import redis
from concert.waiting_room.keys import room_keys
from concert.waiting_room.rooms import room_of
from concert.waiting_room.tokens import queue_token_of
from tests.sale import NEW_YEARS_EVE, Sale
from tests.web.browser import Browser, Document


def full_house(sale: Sale) -> int:
    """A concert whose room has one slot, which somebody has."""
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    return concert


def lined_up(visitor: Browser, concert: int) -> Document:
    path = f"/rooms/main?concert={concert}"
    visitor.send(visitor.read(path).form_to("/join"))
    return visitor.read(path)


def position(page: Document) -> str:
    """The place in line that a page shows."""
    (found,) = [one["data-position"] for one in page.with_tag("div") if "data-position" in one]
    return found


def test_somebody_without_a_place_sees_how_many_are_in_line_and_can_join(
    sale: Sale, visitor: Browser
) -> None:
    concert = full_house(sale)
    sale.fan().join(concert)
    page = visitor.read(f"/rooms/main?concert={concert}")
    assert "You are not in line" in page.text
    assert "One person is in line." in page.text
    assert page.form_to("/rooms/main/join").fields["concert"] == str(concert)


def test_joining_makes_a_person_and_shows_the_place(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    sale.fan().join(concert)
    page = lined_up(visitor, concert)
    places = [found for found in page.with_tag("div") if "data-position" in found]
    assert [found["data-position"] for found in places] == ["2"]
    assert visitor.cookie("concert_user").http_only
    assert visitor.cookie("concert_queue_main").http_only


def test_joining_keeps_the_token_that_proves_the_place_whatever_redis_loses(
    sale: Sale, visitor: Browser
) -> None:
    concert = full_house(sale)
    form = visitor.read(f"/concerts/{concert}").form_to("/join")
    # Nothing is looked at afterwards: a page finds a place by its user, too, as long as Redis has it.
    assert visitor.send(form).status_code == 303
    assert visitor.cookie("concert_queue_main") is not None


def test_a_reload_and_a_second_join_keep_the_place(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    lined_up(visitor, concert)
    sale.fan().join(concert)
    page = visitor.read(f"/rooms/main?concert={concert}")
    token = page.form_to("/leave").fields["csrf_token"]
    visitor.post("/rooms/main/join", {"csrf_token": token, "concert": str(concert)})
    assert "Behind you 1" in visitor.read(f"/rooms/main?concert={concert}").text


def test_joining_again_after_a_loss_keeps_the_earlier_place(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    lined_up(visitor, concert)
    behind = sale.fan()
    behind.join(concert)
    token = visitor.read(f"/rooms/main?concert={concert}").form_to("/leave").fields["csrf_token"]
    redis().flushall()
    assert behind.place().json["position"] == 1
    visitor.post("/rooms/main/join", {"csrf_token": token, "concert": str(concert)})
    assert behind.place().json["position"] == 2


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "We are putting the line back in order."),
        ("ko", "줄을 다시 정리하고 있어요."),
    ],
)
def test_the_page_says_when_the_line_goes_on_after_a_loss(
    sale: Sale, language: str, said: str
) -> None:
    concert = full_house(sale)
    visitor = Browser(sale, language)
    page = lined_up(visitor, concert)
    assert said not in page.text
    redis().flushall()
    page = visitor.read(f"/rooms/main?concert={concert}")
    assert said in page.text
    assert [found["role"] for found in page.with_tag("time")] == ["timer"]
    sale.let_time_pass(room_of("main").recovery_seconds + 1)
    assert said not in visitor.read(f"/rooms/main?concert={concert}").text


def test_leaving_by_the_page_gives_the_seats_back(sale: Sale, visitor: Browser) -> None:
    sale.room(capacity=2)
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    assert fan.hold(concert, 1).status_code == 200
    visitor.become(fan)
    token = visitor.read("/me").form_to("").fields["csrf_token"]
    visitor.post("/rooms/main/leave", {"csrf_token": token, "concert": str(concert)})
    seats = other.seats(concert).json["dates"][0]["seats"]
    assert seats[0]["state"] == "available"


def test_the_page_without_scripts_asks_again_by_itself(sale: Sale, visitor: Browser) -> None:
    page = lined_up(visitor, full_house(sale))
    refreshes = [found for found in page.with_tag("meta") if found.get("http-equiv") == "refresh"]
    assert [1 <= int(found["content"]) <= 3 for found in refreshes] == [True]


def test_the_page_near_the_front_says_that_somebody_is_there(sale: Sale, visitor: Browser) -> None:
    page = lined_up(visitor, full_house(sale))
    line = next(found for found in page.with_tag("section") if found.get("id") == "line")
    assert line["data-near"] == str(room_of("main").near_front)
    form = page.form_to("/leave")
    answer = visitor.post(str(line["data-here-url"]), dict(form.fields))
    assert (answer.status_code, answer.data) == (204, b"")
    assert redis().scard(room_keys("main").here) == 1
    # Whoever has left says it for nobody, and is told nothing.
    visitor.send(form)
    assert visitor.post(str(line["data-here-url"]), dict(form.fields)).status_code == 204
    assert redis().scard(room_keys("main").here) == 0


def test_the_progress_bar_counts_from_where_one_started(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    ahead = [sale.fan() for _ in range(3)]
    for fan in ahead:
        fan.join(concert)
    lined_up(visitor, concert)
    ahead[0].call("DELETE", "/v1/enqueues")
    bar = visitor.read(f"/rooms/main?concert={concert}").with_tag("progress")[0]
    assert (bar["value"], bar["max"]) == ("1", "4")


def test_whoever_is_let_in_goes_straight_to_the_seats(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert()
    path = f"/rooms/main?concert={concert}"
    joined = visitor.send(visitor.read(path).form_to("/join"))
    assert joined.headers["Location"] == path
    assert visitor.open(path).headers["Location"] == f"/concerts/{concert}/seats"
    seats = visitor.open(f"/concerts/{concert}/seats").headers["Location"]
    assert seats == f"/concerts/{concert}/seats/{NEW_YEARS_EVE.date()}"


def test_a_pause_is_said(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    lined_up(visitor, concert)
    sale.room(paused=True)
    assert "The line is paused" in visitor.read(f"/rooms/main?concert={concert}").text


def test_before_the_doors_open_the_page_says_when(sale: Sale, visitor: Browser) -> None:
    sale.room(opens_at=NEW_YEARS_EVE.isoformat())
    page = lined_up(visitor, sale.concert())
    assert "The doors open at Tue 31 Dec 2030, 7:00 PM. You are already in line." in page.text
    assert "after the doors open" in page.text


def test_a_missed_turn_is_said_with_one_button_to_line_up_again(
    sale: Sale, visitor: Browser
) -> None:
    sale.room(entry_seconds=10)
    concert = sale.concert()
    path = f"/rooms/main?concert={concert}"
    visitor.send(visitor.read(path).form_to("/join"))
    sale.let_time_pass(11)
    page = visitor.read(path)
    assert "Your turn has passed" in page.text
    assert visitor.send(page.form_to("/join")).status_code == 303
    assert visitor.open(path).status_code == 303


def test_leaving_gives_the_place_up(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    page = lined_up(visitor, concert)
    visitor.send(page.form_to("/leave"))
    behind = sale.fan()
    assert behind.join(concert).json["position"] == 1
    assert "You are not in line" in visitor.read(f"/rooms/main?concert={concert}").text


def test_leaving_again_is_no_fault(sale: Sale, visitor: Browser) -> None:
    page = lined_up(visitor, full_house(sale))
    for _ in range(2):
        assert visitor.send(page.form_to("/leave")).status_code == 303


def test_the_place_alone_is_there_for_when_the_stream_fails(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    assert "You are not in line" in visitor.read(f"/rooms/main/place?concert={concert}").text
    lined_up(visitor, concert)
    fragment = visitor.open(f"/rooms/main/place?concert={concert}")
    assert "<html" not in fragment.text
    assert 'data-position="1"' in fragment.text
    assert fragment.headers["Cache-Control"] == "no-store"


def test_the_status_of_a_room_may_be_kept_for_a_second(sale: Sale, visitor: Browser) -> None:
    full_house(sale)
    status = visitor.open("/rooms/main/status")
    assert "Nobody is in line." in status.text
    assert status.headers["Cache-Control"] == "public, max-age=1"


def test_a_room_that_is_not_there_is_a_page_that_says_so(visitor: Browser) -> None:
    for path in ("/rooms/nowhere", "/rooms/nowhere/place", "/rooms/nowhere/status"):
        assert visitor.open(path).status_code == 404


def test_a_concert_of_another_room_is_not_taken_for_this_one(sale: Sale, visitor: Browser) -> None:
    sale.room("side", capacity=1)
    elsewhere = sale.concert(room="side")
    assert visitor.open(f"/rooms/main?concert={elsewhere}").status_code == 200
    assert "Winter Songs" not in visitor.read(f"/rooms/main?concert={elsewhere}").text
    assert visitor.open("/rooms/main?concert=999999").status_code == 200


def test_whoever_has_lined_up_again_elsewhere_sees_the_newer_place_here(
    sale: Sale, visitor: Browser
) -> None:
    concert = full_house(sale)
    fan = sale.fan()
    fan.join(concert)
    visitor.become(fan)
    sale.fan().join(concert)
    fan.call("DELETE", "/v1/enqueues")
    assert "You are not in line" in visitor.read(f"/rooms/main?concert={concert}").text
    fan.join(concert)
    assert position(visitor.read(f"/rooms/main?concert={concert}")) == "2"
    assert queue_token_of(visitor.cookie("concert_queue_main").value) == queue_token_of(
        fan.queue_token
    )


def test_a_device_without_a_token_finds_the_place_that_its_user_has(
    sale: Sale, visitor: Browser
) -> None:
    concert = full_house(sale)
    fan = sale.fan()
    fan.join(concert)
    token, fan.queue_token = fan.queue_token, ""
    visitor.become(fan)
    assert position(visitor.read(f"/rooms/main?concert={concert}")) == "1"
    assert queue_token_of(visitor.cookie("concert_queue_main").value) == queue_token_of(token)


def test_nobody_finds_a_place_by_asking_that_they_do_not_have(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    sale.fan().join(concert)
    visitor.become(sale.fan())
    assert "You are not in line" in visitor.read(f"/rooms/main?concert={concert}").text
    assert visitor.cookie("concert_queue_main") is None
    assert "One person is in line." in visitor.read("/rooms/main").text


def test_the_room_and_its_concerts_say_the_same_of_its_doors(sale: Sale, visitor: Browser) -> None:
    concert = sale.concert()
    pages = ("/", f"/concerts/{concert}", f"/rooms/main?concert={concert}")
    sale.room(opens_at=NEW_YEARS_EVE.isoformat())
    for path in pages:
        words = visitor.read(path).text
        assert "Tue 31 Dec 2030, 7:00 PM" in words, path
        assert "On sale now" not in words, path
    for path in pages[1:]:
        words = visitor.read(path).text
        assert "Line up now; doors open at Tue 31 Dec 2030, 7:00 PM." in words, path
    sale.room(opens_at=None, paused=True)
    for path in pages:
        assert "The line is paused" in visitor.read(path).text, path
    sale.room(paused=False)
    for path in pages:
        assert "paused" not in visitor.read(path).text, path
    # Doors that have opened are open.
    sale.room(opens_at="2024-01-01T00:00:00+00:00")
    for path in pages:
        assert "doors open at" not in visitor.read(path).text, path
    assert "On sale now" in visitor.read("/").text


def test_without_a_concert_the_way_in_leads_home(sale: Sale, visitor: Browser) -> None:
    visitor.send(visitor.read("/rooms/main").form_to("/join"))
    assert visitor.open("/rooms/main").headers["Location"] == "/"


def test_a_place_that_was_left_on_another_device_is_no_place(sale: Sale, visitor: Browser) -> None:
    concert = full_house(sale)
    fan = sale.fan()
    fan.join(concert)
    visitor.become(fan)
    assert visitor.read(f"/rooms/main?concert={concert}").form_to("/leave")
    fan.call("DELETE", "/v1/enqueues")
    page = visitor.read(f"/rooms/main?concert={concert}")
    assert "You are not in line" in page.text
    assert page.form_to("/join")
