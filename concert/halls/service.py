"""Keeping hall plans, and finding them again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock

import orjson
from flask import Flask

from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.budget import budget, within
from concert.ground.database import Connection, connection
from concert.ground.errors import NotFound, Unavailable
from concert.ground.parts import keep, part
from concert.halls.best import Layout, layout_of
from concert.halls.document import hash_of, written
from concert.halls.plan import Plan
from concert.halls.reading import read_document, read_file

EXAMPLES = Path(__file__).parent / "examples"
LARGEST_ID = 2**63 - 1
MOST_LISTED = 500
# Plans that a process has at hand; one of 5,000 seats is about two megabytes as objects.
MOST_REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class Hall:
    """A hall that is kept: its number, its name, how many seats, and the hash of its plan."""

    hall_id: int
    name: str
    capacity: int
    hash: str
    created_at: datetime


@dataclass(slots=True)
class RememberedPlans:
    """The plans that this process has read; they never change."""

    plans: OrderedDict[int, tuple[Plan, Layout]] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)
    # One reads a plan and the others wait for it: a crowd that comes at once would take seconds.
    reading: Lock = field(default_factory=Lock)

    def known(self, hall_id: int) -> tuple[Plan, Layout] | None:
        """What was read of a hall; it is kept longer then."""
        with self.lock:
            found = self.plans.get(hall_id)
            if found is not None:
                self.plans.move_to_end(hall_id)
            return found

    def keep(self, hall_id: int, found: tuple[Plan, Layout]) -> None:
        """Remember a plan, and forget the one that was not asked for the longest."""
        with self.lock:
            self.plans[hall_id] = found
            while len(self.plans) > MOST_REMEMBERED:
                self.plans.popitem(last=False)


def init_halls(app: Flask) -> None:
    """Remember the plans of this app."""
    keep(app, RememberedPlans())


COLUMNS = "id, name, capacity, hash, created_at"
# For writing a plan down, however long it took to read it.
KEEPING_SECONDS = 5.0
# Waits for somebody who is keeping the same plan at this moment, and then finds it.
KEEP = f"""
INSERT INTO halls (hash, name, capacity, document) VALUES (%s, %s, %s, %s)
ON CONFLICT (hash) DO NOTHING RETURNING {COLUMNS}"""
OF_HASH = f"SELECT {COLUMNS} FROM halls WHERE hash = %s"
OF_ID = f"SELECT {COLUMNS} FROM halls WHERE id = %s"
LIST = f"SELECT {COLUMNS} FROM halls ORDER BY id DESC LIMIT {MOST_LISTED}"
DOCUMENT = "SELECT document FROM halls WHERE id = %s"


def keep_hall(plan: Plan, *, actor: Actor = SYSTEM, reason: str | None = None) -> tuple[Hall, bool]:
    """Keep a plan; says whether it is new here. The same plan is kept once."""
    document = written(plan)
    # Reading thousands of seats may have used up what a request has.
    with within(KEEPING_SECONDS), connection() as link, link.transaction():
        values = (hash_of(document), plan.name, plan.capacity, document)
        known = link.execute(OF_HASH, values[:1]).fetchone()
        row = None if known else link.execute(KEEP, values).fetchone()
        if row is None:
            return Hall(*(known or link.execute(OF_HASH, values[:1]).fetchall()[0])), False
        hall = Hall(*row)
        after = {"name": hall.name, "capacity": hall.capacity, "hash": hall.hash}
        record(link, actor, "keep_hall", "hall", hall.hall_id, after=after, reason=reason)
    return hall, True


def list_halls() -> list[Hall]:
    """The halls that are kept, newest first."""
    with connection() as link:
        return [Hall(*row) for row in link.execute(LIST).fetchall()]


def hall_of(hall_id: int, link: Connection | None = None) -> Hall:
    """The hall with this number.

    Raises:
        NotFound: there is none.
    """
    if link is None:
        with connection() as found:
            return hall_of(hall_id, found)
    row = link.execute(OF_ID, (hall_id,)).fetchone() if 0 < hall_id <= LARGEST_ID else None
    if row is None:
        raise NotFound("There is no such hall.")
    return Hall(*row)


def plan_of(hall_id: int) -> Plan:
    """The plan of a hall.

    Raises:
        NotFound: there is no such hall.
        Unavailable: PostgreSQL cannot be reached, and this process has not read it yet.
    """
    return _remembered(hall_id)[0]


def layout_of_hall(hall_id: int) -> Layout:
    """The same as choosing the best seats sees it.

    Raises:
        NotFound: there is no such hall.
    """
    return _remembered(hall_id)[1]


def example_names() -> list[str]:
    """The halls that come with us."""
    return sorted(path.stem for path in EXAMPLES.glob("*.json"))


def example(name: str, called: str | None = None) -> Plan:
    """One of the halls that come with us, by its own name or as it is to be called.

    Raises:
        NotFound: none is called so.
    """
    if name not in example_names():
        raise NotFound(f"There is no example {name!r}; there are {', '.join(example_names())}.")
    path = EXAMPLES / f"{name}.json"
    return read_file(path.name, path.read_bytes(), called)


def _remembered(hall_id: int) -> tuple[Plan, Layout]:
    remembered = part(RememberedPlans)
    found = remembered.known(hall_id)
    if found is not None:
        return found
    if not remembered.reading.acquire(timeout=max(0.0, budget().left())):
        raise Unavailable("The database")
    try:
        found = remembered.known(hall_id)
        if found is None:
            found = _read(hall_id)
            remembered.keep(hall_id, found)
        return found
    finally:
        remembered.reading.release()


def _read(hall_id: int) -> tuple[Plan, Layout]:
    with connection() as link:
        row = link.execute(DOCUMENT, (hall_id,)).fetchone() if 0 < hall_id <= LARGEST_ID else None
    if row is None:
        raise NotFound("There is no such hall.")
    plan = read_document(orjson.loads(row[0]))
    return plan, layout_of(plan)
