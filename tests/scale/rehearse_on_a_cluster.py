"""``concert cluster up``: a sale on what several machines are made of, as processes of this one."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from concert.ground.redis_client import new_client
from concert.local import proxy
from concert.local.bouncer import pgbouncer
from concert.rehearsal import run
from tests.sale import ORGANISER_KEY
from tests.servers import temporary_directory
from tests.service import UP, Program, call, free_port
from tests.waiting import wait_until

START_SECONDS = 240.0
PLAN = run.Plan(
    fans=60,
    seats=20,
    capacity=15,
    admit_per_minute=1200,
    arrive_within=3.0,
    hold_seconds=20,
    entry_seconds=20,
    visit_seconds=120,
    # What is slow, or late, on a busy machine breaks no promise here.
    told_within=60.0,
    idle_at_most=60.0,
)


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with temporary_directory() as made:
        yield made


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def cluster(directory: Path, port: int) -> Iterator[Program]:
    """The command, until it says that it is up."""
    if pgbouncer() is None or proxy.nginx() is None:
        pytest.skip("PgBouncer or nginx is not installed (apt-get install pgbouncer nginx)")
    program = Program(
        (*UP[:-1], "cluster", "up"),
        {
            "PATH": "/usr/bin:/bin",
            "CONCERT_DATA_DIR": str(directory / "d"),
            "CONCERT_ORGANISER_KEY": ORGANISER_KEY,
            "CONCERT_NEW_USERS_PER_MINUTE": "1000000",
            "CONCERT_LOG_LEVEL": "warning",
            "HOLD_SECONDS": "20",
            "PORT": str(port),
        },
    )
    try:
        wait_until(lambda: program.said("Press Ctrl-C"), seconds=START_SECONDS, what="it is up")
        yield program
    finally:
        children = psutil.Process(program.pid).children(recursive=True)
        program.end(signal.SIGINT, seconds=30)
        assert not [one for one in children if one.is_running() and one.status() != "zombie"]


@pytest.mark.timeout(480)
def test_a_rehearsal_on_a_cluster_keeps_every_promise(
    cluster: Program, directory: Path, port: int
) -> None:
    service = run.Service(f"http://127.0.0.1:{port}", ORGANISER_KEY)
    outcome = run.rehearse(PLAN, service, lambda _: None)
    assert outcome.found["passed"], run.in_words(outcome.found)
    assert outcome.found["seats_sold"] == PLAN.seats
    for path in ("/readyz", "/healthz/sale"):
        assert call(port, "GET", path).status == 200, call(port, "GET", path).body
    told = json.loads((directory / "d" / "cluster" / "running.json").read_text())["urls"]
    assert told["REDIS_URL"].startswith("redis+cluster://")
    assert told["CONCERT_SESSION_OPTIONS"] == "role"
    # Every part is there twice, and each web has been asked.
    running = [" ".join(one.cmdline()) for one in psutil.Process(cluster.pid).children()]
    count = {word: sum(word in line for line in running) for word in EXPECTED}
    assert count == EXPECTED, running
    with new_client(told["REDIS_URL"]) as client:
        assert len(client.servers()) == 3
        assert client.keys("{room:*")


EXPECTED = {
    "-m granian": 2,
    "-m gunicorn": 2,
    "ticks": 2,
    "upkeep": 1,
    " cron ": 2,
    "pgbouncer.ini": 1,
    "nginx": 1,
    "secret.conf": 0,
}
