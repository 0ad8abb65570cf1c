"""A proxy between psycopg and PostgreSQL that counts round trips on the wire."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit


class Wire:
    """Counts how often the talk turns from the client's side to the server's."""

    def __init__(self, server_url: str, directory: Path) -> None:
        parts = urlsplit(server_url)
        folder = parse_qs(parts.query)["host"][0]
        self._server = f"{folder}/.s.PGSQL.5432"
        self.url = urlunsplit(parts._replace(query=f"host={directory}"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(directory / ".s.PGSQL.5432"))
        self._listener.listen()
        self._lock = threading.Lock()
        self._round_trips = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def counted(self) -> Iterator[list[int]]:
        """Append the number of round trips within the block to the list that this yields."""
        found: list[int] = []
        with self._lock:
            before = self._round_trips
        yield found
        with self._lock:
            found.append(self._round_trips - before)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            asking = False
            with contextlib.suppress(OSError):
                while True:
                    ready, _, _ = select.select([client, server], [], [])
                    # The server's words first, so that a late answer does not hide a new question.
                    source = server if server in ready else client
                    said = source.recv(65536)
                    if not said:
                        return
                    if source is client:
                        if not asking:
                            with self._lock:
                                self._round_trips += 1
                        asking = True
                        server.sendall(said)
                    else:
                        asking = False
                        client.sendall(said)
