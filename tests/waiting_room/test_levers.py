"""Taking the last change of a room back."""

from __future__ import annotations

import pytest

from concert.ground.audit import SYSTEM
from concert.ground.database import connection
from concert.ground.errors import BadRequest, ChangedMeanwhile
from concert.waiting_room.levers import last_change, undo_last_change
from concert.waiting_room.rooms import change_room, room_of
from tests.sale import Sale


def change(**settings: object) -> None:
    change_room("main", settings, actor=SYSTEM)


def test_capacity_and_rate_are_as_before_and_a_second_undo_takes_the_first_back(sale: Sale) -> None:
    before = room_of("main")
    change(capacity=7, admit_per_minute=70)
    room, taken_back = undo_last_change("main")
    assert (room.capacity, room.admit_per_minute) == (before.capacity, before.admit_per_minute)
    assert taken_back.after == {"capacity": 7, "admit_per_minute": 70}
    room, _ = undo_last_change("main")
    assert (room.capacity, room.admit_per_minute) == (7, 70)


def test_a_pause_in_between_stays(sale: Sale) -> None:
    change(capacity=7)
    change(paused=True)
    room, _ = undo_last_change("main")
    assert room.paused
    assert room.capacity != 7


def test_what_does_not_stand_any_more_is_not_taken_back(sale: Sale) -> None:
    with pytest.raises(BadRequest):
        undo_last_change("main")
    change(capacity=7)
    with connection() as link:
        # By somebody who wrote no line: what stands now is theirs.
        link.execute("UPDATE rooms SET capacity = 9 WHERE slug = 'main'")
    assert last_change(room_of("main")) is None


def test_somebody_else_s_change_since_then_is_not_lost(sale: Sale) -> None:
    change(capacity=7)
    seen = room_of("main").version
    change(paused=True)
    with pytest.raises(ChangedMeanwhile):
        undo_last_change("main", version=seen)
    with pytest.raises(ChangedMeanwhile):
        change_room("main", {"capacity": 8}, version=seen)
    assert room_of("main").capacity == 7
