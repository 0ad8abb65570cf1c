"""The map of a hall with a plan: what the script draws it from, and the list beside it.

The list is links and boxes: section, row, seat. It does everything that the map does, by keyboard,
with a screen reader, and where no script runs; the script only spares it the new pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from flask import render_template, request
from flask_babel import gettext as _
from markupsafe import Markup

from concert.catalogue.labels import label_of
from concert.catalogue.service import Performance
from concert.ground.fanout import Fact
from concert.ground.streams import encoded
from concert.halls.plan import Place, Plan
from concert.reservations.service import seat_prices
from concert.reservations.snapshots import Reading
from concert.web.formats import price, seat_name
from concert.web.language import language

# What is told of a seat, in the plan's order; that one is not sold is its state.
FLAGS = ("wheelchair", "companion", "restricted_view", "aisle")


@dataclass(frozen=True, slots=True)
class Step:
    """A section or a row as the list offers it: its name, its seats, what they cost, how many are free."""

    index: int
    name: str
    standing: bool
    first: int
    last: int
    prices: tuple[int, int]
    free: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A seat as the list offers it; ``state`` is a letter, ``m`` where it is the visitor's own."""

    seat_no: int
    label: str
    says: str
    state: str


def hall_shown(
    performance: Performance,
    plan: Plan,
    reading: Reading,
    user_id: UUID,
    *,
    chosen: Sequence[int],
    lost: Sequence[int],
    **about: Any,
) -> dict[str, Any]:
    """What the page of a hall's map is made of; ``about`` is what the drawing says of the page."""
    drawn = {"plan": plan, "prices": performance.prices, "plan_url": _plan_url(performance)}
    marks = {"chosen": chosen, "lost": lost}
    return {
        "plan_url": drawn["plan_url"],
        "drawing": _drawing(reading, user_id, {**drawn, **marks, **about}),
        "list": hall_list(performance, plan, reading, user_id, **marks),
    }


def _plan_url(performance: Performance) -> str:
    number, version = performance.performance_id, performance.plan_version
    return f"/v1/performances/{number}/plan?form=compact&v={version}"


def _drawing(reading: Reading, user_id: UUID, shown: dict[str, Any]) -> Markup:
    """The drawing; as nobody's own and without marks it is written once for each reading and language."""
    is_anybodys = not (reading.own_seats(user_id) or shown["chosen"] or shown["lost"])
    drawn: Markup | None = reading.shown.get(("drawing", language())) if is_anybodys else None
    if drawn is None:
        shown["letters"] = own_letters(reading, user_id)
        shown["words"] = _words(shown["limit"])
        shown["counts"] = {letter: reading.letters.count(letter) for letter in "ahsb"}
        drawn = Markup(render_template("hall/_drawing.html", **shown))
        if is_anybodys:
            reading.shown["drawing", language()] = drawn
    return drawn


def own_letters(reading: Reading, user_id: UUID) -> str:
    """Every seat's state by its first letter, in number order; ``m`` where it is the visitor's own."""
    return reading.letters_for(user_id).replace("H", "m").replace("S", "m")


def hall_list(
    performance: Performance,
    plan: Plan,
    reading: Reading,
    user_id: UUID,
    *,
    chosen: Sequence[int] = (),
    lost: Sequence[int] = (),
) -> Markup:
    """The list as far as the address goes: the sections, the rows of one, and the seats of one row.

    Whoever has lost a seat, or has chosen some, finds the row in which they are.
    """
    section_no, row_no = _asked(plan, [*chosen, *lost])
    is_anybodys = section_no is None
    kept: Markup | None = reading.shown.get(("list", language())) if is_anybodys else None
    if kept is not None:
        return kept
    prices = seat_prices(performance.performance_id, plan.capacity)
    shown: dict[str, Any] = {
        "sections": _sections(plan, reading.letters, prices),
        "section": section_no,
        "row": row_no,
        "rows": (),
        "seats": (),
        "chosen": chosen,
        "lost": lost,
    }
    if section_no is not None:
        shown["rows"] = _rows(plan, section_no, reading.letters, prices)
        if row_no is not None:
            letters = own_letters(reading, user_id)
            shown["seats"] = _seats(performance, plan, shown["rows"][row_no], letters, prices)
    drawn = Markup(render_template("hall/_list.html", **shown))
    if is_anybodys:
        reading.shown["list", language()] = drawn
    return drawn


def seats_as_facts(user_id: str, fact: Fact) -> bytes:
    """Changed seats as a stream tells them to a map that is drawn by its script."""
    mine = fact.data.get("holder") == user_id
    shown = fact.shown.get(("facts", mine))
    if shown is None:
        told = {"seats": fact.data["seats"], "state": fact.data["state"], "mine": mine}
        shown = fact.shown["facts", mine] = encoded(("seats", told))
    return shown


def _asked(plan: Plan, marked: Sequence[int]) -> tuple[int | None, int | None]:
    """The section and the row that the address names, or those of a seat that is chosen or lost."""
    section_no = request.args.get("section", type=int)
    row_no = request.args.get("row", type=int)
    if section_no is None and marked:
        return _where(plan, marked[0])
    if section_no is None or not 0 <= section_no < len(plan.sections):
        return None, None
    rows = plan.sections[section_no].rows
    if len(rows) == 1:
        return section_no, 0
    return section_no, row_no if row_no is not None and 0 <= row_no < len(rows) else None


def _where(plan: Plan, seat_no: int) -> tuple[int | None, int | None]:
    first = 1
    for section_no, section in enumerate(plan.sections):
        for row_no, row in enumerate(section.rows):
            if first <= seat_no < first + len(row.seats):
                return section_no, row_no
            first += len(row.seats)
    return None, None


def _sections(plan: Plan, letters: str, prices: Sequence[int]) -> list[Step]:
    found, first = [], 1
    for index, section in enumerate(plan.sections):
        last = first + sum(len(row.seats) for row in section.rows) - 1
        found.append(_step(index, section.name, section.standing, first, last, letters, prices))
        first = last + 1
    return found


def _rows(plan: Plan, section_no: int, letters: str, prices: Sequence[int]) -> list[Step]:
    before = plan.sections[:section_no]
    first = 1 + sum(len(row.seats) for section in before for row in section.rows)
    section, found = plan.sections[section_no], []
    for index, row in enumerate(section.rows):
        last = first + len(row.seats) - 1
        found.append(_step(index, row.label, section.standing, first, last, letters, prices))
        first = last + 1
    return found


def _step(
    index: int,
    name: str,
    standing: bool,
    first: int,
    last: int,
    letters: str,
    prices: Sequence[int],
) -> Step:
    costs = prices[first - 1 : last]
    free = letters.count("a", first - 1, last)
    return Step(index, name, standing, first, last, (min(costs), max(costs)), free)


# Places of a standing area are all alike: so many of the free ones are enough to choose from.
MOST_PLACES = 12


def _seats(
    performance: Performance, plan: Plan, row: Step, letters: str, prices: Sequence[int]
) -> list[Listed]:
    numbers: Sequence[int] = range(row.first, row.last + 1)
    if row.standing:
        own = [seat_no for seat_no in numbers if letters[seat_no - 1] == "m"]
        free = [seat_no for seat_no in numbers if letters[seat_no - 1] == "a"]
        numbers = [*own, *free[:MOST_PLACES]]
    states, flags = _state_words(), _flag_words()
    bits = plan.flags_of_seats
    found = []
    for seat_no in numbers:
        letter, label = letters[seat_no - 1], plan.places[seat_no - 1].seat
        true_of_it = [flags[name] for bit, name in enumerate(FLAGS) if bits[seat_no - 1] >> bit & 1]
        name = seat_name(seat_no, performance)
        says = [name, price(prices[seat_no - 1]), *true_of_it, states[letter]]
        found.append(Listed(seat_no, label, ", ".join(says), letter))
    return found


def _state_words() -> dict[str, str]:
    return {
        "a": _("available"),
        "h": _("held"),
        "s": _("sold"),
        "b": _("not on sale"),
        "m": _("yours"),
    }


def _flag_words() -> dict[str, str]:
    return {
        "wheelchair": _("wheelchair space"),
        "companion": _("seat beside a wheelchair space"),
        "restricted_view": _("restricted view"),
        "aisle": _("on the aisle"),
    }


def _words(limit: int) -> dict[str, Any]:
    """What the script says, with its own values in braces."""
    row, place = (
        Place("{section}", "{row}", "{seat}", False),
        Place("{section}", "", "{seat}", True),
    )
    return {
        "seat": label_of(row, language()),
        "rowOnly": label_of(replace(row, section=""), language()),
        "seatOnly": label_of(replace(row, row=""), language()),
        "place": label_of(place, language()),
        "states": _state_words(),
        "chosen": _("chosen"),
        "flags": _flag_words(),
        "free": _("Free"),
        "count": _("%(n)s free", n="{n}"),
        "none": _("Up to %(limit)s seats", limit=limit),
        "some": _("Chosen: %(n)s", n="{n}"),
        "remove": _("Take %(seat)s out", seat="{seat}"),
        "taken": _("%(seat)s, which you had chosen, was just taken.", seat="{seats}"),
        "takenSeveral": _(
            "These, which you had chosen, were just taken: %(seats)s.", seats="{seats}"
        ),
        "held": _("You are holding: %(seats)s.", seats="{seats}"),
        "corrected": _("The organiser has changed the prices."),
        "limit": _("You have chosen %(limit)s seats, the most for one person.", limit=limit),
    }
