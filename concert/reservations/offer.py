"""Taking seats off sale and giving them back: the organiser's, for one performance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from concert.catalogue.labels import layout_of_performance
from concert.catalogue.service import (
    LoneSeats,
    Performance,
    forget_concert,
    performance_of,
    require_seats,
)
from concert.ground import events
from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.database import Connection, array, connection
from concert.ground.errors import BadRequest, SeatTaken
from concert.halls.plan import COMPANION, WHEELCHAIR

# Who changes what is for sale in one performance does so after whoever did before.
LOCK_PERFORMANCE = """
SELECT lone_seats, released_seats FROM performances WHERE id = %s FOR NO KEY UPDATE"""
# Locked in number order; whether each is blocked, or somebody has it.
LOCK_SEATS = """
SELECT seat_no, blocked, sold_at IS NOT NULL OR held_until > statement_timestamp() IS TRUE FROM seats
WHERE performance_id = %s AND seat_no = ANY (%s::smallint[]) ORDER BY seat_no FOR UPDATE"""
# What is left of a hold that has lapsed goes with it.
BLOCK = """
UPDATE seats SET blocked = true, reservation_id = NULL, held_until = NULL
WHERE performance_id = %s AND seat_no = ANY (%s::smallint[])"""
UNBLOCK = """
UPDATE seats SET blocked = false WHERE performance_id = %s AND seat_no = ANY (%s::smallint[])"""
SET_PERFORMANCE = (
    "UPDATE performances SET lone_seats = %s, released_seats = %s::smallint[] WHERE id = %s"
)
BLOCKED = "SELECT seat_no FROM seats WHERE performance_id = %s AND blocked ORDER BY seat_no"


@dataclass(frozen=True, slots=True)
class Offer:
    """What of a performance is not simply for sale.

    ``blocked`` are not sold; ``released`` are places for wheelchairs and companions that anybody may
    be given as the best ones.
    """

    performance: Performance
    blocked: tuple[int, ...]
    released: tuple[int, ...]
    lone_seats: LoneSeats


def offer_of(performance_id: int) -> Offer:
    """What of a performance is not simply for sale.

    Raises:
        NotFound: there is no such performance.
    """
    with connection() as link:
        performance = performance_of(performance_id, link)
        return _offer(link, performance)


def change_offer(
    performance_id: int,
    *,
    block: Sequence[int] = (),
    release: Sequence[int] = (),
    lone_seats: LoneSeats | None = None,
    actor: Actor = SYSTEM,
    reason: str | None = None,
) -> Offer:
    """Take seats off sale (``block``) and give them back (``release``): all of it, or nothing.

    Releasing a place for a wheelchair, or a companion's, gives it to all: the best seats may be it
    from now on. Blocking one takes that back. What is so already stays so.

    Raises:
        NotFound: there is no such performance.
        BadRequest: a seat is out of range, or named twice.
        SeatTaken: somebody has a seat that was to be blocked.
    """
    twice = set(block) & set(release)
    if twice:
        raise BadRequest("A seat is to be blocked and released at once.")
    with connection() as link, link.transaction():
        performance = performance_of(performance_id, link)
        blocking = set(require_seats(performance, block)) if block else set()
        releasing = set(require_seats(performance, release)) if release else set()
        row = link.execute(LOCK_PERFORMANCE, (performance_id,)).fetchall()[0]
        before = _offer(link, replace(performance, lone_seats=row[0], released_seats=tuple(row[1])))
        seats = link.execute(
            LOCK_SEATS, (performance_id, array(sorted(blocking | releasing)))
        ).fetchall()
        taken = [number for number, _, has_owner in seats if number in blocking and has_owner]
        if taken:
            raise SeatTaken(taken)
        were = {number for number, is_blocked, _ in seats if is_blocked}
        blocked, freed = sorted(blocking - were), sorted(releasing & were)
        link.execute(BLOCK, (performance_id, array(blocked)))
        link.execute(UNBLOCK, (performance_id, array(freed)))
        given = sorted((set(before.released) | (releasing & _special(performance))) - blocking)
        setting = lone_seats or before.lone_seats
        link.execute(SET_PERFORMANCE, (setting, array(given), performance_id))
        after = Offer(
            replace(performance, lone_seats=setting, released_seats=tuple(given)),
            tuple(sorted((set(before.blocked) | blocking) - releasing)),
            tuple(given),
            setting,
        )
        if after != before:
            record(
                *(link, actor, "change_offer", "performance", performance_id),
                before=_told(before),
                after=_told(after),
                reason=reason,
            )
    forget_concert(performance.concert_id)
    if blocked:
        events.publish_seats(performance_id, blocked, "blocked")
    if freed:
        events.publish_seats(performance_id, freed, "available")
    return after


def _offer(link: Connection, performance: Performance) -> Offer:
    rows = link.execute(BLOCKED, (performance.performance_id,)).fetchall()
    blocked = tuple(row[0] for row in rows)
    return Offer(performance, blocked, performance.released_seats, performance.lone_seats)


def _special(performance: Performance) -> set[int]:
    """The seats that are kept for wheelchairs and those who come with them."""
    flags = layout_of_performance(performance).flags
    return {number for number, bits in enumerate(flags, 1) if bits & (WHEELCHAIR | COMPANION)}


def _told(offer: Offer) -> dict[str, object]:
    return {
        "blocked": list(offer.blocked),
        "released": list(offer.released),
        "lone_seats": offer.lone_seats,
    }
