"""Holding a rehearsal: the stage, the crew, the verdict."""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import concert
from concert.local.launch import end_session, launch
from concert.rehearsal import crew, foretold
from concert.rehearsal.fan import Stage
from concert.rehearsal.judge import judge
from concert.rehearsal.notes import Notes
from concert.rehearsal.picture import picture
from concert.rehearsal.plan import Plan, PlanError
from concert.rehearsal.report import document, in_words

ROOT = Path(concert.__file__).resolve().parent.parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
START_SECONDS = 120.0
STOP_SECONDS = 30.0
# Between the last fan who is ready and the doors.
BREATH_SECONDS = 1.0


class RehearsalError(Exception):
    """The rehearsal could not be held; the message says why."""


@dataclass(frozen=True)
class Service:
    """Where the service is, and the key that makes concerts there."""

    url: str
    organiser_key: str

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine."""
        return (urlsplit(self.url).hostname or "") in LOOPBACK


@dataclass(frozen=True)
class Outcome:
    """What came of a rehearsal: the report, and its picture (SVG)."""

    found: dict[str, Any]
    picture: str


def rehearse(plan: Plan, service: Service, say: Callable[[str], None]) -> Outcome:
    """Hold a rehearsal on a running service. It makes a room and a concert of its own there.

    Raises:
        PlanError: the plan is out of range.
        RehearsalError: the service does not answer, or does not let us make a concert.
    """
    plan.check()
    slug = f"rehearsal-{secrets.token_hex(4)}"
    say("Making a room and a concert.")
    concert_id, date, performance = _set_stage(plan, service, slug)

    def how_it_sells() -> dict[str, Any]:
        found: dict[str, Any] = _organise(service, "GET", f"/v1/performances/{performance}/sales")
        return found

    notes = Notes()
    began = time.time()
    with _crew(plan, service.url) as (pipes, sold_out):
        say(f"{plan.fans:,} fans become users.")
        gathering = _Gathering(plan, notes, sold_out, say)
        gathering.until("ready", pipes)
        stage = Stage(concert_id, date, time.time() + BREATH_SECONDS)
        for pipe in pipes:
            pipe.send(stage)
        say("The doors open.")
        with foretold.listening(how_it_sells) as forecasts:
            gathering.until("home", pipes)
        ended = time.time()
        say("Everybody is home; asking what the service says of each of them.")
        for pipe in pipes:
            pipe.send("audit")
        gathering.until("audited", pipes)
    verdicts = judge(plan, notes, same_clock=service.is_here)
    found = document(plan, notes, verdicts, ended - stage.opens, same_clock=service.is_here)
    found["forecast"] = foretold.of_the_sale(
        plan, forecasts, stage.opens, _sold_out_at(plan, notes) if service.is_here else None
    )
    found["began"] = datetime.fromtimestamp(began, UTC).isoformat()
    found["url"] = service.url
    return Outcome(found, picture(found, notes, stage.opens))


@contextlib.contextmanager
def local_service(
    plan: Plan, say: Callable[[str], None], *, on_a_cluster: bool = False
) -> Iterator[Service]:
    """The whole service on this machine, on servers and with data of its own, gone afterwards.

    ``on_a_cluster`` starts two of each process, behind a proxy, on a bouncer and a Redis Cluster.

    Raises:
        RehearsalError: it did not start; the message has the end of its log.
    """
    port, key = _free_port(), secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="concert-rehearsal-") as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs as another user
        log = Path(folder) / "log"
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.endswith(("DATABASE_URL", "REDIS_URL"))
        }
        environment = {
            **kept,
            "CONCERT_DATA_DIR": str(Path(folder) / "data"),
            "CONCERT_ENV": "local",
            "CONCERT_ORGANISER_KEY": key,
            # All fans come from one address here.
            "CONCERT_NEW_USERS_PER_MINUTE": "10000000",
            "CONCERT_LOG_LEVEL": "warning",
            "HOLD_SECONDS": str(plan.hold_seconds),
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }
        say("Starting the service.")
        with log.open("wb") as output:
            process = launch(
                [sys.executable, "-m", "concert.cli", *(["cluster"] if on_a_cluster else []), "up"],
                death_signal=signal.SIGTERM,
                directory=ROOT,
                environment=environment,
                output=output,
            )
        try:
            _wait_until_it_answers(process, port, log)
            yield Service(f"http://127.0.0.1:{port}", key)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                end_session(process.pid)
                process.wait()


def write(outcome: Outcome, report: Path | None, drawn: Path | None) -> None:
    """Write the report and the picture to files."""
    if report is not None:
        report.write_text(json.dumps(outcome.found, indent=2) + "\n", encoding="utf-8")
    if drawn is not None:
        drawn.write_text(outcome.picture, encoding="utf-8")


@contextlib.contextmanager
def _crew(plan: Plan, url: str) -> Iterator[tuple[list[Connection], Any]]:
    spawning = multiprocessing.get_context("spawn")
    sold_out = spawning.Event()
    pipes, processes = [], []
    try:
        for number in range(plan.processes):
            ours, theirs = spawning.Pipe()
            process = spawning.Process(
                target=crew.play, args=(number, plan, url, theirs, sold_out), daemon=True
            )
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield pipes, sold_out
    finally:
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()
        for pipe in pipes:
            pipe.close()


class _Gathering:
    """Takes the crew's notes, says how it goes, and tells them when all is sold."""

    def __init__(self, plan: Plan, notes: Notes, sold_out: Any, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._notes = notes
        self._sold_out = sold_out
        self._say = say
        self._said_at = 0.0
        self._sold = 0
        self._paid_counted = 0

    def until(self, word: str, pipes: list[Connection]) -> None:
        """Take notes until every process has said the word."""
        missing = list(pipes)
        while missing:
            for pipe in wait(missing, timeout=1.0):
                assert isinstance(pipe, Connection)
                try:
                    told = pipe.recv()
                except EOFError as error:
                    raise RehearsalError("A process of the crew has ended by itself.") from error
                if told == word:
                    missing.remove(pipe)
                elif isinstance(told, list):
                    for note in told:
                        self._notes.add(note)
            self._look()

    def _look(self) -> None:
        fresh = self._notes.paid[self._paid_counted :]
        self._paid_counted = len(self._notes.paid)
        self._sold += sum(len(paid.seats) for paid in fresh)
        if self._sold >= self._plan.seats and not self._sold_out.is_set():
            self._sold_out.set()
            self._say("All seats are sold.")
        now = time.monotonic()
        if self._notes.joined and now - self._said_at >= 5.0:
            self._said_at = now
            waiting = self._notes.stood[-1].waiting if self._notes.stood else 0
            self._say(
                f"  {len(self._notes.joined):,} joined, {waiting:,} in line, "
                f"{len(self._notes.admitted):,} let in, {self._sold:,} of {self._plan.seats:,} seats sold, "
                f"{len(self._notes.gone):,} home"
            )


def _sold_out_at(plan: Plan, notes: Notes) -> float | None:
    """When the last seat was paid; None where not every seat was."""
    sold = 0
    for paid in sorted(notes.paid, key=lambda one: one.seen):
        sold += len(paid.seats)
        if sold >= plan.seats:
            return paid.seen
    return None


def _set_stage(plan: Plan, service: Service, slug: str) -> tuple[int, str, int]:
    room = {
        "capacity": plan.capacity,
        "admit_per_minute": plan.admit_per_minute,
        "entry_seconds": plan.entry_seconds,
        "visit_seconds": plan.visit_seconds,
    }
    _organise(service, "PUT", f"/v1/rooms/{slug}", room)
    starts = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    dates = [{"starts_at": starts.isoformat(), "capacity": plan.seats, "price": plan.price}]
    made = _organise(
        service,
        "POST",
        "/v1/concerts",
        {"title": "Rehearsal", "venue": "Rehearsal", "room": slug, "dates": dates},
    )
    date = made["dates"][0]
    return made["id"], date["date"], date["performance_id"]


def _organise(service: Service, method: str, path: str, body: Any = None) -> Any:
    where = urlsplit(service.url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname or "", where.port, timeout=30)
    headers = {
        "Authorization": f"Bearer {service.organiser_key}",
        "Content-Type": "application/json",
    }
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, where.path.rstrip("/") + path, sent, headers)
        answer = connection.getresponse()
        text = answer.read()
    except OSError as error:
        raise RehearsalError(f"{service.url} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status not in (200, 201):
        raise RehearsalError(f"{method} {path} was answered {answer.status}: {text[:300].decode()}")
    return json.loads(text)


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            try:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            finally:
                connection.close()
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()[-5:]
            raise RehearsalError("The service does not start: " + " / ".join(last))
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


__all__ = [
    "Outcome",
    "Plan",
    "PlanError",
    "RehearsalError",
    "Service",
    "in_words",
    "local_service",
    "rehearse",
    "write",
]
