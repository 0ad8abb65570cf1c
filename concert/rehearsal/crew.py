"""One process that plays a share of the fans, and tells what they noted."""

from __future__ import annotations

import asyncio
import resource
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from concert.rehearsal.client import Caller
from concert.rehearsal.fan import Fan, Stage
from concert.rehearsal.notes import Lagged, Note
from concert.rehearsal.plan import Plan

TELL_SECONDS = 0.5
LATE_SECONDS = 0.05
SIGNING_UP_AT_ONCE = 32
AUDITED_AT_ONCE = 32


def play(process: int, plan: Plan, url: str, pipe: Connection, sold_out: Event) -> None:
    """Play this process's fans; called in a process of its own.

    The pipe brings the stage and takes lists of notes; each of the words ``ready``, ``home``
    and ``audited`` says that a part of the evening is over.
    """
    _allow_many_files()
    asyncio.run(_play(process, plan, url, pipe, sold_out))


async def _play(process: int, plan: Plan, url: str, pipe: Connection, sold_out: Event) -> None:
    unsent: list[Note] = []
    caller = Caller(url, plan.connections, unsent.append)
    telling = asyncio.create_task(_tell(pipe, unsent))
    try:
        # Asking the operating system whether an event is set costs a call: once a moment is enough.
        gone = _Seldom(sold_out)
        fans = [Fan(guest, plan, caller, unsent.append, gone) for guest in plan.guests(process)]
        await _few_at_once(SIGNING_UP_AT_ONCE, [fan.sign_up for fan in fans])
        pipe.send("ready")
        stage: Stage = await asyncio.to_thread(pipe.recv)
        left = stage.opens + plan.longest - time.time()
        evenings = [asyncio.create_task(fan.go(stage)) for fan in fans]
        done, late = await asyncio.wait(evenings, timeout=left) if evenings else (set(), set())
        for evening in late:
            evening.cancel()
        for evening in done:
            evening.result()
        pipe.send("home")
        await asyncio.to_thread(pipe.recv)
        await _few_at_once(AUDITED_AT_ONCE, [fan.audit for fan in fans])
    finally:
        telling.cancel()
        await caller.close()
    _send(pipe, unsent)
    pipe.send("audited")


async def _few_at_once(count: int, calls: list[Any]) -> None:
    waiting = iter(calls)

    async def one_after_another() -> None:
        for call in waiting:
            await call()

    await asyncio.gather(*(one_after_another() for _ in range(count)))


async def _tell(pipe: Connection, unsent: list[Note]) -> None:
    while True:
        due = time.monotonic() + TELL_SECONDS
        _send(pipe, unsent)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late = time.monotonic() - due
        if late > LATE_SECONDS:
            unsent.append(Lagged(time.time(), late))


def _send(pipe: Connection, unsent: list[Note]) -> None:
    if unsent:
        pipe.send(list(unsent))
        unsent.clear()


class _Seldom:
    """An event that is looked at once a moment."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self._seen = False
        self._looked_at = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if not self._seen and now - self._looked_at > 0.2:
            self._looked_at = now
            self._seen = self._event.is_set()
        return self._seen


def _allow_many_files() -> None:
    """Every fan with a stream keeps a connection."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
