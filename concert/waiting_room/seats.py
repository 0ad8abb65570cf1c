"""The seats behind a room: counted by PostgreSQL, kept by Redis beside the line, told with every place.

A room lets people in only while a seat is free for them, so the count has to be where people are
let in. The tick counts every room's seats in one statement and hands them to Redis; what is held
and given back until the next count is told there as a fact, once it is committed. So joining
and asking find the figures in the one call that they make anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from uuid import UUID

from concert.ground.database import Connection, connection
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.waiting_room.keys import room_keys
from concert.waiting_room.scripts import COUNTED, MOVED

SeatsState = Literal["open", "all_held", "sold_out", "ended"]
Moved = Literal["taken", "given"]
FACTS: tuple[Moved, ...] = ("taken", "given")

# Of every room: whether it is in front of any date at all, and of any whose sale is open or to come; of
# those dates, drafts left out, the seats that are free, held and sold; the free ones that can be held now; and who
# holds any of them, until when. The tables are asked, so that all is one look at one moment; they
# are written by the rooms above this one.
COUNT = """
WITH dates AS MATERIALIZED (
    SELECT c.room_slug, p.id, p.sales_open_at <= statement_timestamp() AS on_sale
    FROM concerts c JOIN performances p ON p.concert_id = c.id
    WHERE p.sales_close_at > statement_timestamp() AND NOT p.draft AND NOT c.draft
      AND (%(room)s::varchar IS NULL OR c.room_slug = %(room)s)
), counted AS (
    SELECT s.performance_id, count(*) FILTER (WHERE s.sold_at IS NOT NULL) AS sold,
        count(*) FILTER (WHERE s.sold_at IS NULL AND s.held_until > statement_timestamp()) AS held,
        count(*) AS seats
    FROM seats_for_sale s WHERE s.performance_id IN (SELECT id FROM dates) GROUP BY s.performance_id
), behind AS (
    -- A date whose seats are all blocked is a date, too.
    SELECT d.room_slug, sum(n.seats - n.sold - n.held) AS free, sum(n.held) AS held, sum(n.sold) AS sold,
        coalesce(sum(n.seats - n.sold - n.held) FILTER (WHERE d.on_sale), 0) AS bookable
    FROM dates d LEFT JOIN counted n ON n.performance_id = d.id GROUP BY d.room_slug
), holders AS (
    SELECT c.room_slug, r.user_id, max(r.held_until) AS held_until
    FROM reservations r JOIN performances p ON p.id = r.performance_id JOIN concerts c ON c.id = p.concert_id
    WHERE r.status = 'held' AND r.held_until > statement_timestamp() GROUP BY c.room_slug, r.user_id
)
SELECT r.slug,
    EXISTS (SELECT 1 FROM performances p JOIN concerts c ON c.id = p.concert_id
            WHERE c.room_slug = r.slug AND NOT p.draft AND NOT c.draft),
    b.room_slug IS NOT NULL, b.free::bigint, b.held::bigint, b.sold::bigint, b.bookable::bigint,
    ARRAY(SELECT h.user_id FROM holders h WHERE h.room_slug = r.slug ORDER BY h.user_id),
    ARRAY(SELECT (extract(epoch FROM h.held_until) * 1000)::bigint FROM holders h
          WHERE h.room_slug = r.slug ORDER BY h.user_id)
FROM rooms r LEFT JOIN behind b ON b.room_slug = r.slug
WHERE %(room)s::varchar IS NULL OR r.slug = %(room)s"""


@dataclass(frozen=True, slots=True)
class SeatsBehind:
    """How many seats behind a room are free, held and sold; ``state`` says it in a word.

    They are the seats of every date whose sale is open or to come. ``open``: something is free;
    ``all_held``: nothing is, and something may come back; ``sold_out``: all is sold; ``ended``:
    no sale is open or to come.
    """

    free: int
    held: int
    sold: int
    state: SeatsState


class SeatsKnown(NamedTuple):
    """What Redis knows of the seats behind a room, and what a place's chance is judged by.

    ``bookable``: the free ones that can be held now; ``undecided``: people inside who hold
    nothing; ``per_visit``: seats that a visit takes, as measured.
    """

    seats: SeatsBehind
    bookable: int
    undecided: int
    per_visit: float


@dataclass(frozen=True, slots=True)
class Count:
    """The seats behind a room as PostgreSQL counted them at one moment.

    ``any_date``: the room is in front of some date; ``any_sale``: of one whose sale is open or to
    come. ``holders`` are the users who hold a seat, and until when (ms since 1970). ``facts`` is
    how many seats Redis had been told of before the count, by kind.
    """

    any_date: bool
    any_sale: bool
    free: int
    held: int
    sold: int
    bookable: int
    holders: tuple[tuple[UUID, int], ...]
    facts: tuple[int, ...]

    @property
    def sold_out(self) -> bool:
        """Whether every seat is sold: whoever waits stands by."""
        return self.any_sale and not self.free and not self.held


def count_seats(slugs: Sequence[str]) -> dict[str, Count]:
    """Count the seats behind every room; ``slugs`` names the rooms.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    # What was told before the count is in it. What is told later may be or not, and is taken off.
    facts = _facts(slugs)
    with connection() as link:
        rows = link.execute(COUNT, {"room": None}).fetchall()
    return {row[0]: _count(row, facts[row[0]]) for row in rows if row[0] in facts}


def count_seats_of(slug: str, link: Connection) -> Count | None:
    """Count the seats behind one room; None where there is no such room.

    Raises:
        Unavailable: PostgreSQL or Redis cannot be reached.
    """
    facts = _facts([slug])
    row = link.execute(COUNT, {"room": slug}).fetchone()
    return None if row is None else _count(row, facts[slug])


def hand_in(slug: str, count: Count) -> bool:
    """Give a count to Redis; says whether the state of the seats is another one now.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    figures: tuple[Any, ...] = ("none", 0, 0, 0, 0)
    if count.any_date:
        kind = "sale" if count.any_sale else "ended"
        figures = (kind, count.free, count.held, count.sold, count.bookable)
    holders = [part for user, until in count.holders for part in (user.bytes, until)]
    changed: int = COUNTED.run(room_keys(slug), (*figures, *count.facts, *holders))
    return changed == 1


class Taker(NamedTuple):
    """Who has taken seats, until when (ms since 1970) they are held, and a fact for a channel that goes out with it."""

    user_id: UUID
    held_until_ms: int
    channel: str = ""
    message: bytes = b""


def tell_moved(slug: str, kind: Moved, seats: int, takers: Sequence[Taker] = ()) -> None:
    """Tell Redis that seats behind a room were taken or given back; the database has committed by then.

    ``seats`` is how many in all; ``takers`` says who has taken them.

    Raises:
        Unavailable: Redis cannot be reached; the next count makes it good.
    """
    # In a cluster a channel may be another server's.
    alone = not redis().speaks_in_scripts
    told = [
        part
        for user_id, until_ms, channel, message in takers
        for part in (user_id.bytes, until_ms, "" if alone else channel, message)
    ]
    MOVED.run(room_keys(slug), (kind, seats, *told))
    if alone:
        with unavailable_on_failure():
            for one in takers:
                if one.channel:
                    redis().publish(one.channel, one.message)


@lru_cache(maxsize=1024)
def seats_known(told: bytes) -> SeatsKnown | None:
    """What the scripts say of the seats behind a room (see ``show_seats`` in ``_seats.lua``).

    None where the room is in front of nothing, or nothing was counted yet.
    """
    if not told:
        return None
    state, free, held, sold, bookable, undecided, per_visit = told.decode().split(":")
    seats = SeatsBehind(int(free), int(held), int(sold), state)  # type: ignore[arg-type]  # the scripts know no other
    return SeatsKnown(seats, int(bookable), int(undecided), float(per_visit))


def _facts(slugs: Sequence[str]) -> dict[str, tuple[int, ...]]:
    with unavailable_on_failure():
        pipeline = redis().pipeline(transaction=False)
        for slug in slugs:
            pipeline.hmget(room_keys(slug).state, *(f"{kind}_told" for kind in FACTS))
        answers = pipeline.execute(raise_on_error=False)
    return {
        # A room whose keys are broken is found out when it is tended.
        slug: tuple(int(one or 0) for one in answer) if isinstance(answer, list) else (0, 0, 0)
        for slug, answer in zip(slugs, answers, strict=True)
    }


def _count(row: Sequence[Any], facts: tuple[int, ...]) -> Count:
    _, any_date, any_sale, free, held, sold, bookable, users, untils = row
    return Count(
        any_date,
        any_sale,
        free or 0,
        held or 0,
        sold or 0,
        bookable or 0,
        tuple(zip(users, untils, strict=True)),
        facts,
    )
