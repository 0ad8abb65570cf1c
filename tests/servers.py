"""The PostgreSQL and Redis that the tests run on: real ones, started by the tests.

One PostgreSQL serves the whole session, with a database for each xdist worker. Each
worker has a Redis of its own, because publish/subscribe does not know databases.

``CONCERT_TEST_DATABASE_URL`` and ``CONCERT_TEST_REDIS_URL`` name servers to use instead;
everything in the Redis databases is then deleted. ``CONCERT_TEST_CLUSTER=1`` puts the rooms
on a Redis Cluster of three servers (`make test-cluster`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import redis
from psycopg import sql

from concert.local.redis_cluster import EmbeddedCluster
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis

ON_A_CLUSTER = os.environ.get("CONCERT_TEST_CLUSTER") == "1"


class SharedPostgres:
    """One server for the session, started when its URL is first asked for."""

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()
        self.directory = self._held.enter_context(temporary_directory())
        self._url = os.environ.get("CONCERT_TEST_DATABASE_URL", "")

    @property
    def url(self) -> str:
        if not self._url:
            server = self._held.enter_context(EmbeddedPostgres(self.directory / "pg", fast=True))
            self._url = server.url
        return self._url

    def stop(self) -> None:
        """End it, and remove the directory, which is the session's."""
        self._held.close()


@contextlib.contextmanager
def own_database(server_url: str, worker: str) -> Iterator[str]:
    """The URL of an empty database beside the one in ``server_url``; dropped at the end."""
    parts = urlsplit(server_url)
    name = f"{parts.path.strip('/') or 'concert'}_test_{worker}"
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield parts._replace(path=f"/{name}").geturl()
        connection.execute(drop)


@contextlib.contextmanager
def own_redis(worker: str) -> Iterator[str]:
    """The URL of an empty Redis that no other worker uses."""
    given = os.environ.get("CONCERT_TEST_REDIS_URL", "")
    if given:
        number = int(worker.removeprefix("gw")) if worker.startswith("gw") else 0
        address, _, options = given.partition("?")
        others = [one for one in options.split("&") if one and not one.startswith("db=")]
        # In the query, not the path: the path of a unix socket's URL is the socket.
        url = f"{address}?{'&'.join([*others, f'db={number}'])}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        yield url
        return
    with temporary_directory() as directory, EmbeddedRedis(directory / "r", fast=True) as server:
        yield server.url


@contextlib.contextmanager
def own_cluster() -> Iterator[str]:
    """The URL of an empty Redis Cluster of three servers."""
    with (
        temporary_directory() as directory,
        EmbeddedCluster(directory / "c", "password-of-the-tests", fast=True) as cluster,
    ):
        yield cluster.url


class NewCluster:
    """The files of a PostgreSQL that has never been used, made once and copied after that.

    initdb takes longer than most tests that need a server of their own. All workers of a
    session copy the same files; whoever needs them first makes them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._directory.mkdir(mode=0o711, exist_ok=True)
        self._data = directory / "pg" / "data"

    def put_into(self, directory: Path) -> None:
        """Make the directory that an ``EmbeddedPostgres`` finds its data in."""
        with (self._directory / "made").open("a") as made:
            fcntl.flock(made, fcntl.LOCK_EX)
            if made.tell() == 0:
                with EmbeddedPostgres(self._data.parent, fast=True):
                    """It starts once, and has then made its database."""
                made.write("yes")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # With their owner: started by root, the server is another user.
        subprocess.run(["cp", "-a", str(self._data), str(directory / "data")], check=True)


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    """A directory with a short name, through which the servers' own user may pass."""
    directory = Path(tempfile.mkdtemp(prefix="concert-tests-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
