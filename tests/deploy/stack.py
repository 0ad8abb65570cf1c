"""The topology of docker-compose.yml as local processes: the compose file's own commands,
behind Debian's nginx with the real deploy/nginx.conf."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from concert.local import proxy
from concert.local.launch import session_of
from tests.sale import ORGANISER_KEY
from tests.service import PROJECT, Answer, Program, call, end_all, free_port, wait_until_served

DEPLOY = PROJECT / "deploy"
SECRET_KEY = "the key of the deployed tests which is long enough"
NGINX = proxy.nginx() or "nginx"


def compose() -> dict[str, Any]:
    """The compose file, with anchors and merges resolved."""
    loaded: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    return loaded


def image_command() -> list[str]:
    """The command of the app's image."""
    return list(json.loads(_last_instruction("CMD")))


def _last_instruction(name: str) -> str:
    text = (PROJECT / "Dockerfile").read_text().replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)[-1].strip()


def entry_point() -> list[str]:
    """What the app's image puts before every command."""
    return list(json.loads(_last_instruction("ENTRYPOINT")))


def command_of(service: str) -> list[str]:
    """What the compose file runs in a service; by default, the image's command."""
    return list(compose()["services"][service].get("command") or image_command())


def live_process_command(port: int) -> list[str]:
    """The live process, as the compose file runs it, at a port of this machine."""
    command = [one.replace("0.0.0.0:8001", f"127.0.0.1:{port}") for one in command_of("live")]
    return [sys.executable, *command[1:]]


@dataclass
class Stack:
    """All services but the databases, which the tests have already."""

    directory: Path
    database_url: str
    redis_url: str
    processes: dict[str, Program] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.web_ports = {"web-1": free_port(), "web-2": free_port()}
        self.live_port = free_port()

    def environment(self, service: str, **more: str) -> dict[str, str]:
        """The compose file's environment of a service, on the tests' servers and secrets."""
        given: dict[str, str] = dict(compose()["services"][service]["environment"])
        resolved = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", v) for name, v in given.items()}
        ours = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "RQ_REDIS_URL": self.redis_url,
            "CONCERT_SECRET_KEYS": SECRET_KEY,
            "CONCERT_ORGANISER_KEY": ORGANISER_KEY,
            "CONCERT_LOG_LEVEL": "warning",
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {"PATH": path, "HOME": str(self.directory), **resolved, **ours, **more}

    def start(self, name: str, **environment: str) -> Program:
        """Start one service as the compose file does; ``web-1`` and ``web-2`` are its two webs."""
        service = name.partition("-")[0]
        command = command_of(service)
        if service == "web":
            command[command.index("--port") + 1] = str(self.web_ports[name])
            command[command.index("--host") + 1] = "127.0.0.1"
            # One worker each is enough here, and two cores are all there is.
            command[command.index("--workers") + 1] = "1"
        command = [one.replace("0.0.0.0:8001", f"127.0.0.1:{self.live_port}") for one in command]
        # Each container has a /tmp of its own.
        temporary = self.directory / f"tmp-{name}"
        temporary.mkdir(exist_ok=True)
        environment = {"TMPDIR": str(temporary), **environment}
        return self.run(name, [*entry_point(), *command], self.environment(service, **environment))

    def run(self, name: str, command: list[str], environment: dict[str, str]) -> Program:
        # By module where there is one: a venv may lack the project's own script.
        if command[0] == "concert":
            command = ["python", "-m", "concert.cli", *command[1:]]
        if command[0] == "python":
            command = [sys.executable, *command[1:]]
        found = shutil.which(command[0], path=environment["PATH"])
        assert found, f"{command[0]} is not to be found"
        self.processes[name] = Program((found, *command[1:]), environment)
        return self.processes[name]

    def start_proxy(self, more: str = "", instead: str | None = None) -> None:
        """Start the proxy; ``more`` stands in its ``upstreams.conf``, as operations.md says for TLS,
        or ``instead`` in its place."""
        configuration = proxy.rendered(
            self.directory, self.port, [*self.web_ports.values()], [self.live_port]
        )
        upstreams = self.directory / "upstreams.conf"
        upstreams.write_text((upstreams.read_text() if instead is None else instead) + more)
        self.run("proxy", proxy.command(NGINX, self.directory, configuration), dict(os.environ))

    def kill(self, name: str) -> None:
        """End a service at once, as a crash would."""
        self.processes.pop(name).end(signal.SIGKILL)

    def wait_until_ready(self) -> None:
        asked = [
            (self.live_port, "/healthz"),
            *((port, "/readyz") for port in self.web_ports.values()),
        ]
        for port, path in [*asked, (self.port, "/readyz"), (self.port, "/healthz/sale")]:
            wait_until_served(self.processes.values(), port, path)

    def stop(self) -> None:
        # All at once, since live gives its viewers a few seconds.
        end_all(self.processes.values())
        self.processes.clear()

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Call through the proxy."""
        return call(self.port, method, path, body, **options)

    def sessions(self) -> set[int]:
        """The pids of everything that runs in the services' sessions."""
        return {pid for one in self.processes.values() for pid in session_of(one.pid)}
