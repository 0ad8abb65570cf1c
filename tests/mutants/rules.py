"""The list of broken rules, read and checked."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ListError(Exception):
    """The list cannot be used; the message says which line and why."""


@dataclass(frozen=True, slots=True)
class Change:
    """A passage of a file, which must be there exactly once, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule, the changes that break it, and the tests (node ids) that must fail then.

    ``unnoticed`` says why no test can fail; such a mutant must survive, or the reason is stale.
    """

    rule: str
    changes: tuple[Change, ...]
    tests: tuple[str, ...]
    unnoticed: str = ""

    @property
    def title(self) -> str:
        return f"{self.changes[0].file}: {self.rule}"


def read_list(path: Path) -> list[Mutant]:
    """The mutants of a list.

    Raises:
        ListError: a line is not one, or two lines say the same.
    """
    try:
        files = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ListError(f"{path.name}: {error}") from error
    mutants = [_mutant(file, line) for file, lines in files.items() for line in lines["broken"]]
    titles = [mutant.title for mutant in mutants]
    for title in titles:
        if titles.count(title) > 1:
            raise ListError(f"{title}: there are two such lines")
    return mutants


def _mutant(file: str, line: dict[str, Any]) -> Mutant:
    unknown = line.keys() - {"rule", "old", "new", "tests", "also", "unnoticed"}
    missing = {"rule", "old", "new", "tests"} - line.keys()
    if unknown or missing or not line["tests"]:
        raise ListError(f"{file}: {line.get('rule', line)}: unknown {unknown}, missing {missing}")
    # Where a rule is guarded twice, both guards are taken away: `also` names the other changes.
    also = [Change(one.get("file", file), one["old"], one["new"]) for one in line.get("also", ())]
    return Mutant(
        line["rule"],
        (Change(file, line["old"], line["new"]), *also),
        tuple(f"tests/{test}" for test in line["tests"]),
        line.get("unnoticed", ""),
    )


def broken(root: Path, mutant: Mutant) -> dict[str, str]:
    """The whole texts of the files that a mutant changes.

    Raises:
        ListError: a passage is not in its file exactly once.
    """
    texts: dict[str, str] = {}
    for change in mutant.changes:
        path = root / change.file
        if not path.is_file():
            raise ListError(f"there is no {change.file}")
        text = texts.get(change.file) or path.read_text(encoding="utf-8")
        times = text.count(change.old)
        if times != 1 or change.old == change.new:
            raise ListError(f"{change.old!r} is {times} times in {change.file}, and must be once")
        texts[change.file] = text.replace(change.old, change.new)
    return texts
