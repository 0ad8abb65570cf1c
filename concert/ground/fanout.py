"""Facts from Redis to many listeners: one subscription for the whole process."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from flask import Flask
from redis.exceptions import RedisError

from concert.ground.parts import keep, part
from concert.ground.redis_client import new_client
from concert.ground.settings import Settings

log = structlog.get_logger()

MOST_UNREAD = 64
RETRY_SECONDS = 0.5
# How long the thread waits for a message before it looks at its subscriptions again.
PATIENCE_SECONDS = 0.2


@dataclass(slots=True, eq=False)
class Fact:
    """One thing that has happened. ``kind`` is ``resync`` where facts may have been missed.

    ``shown`` keeps what the fact was turned into, by language, so that it is done once.
    """

    kind: str
    data: dict[str, Any]
    shown: dict[Any, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Listener:
    """Somebody who hears a channel; a None among the facts ends it, since it was too slow."""

    channel: str
    unread: queue.Queue[Fact | None] = field(default_factory=lambda: queue.Queue(MOST_UNREAD))


def init_fanout(app: Flask, settings: Settings) -> None:
    """Attach it to the app; nothing is heard before somebody listens."""
    keep(app, Fanout(settings.redis_url))


class Fanout:
    """All listeners of one process. Its thread runs while there are any."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._lock = threading.Lock()
        self._listeners: dict[str, set[Listener]] = {}
        self._running = False
        self._subscribed: dict[str, threading.Event] = {}

    def listen(self, channel: str, timeout: float) -> Listener:
        """Begin to hear a channel; waits (seconds) until the subscription stands, so that nothing is missed."""
        listener = Listener(channel)
        with self._lock:
            self._listeners.setdefault(channel, set()).add(listener)
            stands = self._subscribed.setdefault(channel, threading.Event())
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="fanout", daemon=True).start()
        stands.wait(timeout)
        return listener

    def forget(self, listener: Listener) -> None:
        """Stop hearing."""
        with self._lock:
            listeners = self._listeners.get(listener.channel, set())
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(listener.channel, None)

    def _run(self) -> None:
        missed = False
        while True:
            try:
                if self._hear(missed):
                    return
            except (RedisError, OSError) as error:
                log.warning("facts_not_heard", error=str(error))
            with self._lock:
                self._subscribed = {channel: threading.Event() for channel in self._listeners}
            missed = True
            time.sleep(RETRY_SECONDS)

    def _hear(self, missed: bool) -> bool:
        """Hear until nobody listens any more (True), or the connection breaks."""
        with new_client(self._url, socket_timeout=None) as client, client.pubsub() as pubsub:
            heard: set[str] = set()
            while True:
                with self._lock:
                    wanted = set(self._listeners)
                    if not wanted:
                        self._running = False
                        self._subscribed.clear()
                        return True
                if wanted - heard:
                    pubsub.subscribe(*(wanted - heard))
                if heard - wanted:
                    pubsub.unsubscribe(*(heard - wanted))
                    self._stands_no_more(heard - wanted)
                heard = wanted
                message = pubsub.get_message(timeout=PATIENCE_SECONDS)
                if message is None:
                    continue
                channel = message["channel"].decode()
                if message["type"] == "subscribe":
                    # redis-py mends a broken connection by itself, and subscribes once more.
                    if self._stands(channel) or missed:
                        self._tell(channel, Fact("resync", {}))
                elif message["type"] == "message":
                    told = orjson.loads(message["data"])
                    self._tell(channel, Fact(told.get("type", ""), told["data"]))

    def _stands(self, channel: str) -> bool:
        """Note that a subscription stands; says whether it stood before."""
        with self._lock:
            stands = self._subscribed.setdefault(channel, threading.Event())
            before = stands.is_set()
            stands.set()
        return before

    def _stands_no_more(self, channels: set[str]) -> None:
        with self._lock:
            for channel in channels:
                stands = self._subscribed.pop(channel, None)
                if stands and channel in self._listeners:
                    # Somebody has come meanwhile, and waits for the next subscription.
                    stands.clear()
                    self._subscribed[channel] = stands

    def _tell(self, channel: str, fact: Fact) -> None:
        with self._lock:
            listeners = list(self._listeners.get(channel, ()))
        for listener in listeners:
            try:
                listener.unread.put_nowait(fact)
            except queue.Full:
                self.forget(listener)
                listener.unread.get_nowait()
                listener.unread.put_nowait(None)


def facts(channel: str, heartbeat_seconds: float) -> Iterator[Fact | None]:
    """The facts of a channel from now on; None when there was none for ``heartbeat_seconds``.

    Ends when the listener was too slow to keep up.
    """
    fanout = part(Fanout)
    listener = fanout.listen(channel, timeout=2.0)

    def heard() -> Iterator[Fact | None]:
        try:
            while True:
                try:
                    fact = listener.unread.get(timeout=heartbeat_seconds)
                except queue.Empty:
                    yield None
                    continue
                if fact is None:
                    return
                yield fact
        finally:
            fanout.forget(listener)

    return heard()
