"""The whole service on one machine, from start to stop, with stand-ins for app and jobs."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from rq import Queue

from concert.local.launch import session_of
from tests.local.conftest import Running, processes_in, wait_for
from tests.service import call, serves

RunUp = Callable[..., Running]
# The promise is about 5 s; the rest is for a busy machine.
STOP_WITHIN_SECONDS = 12.0


def answers(running: Running) -> bool:
    return serves(running.port)


def facts(running: Running) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((running.data / "running.json").read_text())
    return found


def ticks(running: Running) -> int:
    try:
        with redis.Redis.from_url(facts(running)["urls"]["REDIS_URL"]) as client:
            return int(client.get("ticks") or 0)
    except redis.ConnectionError:
        return -1


def part(running: Running, word: str) -> psutil.Process | None:
    for process in psutil.Process(running.popen.pid).children():
        with contextlib.suppress(psutil.Error):
            if word in process.cmdline():
                return process
    return None


def stop(running: Running, number: int = signal.SIGTERM) -> None:
    began = time.monotonic()
    running.popen.send_signal(number)
    assert running.exit_code() == 0, running.text
    assert time.monotonic() - began < STOP_WITHIN_SECONDS
    assert not processes_in(running.project)
    assert not (running.data / "running.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_everything_runs_and_stops_on_a_signal(run_up: RunUp, number: int) -> None:
    running = run_up()
    running.wait_until_up()
    assert answers(running)
    wait_for(lambda: ticks(running) > 0, "clock and worker run a job")
    assert f"http://127.0.0.1:{running.port}/docs" in running.text
    key = (running.data / "organiser_key").read_text().strip()
    assert str(running.data / "organiser_key") in running.text
    assert key not in running.text
    stop(running, number)


def test_a_second_start_has_the_same_data_and_the_same_keys(run_up: RunUp) -> None:
    first = run_up()
    first.wait_until_up()
    with psycopg.connect(facts(first)["urls"]["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    key = (first.data / "secret_key").read_text()
    stop(first)
    second = run_up()
    second.wait_until_up()
    with psycopg.connect(facts(second)["urls"]["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT * FROM kept").fetchall() == [(1,)]
    assert (second.data / "secret_key").read_text() == key
    stop(second)


def test_each_part_comes_back_when_it_is_killed(run_up: RunUp) -> None:
    running = run_up()
    running.wait_until_up()
    for word in ("worker", "cron", "granian"):
        killed = wait_for(lambda word=word: part(running, word), f"{word} runs")
        killed.kill()
        wait_for(
            lambda word=word, pid=killed.pid: (
                (again := part(running, word)) is not None and again.pid != pid
            ),
            f"{word} comes back",
        )
    wait_for(lambda: answers(running), "the web part answers again")
    before = ticks(running)
    wait_for(lambda: ticks(running) > before, "jobs run again")
    stop(running)


SLOW_APP = """
import os, time
time.sleep(4)

def app(environment, start_response):
    body = str(os.getsid(0)).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def web_session(running: Running) -> int:
    """The session of the web process that answered just now; 0 where none did."""
    try:
        return int(call(running.port, "GET", "/", seconds=2).body)
    except (OSError, http.client.HTTPException):
        return 0


def test_the_port_is_served_while_the_killed_parent_of_the_web_processes_starts_again(
    run_up: RunUp, project: Path
) -> None:
    (project / "app.py").write_text(SLOW_APP)
    running = run_up()
    running.wait_until_up()
    parent = part(running, "granian")
    assert parent is not None and web_session(running) == parent.pid
    parent.kill()
    seen, answered, longest = parent.pid, time.monotonic(), 0.0
    while seen in (0, parent.pid):
        assert time.monotonic() - answered < 2, "nobody answered for two seconds"
        seen = web_session(running)
        if seen:
            longest, answered = max(longest, time.monotonic() - answered), time.monotonic()
    assert longest < 2
    # Those that stood in for the new ones go.
    wait_for(lambda: not session_of(parent.pid), "the old processes have ended")
    assert answers(running)
    stop(running)


def test_a_stop_also_ends_what_a_killed_parent_has_left(run_up: RunUp, project: Path) -> None:
    (project / "app.py").write_text(SLOW_APP)
    running = run_up()
    running.wait_until_up()
    parent = part(running, "granian")
    assert parent is not None
    parent.kill()
    wait_for(lambda: running.said("starting again at once"), "the end is noticed")
    assert session_of(parent.pid)
    stop(running)
    assert not session_of(parent.pid)


def test_ticks_go_on_while_a_job_of_upkeep_hangs(run_up: RunUp) -> None:
    running = run_up()
    running.wait_until_up()
    with redis.Redis.from_url(facts(running)["urls"]["REDIS_URL"]) as client:
        job = Queue("upkeep", connection=client).enqueue("stand_in.jobs.hang", job_timeout=120)
        wait_for(lambda: job.get_status(refresh=True) == "started", "a worker has the job")
        before = ticks(running)
        wait_for(lambda: ticks(running) >= before + 3, "ticks go on")
        assert job.get_status(refresh=True) == "started"
    stop(running)


def test_the_servers_come_back_when_they_are_killed(run_up: RunUp) -> None:
    running = run_up()
    running.wait_until_up()
    wait_for(lambda: ticks(running) > 0, "jobs run")
    for process in psutil.Process(running.popen.pid).children():
        if process.name() in ("postgres", "redis-server"):
            process.kill()
    wait_for(lambda: "Redis ended; starting it again." in running.text, "Redis is missed")
    wait_for(lambda: "PostgreSQL ended; starting it again." in running.text, "it is missed")
    before = wait_for(lambda: max(ticks(running), 0), "Redis has its data again")
    wait_for(lambda: ticks(running) > before, "jobs run again")
    wait_for(lambda: takes_questions(running), "PostgreSQL answers, too")
    stop(running)


def takes_questions(running: Running) -> bool:
    try:
        with psycopg.connect(facts(running)["urls"]["DATABASE_URL"]) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False  # It is starting up.


def test_a_taken_port_is_one_line_and_nothing_is_started(run_up: RunUp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        running = run_up(PORT=str(port))
        assert running.exit_code() == 1
    assert len(running.output) == 1
    assert f"Port {port} on 127.0.0.1 is taken" in running.text
    assert [path.name for path in running.data.iterdir()] == ["postgres"]
    assert [path.name for path in (running.data / "postgres").iterdir()] == ["data"]


def test_two_starts_at_the_same_moment_do_not_share_a_port(run_up: RunUp, project: Path) -> None:
    (project / "hold_prepare").touch()
    first = run_up()
    wait_for((project / "preparing").exists, "the first is starting")
    second = run_up(PORT=str(first.port), CONCERT_DATA_DIR=str(project / "other"))
    assert second.exit_code() == 1
    assert "is taken" in second.text
    stop(first)


def test_a_second_instance_in_one_directory_is_one_line(run_up: RunUp, project: Path) -> None:
    (project / "hold_prepare").touch()
    first = run_up()
    wait_for((project / "preparing").exists, "the first is starting")
    second = run_up()
    assert second.exit_code() == 1
    assert len(second.output) == 1
    assert f"belongs to a running instance (pid {first.popen.pid})" in second.text
    stop(first)


def test_an_address_that_is_not_ours_is_one_line(run_up: RunUp) -> None:
    running = run_up(HOST="no such host")
    assert running.exit_code() == 1
    assert len(running.output) == 1
    assert "HOST=no such host is not an address" in running.text


@pytest.mark.parametrize("moment", ["servers", "database", "prepare", "web"])
def test_a_signal_while_it_starts_leaves_nothing_running(
    run_up: RunUp, project: Path, moment: str
) -> None:
    if moment == "prepare":
        (project / "hold_prepare").touch()
    if moment == "database":
        shutil.rmtree(project / ".concert" / "postgres")
    running = run_up()
    reached: dict[str, Callable[[], object]] = {
        "servers": lambda: running.said("Starting PostgreSQL"),
        "database": (running.data / "postgres" / "data").exists,
        "prepare": (project / "preparing").exists,
        "web": lambda: part(running, "granian"),
    }
    wait_for(reached[moment], moment)
    stop(running)


def test_after_a_hard_death_nothing_runs_and_the_next_start_works(run_up: RunUp) -> None:
    running = run_up()
    running.wait_until_up()
    with psycopg.connect(facts(running)["urls"]["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1")
    running.popen.kill()
    running.popen.wait()
    wait_for(lambda: not processes_in(running.project), "every process has ended")
    again = run_up()
    again.wait_until_up()
    with psycopg.connect(facts(again)["urls"]["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT * FROM kept").fetchall() == [(1,)]
    stop(again)


def test_a_web_part_that_never_starts_is_given_up(run_up: RunUp, project: Path) -> None:
    (project / "app.py").write_text("raise RuntimeError('no such luck')\n")
    running = run_up()
    assert running.exit_code() == 1
    assert "no such luck" in running.text
    assert "The web part does not start; its output is above." in running.text
    assert not processes_in(project)


def test_the_processes_gather_their_figures_in_a_directory_that_is_empty_at_the_start(
    run_up: RunUp, project: Path
) -> None:
    directory = project / ".concert" / "metrics"
    directory.mkdir(parents=True)
    (directory / "counter_1.db").write_bytes(b"of somebody's former life")
    running = run_up(CONCERT_METRICS="1")
    running.wait_until_up()
    assert list(directory.iterdir()) == []
    web = part(running, "granian")
    assert web is not None
    assert web.environ()["PROMETHEUS_MULTIPROC_DIR"] == str(directory)
    stop(running)


def test_without_figures_there_is_no_such_directory(run_up: RunUp) -> None:
    running = run_up()
    running.wait_until_up()
    web = part(running, "granian")
    assert web is not None
    assert "PROMETHEUS_MULTIPROC_DIR" not in web.environ()
    assert not (running.data / "metrics").exists()
    stop(running)
