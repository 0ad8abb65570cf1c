"""What the tests of one machine share: waiting, free ports, left-over processes, a stand-in."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from concert.local.servers import EmbeddedRedis
from tests.servers import NewCluster, temporary_directory
from tests.service import PROJECT, Program, free_port

PATIENCE_SECONDS = 40.0

APP = """
from pathlib import Path
from typing import Any

def app(environment, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
WORKER = "from rq import Worker\n"
CRON = """
from rq import cron
from stand_in.jobs import tick

cron.register(tick, queue_name="ticks", interval=1, job_timeout=5, ttl=5, result_ttl=0)
"""
JOBS = """
import os, redis, time

def hang():
    time.sleep(60)

def tick():
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.incr("ticks")
"""
RUN = """
import signal, sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from time import sleep

from concert.local.processes import local_parts
from concert.local.run import up
from concert.ground.settings import load_settings

here = Path(__file__).parent
# Tests that were started under nohup hand on that it is ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

def parts(settings, redis_url):
    return tuple(
        replace(part, command=tuple(a.replace("concert.jobs", "stand_in") for a in part.command))
        for part in local_parts(settings, redis_url)
    )

def prepare():
    (here / "preparing").touch()
    while (here / "hold_prepare").exists():
        sleep(0.05)

sys.exit(up(load_settings(), prepare, parts=parts, directory=here))
"""


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Ask again and again until the answer is true; fail when it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.05)


def processes_in(directory: Path) -> list[psutil.Process]:
    """Every process that works in the directory or below it."""
    found = []
    for process in psutil.process_iter(["cwd", "status"]):
        working = process.info["cwd"]
        if working and Path(working).is_relative_to(directory.resolve()):
            found.append(process)
    return found


class Running(Program):
    """``up`` in a process of its own, with stand-ins for the app and the jobs."""

    def __init__(self, project: Path, **environment: str) -> None:
        self.project = project
        self.data = project / ".concert"
        self.port = int(environment.get("PORT") or free_port())
        super().__init__(
            (sys.executable, str(project / "run.py")),
            {
                **{k: v for k, v in os.environ.items() if not k.startswith("CONCERT_")},
                "PYTHONPATH": f"{project}{os.pathsep}{PROJECT}",
                "CONCERT_DATA_DIR": str(self.data),
                "CONCERT_WEB_WORKERS": "1",
                "PORT": str(self.port),
                **environment,
            },
        )

    def wait_until_up(self) -> None:
        wait_for(lambda: self.said("Press Ctrl-C"), "the service is up")


@pytest.fixture
def project(new_cluster: NewCluster) -> Iterator[Path]:
    """A project in a directory of its own, with stand-ins for everything that ``up`` runs."""
    with temporary_directory() as directory:
        new_cluster.put_into(directory / ".concert" / "postgres")
        (directory / "app.py").write_text(APP)
        (directory / "run.py").write_text(RUN)
        stand_in = directory / "stand_in"
        stand_in.mkdir()
        modules = {"__init__": "", "worker": WORKER, "cron": CRON, "jobs": JOBS}
        for name, text in modules.items():
            (stand_in / f"{name}.py").write_text(text)
        yield directory
        wait_for(lambda: not processes_in(directory), "every process has ended")


@pytest.fixture
def run_up(project: Path) -> Iterator[Callable[..., Running]]:
    """Starts ``up``; whatever still runs at the end of the test is killed."""
    with contextlib.ExitStack() as started:

        def run(**environment: str) -> Running:
            running = Running(project, **environment)
            started.callback(running.end, signal.SIGKILL)
            return running

        yield run


@pytest.fixture
def data(request: pytest.FixtureRequest, directory: Path, new_cluster: NewCluster) -> Path:
    """A server's directory, with the files of a new PostgreSQL unless the test's kind is another."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or callspec.params.get("kind") is not EmbeddedRedis:
        new_cluster.put_into(directory / "s")
    return directory / "s"


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty directory with a short name."""
    with temporary_directory() as made:
        yield made
        wait_for(lambda: not processes_in(made), "every server has ended")
