"""Starts a process that ends with this one, and ends all that a process has started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

LAUNCHER = Path(__file__).with_name("launcher.py")
# The kernel takes milliseconds to end a process, and longer where it writes to a slow disk.
END_SECONDS = 2.0


def launch(
    command: Sequence[str],
    *,
    death_signal: signal.Signals,
    directory: Path,
    environment: Mapping[str, str],
    output: IO[bytes] | int,
    privileges: Mapping[str, Any] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in a session of its own.

    In its own session it does not get the terminal's Ctrl-C, and whatever it starts can be
    found when it is gone itself. On Linux the kernel sends it ``death_signal`` when the
    thread that called this function ends.

    Args:
        output: where standard output and standard error go.
        privileges: the user to become, in the launcher's words.
    """
    options = {"parent": os.getpid(), "death_signal": int(death_signal), **(privileges or {})}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(LAUNCHER), json.dumps(options), *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=directory,
        env=dict(environment),
        start_new_session=True,
    )


def end_session(leader: int) -> None:
    """End, by force, every process of the session that the process ``leader`` began.

    When it returns they are gone, and so is whatever they held: ports, locks, files.
    """
    deadline = time.monotonic() + END_SECONDS
    while session_of(leader):
        signal_session(leader, signal.SIGKILL)
        if time.monotonic() > deadline:
            return
        time.sleep(0.002)


def session_of(leader: int) -> set[int]:
    """The pids of the session that the process ``leader`` began, without those that have ended."""
    return {pid for pid in psutil.pids() if _session(pid) == leader and not has_ended(pid)}


def signal_session(leader: int, number: signal.Signals) -> None:
    """Send a signal to every process of the session that the process ``leader`` began."""
    for pid in session_of(leader):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def listens(leader: int, port: int) -> bool:
    """Whether a process of this session listens on the TCP port."""
    for pid in session_of(leader):
        with contextlib.suppress(psutil.Error):
            for link in psutil.Process(pid).net_connections("tcp"):
                if link.status == psutil.CONN_LISTEN and link.laddr.port == port:
                    return True
    return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def has_ended(pid: int) -> bool:
    """Whether a process is over, even if nobody has asked for its exit code yet."""
    try:
        process = psutil.Process(pid)
        # It counts as a zombie from the end of its first thread on, but what it has open is
        # closed by its last one.
        return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)
    except psutil.Error:
        return True
