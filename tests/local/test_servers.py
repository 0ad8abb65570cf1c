"""The embedded PostgreSQL and Redis."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from concert.local import servers
from concert.local.errors import LocalError
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis, EmbeddedServer
from tests.local.conftest import processes_in, wait_for
from tests.service import PROJECT

KINDS = (EmbeddedPostgres, EmbeddedRedis)


def write(server: EmbeddedServer) -> None:
    if isinstance(server, EmbeddedRedis):
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        return
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'yes' AS value")


def read(server: EmbeddedServer) -> str:
    if isinstance(server, EmbeddedRedis):
        with redis.Redis.from_url(server.url) as client:
            return str(client.get("kept"), "utf-8")
    with psycopg.connect(server.url) as connection:
        row = connection.execute("SELECT value FROM kept").fetchone()
        assert row is not None
        return str(row[0])


@pytest.mark.parametrize("kind", KINDS)
def test_data_survives_a_restart(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as server:
        write(server)
    with kind(data) as server:
        assert read(server) == "yes"


def test_postgres_is_version_18_with_room_for_300_connections(data: Path) -> None:
    with EmbeddedPostgres(data) as server, psycopg.connect(server.url) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " current_setting('max_connections'), current_setting('fsync'),"
            " current_setting('listen_addresses'), current_database(), 'ㄱ' < '가'"
        ).fetchone()
    assert row == (18, "300", "on", "", "concert", True)


def test_redis_writes_what_it_holds_to_disk_and_listens_on_no_network(directory: Path) -> None:
    with EmbeddedRedis(directory / "s") as server, redis.Redis.from_url(server.url) as client:
        settings = client.config_get("appendonly") | client.config_get("port")
    assert settings == {"appendonly": "yes", "port": "0"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_was_killed_starts_again_with_its_data(
    kind: type[EmbeddedServer], data: Path
) -> None:
    with kind(data) as server:
        write(server)
        if isinstance(server, EmbeddedRedis):
            with redis.Redis.from_url(server.url) as client:
                wait_for(lambda: not client.info("persistence")["aof_pending_bio_fsync"], "on disk")
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGKILL)
        wait_for(lambda: not server.running, "the server has ended")
        server.start()
        assert read(server) == "yes"


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_ends_when_its_owner_is_killed_and_the_next_owner_has_its_data(
    kind: type[EmbeddedServer], data: Path
) -> None:
    script = (
        "import sys, os\n"
        f"from concert.local.servers import {kind.__name__} as Kind\n"
        f"from tests.local.test_servers import write\n"
        "server = Kind(sys.argv[1]); server.start(); write(server)\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, str(data)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdin is not None and owner.stdout is not None
    with owner.stdin, owner.stdout:
        assert owner.stdout.readline() == b"ready\n"
        assert processes_in(data)
        owner.kill()
        owner.wait()
    # At once: the old server may still be shutting down.
    with kind(data) as server:
        assert read(server) == "yes"


def test_a_pid_file_that_names_a_strangers_process_does_not_stop_postgres(data: Path) -> None:
    with EmbeddedPostgres(data) as server:
        write(server)
        assert server._process is not None
        pid_file = data / "data" / "postmaster.pid"
        text = pid_file.read_text().replace(str(server._process.pid), str(os.getppid()), 1)
    pid_file.write_text(text)
    with EmbeddedPostgres(data) as server:
        assert read(server) == "yes"


def test_a_stopped_postmaster_that_left_its_backends_does_not_harm_the_data(
    data: Path,
) -> None:
    with EmbeddedPostgres(data) as server:
        write(server)
        assert server._process is not None
        backends = psutil.Process(server._process.pid).children()
        for backend in backends:
            # The one that served the connection may be ending.
            with contextlib.suppress(psutil.NoSuchProcess):
                backend.suspend()
        server._process.kill()
        server._process.wait()
    with EmbeddedPostgres(data) as again:
        assert read(again) == "yes"
    assert not any(backend.is_running() for backend in backends)


@pytest.mark.parametrize("kind", KINDS)
def test_a_directory_has_one_owner(kind: type[EmbeddedServer], data: Path) -> None:
    with kind(data) as server:
        with pytest.raises(LocalError, match="belongs to another process"):
            kind(data).start()
        assert server.running


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_too_long_for_a_socket_works_and_leaves_nothing(
    kind: type[EmbeddedServer], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = data.parent
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    long = directory / ("long name, with a comma " * 6).strip()
    if data.exists():
        data.rename(long)
    with kind(long) as server:
        write(server)
        assert list(directory.glob("concert-*"))
    assert not list(directory.glob("concert-*"))
    with kind(long) as server:
        assert read(server) == "yes"


def test_postgres_works_below_a_folder_closed_to_other_users(directory: Path) -> None:
    (directory / "closed").mkdir(mode=0o700)
    with EmbeddedPostgres(directory / "closed" / "s") as server:
        write(server)
        assert read(server) == "yes"
    assert (directory / "closed").stat().st_mode & 0o777 == 0o700


def test_postgres_never_runs_as_root(data: Path) -> None:
    with EmbeddedPostgres(data) as server:
        assert server._process is not None
        assert psutil.Process(server._process.pid).uids().real != 0


def test_several_start_at_once(directory: Path) -> None:
    both = [EmbeddedPostgres(directory / f"s{n}", fast=True) for n in range(3)]
    # The threads outlive the servers: the kernel ends a server with the thread that began it.
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(EmbeddedServer.start, both))
        try:
            assert len({server.url for server in both}) == 3
            assert all(server.running for server in both)
        finally:
            for server in both:
                server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_place_of_the_directory_is_one_clear_line(
    kind: type[EmbeddedServer], directory: Path
) -> None:
    (directory / "s").write_text("in the way")
    with pytest.raises(LocalError) as caught:
        kind(directory / "s").start()
    assert "\n" not in str(caught.value)
    assert "CONCERT_DATA_DIR" in str(caught.value)


def test_data_of_another_postgres_version_is_one_clear_line(directory: Path) -> None:
    data = directory / "s" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(LocalError, match="is from PostgreSQL 16, not 18"):
        EmbeddedPostgres(directory / "s").start()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_cannot_start_says_its_own_last_words(
    kind: type[EmbeddedServer], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["/bin/sh", "-c", "echo first; echo no such luck >&2; exit 3"]
    monkeypatch.setattr(kind, "_command", lambda self: command)
    with pytest.raises(LocalError, match="did not start: no such luck"):
        kind(data).start()


@pytest.mark.parametrize(("version", "used"), [("7.2.1", True), ("6.0.16", False)])
def test_a_redis_on_the_path_is_used_when_it_is_new_enough(
    version: str, used: bool, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = directory / "redis-server"
    binary.write_text(f"#!/bin/sh\necho Redis server v={version} sha=00000000:0\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    assert (servers._redis_binary() == str(binary)) is used


def test_without_a_redis_of_any_kind_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr(servers, "_package_directory", lambda name: None)
    with pytest.raises(LocalError, match="install one or set REDIS_URL"):
        EmbeddedRedis(directory / "s").start()
    with pytest.raises(LocalError, match="install it or set DATABASE_URL"):
        EmbeddedPostgres(directory / "s").start()


def test_a_cluster_that_cannot_be_made_says_why_and_leaves_nothing_half_made(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = directory / "bin"
    binaries.mkdir()
    for name in ("initdb", "postgres"):
        (binaries / name).write_text("#!/bin/sh\necho no room on the disk >&2; exit 1\n")
        (binaries / name).chmod(0o755)
    with monkeypatch.context() as broken:
        broken.setattr(servers, "_postgres_binaries", lambda: binaries)
        with pytest.raises(LocalError, match="initdb failed: no room on the disk"):
            EmbeddedPostgres(directory / "s").start()
    with EmbeddedPostgres(directory / "s") as server:
        assert server.running


def test_root_runs_postgres_as_nobody_where_no_user_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = servers.pwd.getpwnam

    def getpwnam(name: str) -> object:
        if name == "pgserver":
            raise KeyError(name)
        return real(name)

    monkeypatch.setattr("pwd.getpwnam", getpwnam)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert servers.unprivileged_account().pw_name == "nobody"
