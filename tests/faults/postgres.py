"""A PostgreSQL that can be copied while it runs, followed by a replica, and lost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from concert.local.servers import EmbeddedPostgres
from tests.waiting import wait_until

# What the tests' servers go without otherwise.
STREAMS = {"wal_level": "replica", "max_wal_senders": "5", "synchronous_commit": "on"}
TOOL_SECONDS = 60.0


class Server(EmbeddedPostgres):
    """PostgreSQL with further settings, fast otherwise."""

    def __init__(self, directory: Path, **settings: str) -> None:
        super().__init__(directory, fast=True)
        self.settings: Mapping[str, str] = {**STREAMS, **settings}

    def _command(self) -> list[str]:
        more = [word for pair in self.settings.items() for word in ("-c", "=".join(pair))]
        return [*super()._command(), *more]

    @property
    def socket_directory(self) -> Path:
        """Where it is reached."""
        return self._sockets

    @property
    def data(self) -> Path:
        """Its files."""
        return self._working_directory()

    def run(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as the superuser, by itself."""
        with psycopg.connect(self.url, autocommit=True) as link:
            answer = link.execute(statement)
            return answer.fetchall() if answer.description else []

    def copy_to(self, directory: Path, *, follows: bool) -> None:
        """Take a base backup into a directory for another server, which may follow this one."""
        directory.mkdir(mode=0o700)
        self._give(directory)
        tool = self._launch(
            [
                str(self._binaries / "pg_basebackup"),
                *("--host", str(self._sockets), "--username", "concert"),
                *("--pgdata", str(directory / "data"), "--checkpoint", "fast", "--no-sync"),
                *(["--write-recovery-conf"] if follows else []),
            ],
            self.directory / "basebackup.log",
        )
        assert tool.wait(TOOL_SECONDS) == 0, (self.directory / "basebackup.log").read_text()

    def set(self, **settings: str) -> None:
        """Change settings of the running server."""
        for name, value in settings.items():
            self.run(f"ALTER SYSTEM SET {name} = '{value}'")
        self.run("SELECT pg_reload_conf()")

    def lose(self) -> None:
        """What the end of its machine looks like: all of it is gone at once."""
        assert self._process is not None
        everything = [psutil.Process(self._process.pid)]
        everything += everything[0].children(recursive=True)
        for process in everything:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)

    def freeze_what_sends(self) -> None:
        """Let nothing more reach a replica: the process that sends to it stands still."""
        for (pid,) in self.run("SELECT pid FROM pg_stat_replication"):
            os.kill(int(str(pid)), signal.SIGSTOP)

    def promote(self) -> None:
        """Make a replica the server that takes writes."""
        assert self.run("SELECT pg_promote(true, 30)") == [(True,)]

    def archives_to(self, directory: Path) -> None:
        """Keep every finished part of the log there, from the next start on."""
        directory.mkdir(mode=0o700)
        os.chown(directory, self.data.stat().st_uid, self.data.stat().st_gid)
        self.settings = {
            **self.settings,
            "archive_mode": "on",
            "archive_command": f"cp %p {directory}/%f",
        }

    def archived(self, directory: Path) -> None:
        """End the present part of the log, and wait until it is kept."""
        ((name,),) = self.run("SELECT pg_walfile_name(pg_switch_wal())")
        wait_until((directory / str(name)).exists, seconds=30, what=f"{name} is kept")

    def _give(self, directory: Path) -> None:
        if self._account is not None:
            shutil.chown(directory, self._account.pw_uid, self._account.pw_gid)


def address_of(*servers: Server) -> str:
    """One DATABASE_URL for several servers, whichever takes writes."""
    hosts = quote(",".join(str(one.socket_directory) for one in servers))
    return f"postgresql://concert@/concert?host={hosts}&target_session_attrs=read-write"
