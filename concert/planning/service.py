"""Making, copying, changing and hiding concerts and dates, with what is sold left as it is.

A change is one unit of work: it is written down with its line of the audit log, and then told to
the line, the live maps and every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
import structlog

from concert.catalogue.labels import category_prices, plan_of_performance
from concert.catalogue.seating import row_length
from concert.catalogue.service import (
    CONCERT_OF,
    CREATE_SEATS,
    LARGEST_ID,
    MAKING_SECONDS,
    SAME_START,
    Concert,
    NewDate,
    Performance,
    Remembered,
    add_dates,
    check_date,
    checked_text,
    checked_texts,
    create_concert,
    day_of,
    list_concerts,
    performance_from,
    read_concert,
)
from concert.ground import events
from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.budget import within
from concert.ground.database import Connection, array, connection
from concert.ground.errors import (
    BadRequest,
    EditConflict,
    HasSales,
    NotFound,
    SeatsInUse,
    TicketsUndecided,
    Unavailable,
)
from concert.ground.parts import part
from concert.overview.lately import LatelyRead
from concert.planning import queries
from concert.planning.warnings import Warning, warnings_of
from concert.reservations.service import RememberedPrices, SeatCounts, seat_counts
from concert.waiting_room.rooms import room_of
from concert.waiting_room.seats import count_seats_of, hand_in

log = structlog.get_logger()

OF_CONCERT = ("title", "venue", "room", "draft")
OF_TEXTS = ("description", "artist", "age_limit", "running_minutes", "entry_minutes")
OF_DATE = (
    *("starts_at", "price", "prices", "capacity", "sales_open_at", "sales_close_at"),
    *("seat_limit", "lone_seats", "returns_until", "draft"),
)
MAY_BE_NOTHING = {
    *("age_limit", "running_minutes", "entry_minutes", "seat_limit", "returns_until"),
    "sales_close_at",
}
FARTHEST_DAYS = 3_660

Tickets = Literal["keep", "return"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A concert as its organiser sees it, drafts included: its seats by date, and what cannot work."""

    concert: Concert
    counts: Mapping[int, SeatCounts]
    warnings: Sequence[Warning]

    def date(self, performance_id: int) -> Performance:
        """One of its dates."""
        return next(
            one for one in self.concert.performances if one.performance_id == performance_id
        )


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does beside what it says, or leaves as it was: how many seats, until when.

    ``price_kept``: so many seats that are sold keep the old price. ``price_of_holds``: so many
    that are held cost their holders the old one. ``seats_added``, ``seats_removed``. ``told``: the
    owners of so many tickets are told. ``sale_follows``: the sale ends with the new start.
    """

    code: str
    count: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """The plan after a change, and what the change has done beside what it says."""

    plan: Plan
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Something that the owners of a performance's tickets are told: ``moved``, or another ``venue``."""

    kind: str
    before: str
    after: str
    returns_until: datetime | None
    changed_at: datetime


def plan_of(concert_id: int) -> Plan:
    """A concert as its organiser sees it.

    Raises:
        NotFound: there is no such concert.
    """
    with connection() as link:
        concert = read_concert(link, concert_id, drafts=True)
        meetings = link.execute(
            queries.AT_ONE_TIME, {"concert": concert_id, "minutes": 120}
        ).fetchall()
    counts = seat_counts([one.performance_id for one in concert.performances])
    warnings = warnings_of(concert, room_of(concert.room), counts, [row[0] for row in meetings])
    return Plan(concert, counts, warnings)


def concert_of_date(performance_id: int) -> int:
    """The number of the concert that a date belongs to, drafts included.

    Raises:
        NotFound: there is no such date.
    """
    with connection() as link:
        return _concert_of_date(link, performance_id)


def list_plans(after: int | None = None, limit: int = 20) -> tuple[list[Concert], int | None]:
    """All concerts, drafts included, newest first, and the cursor of the next page."""
    listed, cursor = list_concerts(after, limit, drafts=True)
    return [one.concert for one in listed], cursor


def change_concert(
    concert_id: int,
    changes: Mapping[str, Any],
    *,
    version: int | None = None,
    actor: Actor = SYSTEM,
    reason: str | None = None,
) -> Changed:
    """Change some of a concert's title, venue, room and texts; hide it, or show it to everybody.

    ``version`` is the one that the caller has read; None changes whichever there is.

    Raises:
        BadRequest: a value is unknown or out of range.
        NotFound: there is no such concert, or room.
        EditConflict: somebody else has changed it since.
        HasSales: it is to be hidden, or to get another room, and somebody has a seat.
    """
    _check_names(changes, (*OF_CONCERT, *OF_TEXTS))
    if "room" in changes:
        room_of(changes["room"])
    effects: list[Effect] = []
    with within(MAKING_SECONDS), connection() as link, link.transaction():
        _lock(link, queries.LOCK_CONCERT, concert_id, "There is no such concert.")
        before = read_concert(link, concert_id, drafts=True)
        if version is not None and version != before.version:
            raise EditConflict(before.version)
        wanted = _of_concert(before) | _checked_concert(before, changes)
        if wanted == _of_concert(before):
            return Changed(plan_of(concert_id))
        dates = [one.performance_id for one in before.performances]
        if wanted["draft"] and not before.draft:
            _refuse_sales(link, dates)
        if wanted["room"] != before.room:
            _refuse_open_sale(link, before, dates)
        if wanted["venue"] != before.venue:
            effects += _tell_venue(link, before, wanted["venue"])
        link.execute(queries.CHANGE_CONCERT, {**wanted, "id": concert_id})
        _record(
            link,
            actor,
            "change_concert",
            "concert",
            concert_id,
            _of_concert(before),
            wanted,
            reason,
        )
        after = read_concert(link, concert_id, drafts=True)
    _tell(after, {before.room, after.room})
    return Changed(plan_of(concert_id), tuple(effects))


def change_performance(
    performance_id: int,
    changes: Mapping[str, Any],
    *,
    tickets: Tickets | None = None,
    version: int | None = None,
    actor: Actor = SYSTEM,
    reason: str | None = None,
) -> Changed:
    """Change some of a date's time, price, seats, sale and limits; hide it, or show it to everybody.

    Where seats are sold, moving it takes a word about their ``tickets``: they are kept, or may be
    returned until ``returns_until``. Their owners are told in either case.

    Raises:
        BadRequest: a value is unknown or out of range, or another date starts then.
        NotFound: there is no such date.
        EditConflict: somebody else has changed it since ``version``.
        TicketsUndecided: it is to be moved, seats are sold, and nothing is said of their tickets.
        SeatsInUse: seats are to be taken away, and somebody has one of them.
        HasSales: it is to be hidden, and somebody has a seat.
    """
    _check_names(changes, OF_DATE)
    with within(MAKING_SECONDS), connection() as link, link.transaction():
        concert_id = _concert_of_date(link, performance_id)
        _lock(link, queries.LOCK_CONCERT, concert_id, "There is no such date.")
        row = _lock(link, queries.LOCK_PERFORMANCE, performance_id, "There is no such date.")
        before = performance_from(row[1:])
        if row[0] is not None:
            raise BadRequest("This date is cancelled; it stays as it is.")
        if version is not None and version != before.version:
            raise EditConflict(before.version)
        wanted, effects = _checked_date(before, changes)
        if wanted == _of_date(before):
            return Changed(plan_of(concert_id))
        row_seats = _change_seats(link, before, wanted, tickets, effects)
        prices = None if wanted["prices"] is None else list(wanted["prices"])
        day = day_of(wanted["starts_at"])
        asked = {**wanted, "prices": prices, "date": day, "row_seats": row_seats}
        try:
            link.execute(queries.CHANGE_PERFORMANCE, {**asked, "id": performance_id})
        except psycopg.errors.UniqueViolation as error:
            raise BadRequest(SAME_START) from error
        told = (_of_date(before), wanted)
        _record(link, actor, "change_date", "performance", performance_id, *told, reason)
        concert = read_concert(link, concert_id, drafts=True)
    _tell(concert, {concert.room}, [performance_id])
    return Changed(plan_of(concert_id), tuple(effects))


def copy_concert(
    concert_id: int,
    *,
    title: str | None = None,
    days: int = 0,
    actor: Actor = SYSTEM,
    reason: str | None = None,
) -> Concert:
    """Make a draft like a concert, with its dates and their sales so many ``days`` later.

    Raises:
        BadRequest: the title or the days are out of range.
        NotFound: there is no such concert.
    """
    if not -FARTHEST_DAYS <= days <= FARTHEST_DAYS:
        raise BadRequest(f"days are {-FARTHEST_DAYS} to {FARTHEST_DAYS}.")
    with connection() as link:
        model = read_concert(link, concert_id, drafts=True)
    later = timedelta(days=days)
    dates = [_like(one, one.starts_at + later) for one in model.performances]
    return create_concert(
        model.title if title is None else title,
        model.venue,
        model.room,
        [replace(one, draft=False) for one in dates],
        texts=model.texts,
        draft=True,
        actor=actor,
        reason=reason,
    )


def copy_date(
    performance_id: int,
    starts_at: datetime,
    *,
    actor: Actor = SYSTEM,
    reason: str | None = None,
) -> Plan:
    """Give a concert one more date like one that it has, as a draft; its sale begins as long before it.

    Raises:
        BadRequest: the time is out of range, or another date starts then.
        NotFound: there is no such date.
    """
    with connection() as link:
        concert = read_concert(link, _concert_of_date(link, performance_id), drafts=True)
    model = next(one for one in concert.performances if one.performance_id == performance_id)
    if starts_at.tzinfo is None:
        raise BadRequest("Times need an offset, such as 2026-12-24T19:00:00+09:00.")
    add_dates(concert.concert_id, [_like(model, starts_at)], actor=actor, reason=reason)
    return plan_of(concert.concert_id)


def changes_of(performance_ids: Sequence[int]) -> dict[int, list[Change]]:
    """What owners of tickets are told of some performances, the oldest first."""
    found: dict[int, list[Change]] = {}
    if performance_ids:
        with connection() as link:
            for row in link.execute(queries.CHANGES, (array(performance_ids),)).fetchall():
                found.setdefault(row[0], []).append(Change(*row[1:]))
    return found


def changes_since(changes: Sequence[Change], bought_at: datetime) -> list[Change]:
    """Those of them that came after a ticket was bought: whoever bought later knew."""
    return [one for one in changes if one.changed_at > bought_at]


def _like(model: Performance, starts_at: datetime) -> NewDate:
    later = starts_at - model.starts_at
    try:
        opens, closes = model.sales_open_at + later, model.sales_close_at + later
    except OverflowError as error:
        raise BadRequest("That is too far away.") from error
    in_hall = model.hall_id is not None
    return NewDate(
        starts_at,
        None if in_hall else model.price,
        model.capacity,
        opens,
        closes,
        model.hall_id,
        category_prices(model),
        model.lone_seats,
        model.seat_limit,
        draft=True,
    )


def _check_names(changes: Mapping[str, Any], known: Sequence[str]) -> None:
    for name, value in changes.items():
        if name not in known:
            raise BadRequest(f"There is no {name!r} to be changed.")
        if value is None and name not in MAY_BE_NOTHING:
            raise BadRequest(f"{name} must not be null.")


def _lock(link: Connection, statement: str, number: int, missing: str) -> Sequence[Any]:
    row = link.execute(statement, (min(number, LARGEST_ID),)).fetchone()
    if row is None:
        raise NotFound(missing)
    return row


def _concert_of_date(link: Connection, performance_id: int) -> int:
    row = link.execute(CONCERT_OF, (min(performance_id, LARGEST_ID),)).fetchone()
    if row is None:
        raise NotFound("There is no such date.")
    found: int = row[0]
    return found


def _of_concert(concert: Concert) -> dict[str, Any]:
    of_itself = {name: getattr(concert, name) for name in OF_CONCERT}
    return of_itself | asdict(concert.texts)


def _of_date(performance: Performance) -> dict[str, Any]:
    return {name: getattr(performance, name) for name in OF_DATE}


def _checked_concert(before: Concert, changes: Mapping[str, Any]) -> dict[str, Any]:
    checked = dict(changes)
    for name in ("title", "venue"):
        if name in checked:
            checked[name] = checked_text(name, checked[name])
    texts = {name: checked[name] for name in OF_TEXTS if name in checked}
    return checked | asdict(checked_texts(replace(before.texts, **texts)))


def _checked_date(
    before: Performance, changes: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Effect]]:
    """How the date is to be, and what follows by itself."""
    wanted, effects = {**_of_date(before), **changes}, []
    starts_at, closes = wanted["starts_at"], wanted["sales_close_at"]
    follows = "sales_close_at" not in changes and before.sales_close_at == before.starts_at
    if closes is None or (follows and starts_at != before.starts_at):
        wanted["sales_close_at"] = closes = starts_at
        effects.append(Effect("sale_follows", until=starts_at))
    plan, prices, _ = check_date(_asked(before, wanted, changes), wanted["sales_open_at"], closes)
    wanted["price"], wanted["prices"] = min(prices), None if plan is None else prices
    until = wanted["returns_until"]
    if until is not None and (until.tzinfo is None or until > starts_at):
        raise BadRequest("returns_until has an offset, and is not after the start.")
    return wanted, effects


def _asked(before: Performance, wanted: Mapping[str, Any], changes: Mapping[str, Any]) -> NewDate:
    """The date as if it were to be made: in a hall one price is that of each category, as there."""
    asked = NewDate(
        wanted["starts_at"],
        wanted["price"],
        wanted["capacity"],
        hall_id=before.hall_id,
        lone_seats=wanted["lone_seats"],
        seat_limit=wanted["seat_limit"],
    )
    if "price" in changes and "prices" in changes:
        raise BadRequest("Give price, or prices for each category of the hall.")
    if "prices" in changes:
        return replace(asked, price=None, prices=changes["prices"])
    if before.hall_id is None or "price" in changes:
        return asked
    return replace(asked, price=None, prices=category_prices(before))


def _change_seats(
    link: Connection,
    before: Performance,
    wanted: dict[str, Any],
    tickets: Tickets | None,
    effects: list[Effect],
) -> int | None:
    """Do to the seats what is wanted of the date; says how long its rows stay, where somebody has a seat."""
    number = before.performance_id
    if wanted["draft"] and not before.draft:
        _refuse_sales(link, [number])
    sold, held = _taken(link, [number])
    if wanted["starts_at"] != before.starts_at and sold:
        effects.append(_tell_moved(link, before, wanted, tickets, sold))
    more = wanted["capacity"] - before.capacity
    if more > 0:
        link.execute(
            CREATE_SEATS, (number, wanted["price"], before.capacity + 1, wanted["capacity"])
        )
        effects.append(Effect("seats_added", more))
    elif more < 0:
        dropped = link.execute(queries.DROP_SEATS, (number, wanted["capacity"])).rowcount
        if dropped < -more:
            left = link.execute(queries.IN_USE, (number, wanted["capacity"])).fetchall()
            raise SeatsInUse([row[0] for row in left])
        effects.append(Effect("seats_removed", -more))
    if (wanted["price"], wanted["prices"]) != (before.price, before.prices):
        plan = plan_of_performance(before)
        if plan is None:
            link.execute(queries.PRICE_SEATS, (wanted["price"], number))
        else:
            each = [wanted["prices"][category] for category in plan.categories_of_seats]
            link.execute(queries.PRICE_PLANNED_SEATS, (each, number))
        if sold:
            effects.append(Effect("price_kept", sold))
        if held:
            effects.append(Effect("price_of_holds", held))
    return row_length(before.capacity) if more and (sold or held) else None


def _tell_moved(
    link: Connection,
    before: Performance,
    wanted: dict[str, Any],
    tickets: Tickets | None,
    sold: int,
) -> Effect:
    if tickets is None:
        raise TicketsUndecided(sold)
    until = wanted["returns_until"] if tickets == "return" else None
    if tickets == "return" and (until is None or until <= datetime.now(UTC)):
        raise BadRequest("Say until when tickets may be returned: returns_until, in the future.")
    moments = (before.starts_at.isoformat(), wanted["starts_at"].isoformat())
    link.execute(queries.NOTE_CHANGE, (before.performance_id, "moved", *moments, until))
    return Effect("told", sold, until)


def _tell_venue(link: Connection, before: Concert, venue: str) -> list[Effect]:
    dates = [row[0] for row in link.execute(queries.WITH_TICKETS, (before.concert_id,)).fetchall()]
    for number in dates:
        link.execute(queries.NOTE_CHANGE, (number, "venue", before.venue, venue, None))
    sold, _ = _taken(link, dates) if dates else (0, 0)
    return [Effect("told", sold)] if sold else []


def _taken(link: Connection, dates: Sequence[int]) -> tuple[int, int]:
    """How many seats are sold, and held; they are locked from now on."""
    row = link.execute(queries.TAKEN, (array(dates),)).fetchone()
    assert row is not None
    return row[0], row[1]


def _refuse_sales(link: Connection, dates: Sequence[int]) -> None:
    """What somebody has, or once bought, cannot be hidden from them."""
    sold, held = _taken(link, dates) if dates else (0, 0)
    row = link.execute(queries.WERE_BOUGHT, (array(dates),)).fetchone()
    if sold or held or (row and row[0]):
        raise HasSales("Of what was bought, or is being bought, there is no draft:", sold, held)


def _refuse_open_sale(link: Connection, concert: Concert, dates: Sequence[int]) -> None:
    """Whoever stands in the line of a sale that is open stands there for it."""
    sold, held = _taken(link, dates) if dates else (0, 0)
    if not concert.draft and (held or concert.bookable(datetime.now(UTC))):
        raise HasSales("It keeps its room while it is on sale; close the sale first:", sold, held)


def _record(
    link: Connection,
    actor: Actor,
    verb: str,
    kind: str,
    number: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reason: str | None,
) -> None:
    """Write the line of the log, with what differs."""
    differ = [name for name in after if before[name] != after[name]]
    record(
        link,
        actor,
        verb,
        kind,
        number,
        before={name: before[name] for name in differ},
        after={name: after[name] for name in differ},
        reason=reason,
    )


def _tell(concert: Concert, rooms: set[str], dates: Sequence[int] | None = None) -> None:
    """Tell what was changed: first this process, then the lines, the maps and all other processes."""
    part(Remembered).forget()
    part(RememberedPrices).by_performance.clear()
    part(LatelyRead).found.clear()
    for slug in sorted(rooms):
        _count(slug)
    for one in concert.performances:
        if dates is None or one.performance_id in dates:
            events.publish_corrected(one.performance_id, one.price, one.capacity)


def _count(slug: str) -> None:
    """Count the seats behind a room anew, without waiting for the clock."""
    try:
        with connection() as link:
            count = count_seats_of(slug, link)
        if count is not None and hand_in(slug, count):
            events.publish_room(slug, 0)
    except Unavailable:
        # The next tick counts them.
        log.warning("seats_not_counted", room=slug)
