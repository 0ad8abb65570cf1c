"""Redis: one client per process, and the Lua scripts by name."""

from __future__ import annotations

import hashlib
import re
import select
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

from flask import Flask
from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)
from redis.retry import Retry

from concert.ground.budget import LAST_WORD_SECONDS, Outage, budget
from concert.ground.errors import Unavailable
from concert.ground.fast_redis import BUSY, FastRedis, packed
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

# Redis answers within a millisecond; one that has not within this time is away.
LONGEST_WAIT_SECONDS = 1.5
SILENT_SECONDS = 1.0
MOST_CONNECTIONS = 64
MOST_AT_HAND = 32
# What a server says that takes no work, or none of this kind, for now. Of a script's command
# it says so after a dash, in the middle of a sentence.
REFUSAL = re.compile(
    r"(?:^|-)(MISCONF|OOM|NOREPLICAS|READONLY|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b"
)


class Silent(TimeoutError):
    """Nothing was sent, since Redis was silent just now."""


class Pool(BlockingConnectionPool):
    """redis-py's pool, whose every wait ends with the budget of whoever asks.

    Pipelines and subscriptions take their connections from it, and the client those that it
    does not have at hand.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # redis-py has no types here
        self.outage = Outage()
        # A subscription waits for its next message as long as it takes.
        self._endless = options.get("socket_timeout") is None

    def get_connection(self, *_: Any, **__: Any) -> Any:
        """A connection that was not dead just now.

        Raises:
            TimeoutError: the time is over.
            Silent: Redis was silent just now.
            ConnectionError: Redis cannot be reached.
        """
        self.refuse_while_silent()
        return self.take()

    def refuse_while_silent(self) -> None:
        """Raise ``Silent`` where Redis was silent just now, unless it is time to try again."""
        if self.outage.refuses():
            raise Silent("Redis was silent just now")

    def take(self) -> Any:
        """The same for a caller who has asked :meth:`refuse_while_silent`."""
        self._checkpid()
        seconds = seconds_left()
        ends = time.monotonic() + seconds
        try:
            link = self.pool.get(timeout=seconds)
        except Empty:
            raise TimeoutError("No connection to Redis is free") from None
        try:
            link = link or self.make_connection()  # type: ignore[no-untyped-call]  # redis-py has no types here
            if link.is_connected and is_dead(link):
                link.disconnect()
            left = max(LAST_WORD_SECONDS, ends - time.monotonic())
            if not link.is_connected:
                self._connect(link, left)
            elif not self._endless:
                limit_wait(link, left)
        except BaseException:
            self.release(link)  # type: ignore[no-untyped-call]  # redis-py has no types here
            raise
        return link

    def let_go(self) -> None:
        """Disconnect what nobody uses; after a failover it leads to the wrong server."""
        with suppress(Empty):
            taken = []
            try:
                while True:
                    taken.append(self.pool.get_nowait())
            finally:
                for link in taken:
                    if link is not None:
                        link.disconnect()
                    self.pool.put_nowait(link)

    def _connect(self, link: Any, seconds: float) -> None:
        link.socket_connect_timeout = seconds
        if not self._endless:
            link.socket_timeout = seconds
        link.connect()


class WatchedPipeline(Pipeline):
    """redis-py's pipeline, which says whether Redis has answered."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send all commands, once, and return their answers."""
        began = time.monotonic()
        outage: Outage = self.connection_pool.outage  # type: ignore[attr-defined]  # a Pool, as the client's
        try:
            answers = super().execute(raise_on_error)
        except RedisError as error:
            if not isinstance(error, Silent):
                note_failure(outage, error, began)
            raise
        outage.end()
        return answers


class Client(Redis):
    """redis-py's client with a shorter way to send a command, and an end to every wait.

    The pool takes longer to hand a connection out and take it back than the command takes
    on the wire, so a few connections stay at hand beside it. Scripts and facts, which make up
    the load of a sale, go past redis-py altogether where that is possible (``fast``).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._at_hand: deque[Any] = deque()
        self._pool: Pool = self.connection_pool  # type: ignore[assignment]  # always made by new_client
        self.fast: FastRedis | None = None
        self.address = ""

    @property
    def speaks_in_scripts(self) -> bool:
        """Whether a script may publish what its verb has changed."""
        return True

    def servers(self) -> Sequence[Client]:
        """A client for each server; this one is the only one."""
        return (self,)

    def server_of(self, key: str) -> Client:
        """The client of the server that has a key."""
        return self

    def outages(self) -> list[Outage]:
        """What is known of each server's silence."""
        return [self._pool.outage]

    def ask(self, *command: str | bytes | float) -> Any:
        """Send a command whose answer is taken as it comes (EVALSHA, PUBLISH); the short way, if there is one.

        Raises:
            What :meth:`execute_command` raises.
        """
        if self.fast is None:
            return self.execute_command(*command)
        try:
            message = packed(command)
        except TypeError:
            return self.execute_command(*command)  # which says what is wrong with it
        self._pool.refuse_while_silent()
        began = time.monotonic()
        try:
            answer = self.fast.ask(message, seconds_left())
            if answer is BUSY:
                answer = self._asked(command, {})
        except RedisError as error:
            self._note(error, began)
            raise
        self._pool.outage.end()
        return answer

    def ask_all(self, commands: Sequence[Sequence[str | bytes | float]]) -> list[Any]:
        """Send several such commands in one message; their answers in order, an error as an object.

        Raises:
            TimeoutError, ConnectionError: as :meth:`ask` does; some of them may have been done.
        """
        if self.fast is not None:
            answers = self._asked_at_once(self.fast, commands)
            if answers is not None:
                return answers
        pipeline = self.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute(raise_on_error=False)

    def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command, once: it may have been done though no answer came.

        Only where it cannot have been sent, it is sent on another connection.

        Raises:
            TimeoutError: Redis has not answered within the budget, or was silent just now.
            ConnectionError: Redis cannot be reached, or was lost before it answered.
        """
        self._pool.refuse_while_silent()
        began = time.monotonic()
        try:
            answer = self._asked(command, options)
        except RedisError as error:
            self._note(error, began)
            raise
        self._pool.outage.end()
        return answer

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Several commands in one message."""
        return WatchedPipeline(self._pool, self.response_callbacks, transaction, shard_hint)

    def let_go(self) -> None:
        """Disconnect what nobody uses, here, in the pool and on the short way."""
        if self.fast is not None:
            self.fast.let_go()
        while self._at_hand:
            with suppress(IndexError):
                link = self._at_hand.pop()
                link.disconnect()
                self._pool.release(link)  # type: ignore[no-untyped-call]  # redis-py has no types here
        self._pool.let_go()

    def _asked_at_once(
        self, fast: FastRedis, commands: Sequence[Sequence[str | bytes | float]]
    ) -> list[Any] | None:
        """The answers by the short way; None where it is taken, and nothing was sent."""
        try:
            message = b"".join([packed(tuple(command)) for command in commands])
        except TypeError:
            return None
        self._pool.refuse_while_silent()
        began = time.monotonic()
        try:
            answers = fast.ask_all(message, len(commands), seconds_left())
        except RedisError as error:
            self._note(error, began)
            raise
        if answers is BUSY:
            return None
        self._pool.outage.end()
        return answers  # type: ignore[no-any-return]  # BUSY is the only thing beside a list

    def _asked(self, command: tuple[Any, ...], options: dict[str, Any]) -> Any:
        link = self._sent(command)
        try:
            return self.parse_response(link, command[0], **options)  # type: ignore[no-untyped-call]  # redis-py has no types here
        finally:
            self._put_back(link)

    def _note(self, error: RedisError, began: float) -> None:
        note_failure(self._pool.outage, error, began)
        if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
            self.let_go()

    def _sent(self, command: tuple[Any, ...]) -> Any:
        """The connection on which the answer to a command will come."""
        link = self._link()
        try:
            link.send_command(*command)
            return link
        except ConnectionError:
            # It was lost, and is closed now. Whoever takes it next connects it anew.
            self._put_back(link)
        except BaseException:
            self._put_back(link)
            raise
        link = self._pool.take()
        try:
            link.send_command(*command)
            return link
        except BaseException:
            self._put_back(link)
            raise

    def _link(self) -> Any:
        while True:
            try:
                link = self._at_hand.pop()
            except IndexError:
                return self._pool.take()
            if link.is_connected and not is_dead(link):
                limit_wait(link, seconds_left())
                return link
            link.disconnect()
            self._pool.release(link)  # type: ignore[no-untyped-call]  # redis-py has no types here

    def _put_back(self, link: Any) -> None:
        if len(self._at_hand) < MOST_AT_HAND:
            self._at_hand.append(link)
        else:
            self._pool.release(link)  # type: ignore[no-untyped-call]  # redis-py has no types here


def init_redis(app: Flask, settings: Settings) -> None:
    """Attach the client to the app. Nothing connects before the first command."""
    client = keep(app, new_client(settings.redis_url), Client)
    apart = settings.jobs_redis_url not in ("", settings.redis_url)
    keep(app, Jobs(new_client(settings.jobs_redis_url) if apart else client))


@dataclass(slots=True)
class Jobs:
    """The client of the Redis that has the jobs, which may be another one than the rooms'."""

    client: Client


def new_client(url: str, *, socket_timeout: float | None = LONGEST_WAIT_SECONDS) -> Client:
    """A client that speaks bytes, for a server, a cluster or what Sentinel knows."""
    if "+" in url.partition("://")[0]:
        from concert.ground.redis_cluster import ClusterClient  # it builds on this module

        return ClusterClient(url, socket_timeout=socket_timeout)
    return one_server(url, socket_timeout=socket_timeout)


def one_server(url: str, *, socket_timeout: float | None = LONGEST_WAIT_SECONDS) -> Client:
    """A client of one server; without a ``socket_timeout`` it waits for messages for ever."""
    # Bounded: thousands of streams that begin at once would overrun the server's backlog.
    pool = Pool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        socket_timeout=socket_timeout,
        # A second try is a second wait, and may do a thing twice.
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
    client = Client(connection_pool=pool)
    client.address = url
    if socket_timeout is not None:
        client.fast = FastRedis.for_url(url)
    return client


def redis() -> Client:
    """The current app's client of the Redis that has the rooms."""
    return part(Client)


def jobs_redis() -> Client:
    """The current app's client of the Redis that has the jobs: one server."""
    return part(Jobs).client


def seconds_left() -> float:
    """How long Redis may take now. What is said to it at the very end gets a last moment."""
    return max(LAST_WORD_SECONDS, min(budget().left(), LONGEST_WAIT_SECONDS))


def limit_wait(link: Any, seconds: float) -> None:
    """Let the next wait on a connection last so long at the most. Mostly it would have, anyway."""
    if link._sock.gettimeout() != seconds:
        link._sock.settimeout(seconds)


def is_dead(link: Any) -> bool:
    """Whether the socket knows that the server has gone; this asks no server."""
    poller = select.poll()
    poller.register(link._sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poller.poll(0))


def note_failure(outage: Outage, error: RedisError, began: float) -> None:
    """Note what an error says of Redis: that it is silent, still away, or there and refusing."""
    if isinstance(error, TimeoutError) and time.monotonic() - began >= SILENT_SECONDS:
        outage.begin()
    elif isinstance(error, (TimeoutError, ConnectionError)):
        outage.goes_on()
    else:
        outage.end()


@contextmanager
def unavailable_on_failure() -> Iterator[None]:
    """Turn a lost, refused or too slow connection, and a server that takes no work, into ``Unavailable``."""
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise Unavailable("The waiting room") from error
    except ResponseError as error:
        _raise_if_refused(error)
        raise


def _raise_if_refused(error: ResponseError) -> None:
    if REFUSAL.search(str(error)) or REFUSAL.search(getattr(error, "status_code", None) or ""):
        raise Unavailable("The waiting room") from error


class Script:
    """A Lua script that is sent by its digest, and whole only where the server has not seen it.

    ``shared`` are put before it: the local functions that several scripts use.
    """

    def __init__(self, path: Path, *, shared: Sequence[Path] = ()) -> None:
        self.name = path.stem
        self.text = "".join(part.read_text(encoding="utf-8") for part in (*shared, path))
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
                return client.ask("EVALSHA", self.digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return client.ask("EVAL", self.text, len(keys), *keys, *arguments)

    def call(
        self, keys: Sequence[str | bytes], arguments: Sequence[str | bytes | int | float]
    ) -> tuple[str | bytes | int | float, ...]:
        """It as a command, for :func:`run_all`."""
        return ("EVALSHA", self.digest, len(keys), *keys, *arguments)

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


def run_all(
    calls: Sequence[tuple[Script, Sequence[str | bytes], Sequence[str | bytes | int | float]]],
    facts: Sequence[tuple[str, bytes]] = (),
) -> list[Any]:
    """Run several scripts, and then publish facts, each for its channel, in one message.

    What each script has answered comes back, an error as an object.

    Raises:
        Unavailable: Redis cannot be reached; some of them may have been run.
    """
    commands = [script.call(keys, asked) for script, keys, asked in calls]
    commands += [("PUBLISH", *fact) for fact in facts]
    with unavailable_on_failure():
        answers = redis().ask_all(commands)[: len(calls)]
    for index, answer in enumerate(answers):
        # The server has not seen it since it was started. Nothing was done.
        if isinstance(answer, NoScriptError):
            script, keys, asked = calls[index]
            answers[index] = script.run(keys, asked)
    return answers
