"""The lock files: three layers, each with the one before it, at the same versions."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.service import PROJECT

LAYERS = ("requirements.lock", "requirements-local.lock", "requirements-dev.lock")


def locked(name: str) -> dict[str, str]:
    """The packages of a lock file: name to version."""
    text = (PROJECT / name).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ]+)", text, re.MULTILINE))


@pytest.mark.parametrize(("smaller", "larger"), [LAYERS[:2], LAYERS[1:]])
def test_each_layer_has_all_of_the_one_before_it(smaller: str, larger: str) -> None:
    assert locked(smaller)
    assert locked(smaller).items() < locked(larger).items()


def test_running_on_one_machine_installs_no_package_of_the_tests() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    names = {kind: {re.split(r"[^\w-]", one)[0] for one in extras[kind]} for kind in extras}
    installed = set(locked("requirements-local.lock"))
    assert names["local"] <= installed
    assert not names["dev"] & installed
    # Without a word it is this layer that the script installs, and `make run` says no word.
    script = (PROJECT / "scripts/setup.sh").read_text()
    assert [line.split()[1] for line in script.splitlines() if line.startswith("layer ")] == [
        "requirements-local.lock"
    ]
    makefile = (PROJECT / "Makefile").read_text()
    assert re.search(r"^run: setup .*\n.*concert up$", makefile, re.MULTILINE)
    assert re.search(r"^setup: .*\n\t@scripts/setup.sh$", makefile, re.MULTILINE)


def test_what_judges_the_clouds_pictures_is_locked_apart_from_our_own_packages() -> None:
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    names = {re.split(r"[^\w-]", one)[0] for one in groups["deploy-checks"]}
    assert names <= set(locked("requirements-deploy.lock"))
    assert "moto" in names and "moto" not in locked("requirements-dev.lock")
    assert "flask-migrate" not in locked("requirements-deploy.lock")


@pytest.mark.parametrize("name", [*LAYERS, "requirements-deploy.lock"])
def test_every_package_is_locked_by_hash_and_no_registry_is_named(name: str) -> None:
    text = (PROJECT / name).read_text()
    assert text.count("--hash=sha256:") >= len(locked(name))
    assert "://" not in text
