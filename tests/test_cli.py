"""The ``concert`` command, on the tests' servers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from concert.cli import main
from concert.ground.database import connection
from concert.ground.settings import Settings
from tests.sale import Sale
from tests.servers import own_database, temporary_directory
from tests.service import PROJECT
from tests.web.browser import Browser

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NIGHT = ("--starts-at", "2030-12-31T19:00:00+09:00", "--price", "50000")


@pytest.fixture
def run(settings: Settings) -> Run:
    """Runs the command with these words in a process; keyword arguments are variables."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CONCERT_")}
        return subprocess.run(
            [sys.executable, "-m", "concert.cli", *words],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=PROJECT,
            env={**kept, **given(settings), **environment},
            check=False,
        )

    return run


@pytest.fixture
def run_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """The same in this process, for all that a process of its own would prove nothing more of."""

    def run_here(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CONCERT_")}
        with monkeypatch.context() as patch:
            patch.setattr(os, "environ", {**kept, **given(settings), **environment})
            capsys.readouterr()
            code = main(words)
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return run_here


def given(settings: Settings) -> dict[str, str]:
    return {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "CONCERT_SECRET_KEYS": "a key that signs nothing in particular",
        "CONCERT_ORGANISER_KEY": "a key that opens nothing",
        "CONCERT_LOG_LEVEL": "error",
    }


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on which a command has said why it did nothing."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_concert_made_by_command_can_be_booked_through_the_api(sale: Sale, run_here: Run) -> None:
    made = run_here("create-concert", "Winter Songs", "Blue Hall", "--capacity", "3", *NIGHT)
    assert (made.returncode, made.stdout) == (0, "Concert 1: Winter Songs, 1 date(s).\n")
    added = run_here("add-date", "1", "--starts-at", "2031-01-01T19:00:00+09:00", "--price", "10")
    assert (added.returncode, added.stdout) == (0, "Concert 1: Winter Songs, 2 date(s).\n")
    fan = sale.admitted_fan(1, balance=10)
    assert [date["capacity"] for date in sale.call("GET", "/v1/concerts/1").json["dates"]] == [
        3,
        50,
    ]
    assert fan.hold(1, 50, date="2031-01-01").status_code == 200
    assert fan.pay(1, 50, date="2031-01-01").status_code == 200


def test_a_room_set_by_command_is_set_at_once(sale: Sale, run_here: Run) -> None:
    made = run_here("room", "set", "side", "--capacity", "7", "--paused")
    assert made.returncode == 0
    assert made.stdout.startswith("Made side: capacity=7")
    assert "paused=yes" in made.stdout
    changed = run_here(
        "room", "set", "side", "--resumed", "--opens-at", "2030-01-01T00:00:00+09:00"
    )
    assert changed.stdout.startswith("Changed side: capacity=7")
    assert "opens_at=20" in changed.stdout and "paused=no" in changed.stdout
    now = sale.organise("PATCH", "/v1/rooms/side", json={}).json
    assert (now["capacity"], now["paused"], now["opens_at"] is None) == (7, False, False)
    assert "opens_at=none" in run_here("room", "set", "side", "--open-now").stdout


def test_the_rooms_are_listed_with_who_is_in_them(sale: Sale, run_here: Run) -> None:
    sale.room(capacity=1)
    sale.admitted_fan()
    sale.fan().join()
    listed = run_here("rooms")
    assert listed.returncode == 0
    assert listed.stdout.startswith("main: capacity=1, ")
    assert "now: 1 waiting, 1 inside; so far: 2 joined, 1 admitted" in listed.stdout


def test_migrate_and_seed_make_a_new_database_ready_and_again_change_nothing(
    settings: Settings, sale: Sale, run_here: Run
) -> None:
    with own_database(settings.database_url, "cli") as url:
        assert run_here("migrate", DATABASE_URL=url).returncode == 0
        assert run_here("migrate", DATABASE_URL=url).returncode == 0
        first = run_here("seed", DATABASE_URL=url)
        assert (first.returncode, first.stdout) == (0, "Made the demo concerts.\n")
        again = run_here("seed", DATABASE_URL=url)
        assert again.stdout == "There are concerts already; nothing was made.\n"


MISTAKES = [
    (("create-concert", "T", "V", "--room", "nowhere", *NIGHT), "no room"),
    (("create-concert", " ", "V", *NIGHT), "title"),
    (("create-concert", "T", "V", *NIGHT, *NIGHT[:2]), "same time"),
    (("create-concert", "T", "V", "--sales-close-at", "2000-01-02T00:00:00Z", *NIGHT), "Sales"),
    (("add-date", "99", *NIGHT), "no such concert"),
    (("room", "set", "No Room"), "room's name"),
    (("room", "set", "main", "--capacity", "0"), "capacity"),
]


@pytest.mark.parametrize(("words", "reason"), MISTAKES)
def test_a_mistake_is_one_line_and_exit_1(
    sale: Sale, run_here: Run, words: tuple[str, ...], reason: str
) -> None:
    assert reason in refused(run_here(*words))


def test_wrong_settings_are_one_line_and_exit_1(sale: Sale, run_here: Run) -> None:
    line = refused(run_here("rooms", PORT="x", HOLD_SECONDS="0"))
    assert "PORT" in line and "HOLD_SECONDS" in line
    assert "DATABASE_URL" in refused(run_here("rooms", CONCERT_ENV="production", DATABASE_URL=""))


@pytest.mark.parametrize("words", [("rooms",), ("migrate",)])
def test_servers_that_are_not_there_are_one_line_and_exit_1(
    sale: Sale, run_here: Run, words: tuple[str, ...]
) -> None:
    assert "database cannot be reached" in refused(
        run_here(*words, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    )


def test_a_redis_that_is_not_there_is_one_line_and_exit_1(sale: Sale, run_here: Run) -> None:
    refused(run_here("rooms", REDIS_URL="redis://127.0.0.1:9/0"))


def test_a_time_without_offset_is_a_usage_mistake(sale: Sale, run_here: Run) -> None:
    done = run_here("add-date", "1", "--starts-at", "2030-12-31T19:00:00", "--price", "1")
    assert done.returncode == 2
    assert "has no offset" in done.stderr


def test_halls_are_kept_listed_shown_and_given_back_by_command(
    sale: Sale, run_here: Run, tmp_path: Path
) -> None:
    kept = run_here("hall", "import", "--example", "theatre", "--name", "Lantern")
    assert (kept.returncode, kept.stdout) == (0, "Hall 1: Lantern, 800 seats.\n")
    assert run_here("hall", "list").stdout == (
        "1: Lantern, 800 seats\nExamples: arena, club, theatre\n"
    )
    shown = run_here("hall", "show", "1").stdout
    assert "Balcony: 290 seats" in shown and "section Stalls centre: 230 seats, 16 rows" in shown
    for form in ("plain", "compact"):
        file = tmp_path / f"{form}.json"
        file.write_text(run_here("hall", "export", "1", "--form", form).stdout, encoding="utf-8")
        again = run_here("hall", "import", str(file))
        assert again.stdout == "Hall 1: Lantern, 800 seats. It was kept already.\n"
    table = tmp_path / "seats.csv"
    table.write_text(run_here("hall", "export", "1", "--form", "csv").stdout, encoding="utf-8")
    assert run_here("hall", "import", str(table)).stdout == "Hall 2: seats, 800 seats.\n"
    prices = [("--category-price", name, "10") for name in ("Premium", "Stalls", "Balcony")]
    words = [word for price in prices for word in price]
    made = run_here("create-concert", "T", "V", *NIGHT[:2], "--hall", "1", *words)
    assert made.returncode == 0, made.stderr
    [date] = sale.call("GET", "/v1/concerts/1").json["dates"]
    assert (date["capacity"], date["prices"]["Stalls"]) == (800, 10)
    assert "no hall" in refused(run_here("create-concert", "T", "V", *NIGHT, "--hall", "9"))
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}", encoding="utf-8")
    assert "The plan cannot be used" in refused(run_here("hall", "import", str(wrong)))
    assert "no example" in refused(run_here("hall", "import", "--example", "stadium"))
    assert run_here("hall", "import").returncode == 2


def test_the_help_names_every_command(run_here: Run) -> None:
    shown = run_here("--help").stdout
    for command in ("up", "migrate", "seed", "create-concert", "add-date", "room", "rooms", "hall"):
        assert command in shown


def test_a_command_starts_the_servers_that_nobody_has_named(run: Run) -> None:
    with temporary_directory() as directory:
        nowhere = {"DATABASE_URL": "", "REDIS_URL": "", "CONCERT_DATA_DIR": str(directory / "d")}
        assert run("migrate", **nowhere).returncode == 0
        assert run("rooms", **nowhere).stdout.startswith("main: ")


def test_up_without_the_packages_of_the_local_servers_is_one_line_and_exit_1() -> None:
    without = "import sys; sys.modules['psutil'] = None; from concert.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", without + "sys.exit(main(['up']))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "psutil is missing" in refused(done)


def test_somebody_added_by_command_signs_in_by_the_link_that_it_prints(
    sale: Sale, run_here: Run
) -> None:
    added = run_here(
        "staff", "add", "Mina", "--role", "door", CONCERT_PUBLIC_URL="https://tickets.example/"
    )
    assert added.returncode == 0
    (address,) = re.findall(r"https://tickets\.example(/staff/enter/\S+)", added.stdout)
    assert "▄" in added.stdout or "█" in added.stdout  # the same to be scanned
    browser = Browser(sale)
    assert browser.send(browser.read(address).form_to(address)).status_code == 303
    assert run_here("staff", "list").stdout == "Mina: door, 1 device(s)\n"
    assert "/staff/enter/" in run_here("staff", "link", "mina").stdout
    assert "called 'Mina' already" in refused(run_here("staff", "add", "Mina", "--role", "door"))
    removed = run_here("staff", "remove", "Mina", "--reason", "left")
    assert (removed.returncode, removed.stdout) == (0, "Mina works here no more.\n")
    assert browser.open("/staff").status_code == 401
    assert "Nobody here is called" in refused(run_here("staff", "link", "Mina"))


def test_keys_are_made_replaced_and_revoked_by_command(sale: Sale, run_here: Run) -> None:
    first = run_here("key", "add", "till", "--scope", "organiser").stdout.strip()
    second = run_here("key", "rotate", "till", "--overlap-hours", "1").stdout.strip()
    for key in (first, second):
        assert sale.call("GET", "/v1/audit-log", token=key).status_code == 200
    listed = run_here("key", "list").stdout
    assert first[:14] in listed and second[:14] in listed and first not in listed
    assert run_here("key", "revoke", "till", "--prefix", first[:14]).returncode == 0
    assert sale.call("GET", "/v1/audit-log", token=first).status_code == 401
    assert sale.call("GET", "/v1/audit-log", token=second).status_code == 200
    assert run_here("key", "revoke", "till").returncode == 0
    assert sale.call("GET", "/v1/audit-log", token=second).status_code == 401
    assert "There is no key" in refused(run_here("key", "revoke", "till"))


def test_the_audit_log_is_written_by_command_and_says_what_commands_did(
    sale: Sale, run_here: Run
) -> None:
    run_here("room", "set", "main", "--capacity", "7", "--reason", "fire inspection")
    run_here("create-concert", "Winter Songs", "Blue Hall", *NIGHT)
    found = [json.loads(one) for one in run_here("audit-log").stdout.splitlines()]
    assert [(one["verb"], one["actor"]["kind"], one["reason"]) for one in found] == [
        ("create_concert", "command", None),
        ("change_room", "command", "fire inspection"),
    ]
    table = run_here("audit-log", "--csv", "--subject", "room:main").stdout.splitlines()
    assert len(table) == 2 and "change_room" in table[1]
    assert run_here("audit-log", "--who", "root").stdout == ""


def test_an_audit_says_what_differs_and_its_exit_code_whether_anything_does(
    run_here: Run, sale: Sale
) -> None:
    fan = sale.fan(balance=1000)
    clean = run_here("audit")
    assert (clean.returncode, clean.stdout.splitlines()[-1]) == (0, "No difference.")
    assert "1,000 charged" in clean.stdout
    with connection() as link:
        link.execute("UPDATE wallets SET balance = 999")
    found = run_here("audit")
    assert found.returncode == 1
    told = f"wallet {fan.user_id}: the wallet has 999, its entries add up to 1000"
    assert (found.stdout.splitlines()[0], found.stdout.splitlines()[-1]) == (
        told,
        "1 difference(s).",
    )
    document = run_here("audit", "--json")
    assert document.returncode == 1
    assert json.loads(document.stdout)["differences"][0]["about"] == "wallet"
