"""The data directory: one owner at a time, its keys, its servers, and where to find them.

``concert up`` owns the directory while it runs and writes ``running.json``; a command in
another terminal reads that and works on the same servers. When nothing runs, a command
owns the directory for as long as it takes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from concert.ground.settings import Settings
from concert.local.errors import LocalError
from concert.local.lock import FileLock
from concert.local.servers import EmbeddedPostgres, EmbeddedRedis, EmbeddedServer

# How long one command waits for another, or for an instance that is still starting.
PATIENCE_SECONDS = 60.0

Environment = dict[str, str]
KEYS = ("CONCERT_SECRET_KEYS", "CONCERT_ORGANISER_KEY", "CONCERT_DATA_DIR")


class Instance:
    """The data directory, while this process owns it, and the servers started in it."""

    # How long the processes that are started on it may take until the first page is served.
    healthy_within_seconds: ClassVar[float] = 60.0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.directory = settings.data_dir.absolute()
        self.servers: list[EmbeddedServer] = []
        self.environment: Environment = {}
        self._lock = FileLock(self.directory / "lock")

    @property
    def organiser_key_file(self) -> Path:
        """Where a generated organiser key is kept."""
        return self.directory / "organiser_key"

    def claim(self, purpose: str) -> bool:
        """Become the directory's owner; False when another process is.

        Raises:
            LocalError: the directory cannot be used.
        """
        make_data_directory(self.directory)
        return self._lock.acquire(f"{os.getpid()} {purpose}")

    def owner(self) -> tuple[str, str]:
        """The pid and the purpose (``up`` or ``command``) that the owner left."""
        pid, _, purpose = self._lock.note().partition(" ")
        return pid, purpose

    def start(self) -> None:
        """Start the servers that the settings do not name, and set ``environment``.

        Raises:
            LocalError: a server does not start.
        """
        database_url, redis_url = self.settings.database_url, self.settings.redis_url
        # Each is recorded before it starts, so that an interruption stops it too.
        if not database_url:
            postgres = EmbeddedPostgres(self.directory / "postgres")
            self.servers.append(postgres)
            postgres.start()
            database_url = postgres.url
        if not redis_url:
            redis = EmbeddedRedis(self.directory / "redis")
            self.servers.append(redis)
            redis.start()
            redis_url = redis.url
        self.environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            **keys_environment(self.settings),
        }

    def announce(self, address: str) -> None:
        """Let other commands find this instance. ``address`` is where the web part listens."""
        facts = {
            "pid": os.getpid(),
            "address": address,
            # What leads to the servers; the keys are in files of their own.
            "urls": {name: url for name, url in self.environment.items() if name not in KEYS},
        }
        _write_privately(self._announcement, json.dumps(facts))

    def find_running(self) -> Environment | None:
        """The environment of the instance that runs here, or None when it is not (yet) up."""
        try:
            facts = json.loads(self._announcement.read_text())
            urls: Environment = dict(facts["urls"])
        except (FileNotFoundError, ValueError, KeyError):
            return None
        # An owner that died leaves its announcement behind.
        if str(facts.get("pid")) != self.owner()[0]:
            return None
        settings = self.settings
        mine = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
        urls |= {name: url for name, url in mine.items() if url}
        return urls | keys_environment(settings)

    def stop(self) -> None:
        """Stop the servers and give the directory up."""
        for server in reversed(self.servers):
            server.stop()
        self.servers.clear()
        if self._lock.held:
            self._announcement.unlink(missing_ok=True)
        self._lock.release()

    @property
    def _announcement(self) -> Path:
        return self.directory / "running.json"


@contextlib.contextmanager
def local_environment(settings: Settings) -> Iterator[Environment]:
    """Own the data directory, start what is not configured, and stop it at the end.

    Yields the variables that child processes need: ``DATABASE_URL``, ``REDIS_URL``,
    ``CONCERT_SECRET_KEYS``, ``CONCERT_ORGANISER_KEY`` and ``CONCERT_DATA_DIR``.

    Raises:
        LocalError: another process owns the directory, or a server does not start.
    """
    instance = Instance(settings)
    if not instance.claim("command"):
        raise LocalError(already_owned(instance))
    try:
        instance.start()
        yield instance.environment
    finally:
        instance.stop()


@contextlib.contextmanager
def attach_environment(settings: Settings) -> Iterator[Environment]:
    """The same variables for a command that runs once.

    It works on the servers of the instance that runs in the data directory; if none runs,
    they are started and stopped again at the end. Where the settings name both servers,
    nothing is started.

    Raises:
        LocalError: a server does not start, or the directory stays taken.
    """
    if settings.database_url and settings.redis_url:
        urls = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
        yield urls | keys_environment(settings)
        return
    instance = Instance(settings)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not instance.claim("command"):
            running = instance.find_running()
            if running is not None:
                yield running
                return
            if time.monotonic() > deadline:
                raise LocalError(already_owned(instance))
            time.sleep(0.05)
        instance.start()
        yield instance.environment
    finally:
        instance.stop()


def already_owned(instance: Instance) -> str:
    """One line for a person whose directory is in use."""
    pid, _ = instance.owner()
    return (
        f"{instance.directory} belongs to a running instance (pid {pid}); "
        "stop it or set CONCERT_DATA_DIR to another directory."
    )


def make_data_directory(directory: Path) -> None:
    """Make the directory, or see that this user may use it.

    Raises:
        LocalError: it cannot be made or used.
    """
    # PostgreSQL started by root runs as another user, who has to pass through.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=mode)
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError
    except OSError as error:
        raise LocalError(
            f"{directory} cannot be used by this user; "
            "remove it or set CONCERT_DATA_DIR to another directory."
        ) from error


def keys_environment(settings: Settings) -> Environment:
    """The keys: those that are set, else the generated ones, which are made on first use.

    Production never gets a generated key: the settings refuse to be without one.

    Raises:
        LocalError: a key's file cannot be read or written.
    """
    directory = settings.data_dir.absolute()
    secret_keys = settings.secret_keys or (kept_key(directory / "secret_key"),)
    return {
        "CONCERT_SECRET_KEYS": ",".join(secret_keys),
        "CONCERT_ORGANISER_KEY": settings.organiser_key or kept_key(directory / "organiser_key"),
        "CONCERT_DATA_DIR": str(directory),
    }


def kept_key(path: Path) -> str:
    """A random key that is kept in this file, and made on first use.

    Raises:
        LocalError: the file cannot be read or written.
    """
    make_data_directory(path.parent)
    try:
        with contextlib.suppress(FileExistsError):
            _write_privately(path, secrets.token_hex(32), once=True)
        return path.read_text().strip()
    except OSError as error:
        raise LocalError(f"{path} cannot be read by this user; remove it or set a key.") from error


def _write_privately(path: Path, text: str, *, once: bool = False) -> None:
    """Write a file that only its owner reads, and that nobody ever sees half written.

    Raises:
        FileExistsError: ``once`` is set and the file is there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        if once:
            os.link(draft, path)
        else:
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
