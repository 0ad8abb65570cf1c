"""PgBouncer in transaction mode in front of a local PostgreSQL: Debian's, where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import psycopg

from concert.local.errors import LocalError
from concert.local.servers import EmbeddedServer, is_open, runs_for_all, unprivileged_account

PORT = 6432
# Debian keeps it where only root's PATH leads.
FOUND_ON = f"{os.defpath}:/usr/sbin:/sbin"
# Fewer than the processes of a sale keep open together, so that connections are really shared.
SERVER_CONNECTIONS = 20

CONFIGURATION = """\
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_port = {listens}
unix_socket_dir = {sockets}
unix_socket_mode = 0700
auth_type = any
admin_users = concert
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 2000
# Whoever waits longer than a request may last has gone.
query_wait_timeout = 3
server_login_retry = 1
{more}"""


def pgbouncer() -> str | None:
    """The program, where it is installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:{FOUND_ON}")


class EmbeddedBouncer(EmbeddedServer):
    """PgBouncer for a PostgreSQL that is reached over a unix socket by whoever may enter its directory."""

    title = "PgBouncer"
    program = "pgbouncer"
    ending = ((signal.SIGINT, 2.0), (signal.SIGTERM, 2.0))

    def __init__(
        self,
        directory: Path | str,
        database_url: str,
        *,
        connections: int = SERVER_CONNECTIONS,
        more: str = "",
    ) -> None:
        """
        Args:
            database_url: a database of the server behind it.
            connections: how many of that server's connections are shared by all.
            more: further lines of its configuration.
        """
        super().__init__(directory)
        self.url_behind = database_url
        self._behind = urlsplit(database_url)
        self._connections = connections
        self._more = more

    @property
    def url(self) -> str:
        return self.url_of(self._behind.path.strip("/"))

    def url_of(self, database: str) -> str:
        """The URL, through it, of another database of the server behind it."""
        user = self._behind.username or "concert"
        return f"postgresql://{user}@/{database}?host={quote(str(self._sockets))}&port={PORT}"

    def _prepare(self) -> None:
        program = pgbouncer()
        if program is None:
            raise LocalError("PgBouncer is missing. Run: apt-get install pgbouncer")
        self._binary = Path(program)
        # It refuses to be root, and has to pass where PostgreSQL's own user does.
        self._account = unprivileged_account() if os.geteuid() == 0 else None
        behind = parse_qs(self._behind.query)
        text = CONFIGURATION.format(
            host=behind.get("host", [self._behind.hostname or "127.0.0.1"])[0],
            port=behind.get("port", [str(self._behind.port or 5432)])[0],
            user=unquote(self._behind.username or "concert"),
            listens=PORT,
            sockets=self._sockets,
            connections=self._connections,
            more=self._more,
        )
        file = self.directory / "pgbouncer.ini"
        file.write_text(text)
        socket = self._sockets / self._socket_name()
        for left in (socket, socket.with_name(f"{socket.name}.lock")):
            left.unlink(missing_ok=True)
        if self._account is not None:
            for path in (self.directory, self._sockets, file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _command(self) -> list[str]:
        return [str(self._binary), str(self.directory / "pgbouncer.ini")]

    def _answers(self) -> bool:
        if not (self._sockets / self._socket_name()).exists():
            return False
        try:
            # Its own console: a session of PostgreSQL that is opened before the role has its
            # options would be lent without them.
            with psycopg.connect(self.url_of("pgbouncer"), autocommit=True) as link:
                link.execute("SHOW VERSION")
        except psycopg.OperationalError:
            return False
        return True

    def _socket_name(self) -> str:
        return f".s.PGSQL.{PORT}"

    def _privileges(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        closed = not (
            is_open(self._binary) and is_open(self.directory) and runs_for_all(self._binary)
        )
        return {
            "user": self._account.pw_uid,
            "group": self._account.pw_gid,
            "keep_file_access": closed,
        }
