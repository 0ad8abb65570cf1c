"""Levers and reports on the command line."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from concert.cli import main
from concert.commands.sale import WORDS
from concert.ground.settings import Settings
from concert.overview.levers import EffectKind
from concert.waiting_room.rooms import room_of
from tests.sale import Sale
from tests.staff.crew import lines
from tests.test_cli import given

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(
    sale: Sale,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command in this process, on the servers of the tests."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CONCERT_")}
        with monkeypatch.context() as patch:
            # Nobody is at the keyboard.
            patch.setattr(sys, "stdin", io.StringIO(""))
            patch.setattr(os, "environ", {**kept, **given(settings)})
            capsys.readouterr()
            code = main(words)
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return run


def test_every_effect_has_its_words() -> None:
    assert set(WORDS) == set(EffectKind.__args__)  # type: ignore[attr-defined]


def test_a_room_is_paused_and_goes_on_and_each_says_first_what_it_does(
    sale: Sale, run: Run
) -> None:
    concert = sale.concert()
    sale.room(capacity=2)
    for _ in range(5):
        sale.fan().join(concert)
    done = run("room", "pause", "main", "--yes", "--reason", "too loud")
    assert done.returncode == 0, done
    assert "3 people in line keep their places, 2 inside go on." in done.stdout
    assert room_of("main").paused
    (line,) = lines(verb="change_room", reason="too loud")
    assert line.actor_kind == "command"
    assert "It is so already" in run("room", "pause", "main").stdout
    assert "3 people wait" in run("room", "resume", "main", "--yes").stdout
    assert not room_of("main").paused


def test_nothing_is_done_where_nobody_says_yes(sale: Sale, run: Run) -> None:
    sale.concert()
    done = run("room", "pause", "main")
    assert done.returncode == 130
    assert not room_of("main").paused


def test_the_pace_is_changed_and_taken_back(sale: Sale, run: Run) -> None:
    sale.concert()
    sale.room(capacity=10, admit_per_minute=60)
    assert run("room", "pace", "main", "--capacity", "40", "--yes").returncode == 0
    assert (room_of("main").capacity, room_of("main").admit_per_minute) == (40, 60)
    done = run("room", "undo", "main", "--yes")
    assert "capacity: 40 -> 10" in done.stdout
    assert room_of("main").capacity == 10
    assert run("room", "pace", "main").returncode == 2


def test_the_line_is_told_something_and_opened_later(sale: Sale, run: Run) -> None:
    sale.concert()
    assert run("room", "say", "main", "--ko", "네", "--en", "Yes", "--yes").returncode == 0
    assert room_of("main").message == {"ko": "네", "en": "Yes"}
    assert run("room", "say", "main", "--nothing", "--yes").returncode == 0
    assert room_of("main").message is None
    assert run("room", "say", "main").returncode == 2
    assert run("room", "open", "main", "--at", "2031-01-01T20:00:00+09:00", "--yes").returncode == 0
    assert room_of("main").opens_at is not None
    assert run("room", "open", "main", "--yes").returncode == 0
    assert room_of("main").opens_at is None


def test_a_sale_is_ended(sale: Sale, run: Run) -> None:
    concert = sale.concert(capacity=8)
    done = run("room", "end-sale", "main", "--yes")
    assert "8 free seats stay unsold" in done.stdout
    assert sale.call("GET", f"/v1/concerts/{concert}").json["sales"] == "ended"
    assert "It is so already" in run("room", "end-sale", "main", "--yes").stdout


def test_a_report_is_printed_or_written_to_a_file(sale: Sale, run: Run, tmp_path: Path) -> None:
    concert = sale.concert(price=70_000)
    fan = sale.admitted_fan(concert, balance=140_000)
    fan.hold(concert, 1, 2)
    fan.pay(concert, 1)
    printed = run("report", "orders", "--concert", str(concert))
    (row,) = list(csv.DictReader(printed.stdout.splitlines()))
    assert (row["seat_nos"], row["amount"], row["user_id"]) == ("1 2", "140000", str(fan.user_id))
    path = tmp_path / "dates.csv"
    assert run("report", "dates", "--room", "main", "--bom", "--output", str(path)).returncode == 0
    assert path.read_bytes().startswith(b"\xef\xbb\xbfconcert_id,")
    assert run("report", "orders").returncode == 2
    assert run("report", "orders", "--room", "nowhere").returncode == 1
