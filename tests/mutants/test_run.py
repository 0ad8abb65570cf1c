"""The runner of the mutants, on a tiny tree with one rule."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT
from tests.mutants.rules import broken, read_list
from tests.mutants.run import run_list

RULE = """
def fits(seats):
    return 1 <= seats <= 4
"""
TESTS = """
import pytest
from rule import fits

def test_four_seats_fit():
    assert fits(4)

@pytest.mark.parametrize("seats", [5, 6])
def test_more_seats_do_not_fit(seats):
    assert not fits(seats)

def test_there_is_a_rule():
    assert fits
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a rule and its tests."""
    tree = tmp_path / "tree"
    (tree / "tests").mkdir(parents=True)
    (tree / "rule.py").write_text(RULE)
    (tree / "tests" / "test_rule.py").write_text(TESTS)
    (tree / "pytest.ini").write_text("[pytest]\n")
    return tree


def run(tree: Path, *lines: str, only: str = "") -> tuple[int, str]:
    """Go through a list of these lines for ``rule.py``: the exit code, and what was said."""
    listed = tree.parent / "rules.toml"
    listed.write_text('["rule.py"]\nbroken = [\n' + ",\n".join(lines) + "\n]\n")
    said: list[str] = []
    # Most of a short run would be the time to load pytest's plugins, which these tests do not need.
    few = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_timeout"}
    code = run_list(listed, tree, [{**os.environ, **few}], only=only, say=said.append)
    return code, "\n".join(said)


def line(old: str, new: str, *tests: str, rule: str = "a rule", more: str = "") -> str:
    named = ", ".join(f'"test_rule.py::{test}"' for test in tests)
    return f'{{ rule = "{rule}", old = "{old}", new = "{new}", tests = [{named}]{more} }}'


MORE_FIT = line("<= 4", "<= 5", "test_more_seats_do_not_fit")
NONE_FITS = line("<= 4", "<= 3", "test_four_seats_fit", rule="four")


def test_a_mutant_whose_tests_all_fail_is_caught(tree: Path) -> None:
    code, said = run(tree, MORE_FIT, NONE_FITS)

    assert code == 0, said
    assert "2 mutants: 2 caught" in said
    assert (tree / "rule.py").read_text() == RULE


def test_a_mutant_that_no_test_catches_fails_the_run(tree: Path) -> None:
    code, said = run(tree, MORE_FIT, line("1 <=", "0 <=", "test_four_seats_fit", rule="none"))

    assert code == 1
    assert "SURVIVED" in said and "rule.py: none" in said
    assert "1 SURVIVED, 1 caught" in said


def test_every_test_that_a_line_names_has_to_fail(tree: Path) -> None:
    code, said = run(
        tree, line("<= 4", "<= 5", "test_more_seats_do_not_fit", "test_four_seats_fit")
    )

    assert code == 1
    assert "passed: tests/test_rule.py::test_four_seats_fit" in said


@pytest.mark.parametrize("old", ["<= 7", "seats"])
def test_a_change_that_does_not_apply_exactly_once_fails_the_run(tree: Path, old: str) -> None:
    code, said = run(tree, line(old, "x", "test_four_seats_fit"), NONE_FITS)

    assert code == 1
    assert "DOES NOT APPLY" in said and "and must be once" in said
    assert "1 caught" in said


def test_a_tree_that_does_not_start_is_no_proof(tree: Path) -> None:
    code, said = run(tree, line("return", "retrun", "test_four_seats_fit"))

    assert code == 1
    assert "BREAKS ALL" in said


def test_tests_that_fail_without_any_change_prove_nothing(tree: Path) -> None:
    (tree / "rule.py").write_text(RULE.replace("4", "3"))

    code, said = run(tree, line("<= 3", "<= 2", "test_four_seats_fit"))

    assert code == 1
    assert "do not pass on the unbroken tree" in said and "caught" not in said


def test_a_mutant_that_is_explained_has_to_survive(tree: Path) -> None:
    said_why = ', unnoticed = "nobody asks for none"'

    assert run(tree, line("1 <=", "0 <=", "test_four_seats_fit", more=said_why))[0] == 0
    code, said = run(tree, line("<= 4", "<= 3", "test_four_seats_fit", more=said_why))

    assert code == 1
    assert "NOTICED" in said


def test_both_guards_of_a_rule_can_be_taken_away_at_once(tree: Path) -> None:
    (tree / "guard.py").write_text("MOST = 4\n")
    (tree / "rule.py").write_text(RULE.replace("<= 4", "<= 4 and seats <= guard.MOST"))
    text = "import guard\n" + (tree / "rule.py").read_text()
    (tree / "rule.py").write_text(text)
    also = ', also = [{ file = "guard.py", old = "MOST = 4", new = "MOST = 5" }]'

    one = run(tree, line("<= 4 and", "<= 5 and", "test_more_seats_do_not_fit"))
    both = run(tree, line("<= 4 and", "<= 5 and", "test_more_seats_do_not_fit", more=also))

    assert (one[0], both[0]) == (1, 0), both[1]


def test_a_part_of_the_list_can_be_chosen(tree: Path) -> None:
    code, said = run(tree, MORE_FIT, line("<=", "x", "test_nothing", rule="other"), only="a rule")

    assert code == 0
    assert "1 mutants: 1 caught" in said
    assert run(tree, MORE_FIT, only="no such line")[0] == 1


def test_every_line_of_the_list_applies_and_names_tests_that_are_there() -> None:
    for mutant in read_list(Path(__file__).with_name("rules.toml")):
        broken(ROOT, mutant)
        for test in mutant.tests:
            file, _, name = test.partition("::")
            assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), test
