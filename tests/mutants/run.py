"""Goes through the list: breaks each rule in a copy of the tree and runs the tests that must notice.

First the tests of all lines run on the unbroken tree, once, and must pass. A mutant is *caught*
where each of its tests fails in its own body; a tree that does not even start is no proof.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.mutants.rules import ListError, Mutant, broken, read_list
from tests.servers import temporary_directory

NURSERY = Path(__file__).with_name("nursery.py")
# No test of the list takes longer; a mutant that makes one wait for ever is caught by then.
TEST_SECONDS = 60
RUN_SECONDS = 600
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".concert", "__pycache__", ".*_cache", ".hypothesis", ".coverage*",
    "htmlcov", "test-results", "*.egg-info",
)  # fmt: skip

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant: ``caught``, ``explained``, or a word in capitals where something is wrong."""

    word: str
    why: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return self.word.islower()


@dataclass(frozen=True, slots=True)
class Outcomes:
    """A run of pytest: its exit code (None: it took too long), each test's outcome, and its output."""

    code: int | None
    tests: Mapping[str, str]
    output: str


class Copy:
    """A throw-away copy of the tree, and a process in it that runs tests."""

    def __init__(self, directory: Path, root: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self.tree = directory / "tree"
        shutil.copytree(root, self.tree, ignore=LEFT_OUT)
        self._process = subprocess.Popen(
            [sys.executable, str(NURSERY)],
            cwd=self.tree,
            env={**environment, "PYTHONPATH": str(self.tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def warm_up(self, tests: Sequence[str]) -> None:
        """Import what the tests need; :meth:`run` waits for it."""
        self._tell({"warm_up": sorted({test.partition("::")[0] for test in tests})})

    def wait(self) -> None:
        assert self._answer() == "ready"

    def run(self, tests: Sequence[str]) -> Outcomes:
        """Run tests on the tree as it is now."""
        report, output = self._directory / "report.json", self._directory / "output.txt"
        report.unlink(missing_ok=True)
        options = ["-q", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}"]
        self._tell(
            {
                "arguments": [*options, *tests],
                "report": str(report),
                "output": str(output),
                "seconds": RUN_SECONDS,
            }
        )
        code = self._answer()
        outcomes = json.loads(report.read_text()) if report.exists() else {}
        return Outcomes(code, outcomes, output.read_text(errors="replace"))

    def run_broken(self, texts: Mapping[str, str], tests: Sequence[str]) -> Outcomes:
        """Run tests with other texts in place of some files, which are put back afterwards."""
        kept = {file: (self.tree / file).read_bytes() for file in texts}
        try:
            for file, text in texts.items():
                self._write(file, text.encode())
            return self.run(tests)
        finally:
            for file, content in kept.items():
                self._write(file, content)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _write(self, file: str, content: bytes) -> None:
        path = self.tree / file
        path.write_bytes(content)
        # Python tells an older compiled file by size and second; two changes share those easily.
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()

    def _tell(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("The process that runs the tests has ended.")
        return json.loads(line)


def run_list(
    path: Path,
    root: Path,
    environments: Sequence[Mapping[str, str]],
    *,
    only: str = "",
    say: Say = print,
) -> int:
    """Go through the list with as many copies as there are environments; returns the exit code.

    ``only`` chooses the lines whose file, rule or tests contain it.
    """
    try:
        listed = read_list(path)
    except ListError as error:
        say(str(error))
        return 1
    chosen = [one for one in listed if only in " ".join((one.title, *one.tests))]
    texts: dict[str, dict[str, str]] = {}
    verdicts: dict[str, Verdict] = {}
    for mutant in chosen:
        try:
            texts[mutant.title] = broken(root, mutant)
        except ListError as error:
            verdicts[mutant.title] = Verdict("DOES NOT APPLY", str(error))
            say(_line(mutant, verdicts[mutant.title]))
    applied = [mutant for mutant in chosen if mutant.title in texts]
    tests = sorted({test for mutant in applied for test in mutant.tests})
    if tests:
        with _copies(root, environments, tests) as copies:
            if not _unbroken_tests_pass(copies, tests, say):
                return 1
            lock = threading.Lock()

            def judge(mutant: Mutant) -> None:
                with copies.one() as copy:
                    began = time.monotonic()
                    outcomes = copy.run_broken(texts[mutant.title], mutant.tests)
                verdict = _verdict(mutant, outcomes, time.monotonic() - began)
                with lock:
                    verdicts[mutant.title] = verdict
                    say(_line(mutant, verdict))

            copies.for_each(judge, applied)
    return _summary(chosen, verdicts, say)


class _Pool:
    """Copies, each lent to one thread at a time."""

    def __init__(self, copies: Sequence[Copy]) -> None:
        self.count = len(copies)
        self._free: SimpleQueue[Copy] = SimpleQueue()
        for copy in copies:
            self._free.put(copy)

    @contextlib.contextmanager
    def one(self) -> Iterator[Copy]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)

    def for_each(self, work: Callable[[Any], None], items: Sequence[Any]) -> None:
        with ThreadPoolExecutor(self.count) as threads:
            list(threads.map(work, items))


@contextlib.contextmanager
def _copies(
    root: Path, environments: Sequence[Mapping[str, str]], tests: Sequence[str]
) -> Iterator[_Pool]:
    with contextlib.ExitStack() as held:
        copies = []
        for environment in environments:
            directory = held.enter_context(temporary_directory())
            copy = Copy(directory, root, environment)
            held.callback(copy.close)
            copy.warm_up(tests)
            copies.append(copy)
        for copy in copies:
            copy.wait()
        yield _Pool(copies)


def _unbroken_tests_pass(copies: _Pool, tests: Sequence[str], say: Say) -> bool:
    by_file: dict[str, list[str]] = {}
    for test in tests:
        by_file.setdefault(test.partition("::")[0], []).append(test)
    began, wrong = time.monotonic(), list[str]()

    def check(of_a_file: list[str]) -> None:
        with copies.one() as copy:
            outcomes = copy.run(of_a_file)
        if outcomes.code != 0 or set(outcomes.tests.values()) != {"passed"}:
            wrong.append(outcomes.output[-3000:])

    copies.for_each(check, list(by_file.values()))
    for output in wrong:
        say(output)
    word = "do not pass" if wrong else "pass"
    say(f"the {len(tests)} tests {word} on the unbroken tree ({time.monotonic() - began:.0f} s)")
    return not wrong


def _verdict(mutant: Mutant, outcomes: Outcomes, seconds: float) -> Verdict:
    def of(test: str) -> set[str]:
        """The outcomes of a test with all its parameters."""
        return {
            outcome
            for node, outcome in outcomes.tests.items()
            if node == test or node.startswith(f"{test}[")
        }

    passed = [test for test in mutant.tests if "failed" not in of(test)]
    if outcomes.code is None:
        return Verdict("HANGS", f"no test has failed after {RUN_SECONDS} s", seconds)
    is_cut_off = outcomes.code not in (0, 1) and passed
    if is_cut_off or any("broken" in of(test) for test in mutant.tests):
        return Verdict("BREAKS ALL", outcomes.output[-2000:], seconds)
    if mutant.unnoticed:
        if len(passed) == len(mutant.tests):
            return Verdict("explained", mutant.unnoticed, seconds)
        return Verdict("NOTICED", f"though it was said: {mutant.unnoticed}", seconds)
    if passed:
        return Verdict("SURVIVED", "passed: " + ", ".join(passed), seconds)
    return Verdict("caught", "", seconds)


def _line(mutant: Mutant, verdict: Verdict) -> str:
    said = f"{verdict.word:<14} {verdict.seconds:5.1f} s  {mutant.title}"
    return f"{said}\n    {verdict.why}" if verdict.why else said


def _summary(chosen: Sequence[Mutant], verdicts: Mapping[str, Verdict], say: Say) -> int:
    counts: dict[str, int] = {}
    for verdict in verdicts.values():
        counts[verdict.word] = counts.get(verdict.word, 0) + 1
    said = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    say(f"{len(chosen)} mutants: {said or 'none'}")
    good = bool(chosen) and all(verdict.good for verdict in verdicts.values())
    return 0 if good else 1
