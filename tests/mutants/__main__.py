"""``python -m tests.mutants [--only SUBSTRING]``: the whole list, on servers started for it."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from pathlib import Path

from tests.mutants.run import run_list
from tests.servers import SharedPostgres, own_database, own_redis

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants")
    parser.add_argument("--only", default="", help="lines whose file, rule or tests contain this")
    parser.add_argument("--copies", type=int, default=max(3, min(4, os.cpu_count() or 3)))
    parser.add_argument("--list", type=Path, default=Path(__file__).with_name("rules.toml"))
    given = parser.parse_args()
    postgres = SharedPostgres()
    # The servers end with the thread that starts them, so this one starts them all.
    with contextlib.ExitStack() as held:
        held.callback(postgres.stop)
        environments = []
        for number in range(given.copies):
            database = held.enter_context(own_database(postgres.url, f"mutants{number}"))
            redis = held.enter_context(own_redis(f"gw{number}"))
            ours = {"CONCERT_TEST_DATABASE_URL": database, "CONCERT_TEST_REDIS_URL": redis}
            environments.append({**os.environ, **ours})
        say = functools.partial(print, flush=True)
        return run_list(given.list, ROOT, environments, only=given.only, say=say)


if __name__ == "__main__":
    sys.exit(main())
