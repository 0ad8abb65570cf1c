"""How many threads may read bodies: a crowd's are there already, and slow clients take no more than their part."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from concert.ground import bodies
from concert.ground.bodies import Bodies
from concert.ground.errors import Unavailable

THREADS = 8
READERS = 6


def new_bodies() -> Bodies:
    return Bodies(lambda environ, start_response: [], THREADS)


def test_three_quarters_of_the_threads_read_at_once_and_the_others_wait_for_them() -> None:
    reading = threading.Barrier(READERS)
    many = new_bodies()

    def read(size: int) -> bytes:
        # Nobody is done before so many are at it; the last two come after them.
        if not reading.broken and many_left.pop():
            reading.wait(10)
        return b"x" * size

    many_left = [False] * (THREADS - READERS) + [True] * READERS
    with ThreadPoolExecutor(THREADS) as crowd:
        found = list(crowd.map(lambda _: many.read(read, 3), range(THREADS)))
    assert found == [b"xxx"] * THREADS


def test_where_clients_keep_their_bodies_back_further_ones_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "SLOW_SECONDS", 0.0)
    # Whoever waited for a place would wait for ever.
    monkeypatch.setattr(bodies, "PATIENCE_SECONDS", 3600.0)
    slow, over = new_bodies(), threading.Event()
    all_in = threading.Barrier(READERS + 1)

    def keep_back(_: int) -> bytes:
        all_in.wait(10)
        over.wait(30)
        return b""

    with ThreadPoolExecutor(READERS) as clients:
        for _ in range(READERS):
            clients.submit(slow.read, keep_back, 1)
        all_in.wait(10)
        try:
            with pytest.raises(Unavailable):
                slow.read(lambda size: b"x" * size, 1)
        finally:
            over.set()
    assert slow.read(lambda size: b"x" * size, 1) == b"x"
