"""The proxy of deploy/nginx.conf on this machine: Debian's nginx, with local addresses and folders."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
# Where it is one machine's crowd that is to be played, all of it has one address.
BY_NETWORK = "    map $binary_remote_addr $network {\n"
NOT_FROM_HERE = r'        "~(?s)^\x7f" "";' + "\n"


def nginx() -> str | None:
    """The program, where it is installed. Debian keeps it where only root's PATH leads."""
    return shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")


def rendered(
    directory: Path,
    port: int,
    web_ports: Sequence[int],
    live_ports: Sequence[int],
    *,
    host: str = "127.0.0.1",
    log: Path | None = None,
    errors: str = "warn",
    limits_this_machine: bool = True,
) -> Path:
    """deploy/nginx.conf with this machine's addresses and folders in place of the container's.

    Args:
        log: what failed or was refused goes there; by default to ``access.log`` in the directory.
        errors: from which level on its own errors are told.
        limits_this_machine: whether requests from this machine count as those of one address.
    """
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("listen 8080", f"listen {host}:{port}"),
        ("/dev/stdout", str(log or directory / "access.log")),
        ("root /srv/pages;", f"root {DEPLOY};"),
        ("error_log stderr warn;", f"error_log stderr {errors};"),
        (BY_NETWORK, BY_NETWORK + ("" if limits_this_machine else NOT_FROM_HERE)),
    ):
        assert text.count(old) == 1, f"{old!r} is not exactly once in nginx.conf"
        text = text.replace(old, new)
    text = text.replace("/tmp/nginx", str(directory / "nginx"))
    target = directory / "nginx.conf"
    target.write_text(text)
    (directory / "upstreams.conf").write_text(upstreams(web_ports, live_ports))
    return target


def upstreams(web_ports: Sequence[int], live_ports: Sequence[int]) -> str:
    """deploy/upstreams.conf with addresses in place of names: Debian's nginx cannot look names up again."""
    text = re.sub(
        r"^resolver .*\n", "", (DEPLOY / "upstreams.conf").read_text(), flags=re.MULTILINE
    )
    for name, ports in (("web:8000", web_ports), ("live:8001", live_ports)):
        line = re.search(rf"^ *server {name} resolve(.*)$", text, re.MULTILINE)
        assert line, f"no server {name} in upstreams.conf"
        servers = "\n".join(f"    server 127.0.0.1:{port}{line[1]}" for port in ports)
        text = text.replace(line[0], servers)
    return text


def command(program: str, directory: Path, configuration: Path) -> list[str]:
    """How to start it in the foreground; its workers stay this process' user, which made the folders."""
    as_root = "user root; " if os.geteuid() == 0 else ""
    return [
        *(program, "-e", "stderr", "-p", str(directory), "-c", str(configuration)),
        *("-g", f"{as_root}daemon off;"),
    ]
