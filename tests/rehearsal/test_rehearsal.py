"""Rehearsals of the whole service: a good one passes, and each seeded defect breaks its promise.

The defects are changes to a copy of the source, and one service runs from that copy. It is a
good one until a defect is called out in its Redis, so each rehearsal meets one defect alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask_migrate
import psycopg
import pytest
import redis

from concert.cli import main
from concert.factory import create_app
from concert.ground.database import Database
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.reservations.queries import HOLD_SEATS
from tests.e2e.house import House
from tests.races.sabotage import spoiled
from tests.rehearsal.test_judge import (
    CAPACITY,
    FOR_NOTHING,
    IDLE,
    MONEY,
    ORDER,
    OWNERS,
    SOLD_OUT,
    TOLD,
    TOLD_TRUTH,
    TRUE,
)
from tests.sale import ORGANISER_KEY
from tests.servers import own_database, own_redis
from tests.service import free_port

PROJECT = Path(__file__).parent.parent.parent
NEEDED = ("app.py", "concert", "templates", "static", "migrations")
CROWD = ("--fans", "60", "--seats", "24", "--capacity", "8", "--arrive-within", "1")
# Seats come back at random, holds and visits are short, and a busy machine may be slow.
RETURNS = (
    "--returns",
    "20",
    "--hold-seconds",
    "5",
    "--entry-seconds",
    "5",
    "--visit-seconds",
    "15",
)
PATIENT = ("--told-within", "15", "--idle-at-most", "15")
# An evening with a defect may have no end; what is broken shows early.
BROKEN_EVENING_SECONDS = 12
# What fans do is left to chance, and on a busy machine few of them get far: a defect may hide for an evening.
BROKEN_EVENINGS = 3
# A whole service and its evening, a minute at most where nobody else works.
PATIENCE_SECONDS = 300
CALLED_OUT = "the defect of this evening"


@dataclass(frozen=True)
class Defect:
    """A change to one file, and the promises of which at least one has to break, or ``all_of_them``."""

    file: str
    old: str
    new: str
    breaks: tuple[int, ...]
    all_of_them: bool = False


# In the new text, DEFECT is whether this defect has been called out.
DEFECTS = {
    "lets the last in first": Defect(
        "concert/waiting_room/lua/admit.lua",
        "    front = redis.call('ZPOPMIN', WAITING, admitted)\n",
        "    front = redis.call(DEFECT and 'ZPOPMAX' or 'ZPOPMIN', WAITING, admitted)\n",
        (ORDER,),
    ),
    "lets one too many in": Defect(
        "concert/waiting_room/lua/_slots.lua",
        "slots_by_capacity(room.capacity, inside",
        "slots_by_capacity(room.capacity + (DEFECT and 1 or 0), inside",
        (CAPACITY,),
    ),
    "loses an answer": Defect(
        "concert/payments/service.py",
        "    if amount is None:\n        return _explain(",
        "    if DEFECT:\n"
        '        link.execute("ROLLBACK")\n'
        "    if amount is None:\n        return _explain(",
        (TRUE, MONEY),
    ),
    "counts more seats than there are": Defect(
        "concert/waiting_room/lua/counted.lua",
        "redis.call('DEL', HOLDERS)\n",
        "if DEFECT then\n"
        "  ARGV[2], ARGV[5] = whole(tonumber(ARGV[2]) + 8), whole(tonumber(ARGV[5]) + 8)\n"
        "end\n"
        "redis.call('DEL', HOLDERS)\n",
        (FOR_NOTHING, TOLD, SOLD_OUT, TOLD_TRUTH),
        all_of_them=True,
    ),
    "keeps seats back": Defect(
        "concert/waiting_room/lua/_slots.lua",
        "tonumber(count[4]) - undecided)",
        "tonumber(count[4]) - undecided - (DEFECT and 8 or 0))",
        (IDLE,),
    ),
}
# This one is not in the files: the function is changed where it is, in the database.
SELLS_TWICE = "sells a seat twice"
FREE_NOW = "AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: "
BREAKS = {SELLS_TWICE: (OWNERS,), **{name: defect.breaks for name, defect in DEFECTS.items()}}


def asked(name: str, file: str) -> str:
    """How a file asks whether this defect has been called out."""
    if file.endswith(".lua"):
        return f"(redis.call('GET', '{CALLED_OUT}') == '{name}')"
    return (
        "(__import__('concert.ground.redis_client', fromlist='*')"
        f".redis().get({CALLED_OUT!r}) == {name.encode()!r})"
    )


@dataclass(frozen=True)
class Broken:
    """A service with defects that can be called out, one at a time."""

    address: str
    settings: Settings

    def call_out(self, name: str) -> None:
        """From now on it has this defect and no other."""
        with redis.Redis.from_url(self.settings.redis_url) as client:
            client.set(CALLED_OUT, name)
        text = spoiled(HOLD_SEATS, (FREE_NOW, "-- ")) if name == SELLS_TWICE else HOLD_SEATS
        with psycopg.connect(self.settings.database_url) as link:
            link.execute(text)


@pytest.fixture(scope="module")
def broken(
    settings: Settings, worker_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broken]:
    """One service for all defects: starting one takes longer than most evenings."""
    source = tmp_path_factory.mktemp("source")
    for needed in NEEDED:
        original = PROJECT / needed
        if original.is_dir():
            shutil.copytree(original, source / needed)
        else:
            shutil.copy(original, source / needed)
    for name, defect in DEFECTS.items():
        changed = source / defect.file
        text = changed.read_text()
        assert text.count(defect.old) == 1
        new = defect.new.replace("DEFECT", asked(name, defect.file))
        changed.write_text(text.replace(defect.old, new))
    with (
        own_database(settings.database_url, "rehearsal") as database_url,
        own_redis(worker_name) as redis_url,
    ):
        own = settings.model_copy(
            update={
                "database_url": database_url,
                "redis_url": redis_url,
                "port": free_port(),
                "secret_keys": ("the key of the rehearsals: long enough to sign with",),
                "web_workers": 1,
                "database_pool_size": 20,
            }
        )
        app = create_app(own)
        with app.app_context():
            flask_migrate.upgrade()
        part(Database, app).pool.close()
        house = House(own, source)
        try:
            house.start()
            yield Broken(house.address, own)
        finally:
            house.stop()


def judged(code: int, report: Path, said: str) -> dict[str, Any]:
    """The report of a rehearsal that has ended with this exit code."""
    assert report.exists(), said
    found: dict[str, Any] = json.loads(report.read_text())
    assert (code == 0) is found["passed"]
    return found


@pytest.mark.timeout(PATIENCE_SECONDS + 20)
def test_a_rehearsal_of_the_service_keeps_every_promise(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "concert.cli",
            "rehearse",
            *CROWD,
            *RETURNS,
            *PATIENT,
            "--report",
            str(report),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    found = judged(done.returncode, report, done.stdout + done.stderr)
    assert [(one["promise"], one["verdict"], one["shown"]) for one in found["promises"]] == [
        (one["promise"], "PASS", []) for one in found["promises"]
    ]
    assert found["passed"]
    assert found["seats_sold"] == 24
    assert found["line"]["seats_given_back"] + found["line"]["seats_lapsed"] > 0
    assert {wait["call"] for wait in found["waits"]} >= {"join", "ask", "hold", "charge", "pay"}


@pytest.mark.parametrize("name", BREAKS)
def test_a_seeded_defect_breaks_its_promise(
    broken: Broken, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken.call_out(name)
    report = tmp_path / "report.json"
    where = ("--url", broken.address, "--organiser-key", ORGANISER_KEY)
    # So that what is told late is heard before the evening is over, and where all has to break, all is sold.
    seconds = BROKEN_EVENING_SECONDS
    if name in DEFECTS and DEFECTS[name].all_of_them:
        seconds *= 3
    longest = ("--longest", str(seconds), "--told-within", "1", "--returns", "0")
    needed = 1
    if name in DEFECTS and DEFECTS[name].all_of_them:
        needed = len(BREAKS[name])
    evenings = []
    for _ in range(BROKEN_EVENINGS):
        code = main(("rehearse", *where, *CROWD, *longest, "--report", str(report)))
        found = judged(code, report, str(capsys.readouterr()))
        evenings.append(found["promises"])
        failed = {index for index, one in enumerate(found["promises"]) if one["verdict"] == "FAIL"}
        if len(failed & set(BREAKS[name])) >= needed:
            break
    else:
        pytest.fail(f"in {BROKEN_EVENINGS} evenings its promise did not break: {evenings}")


def test_somebody_elses_address_is_not_rehearsed_without_saying_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "concert.cli", "rehearse", "--url", "https://concert.example"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--i-own-this-server" in done.stderr
