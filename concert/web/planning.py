"""Pages of planning: making, correcting, copying, hiding and showing concerts and dates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from concert.catalogue.service import (
    USUAL_CAPACITY,
    Concert,
    NewDate,
    Performance,
    Texts,
    add_dates,
    create_concert,
)
from concert.ground.errors import (
    BadRequest,
    DomainError,
    EditConflict,
    HasSales,
    NotFound,
    SeatsInUse,
    TicketsUndecided,
)
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.planning import service
from concert.planning.service import Changed, Effect, Plan
from concert.planning.warnings import Warning
from concert.staff.access import needs
from concert.waiting_room.rooms import list_rooms
from concert.web.door import go_to, render
from concert.web.formats import number, seat_list, when
from concert.web.staff_door import actor, new_staff_pages

pages = new_staff_pages("planning_pages")

LISTED = 50
TEXT_FIELDS = ("title", "venue", "room", "artist", "description")
NUMBER_FIELDS = ("age_limit", "running_minutes", "entry_minutes")
DATE_NUMBERS = ("price", "capacity", "seat_limit")
DATE_MOMENTS = ("starts_at", "sales_open_at", "sales_close_at", "returns_until")

Faults = dict[str, str]


@pages.get("/organiser/concerts")
@needs("organiser")
def concerts() -> Response:
    """All concerts, drafts included."""
    listed, older = service.list_plans(request.args.get("after", type=int), LISTED)
    return render("planning/list.html", concerts=listed, older=older)


@pages.get("/organiser/concerts/new")
@needs("organiser")
def new() -> Response:
    """The form for a new concert, with its first date."""
    typed = {"room": "main", "capacity": str(USUAL_CAPACITY), "draft": "1"}
    return _new_page(typed, {})


@pages.post("/organiser/concerts/new")
@needs("organiser")
def make() -> Response:
    """Make it; it is a draft unless it is wanted to be seen at once."""
    typed = _typed((*TEXT_FIELDS, *NUMBER_FIELDS, *DATE_NUMBERS, *DATE_MOMENTS, "draft"))
    faults: Faults = {}
    texts = {name: _whole(typed, name, faults) for name in NUMBER_FIELDS}
    date = _new_date(typed, faults)
    if not faults and date is not None:
        try:
            made = create_concert(
                typed["title"],
                typed["venue"],
                typed["room"],
                [date],
                texts=Texts(typed["description"], typed["artist"], **texts),
                draft=bool(typed["draft"]),
                actor=actor(),
            )
        except (BadRequest, NotFound) as error:
            faults = _faults_of(error)
        else:
            flash(_("%(title)s is made.", title=made.title), "good")
            return go_to(plan_url(made.concert_id))
    return _new_page(typed, faults, 400)


@pages.get("/organiser/concerts/<int:concert_id>")
@needs("organiser")
def show(concert_id: int) -> Response:
    """A concert as it is planned: what cannot work, its texts, its dates."""
    return _plan_page(service.plan_of(concert_id))


@pages.post("/organiser/concerts/<int:concert_id>")
@needs("organiser")
def save(concert_id: int) -> Response:
    """Correct the concert's title, venue, room and texts."""
    plan = service.plan_of(concert_id)
    typed, faults = _typed((*TEXT_FIELDS, *NUMBER_FIELDS)), dict[str, str]()
    shown = concert_fields(plan.concert)
    changes: dict[str, Any] = {
        name: typed[name] for name in TEXT_FIELDS if _differs(typed[name], shown[name])
    }
    for name in NUMBER_FIELDS:
        if typed[name] != shown[name]:
            changes[name] = _whole(typed, name, faults)
    if faults:
        return _plan_page(plan, 400, typed=typed, faults=faults)
    try:
        changed = service.change_concert(
            concert_id, changes, version=_version(), actor=actor(), reason=_reason()
        )
    except EditConflict:
        return _plan_page(service.plan_of(concert_id), 409, typed=typed, conflict=True)
    except (BadRequest, HasSales, NotFound) as error:
        faults = _faults_of(error, "room")
        return _plan_page(plan, error.status, typed=typed, faults=faults)
    _say(changed)
    return go_to(plan_url(concert_id))


@pages.post("/organiser/concerts/<int:concert_id>/publication")
@needs("organiser")
def publish(concert_id: int) -> Response:
    """Show a draft to everybody, or make a draft of what nobody has bought."""
    draft = request.form.get("draft") == "1"
    return _publish(
        lambda: service.change_concert(concert_id, {"draft": draft}, actor=actor()),
        concert_id,
        draft,
    )


@pages.post("/organiser/concerts/<int:concert_id>/copy")
@needs("organiser")
def copy(concert_id: int) -> Response:
    """Make a draft like it."""
    days = request.form.get("days", "0")
    try:
        made = service.copy_concert(
            concert_id, title=request.form.get("title"), days=int(days or 0), actor=actor()
        )
    except (BadRequest, ValueError):
        flash(_("A copy needs a title, and a whole number of days."), "bad")
        return go_to(plan_url(concert_id))
    flash(_("This is the copy. It is a draft: nobody else sees it."), "good")
    return go_to(plan_url(made.concert_id))


@pages.post("/organiser/concerts/<int:concert_id>/dates")
@needs("organiser")
def add_date(concert_id: int) -> Response:
    """Give the concert one more date."""
    typed = _typed((*DATE_NUMBERS, *DATE_MOMENTS, "draft"))
    faults: Faults = {}
    date = _new_date(typed, faults)
    if not faults and date is not None:
        try:
            add_dates(concert_id, [date], actor=actor())
        except BadRequest as error:
            faults = _faults_of(error)
        else:
            flash(_("The date is added."), "good")
            return go_to(plan_url(concert_id))
    return _plan_page(service.plan_of(concert_id), 400, new_date=typed, date_faults=faults)


@pages.get("/organiser/dates/<int:performance_id>")
@needs("organiser")
def date(performance_id: int) -> Response:
    """One date as it is planned."""
    return _date_page(_plan_of_date(performance_id), performance_id)


@pages.post("/organiser/dates/<int:performance_id>")
@needs("organiser")
def save_date(performance_id: int) -> Response:
    """Correct a date: its time, price, seats, sale and limits."""
    plan = _plan_of_date(performance_id)
    typed, faults = _typed((*DATE_NUMBERS, *DATE_MOMENTS, "tickets")), dict[str, str]()
    shown = date_fields(plan.date(performance_id))
    changes: dict[str, Any] = {}
    for name in (*DATE_NUMBERS, *DATE_MOMENTS):
        if typed[name] != shown[name]:
            read = _whole if name in DATE_NUMBERS else _moment
            changes[name] = read(typed, name, faults)
    if changes.get("sales_open_at", "") is None:
        changes["sales_open_at"] = datetime.now(UTC)
    if typed["tickets"] == "keep" and changes.get("starts_at"):
        changes.pop("returns_until", None)
    if faults:
        return _date_page(plan, performance_id, 400, typed=typed, faults=faults)
    try:
        changed = service.change_performance(
            performance_id,
            changes,
            tickets="return"
            if typed["tickets"] == "return"
            else "keep"
            if typed["tickets"]
            else None,
            version=_version(),
            actor=actor(),
            reason=_reason(),
        )
    except EditConflict:
        newer = _plan_of_date(performance_id)
        return _date_page(newer, performance_id, 409, typed=typed, conflict=True)
    except (BadRequest, HasSales, SeatsInUse, TicketsUndecided) as error:
        faults = _faults_of(error)
        return _date_page(plan, performance_id, error.status, typed=typed, faults=faults)
    _say(changed)
    return go_to(plan_url(changed.plan.concert.concert_id))


@pages.post("/organiser/dates/<int:performance_id>/publication")
@needs("organiser")
def publish_date(performance_id: int) -> Response:
    """Show a date to everybody, or hide one of which nobody has a seat."""
    draft = request.form.get("draft") == "1"
    return _publish(
        lambda: service.change_performance(performance_id, {"draft": draft}, actor=actor()),
        service.concert_of_date(performance_id),
        draft,
    )


@pages.post("/organiser/dates/<int:performance_id>/copy")
@needs("organiser")
def copy_date(performance_id: int) -> Response:
    """Give the concert one more date like this one, as a draft."""
    faults: Faults = {}
    starts_at = _moment(_typed(("starts_at",)), "starts_at", faults)
    concert_id = service.concert_of_date(performance_id)
    try:
        if starts_at is None:
            raise BadRequest("Times are needed.")
        service.copy_date(performance_id, starts_at, actor=actor())
    except BadRequest as error:
        flash(next(iter(_faults_of(error).values())), "bad")
        return go_to(url_for("planning_pages.date", performance_id=performance_id))
    flash(_("This date is copied. The copy is a draft: nobody else sees it."), "good")
    return go_to(plan_url(concert_id))


def plan_url(concert_id: int) -> str:
    """Where a concert's plan is."""
    return url_for("planning_pages.show", concert_id=concert_id)


def concert_fields(concert: Concert) -> dict[str, str]:
    """A concert as the fields of its form show it."""
    texts = concert.texts
    return {
        "title": concert.title,
        "venue": concert.venue,
        "room": concert.room,
        "artist": texts.artist,
        "description": texts.description,
        **{name: _digits(getattr(texts, name)) for name in NUMBER_FIELDS},
    }


def date_fields(date: Performance) -> dict[str, str]:
    """A date as the fields of its form show it: moments are those of the venue."""
    zone = part(Settings).zone
    moments = {name: getattr(date, name) for name in DATE_MOMENTS}
    return {
        **{name: _digits(getattr(date, name)) for name in DATE_NUMBERS},
        **{
            name: value.astimezone(zone).strftime("%Y-%m-%dT%H:%M") if value else ""
            for name, value in moments.items()
        },
    }


def warning_words(one: Warning) -> str:
    """What a plan's warning says, in the reader's language."""
    numbers = {name: number(value) for name, value in one.numbers.items()}
    words: Mapping[str, str] = {
        "no_dates": _("There is no date yet."),
        "starts_in_past": _("This date is in the past."),
        "sale_over": _("Its sale is over already."),
        "sale_after_start": _("Its sale goes on after it has started."),
        "at_one_time": _("Something else is played at the same place at this time."),
        "room_opens_before_sale": _(
            "Its waiting room is open before its sale: people wait there with nothing to choose."
        ),
        "room_opens_after_sale": _("Its waiting room opens after its sale: nobody gets in before."),
        "room_paused": _("Its waiting room is paused: nobody is let in."),
        "sale_too_short": _(
            "At %(rate)s people a minute the line for %(seats)s seats takes about %(minutes)s minutes: "
            "longer than its sale.",
            **{"rate": "", "seats": "", "minutes": "", **numbers},
        ),
        "rate_above_seats": _(
            "%(rate)s people a minute are let in, for %(seats)s seats in all: everybody comes at once.",
            **{"rate": "", "seats": "", **numbers},
        ),
        "visit_shorter_than_hold": _(
            "A visit lasts %(visit)s seconds, and a hold %(hold)s: people are sent out while they pay.",
            **{"visit": "", "hold": "", **numbers},
        ),
        "capacity_above_free": _(
            "%(capacity)s people may be inside, and %(free)s seats are free: most would find nothing.",
            **{"capacity": "", "free": "", **numbers},
        ),
        "draft_in_open_room": _(
            "It is a draft, and its waiting room is open: whoever lines up there now is ahead of the line "
            "when it is shown."
        ),
    }
    return str(words.get(one.code, one.message))


def effect_words(one: Effect) -> str:
    """What a change has done beside what it says, in the reader's language."""
    if one.code == "price_kept":
        words = ngettext(
            "%(num)s seat is sold and keeps the old price.",
            "%(num)s seats are sold and keep the old price.",
            one.count,
        )
    elif one.code == "price_of_holds":
        words = ngettext(
            "%(num)s seat is held; its holder pays the old price.",
            "%(num)s seats are held; their holders pay the old price.",
            one.count,
        )
    elif one.code == "seats_added":
        words = ngettext("%(num)s seat was added.", "%(num)s seats were added.", one.count)
    elif one.code == "seats_removed":
        words = ngettext(
            "%(num)s seat was taken away.", "%(num)s seats were taken away.", one.count
        )
    elif one.code == "told" and one.until is not None:
        words = ngettext(
            "The owner of %(num)s ticket is told, and may give it back until %(until)s.",
            "The owners of %(num)s tickets are told, and may give them back until %(until)s.",
            one.count,
            until=when(one.until),
        )
    elif one.code == "told":
        words = ngettext(
            "The owner of %(num)s ticket is told.",
            "The owners of %(num)s tickets are told.",
            one.count,
        )
    else:
        words = _("The sale ends when it starts, as before.")
    return str(words)


def _publish(work: Callable[[], Changed], concert_id: int, draft: bool) -> Response:
    try:
        work()
    except HasSales as error:
        flash(_sales_words(error), "bad")
    else:
        shown = (
            _("It is a draft now: nobody else sees it.") if draft else _("Everybody sees it now.")
        )
        flash(shown, "good")
    return go_to(plan_url(concert_id))


def _say(changed: Changed) -> None:
    flash(" ".join([str(_("Saved.")), *map(effect_words, changed.effects)]), "good")


def _new_page(typed: Mapping[str, str], faults: Faults, status: int = 200) -> Response:
    return render(
        "planning/new.html", status, typed=typed, faults=faults, rooms=_rooms(), **_words()
    )


def _plan_page(plan: Plan, status: int = 200, **more: Any) -> Response:
    shown = concert_fields(plan.concert)
    typed = more.pop("typed", None)
    new_date = {"capacity": str(USUAL_CAPACITY)}
    return render(
        "planning/concert.html",
        status,
        **{
            "plan": plan,
            "concert": plan.concert,
            "typed": typed or shown,
            "differing": _differing(typed, shown) if more.get("conflict") else [],
            "faults": {},
            "date_faults": {},
            "new_date": new_date,
            "rooms": _rooms(),
            **_words(),
            **more,
        },
    )


def _date_page(plan: Plan, performance_id: int, status: int = 200, **more: Any) -> Response:
    one = plan.date(performance_id)
    shown = date_fields(one)
    typed = more.pop("typed", None)
    return render(
        "planning/date.html",
        status,
        **{
            "plan": plan,
            "concert": plan.concert,
            "date": one,
            "counts": plan.counts[performance_id],
            "warnings": [each for each in plan.warnings if each.performance_id == performance_id],
            "typed": {"tickets": "", **(typed or shown)},
            "differing": _differing(typed, shown) if more.get("conflict") else [],
            "faults": {},
            **_words(),
            **more,
        },
    )


def _words() -> dict[str, Any]:
    return {"warning_words": warning_words, "zone": part(Settings).timezone}


def _rooms() -> list[str]:
    return [room.slug for room in list_rooms()]


def _plan_of_date(performance_id: int) -> Plan:
    return service.plan_of(service.concert_of_date(performance_id))


def _differing(typed: Mapping[str, str] | None, shown: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is another value now than was typed: the field, and how it is now."""
    given = typed or {}
    return [(name, now) for name, now in shown.items() if _differs(given.get(name, now), now)]


def _differs(typed: str, shown: str) -> bool:
    """Whether it is something else; a browser sends the ends of lines in its own way."""
    return typed.replace("\r\n", "\n").strip() != shown.strip()


def _typed(names: tuple[str, ...]) -> dict[str, str]:
    return {name: request.form.get(name, "").replace("\0", "").strip() for name in names}


def _digits(value: int | None) -> str:
    return "" if value is None else str(value)


def _whole(typed: Mapping[str, str], name: str, faults: Faults) -> int | None:
    value = typed[name].replace(",", "")
    if not value:
        return None
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    faults[name] = _fault_words(name)
    return None


def _moment(typed: Mapping[str, str], name: str, faults: Faults) -> datetime | None:
    """A moment at the venue; None where nothing was typed."""
    if not typed[name]:
        return None
    try:
        moment = datetime.fromisoformat(typed[name])
    except ValueError:
        faults[name] = str(_("A day and a time, such as 2026-12-24T19:00."))
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=part(Settings).zone)


def _new_date(typed: Mapping[str, str], faults: Faults) -> NewDate | None:
    numbers = {name: _whole(typed, name, faults) for name in DATE_NUMBERS}
    moments = {name: _moment(typed, name, faults) for name in DATE_MOMENTS}
    starts_at, price = moments["starts_at"], numbers["price"]
    if starts_at is None:
        faults.setdefault("starts_at", str(_("A date needs a day and a time.")))
    if price is None:
        faults.setdefault("price", _fault_words("price"))
    if starts_at is None or price is None:
        return None
    return NewDate(
        starts_at,
        price,
        numbers["capacity"],
        moments["sales_open_at"],
        moments["sales_close_at"],
        seat_limit=numbers["seat_limit"],
        # A new concert is a draft as a whole; a date that is added may be one by itself.
        draft=bool(typed.get("draft")) and "title" not in typed,
    )


def _version() -> int | None:
    return request.form.get("version", type=int)


def _reason() -> str | None:
    return request.form.get("reason") or None


def _sales_words(error: HasSales) -> str:
    return str(
        _(
            "That is not possible: %(sold)s seats are sold and %(held)s held, or its sale is open. "
            "Close the sale first, or cancel the date.",
            sold=number(error.sold),
            held=number(error.held),
        )
    )


def _faults_of(error: DomainError, place: str = "") -> Faults:
    """What is wrong, by the field that it is said with."""
    if isinstance(error, SeatsInUse):
        taken = seat_list(error.seat_nos[:10])
        return {
            "capacity": str(
                _("Only free seats can be taken away; somebody has %(seats)s.", seats=taken)
            )
        }
    if isinstance(error, TicketsUndecided):
        return {"tickets": str(_("Seats are sold. Say what becomes of the tickets."))}
    if isinstance(error, HasSales):
        return {place: _sales_words(error)}
    if isinstance(error, NotFound):
        return {"room": str(_("There is no such waiting room."))}
    name = error.message.split()[0]
    name = {
        "Two": "same_start",
        "Sales": "sales_close_at",
        "Times": "starts_at",
        "Say": "returns_until",
    }.get(name, name)
    field = "starts_at" if name == "same_start" else name
    return {field: _fault_words(name)}


def _fault_words(name: str) -> str:
    words: Mapping[str, str] = {
        "title": _("1 to %(most)s letters.", most=200),
        "venue": _("1 to %(most)s letters.", most=200),
        "artist": _("At most %(most)s letters.", most=200),
        "description": _("At most %(most)s letters.", most=5000),
        "age_limit": _("A whole number, %(least)s to %(most)s, or nothing.", least=0, most=99),
        "running_minutes": _(
            "A whole number, %(least)s to %(most)s, or nothing.", least=0, most=1440
        ),
        "entry_minutes": _("A whole number, %(least)s to %(most)s, or nothing.", least=0, most=720),
        "seat_limit": _("A whole number, %(least)s to %(most)s, or nothing.", least=1, most=100),
        "price": _(
            "A whole number of won, %(least)s to %(most)s.", least=0, most=number(10_000_000)
        ),
        "capacity": _("A whole number, %(least)s to %(most)s.", least=1, most=number(20_000)),
        "starts_at": _("A day and a time between %(first)s and %(last)s.", first=2000, last=2199),
        "same_start": _("Another date of this concert starts at this time."),
        "sales_close_at": _("A sale has to open before it closes."),
        "returns_until": _("A time in the future, and not after the start."),
    }
    return str(words.get(name, _("Something here does not fit.")))
