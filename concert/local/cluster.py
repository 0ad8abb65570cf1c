"""``concert cluster up``: what a service on several machines is made of, as processes of this one.

PostgreSQL behind PgBouncer, the rooms on a Redis Cluster of three, the jobs on a Redis of their own; two
webs, two lives, two workers and two clocks, behind the proxy. What is not installed (PgBouncer, nginx)
is left out, with a word about it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from concert.ground.settings import Settings
from concert.local import proxy, run
from concert.local.bouncer import EmbeddedBouncer, pgbouncer
from concert.local.instance import Instance, kept_key, keys_environment
from concert.local.processes import Part, local_parts
from concert.local.redis_cluster import EmbeddedCluster
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis

WEBS = LIVES = WORKERS = CLOCKS = 2
# Streams are with the lives, so a web needs few threads.
WEB_THREADS = 16
LIVE_STREAMS = 15_000
# Each process keeps up to CONCERT_DATABASE_POOL_SIZE connections to the bouncer; so many reach PostgreSQL.
SERVER_CONNECTIONS = 24


class ClusterInstance(Instance):
    """The data directory of a cluster on one machine, and its servers."""

    # A dozen processes begin at once.
    healthy_within_seconds = 180.0

    def start(self) -> None:
        """Start the servers that the settings do not name, and set ``environment``.

        Raises:
            LocalError: a server does not start.
        """
        settings = self.settings
        urls: dict[str, str] = {}
        if settings.database_url:
            urls["DATABASE_URL"] = settings.database_url
        else:
            postgres = EmbeddedPostgres(self.directory / "postgres")
            self.servers.append(postgres)
            postgres.start()
            urls["DATABASE_URL"] = postgres.url
            if pgbouncer() is not None:
                urls |= self._bouncer_for(postgres.url)
        if settings.redis_url:
            urls["REDIS_URL"] = settings.redis_url
        else:
            password = kept_key(self.directory / "redis_password")
            cluster = EmbeddedCluster(self.directory / "redis", password)
            self.servers.extend(cluster.nodes)
            cluster.start()
            urls["REDIS_URL"] = cluster.url
        if settings.jobs_redis_url:
            urls["JOBS_REDIS_URL"] = settings.jobs_redis_url
        else:
            jobs = EmbeddedRedis(self.directory / "jobs")
            self.servers.append(jobs)
            jobs.start()
            urls["JOBS_REDIS_URL"] = jobs.url
        self.environment = {**urls, **keys_environment(settings)}

    def _bouncer_for(self, database_url: str) -> dict[str, str]:
        bouncer = EmbeddedBouncer(
            self.directory / "bouncer", database_url, connections=SERVER_CONNECTIONS
        )
        self.servers.append(bouncer)
        bouncer.start()
        return {
            "DATABASE_URL": bouncer.url,
            "MIGRATION_DATABASE_URL": database_url,
            "CONCERT_SESSION_OPTIONS": "role",
            # Debian's follows no prepared statements.
            "CONCERT_PREPARED_STATEMENTS": "False",
        }


def up(settings: Settings, prepare: Callable[[], None], say: Callable[[str], None]) -> int:
    """Run all of it until a signal, then stop all of it; the exit code is that of ``run.up``."""
    own = settings.model_copy(update={"data_dir": settings.data_dir / "cluster"})
    for found, name in ((pgbouncer(), "pgbouncer"), (proxy.nginx(), "nginx")):
        if found is None:
            say(f"{name} is not installed, so it goes without. (apt-get install {name})")
    return run.up(own, prepare, parts=cluster_parts, instance=ClusterInstance)


def cluster_parts(settings: Settings, jobs_url: str) -> tuple[Part, ...]:
    """Two of each process, and the proxy in front, where there is one."""
    program = proxy.nginx()
    free = _free_ports(WEBS + LIVES)
    web_ports, live_ports = free[:WEBS], free[WEBS:]
    if program is None:
        web_ports[0] = settings.port
    behind = {"CONCERT_TRUSTED_PROXIES": "1"} if program else {}
    parts: list[Part] = []
    for number, port in enumerate(web_ports, start=1):
        own = settings.model_copy(
            update={
                "port": port,
                "host": settings.host if program is None else "127.0.0.1",
                "web_workers": 1,
                "web_threads": WEB_THREADS if program else settings.web_threads,
            }
        )
        web, worker, upkeep, clock = local_parts(own, jobs_url)
        parts.append(replace(web, name=f"web-{number}", environment=behind))
    for number, port in enumerate(live_ports, start=1):
        parts.append(_live(f"live-{number}", port, behind))
    parts += [replace(worker, name=f"worker-{number + 1}") for number in range(WORKERS)]
    parts.append(upkeep)
    parts += [replace(clock, name=f"clock-{number + 1}") for number in range(CLOCKS)]
    if program is not None:
        parts.append(_proxy(program, settings, web_ports, live_ports))
    return tuple(parts)


def _live(name: str, port: int, environment: dict[str, str]) -> Part:
    """A process of streams, as the compose file runs it."""
    command = (
        *(sys.executable, "-m", "gunicorn"),
        "--worker-class=concert.ground.live_worker.LiveWorker",
        *("--workers=1", "--worker-connections=20000", f"--bind=127.0.0.1:{port}"),
        *("--backlog=4096", "--graceful-timeout=3", "--no-control-socket", "--log-level=warning"),
        "app:app",
    )
    return Part(
        name,
        command,
        {**environment, "CONCERT_MAX_STREAMS": str(LIVE_STREAMS), "CONCERT_DRAIN_SECONDS": "1"},
    )


def _proxy(program: str, settings: Settings, web_ports: list[int], live_ports: list[int]) -> Part:
    directory = settings.data_dir.absolute() / "proxy"
    directory.mkdir(exist_ok=True)
    configuration = proxy.rendered(
        directory,
        settings.port,
        web_ports,
        live_ports,
        host=settings.host,
        log=Path(os.devnull),
        # Webs that are about to start would be a line for every look at them.
        errors="crit",
        limits_this_machine=False,
    )
    return Part("proxy", tuple(proxy.command(program, directory, configuration)))


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
