"""The data directory: keys, owners, and how a command finds the servers."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import psycopg
import pytest
import redis

from concert.ground.settings import Settings
from concert.local.errors import LocalError
from concert.local.instance import (
    Instance,
    attach_environment,
    keys_environment,
    local_environment,
)
from tests.local.conftest import processes_in

ELSEWHERE = {"database_url": "postgresql://elsewhere/db", "redis_url": "redis://elsewhere"}


def settings_in(directory: Path, **more: object) -> Settings:
    empty: dict[str, object] = {"database_url": "", "redis_url": "", "organiser_key": ""}
    return Settings(**{**empty, "secret_keys": "", "data_dir": directory, **more})


def test_keys_are_made_once_and_only_their_owner_reads_them(directory: Path) -> None:
    first = keys_environment(settings_in(directory / "data"))
    assert first == keys_environment(settings_in(directory / "data"))
    assert len(first["CONCERT_SECRET_KEYS"]) >= 32
    assert first["CONCERT_SECRET_KEYS"] != first["CONCERT_ORGANISER_KEY"]
    files = sorted((directory / "data").iterdir())
    assert [file.name for file in files] == ["organiser_key", "secret_key"]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]


def test_many_first_starts_at_once_agree_on_the_keys(directory: Path) -> None:
    seen: list[dict[str, str]] = []
    ready = threading.Barrier(8)

    def ask() -> None:
        ready.wait()
        seen.append(keys_environment(settings_in(directory / "data")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [seen[0]] * 8


def test_keys_that_are_set_are_used_and_nothing_is_made(directory: Path) -> None:
    keys = ("a" * 32, "b" * 32)
    environment = keys_environment(
        settings_in(directory / "data", secret_keys=keys, organiser_key="mine")
    )
    assert environment["CONCERT_SECRET_KEYS"] == ",".join(keys)
    assert environment["CONCERT_ORGANISER_KEY"] == "mine"
    assert not (directory / "data").exists()


def test_both_servers_are_started_and_stopped(directory: Path) -> None:
    with local_environment(settings_in(directory / "data")) as environment:
        with psycopg.connect(environment["DATABASE_URL"]) as connection:
            connection.execute("SELECT 1")
        with redis.Redis.from_url(environment["REDIS_URL"]) as client:
            client.ping()
        assert environment["CONCERT_DATA_DIR"] == str(directory / "data")
    assert not processes_in(directory)


def test_a_server_that_is_configured_is_not_started(directory: Path) -> None:
    settings = settings_in(directory / "data", database_url=ELSEWHERE["database_url"])
    with local_environment(settings) as environment:
        assert environment["DATABASE_URL"] == ELSEWHERE["database_url"]
        assert environment["REDIS_URL"].startswith("unix://")
        assert not (directory / "data" / "postgres").exists()


def test_a_command_starts_nothing_when_both_servers_are_configured(directory: Path) -> None:
    with attach_environment(settings_in(directory / "data", **ELSEWHERE)) as environment:
        assert environment["REDIS_URL"] == ELSEWHERE["redis_url"]
        assert not processes_in(directory)


def test_a_command_works_on_the_instance_that_runs(directory: Path) -> None:
    settings = settings_in(directory / "data")
    instance = Instance(settings)
    assert instance.claim("up")
    instance.environment = {"DATABASE_URL": "postgresql:///theirs", "REDIS_URL": "unix:///theirs"}
    try:
        instance.announce("http://127.0.0.1:8000")
        with attach_environment(settings) as environment:
            assert environment["DATABASE_URL"] == "postgresql:///theirs"
            assert environment["REDIS_URL"] == "unix:///theirs"
            assert environment["CONCERT_SECRET_KEYS"]
        assert (directory / "data" / "running.json").stat().st_mode & 0o777 == 0o600
    finally:
        instance.stop()
    assert not (directory / "data" / "running.json").exists()


def test_a_command_ignores_what_an_instance_that_died_left_behind(directory: Path) -> None:
    data = directory / "data"
    data.mkdir()
    gone = {"DATABASE_URL": "postgresql:///gone", "REDIS_URL": "unix:///gone"}
    left = {"pid": os.getpid(), "urls": gone}
    (data / "running.json").write_text(json.dumps(left))
    (data / "lock").write_text(f"{os.getpid()} up")
    with attach_environment(settings_in(data)) as environment:
        assert "gone" not in environment["DATABASE_URL"]


def test_two_commands_at_once_take_turns(directory: Path) -> None:
    settings = settings_in(directory / "data", database_url=ELSEWHERE["database_url"])
    entered = threading.Event()
    answers: list[bool] = []

    def second() -> None:
        entered.set()
        with (
            attach_environment(settings) as environment,
            redis.Redis.from_url(environment["REDIS_URL"]) as client,
        ):
            answers.append(bool(client.ping()))

    with attach_environment(settings):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        assert not answers
    thread.join()
    assert answers == [True]


def test_a_second_owner_is_told_who_has_the_directory(directory: Path) -> None:
    settings = settings_in(directory / "data", database_url=ELSEWHERE["database_url"])
    with (
        local_environment(settings),
        pytest.raises(LocalError, match=rf"belongs to a running instance \(pid {os.getpid()}"),
        local_environment(settings),
    ):
        pass


def test_a_directory_that_cannot_be_made_is_one_clear_line(directory: Path) -> None:
    (directory / "file").write_text("in the way")
    settings = settings_in(directory / "file" / "data")
    with pytest.raises(LocalError) as caught, local_environment(settings):
        pass
    assert "\n" not in str(caught.value)
