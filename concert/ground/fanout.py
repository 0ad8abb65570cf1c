"""Facts from Redis to many listeners: one subscription for the whole process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import structlog
from flask import Flask

from concert.ground.events import understood
from concert.ground.mailbox import RETRY_SECONDS, Mailbox, Post
from concert.ground.parts import keep, part
from concert.ground.redis_client import new_client
from concert.ground.redis_cluster import ClusterEar
from concert.ground.settings import Settings
from concert.ground.streams import OpenStreams

log = structlog.get_logger()

MOST_UNREAD = 64
# How long the thread waits for a message before it looks at its subscriptions again.
PATIENCE_SECONDS = 0.2
# How long a listener waits for the subscription; a later one is made good by a ``resync``.
SUBSCRIBE_SECONDS = 2.0


@dataclass(slots=True, eq=False)
class Fact:
    """One thing that has happened. ``kind`` is ``resync`` where facts may have been missed.

    ``shown`` keeps what a stream says of the fact, by language, so that it is rendered once.
    """

    kind: str
    data: dict[str, Any]
    shown: dict[Any, bytes] = field(default_factory=dict)


class Listener(Mailbox[Fact]):
    """Somebody who hears a channel while it is used in a ``with``.

    Entering waits until the subscription stands, so that nothing is missed from then on.
    """

    __slots__ = ("_fanout", "_timeout", "has_begun")

    def __init__(self, fanout: Fanout, channel: str, timeout: float) -> None:
        super().__init__(fanout, channel, MOST_UNREAD)
        self._fanout = fanout
        self._timeout = timeout
        # Whoever has begun may miss something whenever a subscription is made anew.
        self.has_begun = False

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._fanout.wait_for(self, self._timeout)
        except BaseException:
            self._fanout.remove(self)
            raise
        return self


class Fanout(Post[Listener]):
    """All listeners of one process. Its thread runs while there are any."""

    def __init__(
        self,
        redis_url: str,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        super().__init__("fanout", retry_seconds)
        self._url = redis_url
        self._patience_seconds = patience_seconds
        self._standing: dict[str, threading.Event] = {}
        # Listeners who were told that they may have missed facts, for the operator's figures.
        self.resyncs = 0

    def listener(self, channel: str, timeout: float = SUBSCRIBE_SECONDS) -> Listener:
        """A listener to use in a ``with``; it waits at most ``timeout`` seconds for its subscription."""
        return Listener(self, channel, timeout)

    def wait_for(self, listener: Listener, timeout: float) -> None:
        """Wait until the subscription of a listener stands, or ``timeout`` seconds have passed."""
        with self._lock:
            stands = self._standing_of(listener.topic)
        stands.wait(timeout)
        with self._lock:
            listener.has_begun = True

    def stop(self) -> None:
        """Close every listener, now and from now on."""
        super().stop()
        with self._lock:
            for stands in self._standing.values():
                stands.set()

    def _serve(self) -> None:
        with _listening(self._url) as pubsub:
            heard: set[str] = set()
            while True:
                with self._lock:
                    wanted = set(self._boxes)
                    for channel in set(self._standing) - wanted:
                        del self._standing[channel]
                if not wanted:
                    return
                if wanted - heard:
                    pubsub.subscribe(*(wanted - heard))
                if heard - wanted:
                    pubsub.unsubscribe(*(heard - wanted))
                heard = wanted
                message = pubsub.get_message(timeout=self._patience_seconds)
                if message is None:
                    continue
                channel = message["channel"].decode()
                if message["type"] == "subscribe":
                    # redis-py mends a broken connection by itself, and subscribes once more.
                    self._note_standing(channel)
                elif message["type"] == "message":
                    self._pass_on(channel, message["data"])

    def _after_failure(self) -> None:
        with self._lock:
            for stands in self._standing.values():
                stands.clear()

    def _note_standing(self, channel: str) -> None:
        self._is_well()
        with self._lock:
            self._standing_of(channel).set()
            late = [one for one in self._boxes.get(channel, ()) if one.has_begun]
        self.resyncs += len(late)
        self._tell(late, Fact("resync", {}))

    def _standing_of(self, channel: str) -> threading.Event:
        return self._standing.setdefault(channel, threading.Event())

    def _pass_on(self, channel: str, message: bytes) -> None:
        try:
            kind, data = understood(message)
        except ValueError as error:
            log.warning("fact_not_understood", channel=channel, error=str(error))
            return
        with self._lock:
            listeners = list(self._boxes.get(channel, ()))
        self._tell(listeners, Fact(kind, data))

    def _tell(self, listeners: list[Listener], fact: Fact) -> None:
        for listener in listeners:
            if not listener.put(fact):
                self.remove(listener)


@contextmanager
def _listening(url: str) -> Iterator[Any]:
    if "+cluster:" in url:
        with ClusterEar(url) as ear:
            yield ear
    else:
        with new_client(url, socket_timeout=None) as client, client.pubsub() as pubsub:
            yield pubsub


def init_fanout(app: Flask, settings: Settings) -> None:
    """Attach it to the app; nothing is heard before somebody listens."""
    fanout = keep(app, Fanout(settings.redis_url))
    part(OpenStreams, app).end_with(fanout.stop)


@contextmanager
def facts(channel: str, heartbeat_seconds: float) -> Iterator[Iterator[Fact | None]]:
    """The facts of a channel from now on; None when there was none for ``heartbeat_seconds``.

    They end when the reader was too slow to keep up, or the process is about to end.
    """
    with part(Fanout).listener(channel) as listener:
        yield listener.contents(heartbeat_seconds)
