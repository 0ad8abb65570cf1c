"""docs/operations.md names commands, options and log events that exist."""

from __future__ import annotations

import re
import shlex

import click

from concert.cli import commands
from tests.deploy.stack import DEPLOY, compose
from tests.service import PROJECT

TEXT = (PROJECT / "docs/operations.md").read_text()
BLOCKS = "\n".join(re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)).replace("\\\n", " ")


def test_every_concert_command_is_one_and_takes_its_options() -> None:
    lines = re.findall(r"^concert (.+?)(?:\s{2,}#.*)?$", BLOCKS, re.MULTILINE)
    assert len(lines) >= 6
    for line in lines:
        words = shlex.split(line)
        command: click.Command = commands
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        # It reads the options and their values, and fails where one is not known or out of range.
        command.make_context(command.name, words)


def test_every_service_that_is_named_is_in_the_compose_file() -> None:
    named = re.findall(r"docker compose (?:exec|logs)(?: -\S+)* (\w+)", TEXT)
    named += re.findall(r"--scale (\w+)=", TEXT)
    assert named
    assert set(named) <= set(compose()["services"])


def test_every_log_event_that_is_named_is_written_somewhere() -> None:
    table = TEXT.partition("| event | means |")[2]
    named = {
        event
        for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for event in re.findall(r"`(\w+)`", cell)
    }
    code = "\n".join(path.read_text() for path in (PROJECT / "concert").rglob("*.py"))
    code += (PROJECT / "migrations/env.py").read_text() + (DEPLOY / "nginx.conf").read_text()
    assert named
    assert {event for event in named if f'"{event}"' not in code} == set()
