"""The whole service on this machine, in one command: start it, keep it running, stop it."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Self

import psutil

import concert
from concert.ground.metrics import emptied
from concert.ground.settings import Settings
from concert.local.errors import LocalError
from concert.local.instance import PATIENCE_SECONDS, Instance, already_owned
from concert.local.launch import end_session
from concert.local.processes import Part, Supervisor, local_parts
from concert.local.servers import EmbeddedServer

TICK_SECONDS = 0.1
# A web part that crashes this often before it first answers will not get better by itself.
HOPELESS_CRASHES = 3
SERVER_RESTART_SECONDS = 2.0

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    settings: Settings,
    prepare: Callable[[], None],
    *,
    parts: Callable[[Settings, str], tuple[Part, ...]] = local_parts,
    directory: Path | None = None,
    instance: type[Instance] = Instance,
) -> int:
    """Run the service until a signal (SIGINT, SIGTERM, SIGHUP), then stop all of it.

    Nothing is started when the port is taken or the data directory belongs to another
    instance. ``os.environ`` has the servers' URLs and the keys from before ``prepare`` on.

    Args:
        prepare: migrates and seeds; called once, when the servers answer.
        parts: makes the processes to run; the second argument is the URL of the jobs' Redis.
        instance: which servers there are.
        directory: the processes' working directory; by default where ``app.py`` is.

    Returns:
        The exit code: 0 after a signal, 1 after one line on standard error that says what
        stands in the way.
    """
    with _StopSignals() as signals:
        try:
            made = instance(settings)
            _run(made, prepare, parts, directory or _project_directory(), signals)
        except _StopRequested:
            pass
        except LocalError as error:
            print(error, file=sys.stderr, flush=True)
            return 1
    return 0


def _run(
    instance: Instance,
    prepare: Callable[[], None],
    parts: Callable[[Settings, str], tuple[Part, ...]],
    directory: Path,
    signals: _StopSignals,
) -> None:
    settings = instance.settings
    supervisor: Supervisor | None = None
    with _claimed_port(settings.host, settings.port):
        try:
            _claim_directory(instance)
            _start_servers(instance)
            os.environ.update(instance.environment)
            if settings.log_format == "auto" and sys.stdout.isatty():
                # The parts write to a pipe, but a person reads it.
                os.environ["CONCERT_LOG_FORMAT"] = "console"
            prepare()
            if settings.metrics:
                os.environ.update(emptied(instance.directory / "metrics"))
            supervisor = Supervisor(
                parts(settings, _url_of_jobs(instance)),
                directory=directory,
                write=_say,
            )
            supervisor.start()
            _wait_until_healthy(settings, supervisor, instance.healthy_within_seconds)
            instance.announce(_address(settings))
            _greet(settings, instance)
            # From here on a signal sets a flag instead of breaking in.
            signals.break_in = False
            _supervise(supervisor, instance.servers, signals)
        finally:
            signals.break_in = False
            if supervisor is not None or instance.servers:
                _say("Stopping.")
            if supervisor is not None:
                supervisor.stop()
            instance.stop()
            # What was being started in the very moment of the signal, and is on no list.
            for child in psutil.Process().children():
                end_session(child.pid)


def _url_of_jobs(instance: Instance) -> str:
    known = instance.environment
    return instance.settings.jobs_redis_url or known.get("JOBS_REDIS_URL") or known["REDIS_URL"]


def _claim_directory(instance: Instance) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not instance.claim("up"):
        _, purpose = instance.owner()
        # A command that runs once is worth waiting for; another instance is not.
        if purpose != "command" or time.monotonic() > deadline:
            raise LocalError(already_owned(instance))
        time.sleep(TICK_SECONDS)


def _start_servers(instance: Instance) -> None:
    settings = instance.settings
    embedded = [
        name
        for name, url in (("PostgreSQL", settings.database_url), ("Redis", settings.redis_url))
        if not url
    ]
    if embedded:
        _say(f"Starting {' and '.join(embedded)} in {settings.data_dir}.")
    instance.start()


def _wait_until_healthy(
    settings: Settings, supervisor: Supervisor, patience_seconds: float
) -> None:
    deadline = time.monotonic() + patience_seconds
    while not _is_healthy(settings):
        supervisor.tend()
        if supervisor.crashes("web") >= HOPELESS_CRASHES:
            raise LocalError("The web part does not start; its output is above.")
        if time.monotonic() > deadline:
            raise LocalError(f"The web part does not answer after {patience_seconds:.0f} s.")
        time.sleep(TICK_SECONDS)


def _is_healthy(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(_reachable(settings.host), settings.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _greet(settings: Settings, instance: Instance) -> None:
    address = _address(settings)
    _say(f"Concert is at {address}/ and its API at {address}/docs")
    if not settings.organiser_key:
        _say(f"The organiser key is in {instance.organiser_key_file}")
    _say("Press Ctrl-C to stop.")


def _supervise(
    supervisor: Supervisor, servers: list[EmbeddedServer], signals: _StopSignals
) -> None:
    again_at = {server: 0.0 for server in servers}
    while not signals.received:
        supervisor.tend()
        for server in servers:
            if not server.running and time.monotonic() >= again_at[server]:
                _say(f"{server.title} ended; starting it again.")
                try:
                    server.start()
                except LocalError as error:
                    _say(str(error))
                again_at[server] = time.monotonic() + SERVER_RESTART_SECONDS
        # A signal handler does not end a sleep early, so the sleep is short.
        time.sleep(TICK_SECONDS)


@contextlib.contextmanager
def _claimed_port(host: str, port: int) -> Iterator[None]:
    """See that the port is free, and keep other instances off it while this one starts.

    Raises:
        LocalError: it is taken, or cannot be had.
    """
    taken = f"Port {port} on {host} is taken; stop what uses it or choose another: PORT={port + 1}"
    with contextlib.ExitStack() as held:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found[:1]:
                with socket.socket(family, kind, protocol) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(address)
            if sys.platform == "linux":
                # granian shares its port with any other granian of this user, so two
                # instances that start at the same moment would both succeed.
                claim = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                claim.bind(f"\0concert-port-{port}-{os.geteuid()}")
        except socket.gaierror as error:
            raise LocalError(f"HOST={host} is not an address: {error.strerror}.") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LocalError(taken) from error
            raise LocalError(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
        yield


def _reachable(host: str) -> str:
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _address(settings: Settings) -> str:
    host = _reachable(settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _project_directory() -> Path:
    return Path(concert.__file__).resolve().parent.parent


def _say(line: str) -> None:
    # Whoever read our output may have gone; that is no reason to end the sale.
    with contextlib.suppress(OSError, ValueError):
        print(line, flush=True)


class _StopRequested(BaseException):
    """A signal came while something was being started."""


class _StopSignals:
    """Turns the first signal into an exception while starting, and a flag afterwards."""

    def __init__(self) -> None:
        self.received = False
        self.break_in = True

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._handle)
            for number in STOP_SIGNALS
            # Under nohup, the end of the terminal is not ours to obey.
            if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        if self.break_in:
            self.break_in = False
            raise _StopRequested
