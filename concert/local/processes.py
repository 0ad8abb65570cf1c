"""The parts of one machine (web, worker, upkeep, clock), kept running and stopped together.

This is not honcho: honcho ends every process when one ends, and runs each through a shell
behind a process of its own. Here a part that ends is started again, because a sale must
not stop for one crash: rq's worker and scheduler, for two, give up when Redis is away.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from concert.ground.settings import Settings
from concert.local.launch import end_session, launch, listens, session_of, signal_session

# After the second crash in a row; after the first it is started again at once.
FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 15.0
# A part that ran this long was well; its next crash is a first one again.
WELL_AFTER_SECONDS = 30.0
STOP_SECONDS = 4.0
# How long what a dead process has left may go on serving while its successor does not yet,
# and how long it may finish its answers afterwards.
HANDOVER_SECONDS = 30.0
FINISH_SECONDS = 2.0

Write = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """One long-running program: what it is called and the command that runs it.

    With ``port`` its processes listen there, each by itself, and go on without the one that
    started them: when that one dies, they serve until its successor does.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None


def local_parts(settings: Settings, redis_url: str) -> tuple[Part, ...]:
    """What runs on one machine: web, worker, upkeep and clock."""
    web = Part(
        "web",
        (
            *(sys.executable, "-m", "granian", "--interface", "wsgi"),
            *("--host", settings.host, "--port", str(settings.port)),
            *("--workers", str(settings.web_workers)),
            *("--blocking-threads", str(settings.web_threads)),
            # It counts open connections, idle ones too: as low as the threads, a few dozen
            # browsers that keep a connection open would shut everyone else out.
            *("--backlog", "1024", "--backpressure", "1024"),
            *("--respawn-failed-workers", "--respawn-interval", "1"),
            *("--workers-kill-timeout", "2"),
            *("--no-ws", "--log-level", "error"),
            "app:app",
        ),
        port=settings.port,
    )
    # The URL may hold a password, so it goes by environment: everyone can read a command line.
    rq = (sys.executable, "-c", "from rq.cli import main; main()")
    here = {"RQ_REDIS_URL": redis_url}
    worker_class = "concert.jobs.worker.Worker"
    # Two workers, so that no tick ever waits for upkeep, whatever that meets.
    worker = Part("worker", (*rq, "worker", "-q", "-w", worker_class, "ticks"), here)
    upkeep = Part("upkeep", (*rq, "worker", "-q", "-w", worker_class, "upkeep"), here)
    clock = Part("clock", (*rq, "cron", "-l", "warning", "concert.jobs.cron"), here)
    return web, worker, upkeep, clock


class Supervisor:
    """Runs parts, starts them again when they end, and stops them with all they started.

    Use it from the main thread only: the kernel ends a part when the thread that started
    it ends.
    """

    def __init__(self, parts: Iterable[Part], *, directory: Path, write: Write) -> None:
        """
        Args:
            directory: the parts' working directory.
            write: called, from several threads, with each finished line of output.
        """
        self._runs = [_Run(part, directory) for part in parts]
        self._width = max((len(run.part.name) for run in self._runs), default=0)
        self._write_line = write
        self._writing = threading.Lock()

    def start(self) -> None:
        """Start every part."""
        for run in self._runs:
            run.start(self._relay)

    def tend(self) -> None:
        """Start again what has ended and has waited long enough. Call it often."""
        for run in self._runs:
            code = run.just_ended()
            if code is not None:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                when = f"in {run.delay:g} s" if run.delay else "at once"
                self._say(run.part.name, f"ended ({how}); starting again {when}")
            if run.due():
                run.start(self._relay)
            run.hand_over()

    def crashes(self, name: str) -> int:
        """How often the part, or one of several, has ended in a row without having been well in between."""
        return max(run.crashes for run in self._runs if run.part.name.partition("-")[0] == name)

    def pids(self) -> dict[str, int]:
        """The running parts' pids."""
        return {run.part.name: run.process.pid for run in self._runs if run.process is not None}

    def stop(self) -> None:
        """Ask every part to end, wait a few seconds, and end by force what has not."""
        for run in self._runs:
            run.ask_to_end()
        deadline = time.monotonic() + STOP_SECONDS
        for run in self._runs:
            run.finish(deadline)

    def _relay(self, run: _Run, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        # Errors of the outlet must not stop the reading: the part would block on a full pipe.
        with contextlib.suppress(ValueError), process.stdout as lines:
            for line in lines:
                self._say(run.part.name, line.decode(errors="replace").rstrip("\n"))

    def _say(self, name: str, line: str) -> None:
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._write_line(f"{name.ljust(self._width)} | {line}")


class _Run:
    """One part's present process, and when to start the next one."""

    def __init__(self, part: Part, directory: Path) -> None:
        self.part = part
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None
        self.crashes = 0
        self.delay = 0.0
        self._started_at = 0.0
        self._start_at = 0.0
        self._reader: threading.Thread | None = None
        # The sessions of dead processes that still serve, and when that has to end.
        self._left: dict[int, float] = {}
        self._handed_over = False

    def start(self, relay: Callable[[_Run, subprocess.Popen[bytes]], None]) -> None:
        self.process = launch(
            self.part.command,
            death_signal=signal.SIGTERM,
            directory=self.directory,
            environment={**os.environ, "PYTHONUNBUFFERED": "1", **self.part.environment},
            output=subprocess.PIPE,
        )
        self._started_at = time.monotonic()
        self._reader = threading.Thread(target=relay, args=(self, self.process), daemon=True)
        self._reader.start()

    def just_ended(self) -> int | None:
        """The exit code, once, when the process has ended since the last call."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        now = time.monotonic()
        if self._serves(self.process.pid):
            self._left[self.process.pid] = now + HANDOVER_SECONDS
            self._handed_over = False
        else:
            end_session(self.process.pid)
        self.process = None
        well = now - self._started_at > WELL_AFTER_SECONDS
        self.crashes = 1 if well else self.crashes + 1
        self.delay = (
            min(FIRST_DELAY_SECONDS * 2 ** (self.crashes - 2), LONGEST_DELAY_SECONDS)
            if self.crashes > 1
            else 0.0
        )
        self._start_at = now + self.delay
        return code

    def hand_over(self) -> None:
        """Ask what a dead process has left to end once its successor serves; then end it."""
        if not self._left:
            return
        now = time.monotonic()
        if not self._handed_over and self.process is not None and self._serves(self.process.pid):
            self._handed_over = True
            for leader in self._left:
                self._left[leader] = now + FINISH_SECONDS
                signal_session(leader, signal.SIGTERM)
        for leader, until in list(self._left.items()):
            if now > until or not session_of(leader):
                end_session(leader)
                del self._left[leader]

    def due(self) -> bool:
        return self.process is None and time.monotonic() >= self._start_at

    def ask_to_end(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def finish(self, deadline: float) -> None:
        for leader in self._left:
            end_session(leader)
        self._left.clear()
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, deadline - time.monotonic()))
            end_session(self.process.pid)
            self.process.wait()
            self.process = None
        if self._reader is not None:
            self._reader.join(1.0)

    def _serves(self, leader: int) -> bool:
        return self.part.port is not None and listens(leader, self.part.port)
