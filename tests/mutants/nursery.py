"""Runs pytest again and again in one copy of the tree, without paying for its imports each time.

The packages are imported once, by collecting the tests; then our own modules are forgotten, and
each run is a fork that imports those anew, as they are in the copy by then. A request is a line
of JSON on standard input: ``arguments`` for pytest, ``report`` and ``output``, the files to write,
``seconds``, how long it may take. The answer is a line with pytest's exit code, null where
it took longer.

This file is run by its path, within the copy.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

import pytest


class Recorder:
    """Writes down what became of each test: ``passed``, ``failed``, or ``broken`` outside of its own body."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome == "failed":
            if self.outcomes.get(report.nodeid) != "failed":
                self.outcomes[report.nodeid] = "failed" if report.when == "call" else "broken"
        elif report.when == "call" or report.outcome == "skipped":
            self.outcomes.setdefault(report.nodeid, report.outcome)


def main() -> None:
    copy = Path.cwd()
    sys.path[0] = str(copy)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _warm_up(json.loads(sys.stdin.readline())["warm_up"])
    _say(answers, "ready")
    for line in sys.stdin:
        _say(answers, _run_in_a_fork(json.loads(line)))


def _say(answers: Any, answer: object) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _warm_up(paths: list[str]) -> None:
    pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *paths])
    here = os.getcwd() + os.sep
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name != "__main__" and file.startswith(here):
            del sys.modules[name]


def _run_in_a_fork(asked: dict[str, Any]) -> int | None:
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            code = _run(asked)
        finally:
            os._exit(code)
    ended = os.pidfd_open(pid)
    try:
        in_time, _, _ = select.select([ended], [], [], asked["seconds"])
    finally:
        os.close(ended)
    if not in_time:
        os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None


def _run(asked: dict[str, Any]) -> int:
    os.setsid()
    output = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    recorder = Recorder()
    try:
        code = pytest.main(asked["arguments"], plugins=[recorder])
    finally:
        # What a broken rule leaves behind, such as a thread, may trouble pytest's own end.
        Path(asked["report"]).write_text(json.dumps(recorder.outcomes))
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code)


if __name__ == "__main__":
    main()
