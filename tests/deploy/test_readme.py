"""The README does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from concert.factory import ConcertApp
from concert.ground.errors import every_error
from tests.servers import own_database, own_redis
from tests.service import PROJECT, UP, Program, free_port

README = (PROJECT / "README.md").read_text()
DOCUMENTS = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
# Others are written by programs or compared with code by tests of their own.
DOCUMENTS += [PROJECT / f"docs/{name}.md" for name in ("operations", "api", "architecture")]


def walk() -> str:
    """The walk through the sale, as somebody would copy it."""
    found = re.search(r"<!-- walk -->\n```bash\n(.*?)```\n<!-- /walk -->", README, re.DOTALL)
    assert found
    return found[1]


def test_the_walk_buys_a_seat_when_it_is_pasted_twice(
    database_url: str, worker_name: str, directory: Path
) -> None:
    with own_database(database_url, "readme") as database, own_redis(worker_name) as redis:
        port = free_port()
        ours = {
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "CONCERT_DATA_DIR": str(directory / "data"),
            "CONCERT_WEB_WORKERS": "1",
            "PORT": str(port),
        }
        running = Program(UP, {**os.environ, **ours})
        try:
            running.wait_until_it_serves(port, "/readyz")
            running.wait_until_it_serves(port, "/healthz/sale")
            bought = [bought_by_pasting(port) for _ in range(2)]
        finally:
            running.end()
    assert bought[0] != bought[1]


def bought_by_pasting(port: int) -> int:
    """Paste the walk into bash as one block; the number of the seat that it buys."""
    shell = ["bash", "--norc", "--noprofile"]
    environment = {**os.environ, "AT": f"http://127.0.0.1:{port}"}
    ran = subprocess.run(
        shell, input=walk(), env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stderr == ""
    held, charged, paid, owned, over = [json.loads(line) for line in ran.stdout.splitlines()]
    assert held["status"] == "held"
    assert charged["balance"] == 100_000
    assert paid["balance"] == 100_000 - paid["amount"]
    assert [payment["payment_id"] for payment in owned["payments"]] == [paid["payment_id"]]
    assert (over["status"], over["code"]) == (401, "token_expired")
    seat: int = paid["seats"][0]["seat_no"]
    return seat


def test_the_walk_is_for_the_address_that_make_run_prints() -> None:
    assert "at=${AT:-http://127.0.0.1:8000}" in walk()


def test_every_call_of_the_api_is_in_the_table(app: ConcertApp) -> None:
    offered = {
        f"{method} {as_documented(rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert offered
    assert set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /v1/[^`?]*)`", README)) == offered


def as_documented(rule: str) -> str:
    """``/concerts/<concert_id>`` as ``/concerts/{id}``."""
    return re.sub(
        r"<(?:concert_|reservation_|payment_|staff_|key_|performance_|user_|hall_|ticket_|entry_)?(\w+)>",
        r"{\1}",
        rule,
    )


def test_every_link_of_the_documents_leads_somewhere() -> None:
    dead = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", document.read_text())
        if not (document.parent / target).exists()
    ]
    # Written by the benchmarks and by the settings' own test.
    elsewhere = {"README.md: docs/performance.md", "README.md: docs/settings.md"}
    assert set(dead) <= elsewhere


def test_every_command_of_make_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:^|`|\n)make ([a-z-]+)", document.read_text())
    }
    assert named and named <= targets


def test_every_code_of_a_problem_is_in_the_documents() -> None:
    table = dict(
        re.findall(r"^\| `(\w+)` \| (\d+) \|", (PROJECT / "docs/api.md").read_text(), re.MULTILINE)
    )
    assert table == {code: str(kind.status) for code, kind in every_error().items()}
