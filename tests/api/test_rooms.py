"""How a room is, for anybody: the line, its pace, and the seats behind it."""

from __future__ import annotations

from typing import Any

import pytest

from concert.ground.parts import keep
from concert.jobs import ticks
from concert.overview.lately import LatelyRead
from concert.waiting_room.tokens import queue_token_of
from tests.sale import Sale


def room(sale: Sale, slug: str = "main", **headers: str) -> Any:
    """The room as it is now, not as it was within the last second."""
    keep(sale.app, LatelyRead())
    return sale.call("GET", f"/v1/rooms/{slug}", headers=headers)


def test_anybody_may_see_the_line_its_newest_admission_and_the_seats(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert(capacity=3)
    inside, waiting = sale.fan(balance=100_000), sale.fan()
    inside.join(concert)
    waiting.join(concert)
    inside.hold(concert, 1)
    found = room(sale).json
    with sale.app.app_context():
        first = queue_token_of(inside.queue_token).sequence
    assert found == {
        "room": "main",
        "waiting": 1,
        "inside": 1,
        "admissions_per_minute": None,
        "newest_admitted_sequence": first,
        "opens_at": None,
        "paused": False,
        "resumes_at": None,
        "seats": {"free": 2, "held": 1, "sold": 0, "state": "open"},
        "message": None,
    }


def test_the_pace_is_told_once_people_were_let_in_from_the_line(sale: Sale) -> None:
    sale.room(capacity=1)
    concert = sale.concert()
    fans = [sale.fan() for _ in range(3)]
    for fan in fans:
        fan.join(concert)
    with sale.app.app_context():
        ticks.admit_everywhere()
    fans[0].call("DELETE", "/v1/enqueues")
    sale.let_time_pass(1)
    with sale.app.app_context():
        ticks.admit_everywhere()
    assert room(sale).json["admissions_per_minute"] > 0


def test_the_state_of_the_seats_is_said_in_a_word(sale: Sale) -> None:
    assert room(sale).json["seats"]["state"] == "open"  # in front of nothing, nothing has ended
    concert = sale.concert(capacity=1)
    fan = sale.admitted_fan(concert, balance=50_000)
    fan.hold(concert, 1)
    assert room(sale).json["seats"] == {"free": 0, "held": 1, "sold": 0, "state": "all_held"}
    fan.pay(concert, 1)
    sale.count_seats()
    assert room(sale).json["seats"] == {"free": 0, "held": 0, "sold": 1, "state": "sold_out"}
    sale.let_time_pass(10 * 366 * 86_400)
    assert room(sale).json["seats"] == {"free": 0, "held": 0, "sold": 0, "state": "ended"}


def test_a_lapsed_hold_counts_as_free(sale: Sale) -> None:
    concert = sale.concert(capacity=1)
    sale.admitted_fan(concert).hold(concert, 1)
    sale.let_time_pass(301)
    assert room(sale).json["seats"]["state"] == "open"


def test_seats_behind_another_room_are_not_counted(sale: Sale) -> None:
    sale.room("side")
    sale.concert(room="side", capacity=7)
    sale.concert(capacity=5)
    assert room(sale).json["seats"]["free"] == 5
    assert room(sale, "side").json["seats"]["free"] == 7


def test_a_crowd_that_asks_within_a_second_is_told_the_same(sale: Sale) -> None:
    first = room(sale)
    sale.fan().join()
    again = sale.call("GET", "/v1/rooms/main")
    assert again.json == first.json


@pytest.mark.parametrize("header", ["Authorization", "Cookie"])
def test_the_answer_is_everybodys_and_may_be_kept_for_a_second(sale: Sale, header: str) -> None:
    answer = room(sale, **{header: "whatever=1"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=1"
    assert "Set-Cookie" not in answer.headers
    unchanged = sale.call(
        "GET", "/v1/rooms/main", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (unchanged.status_code, unchanged.data) == (304, b"")


def test_a_room_that_is_not_there_is_404_and_a_name_that_cannot_be_is_400(sale: Sale) -> None:
    assert room(sale, "nowhere").status_code == 404
    assert room(sale, "No-Where").status_code == 400
