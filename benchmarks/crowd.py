"""The live process, and crowds of viewers in processes of their own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.house import House
from concert.accounts.service import issue_user_token
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.waiting_room.tokens import QueueToken
from tests.service import PROJECT, Program, environment_of, free_port

# These are there before the memory of the others is measured: what is kept once is kept then.
FIRST_VIEWERS = 200
PATIENCE_SECONDS = 60


class Live:
    """A live process that runs."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def memory(self) -> int:
        """What it and its children have in memory, in bytes."""
        family = [psutil.Process(self._pid), *psutil.Process(self._pid).children(recursive=True)]
        return sum(int(one.memory_info().rss) for one in family)


class Crowd:
    """Viewers in another process."""

    def __init__(self, port: int) -> None:
        self.count = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.viewers", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
        )

    def open(self, path: str, tokens: Sequence[QueueToken]) -> None:
        """Open a stream for each, and wait until each was told something."""
        self._say(json.dumps({"path": path, "cookies": [cookie_of(token) for token in tokens]}))
        if self._heard() != "open":
            raise RuntimeError("The viewers could not open their streams.")
        self.count = len(tokens)

    def told(self, what: str, number: int) -> list[float]:
        """When (seconds, monotonic) each was told; waits until all were."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            self._say(f"{what} {number}")
            found: list[Any] = json.loads(self._heard())
            if None not in found:
                return found
            # Asking takes the viewers' time as well.
            time.sleep(0.5)
        raise TimeoutError(f"{found.count(None)} of {len(found)} were not told")

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            assert self._process.stdin
            self._process.stdin.close()
        self._process.wait(30)

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _heard(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().decode().strip()


@contextlib.contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    """Viewers who look until the end."""
    viewers = Crowd(port)
    try:
        yield viewers
    finally:
        viewers.close()


@contextlib.contextmanager
def live_process(house: House) -> Iterator[Live]:
    """One live process, as docker-compose.yml starts it, on the house's servers."""
    service = yaml.safe_load((Path(PROJECT) / "docker-compose.yml").read_text())["services"]["live"]
    port = free_port()
    command = [one.replace("0.0.0.0:8001", f"127.0.0.1:{port}") for one in service["command"]]
    environment = environment_of(part(Settings, house.app)) | {
        "CONCERT_LOG_FORMAT": "json",
        "CONCERT_MAX_STREAMS": service["environment"]["CONCERT_MAX_STREAMS"],
        "CONCERT_STREAMS_PER_ADDRESS": "20000",
        "CONCERT_DRAIN_SECONDS": "0",
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    }
    program = Program([sys.executable, *command[1:]], environment)
    try:
        program.wait_until_it_serves(port)
        yield Live(port, program.pid)
    finally:
        program.end()


def cookie_of(token: QueueToken) -> str:
    """What this person's browser sends."""
    user = f"concert_user={issue_user_token(token.user_id)}"
    return f"{user}; concert_queue_{token.room}={token.encoded()}"
