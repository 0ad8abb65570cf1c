"""Calling the service as any program does, and noting how long each answer took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from concert.rehearsal.notes import Answered, Note

ANSWER_SECONDS = 30.0
# Busy or away: a good client asks again after the time that it is told, this often at the most.
MOST_TRIES = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """A call's answer: its status (0 where none came), its JSON, and when it was asked and seen."""

    status: int
    body: Any
    sent: float
    seen: float

    @property
    def code(self) -> str:
        """The problem's code, or '' where it is none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class Caller:
    """The calls of many fans over one set of connections."""

    def __init__(self, url: str, connections: int, note: Callable[[Note], None]) -> None:
        self._url = url.rstrip("/")
        self._note = note
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_read=ANSWER_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def once(
        self,
        name: str,
        method: str,
        path: str,
        token: str = "",
        body: Any = None,
        key: str = "",
        *,
        give_up_after: float | None = None,
    ) -> Answer:
        """One call, sent once; with ``give_up_after`` (seconds) the fan goes away in the middle of it."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        data = None if body is None else orjson.dumps(body)
        sent = time.time()
        try:
            async with asyncio.timeout(give_up_after):
                async with self._session.request(
                    method, self._url + path, headers=headers, data=data
                ) as response:
                    text = await response.read()
                    status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError):
            status, text = 0, b""
        seen = time.time()
        if give_up_after is None:
            self._note(Answered(name, status, sent, seen))
        return Answer(status, _read(text), sent, seen)

    async def call(
        self, name: str, method: str, path: str, token: str = "", body: Any = None, key: str = ""
    ) -> Answer:
        """The same, asked again as long as the service is busy (429, 503) or did not answer."""
        answer = await self.once(name, method, path, token, body, key)
        for tries in range(1, MOST_TRIES):
            if answer.status not in (0, 429, 502, 503, 504):
                break
            await asyncio.sleep(min(5.0, 0.5 * tries))
            again = await self.once(name, method, path, token, body, key)
            # What the answer tells may have become true by the first try.
            answer = Answer(again.status, again.body, answer.sent, again.seen)
        return answer

    async def events(self, path: str, token: str) -> AsyncIterator[Any]:
        """The data of a stream's events, until it ends or breaks; nothing where it is refused."""
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        try:
            async with self._session.get(self._url + path, headers=headers) as response:
                if response.status != 200:
                    return
                async for line in response.content:
                    if line.startswith(b"data:"):
                        yield orjson.loads(line[5:].strip())
        except (aiohttp.ClientError, OSError, TimeoutError):
            return


def _read(text: bytes) -> Any:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None
