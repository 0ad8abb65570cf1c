"""Starts a process that ends with this one, and ends all that a process has started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

LAUNCHER = Path(__file__).with_name("launcher.py")


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
    """End, by force, every process of the session that the process ``leader`` began."""
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)
