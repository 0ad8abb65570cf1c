"""What pulling a lever would do, said before it is pulled; by numbers, each door in its own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from concert.overview.cockpit import SaleNow, Seats
from concert.waiting_room.records import Room
from concert.waiting_room.rooms import RoomState

EffectKind = Literal[
    "stops",  # nobody more is let in; `waiting` keep their places, `inside` go on
    "comes_in",  # `waiting` wait; at `per_minute` the last comes in after `seconds`
    "nobody_waits",  # nobody is in line
    "faster",  # the last one's wait changes from `seconds_before` to `seconds`
    "more_inside",  # `people` more come in at once
    "fewer_inside",  # nobody is sent out; `people` have to go before the next comes in
    "few_seats",  # `waiting` wait for `free` seats, which at `per_minute` are taken after `seconds`
    "no_seats",  # no seat is free: `waiting` wait for one that comes back
    "opens_later",  # nobody is let in until then, `waiting` keep their places
    "is_said",  # `waiting` in line read it within seconds
    "is_said_no_more",
    "unsold",  # `free` seats stay unsold
    "held_can_be_paid",  # `held` seats that are held can still be paid
    "line_ends",  # `waiting` in line are told that it is over, since nothing else is sold behind it
    "others_go_on",  # what else is sold behind the line goes on
    "no_change",  # it is so already
    "line_unknown",  # Redis cannot be asked, so nothing is known of the line
]

# From so full a house on it is the house that holds the line up, and not the rate.
FULL = 0.9
LEAST_NEWS_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that would happen; ``numbers`` are what its kind says."""

    kind: EffectKind
    numbers: dict[str, Any] = field(default_factory=dict)


def effects_of_change(sale: SaleNow, changes: Mapping[str, Any]) -> list[Effect]:
    """What changing these settings of the sale's room would do now."""
    room = sale.room
    changes = {name: value for name, value in changes.items() if getattr(room, name) != value}
    if not changes:
        return [Effect("no_change")]
    line = sale.line
    if line is None:
        return [Effect("line_unknown")]
    effects: list[Effect] = []
    if "message" in changes:
        kind: EffectKind = "is_said" if changes["message"] else "is_said_no_more"
        effects.append(Effect(kind, {"waiting": line.waiting}))
        if len(changes) == 1:
            return effects
    after = {name: changes.get(name, getattr(room, name)) for name in ("paused", "opens_at")}
    if after["paused"]:
        return [*effects, Effect("stops", {"waiting": line.waiting, "inside": line.inside})]
    if after["opens_at"] and after["opens_at"] > sale.at:
        return [*effects, Effect("opens_later", {"waiting": line.waiting})]
    capacity = changes.get("capacity", room.capacity)
    if capacity > room.capacity or sale.doors.state != "open":
        coming = min(line.waiting, max(0, capacity - line.inside))
        if line.seats is not None:
            coming = min(coming, line.seats.free)
        if coming and capacity > room.capacity:
            effects.append(Effect("more_inside", {"people": coming}))
    elif capacity < line.inside:
        effects.append(Effect("fewer_inside", {"people": line.inside - capacity}))
    effects += _until_the_last(sale, line, capacity, changes)
    return effects


def effects_of_ending(sale: SaleNow, performance_ids: Sequence[int]) -> list[Effect]:
    """What ending the sale of these dates would do now; those that are not on sale count for nothing."""
    ending = [one for one in sale.on_sale if one.performance.performance_id in performance_ids]
    if not ending:
        return [Effect("no_change")]
    seats = sum((one.seats for one in ending), Seats())
    effects = [Effect("unsold", {"free": seats.free})]
    if seats.held:
        effects.append(Effect("held_can_be_paid", {"held": seats.held}))
    others = [
        one for one in sale.dates if one not in ending and one.performance.sales_close_at > sale.at
    ]
    waiting = sale.line.waiting if sale.line else 0
    effects.append(
        Effect("others_go_on", {"dates": len(others)})
        if others
        else Effect("line_ends", {"waiting": waiting})
    )
    return effects


def pace_of(room: Room, line: RoomState, capacity: int, rate: int) -> float:
    """People a minute who would be let in with this capacity and rate.

    Where the house is full its visitors hold the line up: as many come in as go out, and that grows
    with the capacity.
    """
    measured = line.admissions_per_minute
    if not measured or line.inside < FULL * room.capacity:
        return float(rate)
    return max(1.0, min(float(rate), measured * capacity / max(1, line.inside)))


def _until_the_last(
    sale: SaleNow, line: RoomState, capacity: int, changes: Mapping[str, Any]
) -> list[Effect]:
    if not line.waiting:
        return [Effect("nobody_waits")]
    if line.seats is not None and not line.seats.free:
        return [Effect("no_seats", {"waiting": line.waiting})]
    # Nobody is let in without a free seat.
    free = line.waiting if line.seats is None else line.seats.free
    coming = min(line.waiting, free)
    room = sale.room
    pace = pace_of(room, line, capacity, changes.get("admit_per_minute", room.admit_per_minute))
    seconds = round(coming / pace * 60)
    told: dict[str, Any] = {"waiting": line.waiting, "per_minute": round(pace), "seconds": seconds}
    if coming < line.waiting:
        return [Effect("few_seats", {**told, "free": free})]
    effects = [Effect("comes_in", told)]
    if sale.doors.state == "open":
        before = round(coming / pace_of(room, line, room.capacity, room.admit_per_minute) * 60)
        if abs(before - seconds) >= LEAST_NEWS_SECONDS:
            effects.append(Effect("faster", {"seconds_before": before, "seconds": seconds}))
    return effects
