"""Watching sales: one thread a process looks at Redis once a second, for all who look at a sale.

It tells that something has moved, and not what: the page then asks the web part, which reads
PostgreSQL once for everybody. So the live process asks Redis alone, and a sale in which nothing
moves is quiet.
"""

from __future__ import annotations

import time
from typing import Any

import structlog
from flask import Flask

from concert.ground.budget import REQUEST_SECONDS, within
from concert.ground.errors import Unavailable
from concert.ground.mailbox import Mailbox, Post
from concert.ground.parts import keep, part
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.ground.sale_health import LONGEST_SILENCE_SECONDS, silences_of_the_sale
from concert.ground.streams import OpenStreams
from concert.waiting_room.keys import room_keys

log = structlog.get_logger()

TICK_SECONDS = 1.0
MOST_UNREAD = 4
DOWN = ("down",)


class SaleWatch(Post[Mailbox[str]]):
    """All who look at sales in one process. Its thread runs while there are any."""

    def __init__(self, app: Flask, tick_seconds: float = TICK_SECONDS) -> None:
        super().__init__("sale-watch")
        self._app = app
        self.tick_seconds = tick_seconds
        self._seen: dict[str, Any] = {}

    def viewer(self, slug: str) -> Mailbox[str]:
        """A box, to use in a ``with``, that gets the room's name whenever something has moved there."""
        return Mailbox(self, slug, MOST_UNREAD)

    def _serve(self) -> None:
        while True:
            with self._lock:
                boxes = {slug: list(about) for slug, about in self._boxes.items()}
            if not boxes:
                self._seen.clear()
                return
            began = time.monotonic()
            with self._app.app_context(), within(REQUEST_SECONDS):
                found = _look(list(boxes))
            for slug, about in boxes.items():
                before = self._seen.get(slug, found[slug])
                self._seen[slug] = found[slug]
                if before != found[slug]:
                    for box in about:
                        if not box.put(slug):
                            self.remove(box)
            self._is_well()
            time.sleep(max(0.05, began + self.tick_seconds - time.monotonic()))


def init_sale_watch(app: Flask) -> None:
    """Attach it to the app; it looks at nothing before somebody watches."""
    watch = keep(app, SaleWatch(app))
    part(OpenStreams, app).end_with(watch.stop)


def sale_viewer(slug: str) -> Mailbox[str]:
    """A box of everything that moves in a room."""
    return part(SaleWatch).viewer(slug)


def _look(slugs: list[str]) -> dict[str, Any]:
    """What is to be told when it changes: people, seats, settings, and whether the clock and a worker work."""
    try:
        _, silences = silences_of_the_sale()
        goes_on = tuple(
            one is not None and one <= LONGEST_SILENCE_SECONDS for one in silences.values()
        )
        pipeline = redis().pipeline(transaction=False)
        for slug in slugs:
            keys = room_keys(slug)
            pipeline.zcard(keys.waiting)
            pipeline.zcard(keys.admitted)
            pipeline.hmget(keys.state, "joined", "admitted", "seats", "recovered_at")
            pipeline.hget(keys.settings, "version")
        with unavailable_on_failure():
            answers = pipeline.execute()
    except Unavailable:
        return dict.fromkeys(slugs, DOWN)
    each = zip(*[iter(answers)] * 4, strict=True)
    return {
        slug: (goes_on, waiting, inside, tuple(counts), version)
        for slug, (waiting, inside, counts, version) in zip(slugs, each, strict=True)
    }
