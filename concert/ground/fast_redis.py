"""The short way to Redis: a command is packed at once, and its answer read off the socket.

A call through redis-py passes a dozen layers, which cost more processor time than the command
itself. Here are only a socket and hiredis, whose public functions pack and read. What they do
not cover (an option of the address that is not known here, every connection taken) goes the
usual way, through redis-py: :mod:`concert.ground.redis_client` chooses.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections import deque
from typing import Any
from weakref import WeakSet

from redis import exceptions
from redis.connection import SSLConnection, UnixDomainSocketConnection, parse_url

try:
    from hiredis import ProtocolError, Reader, pack_command
except ImportError:  # pragma: no cover  # redis-py works without it, and then for all commands
    Reader = None  # type: ignore[assignment,misc]

# As many at once; whoever comes when all are in use goes the usual way, which waits for one.
MOST_LINKS = 32
AT_ONCE_BYTES = 65536
# All that an address may say here. Every other option is redis-py's to understand.
KNOWN = {"host", "port", "db", "username", "password", "path", "connection_class"}
KNOWN_OF_TLS = {
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "ssl_password",
}
REQUIREMENTS = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
# The errors that somebody tells apart, as redis-py calls them. The whole message stays in each.
ERRORS: dict[str, type[exceptions.RedisError]] = {
    "CLUSTERDOWN": exceptions.ClusterDownError,
    "LOADING": exceptions.BusyLoadingError,
    "MASTERDOWN": exceptions.MasterDownError,
    "NOAUTH": exceptions.AuthenticationError,
    "NOPERM": exceptions.NoPermissionError,
    "NOSCRIPT": exceptions.NoScriptError,
    "OOM": exceptions.OutOfMemoryError,
    "READONLY": exceptions.ReadOnlyError,
    "TRYAGAIN": exceptions.TryAgainError,
    "WRONGPASS": exceptions.AuthenticationError,
}
# A server of a cluster says where the key is; these read that by themselves.
ELSEWHERE: dict[str, type[exceptions.AskError]] = {
    "MOVED": exceptions.MovedError,
    "ASK": exceptions.AskError,
}
FULL = "ERR max number of clients reached"


class _Nothing:
    """What stands for an answer that is not there, since None is an answer."""


# The answer has not come whole yet.
UNFINISHED = _Nothing()
# Nothing was sent: every link is in use.
BUSY = _Nothing()


class Link:
    """One connection, and what of an answer has come."""

    __slots__ = ("is_ready", "reader", "seconds", "sock")

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock = sock
        self.seconds = seconds
        poller = select.poll()
        poller.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        # Says something where the server has gone, or says what nobody has asked for.
        self.is_ready = poller.poll
        self.reader = Reader(
            protocolError=ProtocolError, replyError=error_of, notEnoughData=UNFINISHED
        )

    def wait_at_most(self, seconds: float) -> None:
        """Let the next wait last so long. Mostly it would have, anyway."""
        if self.seconds != seconds:
            self.sock.settimeout(seconds)
            self.seconds = seconds

    def read(self, ends: float) -> Any:
        """The next answer, an error as an object.

        Raises:
            OSError: it has not come by ``ends`` (monotonic seconds), or never will.
        """
        answer = self.reader.gets()
        while answer is UNFINISHED:
            said = self.sock.recv(AT_ONCE_BYTES)
            if not said:
                raise ConnectionResetError("Redis has closed the connection")
            self.reader.feed(said)
            answer = self.reader.gets()
            if answer is UNFINISHED:
                left = ends - time.monotonic()
                if left <= 0:
                    raise TimeoutError("The rest of the answer has not come in time")
                self.wait_at_most(left)
        return answer


class FastRedis:
    """Connections of its own to one server, for commands whose answers are taken as they come."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        # Each place holds a link that nobody uses, or None for one that is not connected. The
        # one that was used last comes first. Taking one out and putting it back are each one
        # step, whether threads or greenlets do it, so there is no lock that a fork could break.
        self._links: deque[Link | None] = deque([None] * MOST_LINKS)
        _all.add(self)

    def __del__(self) -> None:
        self.let_go()

    @classmethod
    def for_url(cls, url: str) -> FastRedis | None:
        """A short way to the server of this address; None where there is more to it than is known here."""
        if Reader is None:
            return None
        options = parse_url(url)
        kind = options.get("connection_class")
        if kind not in (None, SSLConnection, UnixDomainSocketConnection):
            return None
        if options.keys() - KNOWN - (KNOWN_OF_TLS if kind is SSLConnection else set()):
            return None
        if options.get("ssl_cert_reqs", "none") not in REQUIREMENTS:
            return None
        return cls(options)

    def ask(self, packed: bytes, seconds: float) -> Any:
        """Send a packed command, once, and return its answer; ``BUSY`` where nothing was sent.

        Only where the connection was found dead before any of it was sent, it is sent on
        another one. A connection on which an answer may still come is closed.

        Raises:
            TimeoutError: Redis has not answered within ``seconds``.
            ConnectionError: Redis cannot be reached, or was lost before it answered.
            exceptions.ResponseError: Redis has answered with an error; or another of redis-py's errors.
        """
        answers = self.ask_all(packed, 1, seconds)
        if answers is BUSY:
            return BUSY
        answer = answers[0]
        if isinstance(answer, exceptions.RedisError):
            raise answer
        return answer

    def ask_all(self, packed: bytes, count: int, seconds: float) -> Any:
        """The same for several commands in one message: a list of answers, an error as an object.

        Raises:
            TimeoutError, ConnectionError: as :meth:`ask` does; some of them may have been done.
        """
        try:
            link = self._links.pop()
        except IndexError:
            return BUSY
        ends = time.monotonic() + seconds
        try:
            if link is not None and link.is_ready(0):
                link.sock.close()
                link = None
            if link is None:
                link = self._connected(seconds)
            link.wait_at_most(seconds)
            try:
                sent = link.sock.send(packed)
            except TimeoutError:
                raise
            except OSError:
                # The system has taken none of it: the server went since the look.
                link.sock.close()
                link = self._connected(max(0.0, ends - time.monotonic()))
                sent = link.sock.send(packed)
            if sent < len(packed):
                link.sock.sendall(packed[sent:])
            answers = [link.read(ends) for _ in range(count)]
            if link.reader.has_data():
                # Two answers to one question: which is whose, nobody knows.
                raise ConnectionResetError("Redis has said more than it was asked")
        except BaseException as error:
            if link is not None:
                link.sock.close()
            self._links.appendleft(None)
            if isinstance(error, TimeoutError):
                raise exceptions.TimeoutError("Redis has not answered in time") from error
            if isinstance(error, OSError | ProtocolError):
                raise exceptions.ConnectionError(f"Redis was lost: {error}") from error
            raise
        self._links.append(link)
        return answers

    def let_go(self) -> None:
        """Disconnect what nobody uses; after a failover it leads to the wrong server."""
        for _ in range(MOST_LINKS):
            try:
                link = self._links.pop()
            except IndexError:
                return
            self._links.appendleft(None)
            if link is not None:
                link.sock.close()

    def forget(self) -> None:
        """Leave every connection to the process that this one was forked from."""
        for link in self._links:
            if link is not None:
                link.sock.close()
        self._links = deque([None] * MOST_LINKS)

    def _connected(self, seconds: float) -> Link:
        ends = time.monotonic() + seconds
        if seconds <= 0:
            raise TimeoutError("No time is left to connect")
        sock = self._reached(seconds)
        try:
            link = Link(sock, seconds)
            self._introduce(link, ends)
            link.wait_at_most(max(0.001, ends - time.monotonic()))
        except BaseException:
            sock.close()
            raise
        return link

    def _reached(self, seconds: float) -> socket.socket:
        options = self._options
        if options.get("connection_class") is UnixDomainSocketConnection:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.settimeout(seconds)
                sock.connect(options.get("path", ""))
            except BaseException:
                sock.close()
                raise
            return sock
        host = options.get("host", "localhost")
        sock = socket.create_connection((host, options.get("port", 6379)), seconds)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if options.get("connection_class") is SSLConnection:
                return _context(options).wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
        return sock

    def _introduce(self, link: Link, ends: float) -> None:
        """Say who asks, and for which database.

        The question at the end also takes in what TLS says by itself after its handshake, so
        that a quiet connection is quiet.
        """
        options = self._options
        commands: list[tuple[str | bytes | int, ...]] = []
        username, password = options.get("username", ""), options.get("password", "")
        if username or password:
            commands.append(("AUTH", username, password) if username else ("AUTH", password))
        if options.get("db"):
            commands.append(("SELECT", options["db"]))
        commands.append(("PING",))
        link.sock.sendall(b"".join(packed(one) for one in commands))
        for _ in commands:
            answer = link.read(ends)
            if isinstance(answer, exceptions.RedisError):
                raise answer


# A connection that a fork has copied would give each process the other's answers.
_all: WeakSet[FastRedis] = WeakSet()


def _after_fork() -> None:
    for one in list(_all):
        one.forget()


os.register_at_fork(after_in_child=_after_fork)


def packed(command: tuple[Any, ...]) -> bytes:
    """A command as Redis reads it.

    Raises:
        TypeError: one of its parts is neither text, bytes nor a number.
    """
    whole: bytes = pack_command(command)
    return whole


def error_of(message: str) -> exceptions.RedisError:
    """The error that Redis has answered with."""
    if message == FULL:
        return exceptions.ConnectionError(message)
    kind, _, where = message.partition(" ")
    if kind in ELSEWHERE:
        return ELSEWHERE[kind](where)
    return ERRORS.get(kind, exceptions.ResponseError)(message)


def _context(options: dict[str, Any]) -> ssl.SSLContext:
    """What the address says of certificates, as redis-py understands it."""
    context = ssl.create_default_context()
    needed = REQUIREMENTS[options.get("ssl_cert_reqs", "required")]
    context.check_hostname = needed != ssl.CERT_NONE and options.get("ssl_check_hostname", True)
    context.verify_mode = needed
    if options.get("ssl_certfile"):
        context.load_cert_chain(
            options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password")
        )
    if options.get("ssl_ca_certs") or options.get("ssl_ca_path"):
        context.load_verify_locations(options.get("ssl_ca_certs"), options.get("ssl_ca_path"))
    return context
