"""What docker-compose.yml says about each process, in the form in which the clouds' pictures say it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
DOCKERFILE = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())[
    "services"
]
# A cloud has PostgreSQL and Redis of its own.
PROCESSES = set(SERVICES) - {"postgres", "redis"}
APP = PROCESSES - {"proxy"}
# Beside a web, the proxy finds it at its own address.
PROXY_COMMAND = ["nginx", "-e", "stderr", "-c", "/etc/nginx/beside/nginx.conf", "-g"] + [
    "daemon off;"
]
SECRETS = {
    "DATABASE_URL",
    "REDIS_URL",
    "JOBS_REDIS_URL",
    "CONCERT_SECRET_KEYS",
    "CONCERT_ORGANISER_KEY",
}
# Between the app and PostgreSQL stands something that keeps transactions apart, not sessions.
BEHIND_A_BOUNCER = {"CONCERT_SESSION_OPTIONS": "role", "CONCERT_PREPARED_STATEMENTS": "False"}
PUBLIC_URL = "https://tickets.example"


def command(process: str) -> list[str] | None:
    """What the process runs; None where that is the image's own."""
    return PROXY_COMMAND if process == "proxy" else SERVICES[process].get("command")


def secrets(process: str) -> set[str]:
    """The variables that are secrets, or hold one."""
    if process == "proxy":
        return set()
    more = {"RQ_REDIS_URL"} if "RQ_REDIS_URL" in SERVICES[process]["environment"] else set()
    return SECRETS | more | ({"MIGRATION_DATABASE_URL"} if process == "migrate" else set())


def settings(process: str) -> dict[str, str]:
    """All other variables, with their values."""
    if process == "proxy":
        return {}
    given = SERVICES[process]["environment"].items()
    plain = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        for name, value in given
        if name not in secrets(process)
    }
    # A web stands behind the balancer and our proxy, live behind the balancer alone.
    trusted = "2" if process in ("web", "migrate") else "1"
    return {
        **plain,
        **BEHIND_A_BOUNCER,
        "CONCERT_PUBLIC_URL": PUBLIC_URL,
        "CONCERT_TRUSTED_PROXIES": trusted,
    }


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def health(process: str) -> dict[str, Any] | None:
    """How its health is asked, from the compose file or else from the image."""
    check = SERVICES[process].get("healthcheck")
    if check is None:
        stage = re.search(
            rf"^FROM \S+ AS {'proxy' if process == 'proxy' else 'app'}$.*?\nCMD",
            DOCKERFILE,
            re.MULTILINE | re.DOTALL,
        )
        assert stage
        found = re.search(r"HEALTHCHECK (.*?)CMD (\[.*?\])", stage[0])
        assert found
        options = dict(re.findall(r"--([a-z-]+)=(\w+)", found[1]))
        check = {"test": ["CMD", *json.loads(found[2])], **options}
    elif check.get("disable"):
        return None
    return {
        "command": check["test"],
        "interval": seconds(check["interval"]),
        "timeout": seconds(check["timeout"]),
        "retries": int(check["retries"]),
        "startPeriod": seconds(check.get("start_period") or check["start-period"]),
    }


def paths_of_live() -> set[str]:
    """What our proxy sends to live, as patterns."""
    text = (PROJECT / "deploy/nginx.conf").read_text()
    blocks = re.findall(r"location (= )?(\S+) \{([^}]*)\}", text)
    return {
        path if exact else f"{path}*"
        for exact, path, body in blocks
        if "proxy_pass http://live" in body
    }


def documented() -> set[str]:
    """Every setting that docs/settings.md knows."""
    return set(re.findall(r"^\| `(\w+)`", (PROJECT / "docs/settings.md").read_text(), re.MULTILINE))
