"""What the release before sends to PostgreSQL: written at each release by ``python -m tests.deploy.yesterday``."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from pathlib import Path
from typing import Any

import flask_migrate
import psycopg

import concert
from concert.factory import create_app
from concert.ground.database import connection
from concert.ground.settings import load_settings
from concert.local.servers import EmbeddedPostgres
from tests.servers import temporary_directory

RECORD = Path(__file__).with_name("yesterday.json")
VERB = re.compile(r"^\s*(?:--[^\n]*\n\s*)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
GAP = re.compile(r"\{\w*\}")
# Functions that a migration installs are in the schema; here is what is sent.
PLACEHOLDER = re.compile(r"%\((\w+)\)[sbt]|%[sbt]|%%")
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2"""


def statements() -> dict[str, str]:
    """Every statement that stands in the code, by module and name, as PostgreSQL can prepare it."""
    found = {}
    for module in pkgutil.walk_packages(concert.__path__, "concert."):
        # What needs packages or processes of its own sends nothing to PostgreSQL.
        if module.name.startswith(("concert.local", "concert.rehearsal", "concert.cli")):
            continue
        try:
            there = importlib.import_module(module.name)
        except ImportError:
            continue
        for name, value in vars(there).items():
            if not (name.isupper() and isinstance(value, str) and VERB.match(value)):
                continue
            # Of a text with gaps, those that are made of it stand elsewhere.
            if not GAP.search(value):
                found[f"{module.name}.{name}"] = numbered(str(value))
    return dict(sorted(found.items()))


def numbered(text: str) -> str:
    """The statement with $1, $2 for its values."""
    names: dict[str, int] = {}
    count = 0

    def number(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] == "%%":
            return "%"
        if match[1] is None:
            count += 1
            return f"${count}"
        return f"${names.setdefault(match[1], len(names) + 1)}"

    return PLACEHOLDER.sub(number, text)


def columns(link: psycopg.Connection[Any]) -> list[list[str]]:
    """Every column of the schema: its table and its name."""
    return [list(row) for row in link.execute(COLUMNS).fetchall()]


if __name__ == "__main__":
    with (
        temporary_directory() as directory,
        EmbeddedPostgres(directory / "p", fast=True) as server,
    ):
        settings = load_settings(
            database_url=server.url, redis_url="redis://", secret_keys=("x" * 32,)
        )
        with create_app(settings).app_context():
            flask_migrate.upgrade()
            with connection() as link:
                known = {"statements": statements(), "columns": columns(link)}
    RECORD.write_text(json.dumps(known, indent=1) + "\n")
    print(f"{len(known['statements'])} statements, {len(known['columns'])} columns")
