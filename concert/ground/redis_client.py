"""Redis: one client per process, and the Lua scripts by name."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flask import Flask
from redis import BlockingConnectionPool, Redis
from redis.backoff import ConstantBackoff
from redis.client import Pipeline
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    TimeoutError,
)
from redis.retry import Retry

from concert.ground.errors import Unavailable
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

REDIS_WAIT_SECONDS = 3.0
MOST_CONNECTIONS = 64
MOST_AT_HAND = 32


class Client(Redis):
    """redis-py's client with a shorter way to send a command.

    The pool takes longer to hand a connection out and take it back than the command takes
    on the wire, so a few connections stay at hand beside it. Pipelines and subscriptions
    go through the pool as ever.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._at_hand: deque[Any] = deque()

    def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command; on a connection that turns out to be dead, send it once more on another."""
        try:
            link = self._at_hand.pop()
        except IndexError:
            link = self.connection_pool.get_connection()
        try:
            return self._send(link, command, options)
        except (ConnectionError, TimeoutError):
            # The others at hand have most likely died with it; the pool looks before it gives.
            self._let_go()
            return self._send(self.connection_pool.get_connection(), command, options)

    def _send(self, link: Any, command: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            # Where either fails halfway, it closes the connection, which is opened anew on its next use.
            link.send_command(*command)
            return self.parse_response(link, command[0], **options)  # type: ignore[no-untyped-call]  # redis-py has no types here
        finally:
            if len(self._at_hand) < MOST_AT_HAND:
                self._at_hand.append(link)
            else:
                self.connection_pool.release(link)

    def _let_go(self) -> None:
        while self._at_hand:
            with suppress(IndexError):
                link = self._at_hand.pop()
                link.disconnect()
                self.connection_pool.release(link)


def init_redis(app: Flask, settings: Settings) -> None:
    """Attach the client to the app. Nothing connects before the first command."""
    keep(app, new_client(settings.redis_url))


def new_client(url: str, *, socket_timeout: float | None = REDIS_WAIT_SECONDS) -> Client:
    """A client that speaks bytes and tries a command twice, since a pooled connection may have died."""
    # Bounded: thousands of streams that begin at once would overrun the server's backlog.
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=REDIS_WAIT_SECONDS,
        socket_timeout=socket_timeout,
        socket_connect_timeout=REDIS_WAIT_SECONDS,
        retry=Retry(ConstantBackoff(0.05), 1),
        protocol=2,
    )
    return Client(connection_pool=pool)


def redis() -> Client:
    """The current app's client."""
    return part(Client)


@contextmanager
def unavailable_on_failure() -> Iterator[None]:
    """Turn a lost or refused connection into ``Unavailable``."""
    try:
        yield
    except (ConnectionError, TimeoutError, BusyLoadingError, ReadOnlyError) as error:
        raise Unavailable("The waiting room") from error


class Script:
    """A Lua script that is sent by its digest, and whole only where the server has not seen it.

    ``shared`` is put before it: the local functions that several scripts use.
    """

    def __init__(self, path: Path, *, shared: Path | None = None) -> None:
        prelude = shared.read_text(encoding="utf-8") if shared else ""
        self.name = path.stem
        self.text = prelude + path.read_text(encoding="utf-8")
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def run(
        self, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int | float]
    ) -> Any:
        """Run it now.

        Raises:
            Unavailable: Redis cannot be reached.
        """
        client = redis()
        with unavailable_on_failure():
            try:
                return client.execute_command("EVALSHA", self.digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return client.execute_command("EVAL", self.text, len(keys), *keys, *arguments)

    def queue(
        self,
        pipeline: Pipeline,
        keys: Sequence[str | bytes],
        arguments: Sequence[str | bytes | int | float],
    ) -> None:
        """Add it to a pipeline; the caller has loaded it (:meth:`load`)."""
        pipeline.execute_command("EVALSHA", self.digest, len(keys), *keys, *arguments)

    def load(self) -> None:
        """Make the server know it."""
        with unavailable_on_failure():
            redis().script_load(self.text)
