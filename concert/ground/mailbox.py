"""Mailboxes: what one thread of a process tells to many streams, each of which reads at its own pace."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, Protocol, Self, TypeVar

import structlog

log = structlog.get_logger()

RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 5.0

Item = TypeVar("Item")
Box = TypeVar("Box", bound="Mailbox[Any]")


class Reader(Protocol):
    """Somebody to whom a mailbox hands everything at once, instead of keeping it."""

    def hear(self, item: Any) -> bool:
        """Take one thing; False where that is in vain, since the reader is slow or gone."""

    def hear_no_more(self) -> None:
        """The box is closed: nothing follows."""


class Mailbox(Generic[Item]):
    """What one reader has still to read about ``topic``, ``most`` things at the most.

    Its post fills it while it is used in a ``with``. There may be thousands, so it is small: a
    list, and a lock that is free while the bell rings. Both work between threads and, where gevent
    has replaced the lock, between greenlets.
    """

    __slots__ = ("_bell", "_closed", "_post", "_reader", "_unread", "most", "topic")

    def __init__(self, post: Post[Any], topic: str, most: int) -> None:
        self._post = post
        self.topic = topic
        self.most = most
        self._unread: list[Item] = []
        self._closed = False
        self._reader: Reader | None = None
        self._bell = threading.Lock()
        self._bell.acquire()

    def __enter__(self) -> Self:
        self._post.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._post.remove(self)

    def put(self, item: Item) -> bool:
        """Leave something for the reader; False where that is in vain, since the box is closed.

        A box that is full is closed and emptied: whoever is too slow begins anew with a fresh
        look, and keeps nobody else waiting.
        """
        if self._reader is not None:
            return not self._closed and self._reader.hear(item)
        if not self._closed and len(self._unread) >= self.most:
            self._post.let_go += 1
            self._unread = []
            self.close()
        if self._closed:
            return False
        self._unread.append(item)
        self._ring()
        return True

    def close(self) -> None:
        """Let the reader's reading end after what is in the box."""
        was_closed, self._closed = self._closed, True
        self._ring()
        if self._reader is not None and not was_closed:
            self._reader.hear_no_more()

    def hand_to(self, reader: Reader) -> None:
        """From now on hand everything to ``reader``, in the thread of whoever puts it in; first what lies here.

        For a process of greenlets, where nothing else runs meanwhile, and a reader that never waits.
        """
        self._reader = reader
        for item in self.take_all():
            reader.hear(item)
        if self._closed:
            reader.hear_no_more()

    def contents(self, silence_seconds: float) -> Iterator[Item | None]:
        """Everything that is put here until the box is closed; None whenever nothing came for so long."""
        while True:
            until = time.monotonic() + silence_seconds
            # In this order: nothing is put into a box that is closed.
            while not (closed := self._closed) and not self._unread:
                if not self._bell.acquire(timeout=max(0.0, until - time.monotonic())):
                    break
            taken = self.take_all(1)
            if taken:
                yield taken[0]
            elif closed:
                return
            elif not self._closed:
                yield None

    def take_all(self, most: int | None = None) -> list[Item]:
        """What lies in the box now, the oldest first. For its one reader only."""
        unread = self._unread
        taken = unread[:most]
        del unread[: len(taken)]
        return taken

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass  # It rings already.


class Post(ABC, Generic[Box]):
    """All mailboxes of one kind in this process, and the one thread that fills them while there are any."""

    def __init__(self, name: str, retry_seconds: float = RETRY_SECONDS) -> None:
        self.name = name
        self.retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._boxes: dict[str, set[Box]] = {}
        self._running = False
        self._stopped = False
        self._failures = 0
        # Readers who were too slow, for the operator's figures.
        self.let_go = 0

    def add(self, box: Box) -> None:
        """Begin to fill a box; where all is over, it is closed at once."""
        with self._lock:
            if self._stopped:
                box.close()
                return
            self._boxes.setdefault(box.topic, set()).add(box)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def remove(self, box: Box) -> None:
        """Stop filling a box; any number of times."""
        box.close()
        with self._lock:
            about = self._boxes.get(box.topic, set())
            about.discard(box)
            if not about:
                self._boxes.pop(box.topic, None)

    def stop(self) -> None:
        """Close every box, now and from now on: the process is about to end."""
        with self._lock:
            self._stopped = True
            boxes = [box for about in self._boxes.values() for box in about]
            self._boxes.clear()
        for box in boxes:
            box.close()

    def count(self) -> int:
        """How many boxes there are now."""
        with self._lock:
            return sum(map(len, self._boxes.values()))

    def _run(self) -> None:
        while self._is_wanted():
            try:
                self._serve()
            except Exception as error:
                # The thread is the only one that tells; it must outlive whatever comes.
                log.warning("telling_failed", who=self.name, error=repr(error), exc_info=error)
                self._after_failure()
                time.sleep(min(LONGEST_RETRY_SECONDS, self.retry_seconds * 2**self._failures))
                self._failures = min(self._failures + 1, 10)

    def _is_wanted(self) -> bool:
        with self._lock:
            self._running = bool(self._boxes)
            return self._running

    @abstractmethod
    def _serve(self) -> None:
        """Fill the boxes until there are none. What it raises is logged, and it is called again."""

    def _is_well(self) -> None:
        """Note that serving works, so that the next failure is a first one."""
        self._failures = 0

    def _after_failure(self) -> None:
        """What to put right before serving begins again."""
