"""Where a plan cannot work: said to whoever plans, by JSON, page and command line alike, and never in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from concert.catalogue.service import Concert, Performance
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.reservations.service import SeatCounts
from concert.waiting_room.records import Room

# What each warning says; a page says it in its reader's language.
SAYS = {
    "no_dates": "There is no date yet.",
    "starts_in_past": "This date is in the past.",
    "sale_over": "Its sale is over already.",
    "sale_after_start": "Its sale goes on after it has started.",
    "at_one_time": "Something else is played at the same place at this time.",
    "room_opens_before_sale": "Its waiting room is open before its sale: people wait there with nothing to choose.",
    "room_opens_after_sale": "Its waiting room opens after its sale: nobody gets in before.",
    "room_paused": "Its waiting room is paused: nobody is let in.",
    "sale_too_short": "At {rate} people a minute the line for {seats} seats takes about {minutes} minutes: "
    "longer than its sale.",
    "rate_above_seats": "{rate} people a minute are let in, for {seats} seats in all: everybody comes at once.",
    "visit_shorter_than_hold": "A visit lasts {visit} seconds, and a hold {hold}: people are sent out while they pay.",
    "capacity_above_free": "{capacity} people may be inside, and {free} seats are free: most would find nothing.",
    "draft_in_open_room": "It is a draft, and its waiting room is open: whoever lines up there now is ahead "
    "of the line when it is shown.",
}


@dataclass(frozen=True, slots=True)
class Warning:
    """Something that cannot work: of the whole concert, or of one date; ``numbers`` are those of its words."""

    code: str
    performance_id: int | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The same in English words."""
        return SAYS[self.code].format(**self.numbers)


def warnings_of(
    concert: Concert,
    room: Room,
    counts: Mapping[int, SeatCounts],
    at_one_time: Iterable[int],
) -> list[Warning]:
    """What of a plan cannot work, of dates that are still to come.

    ``at_one_time`` are the numbers of its dates at whose time something else is played there.
    """
    now = datetime.now(UTC)
    coming = [one for one in concert.performances if one.starts_at > now]
    found = [] if concert.performances else [Warning("no_dates")]
    # What has been played is no mistake; what nobody has seen yet is.
    found += [
        Warning("starts_in_past", one.performance_id)
        for one in concert.performances
        if one.starts_at <= now and (concert.draft or one.draft)
    ]
    meeting = set(at_one_time)
    for one in coming:
        found += _of_date(one, room, now)
        if one.performance_id in meeting:
            found.append(Warning("at_one_time", one.performance_id))
    if coming:
        found += _of_room(concert, coming, room, counts, now)
    return found


def _of_date(one: Performance, room: Room, now: datetime) -> Iterable[Warning]:
    number = one.performance_id
    if one.sales_close_at <= now:
        yield Warning("sale_over", number)
        return
    if one.sales_close_at > one.starts_at:
        yield Warning("sale_after_start", number)
    opens = max(one.sales_open_at, now)
    room_opens = max(room.opens_at or now, now)
    if one.sales_open_at > now and room_opens < one.sales_open_at:
        yield Warning("room_opens_before_sale", number)
    elif room_opens > opens:
        yield Warning("room_opens_after_sale", number)
    needed = timedelta(minutes=one.capacity / room.admit_per_minute)
    if one.sales_close_at - max(opens, room_opens) < needed:
        minutes = -(-one.capacity // room.admit_per_minute)
        numbers = {"rate": room.admit_per_minute, "seats": one.capacity, "minutes": minutes}
        yield Warning("sale_too_short", number, numbers)


def _of_room(
    concert: Concert,
    coming: list[Performance],
    room: Room,
    counts: Mapping[int, SeatCounts],
    now: datetime,
) -> Iterable[Warning]:
    hold = part(Settings).hold_seconds
    seats = sum(one.capacity for one in coming)
    free = sum(
        counts[one.performance_id].available for one in coming if one.performance_id in counts
    )
    is_open = not room.paused and (room.opens_at is None or room.opens_at <= now)
    if room.paused and any(one.on_sale(now) for one in coming):
        yield Warning("room_paused")
    if room.admit_per_minute > seats:
        yield Warning("rate_above_seats", None, {"rate": room.admit_per_minute, "seats": seats})
    if room.visit_seconds < hold:
        yield Warning("visit_shorter_than_hold", None, {"visit": room.visit_seconds, "hold": hold})
    if room.capacity > free > 0:
        yield Warning("capacity_above_free", None, {"capacity": room.capacity, "free": free})
    if is_open and (concert.draft or all(one.draft for one in coming)):
        yield Warning("draft_in_open_room")
