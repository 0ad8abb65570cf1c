"""Figures where a part has several processes: all of them are told by whichever is asked."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from concert.local.launch import session_of
from tests.deploy.stack import Stack, command_of, entry_point
from tests.overview.conftest import Told, told_in
from tests.servers import own_redis, temporary_directory
from tests.service import Answer, call
from tests.waiting import wait_until

TOKEN = "a token for figures"
ON = {"CONCERT_METRICS": "1", "CONCERT_METRICS_TOKEN": TOKEN, "CONCERT_DATABASE_POOL_SIZE": "7"}


@pytest.fixture(scope="module")
def web(database_url: str, worker_name: str) -> Iterator[Stack]:
    """One web as the image runs it, with two worker processes and figures on."""
    with own_redis(worker_name) as redis, temporary_directory() as directory:
        stack = Stack(directory, database_url, redis)
        try:
            start(stack)
            yield stack
        finally:
            stack.stop()


def start(stack: Stack) -> None:
    """Start the web, as often as wanted."""
    port = stack.web_ports["web-1"]
    command = command_of("web")
    for option, value in (("--port", str(port)), ("--host", "127.0.0.1"), ("--workers", "2")):
        command[command.index(option) + 1] = value
    temporary = stack.directory / "tmp-web"
    temporary.mkdir(exist_ok=True)
    environment = stack.environment("web", TMPDIR=str(temporary), **ON)
    program = stack.run("web-1", [*entry_point(), *command], environment)
    program.wait_until_it_serves(port)


def ask(stack: Stack, token: str = TOKEN) -> Answer:
    return call(stack.web_ports["web-1"], "GET", "/metrics", token=token)


def told(stack: Stack) -> Told:
    answer = ask(stack)
    assert answer.status == 200, answer.body
    return told_in(answer.body.decode())


def healthz(found: Told) -> float:
    labels = (("method", "GET"), ("route", "/healthz"), ("status", "2xx"))
    return found.get(("concert_request_seconds_count", labels), 0.0)


def test_whichever_process_is_asked_all_are_told(web: Stack) -> None:
    before = healthz(told(web))
    # Each connection goes to one of the two, as the system likes.
    for _ in range(40):
        assert call(web.web_ports["web-1"], "GET", "/healthz").status == 200
    for _ in range(10):
        assert healthz(told(web)) == before + 40
    wait_until(lambda: told(web)["concert_pool_most", ()] == 14, what="both processes are shown")


def test_nobody_is_told_without_the_token(web: Stack) -> None:
    assert ask(web, token="").status == 401
    assert ask(web, token="another").status == 401


def test_a_process_that_has_died_is_shown_no_more_and_what_it_counted_stays(web: Stack) -> None:
    wait_until(lambda: told(web)["concert_pool_most", ()] == 14, what="both processes are shown")
    before = healthz(told(web))
    files = web.directory / "tmp-web" / "concert-metrics"
    shown = {int(path.stem.rpartition("_")[2]) for path in files.glob("gauge_livesum_*.db")}
    assert len(shown) == 2
    victim = min(shown & set(session_of(web.processes["web-1"].pid)))
    os.kill(victim, signal.SIGKILL)

    def is_gone() -> bool:
        try:
            found = told(web)
        except (OSError, AssertionError):
            return False
        return healthz(found) >= before and not (files / f"gauge_livesum_{victim}.db").exists()

    wait_until(is_gone, seconds=30, what="its figures are gone")
    wait_until(lambda: told(web)["concert_pool_most", ()] == 14, seconds=30, what="it is replaced")


def test_a_container_that_starts_again_begins_at_nothing(web: Stack) -> None:
    for _ in range(5):
        assert call(web.web_ports["web-1"], "GET", "/healthz").status == 200
    assert healthz(told(web)) >= 5
    web.processes.pop("web-1").end()
    start(web)
    # Asking until it serves may have taken a few.
    assert healthz(told(web)) < 5
