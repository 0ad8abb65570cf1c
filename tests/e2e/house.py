"""The service as it is run: web, worker and clock as processes, and a sale driven over HTTP."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from concert.factory import ConcertApp
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.local.processes import Supervisor, local_parts
from tests.sale import NEW_YEARS_EVE, Fan, Sale
from tests.waiting import wait_until

PROJECT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60.0
PRICE = 50_000


class House:
    """The processes, under the supervisor that runs them on one machine."""

    def __init__(self, settings: Settings) -> None:
        self.address = f"http://{settings.host}:{settings.port}"
        self.said: deque[str] = deque(maxlen=200)
        environment = {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "CONCERT_SECRET_KEYS": ",".join(settings.secret_keys),
            "CONCERT_ORGANISER_KEY": settings.organiser_key,
            "CONCERT_NEW_USERS_PER_MINUTE": str(settings.new_users_per_minute),
            "CONCERT_CHARGES_PER_MINUTE": str(settings.charges_per_minute),
            "CONCERT_HOLDS_PER_MINUTE": str(settings.holds_per_minute),
            "CONCERT_WEB_THREADS": str(settings.web_threads),
            "CONCERT_LOG_LEVEL": "warning",
        }
        parts = [
            replace(part, environment={**part.environment, **environment})
            for part in local_parts(settings, settings.redis_url)
        ]
        self._supervisor = Supervisor(parts, directory=PROJECT, write=self.said.append)

    def start(self) -> None:
        """Start every process, and wait until all of them do their work."""
        self._supervisor.start()
        try:
            self._wait_for("/readyz")
            self._wait_for("/healthz/sale")
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *self.said])) from None

    def stop(self) -> None:
        """End every process."""
        self._supervisor.stop()

    @contextlib.contextmanager
    def web_is_down(self) -> Iterator[None]:
        """Kill the web process; it is started again at the end, by the supervisor."""
        pid = self._supervisor.pids()["web"]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self._web_pid() != pid, what="the end of web")
        try:
            yield
        finally:
            wait_until(lambda: self._web_pid(start=True), what="another web process")
            self._wait_for("/healthz")

    def _web_pid(self, start: bool = False) -> int | None:
        # Tending also starts what has ended, half a second later: time enough to be down in.
        if start or "web" in self._supervisor.pids():
            self._supervisor.tend()
        return self._supervisor.pids().get("web")

    def _wait_for(self, path: str) -> None:
        def answers() -> bool:
            try:
                return httpx.get(self.address + path, timeout=5).status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(answers, seconds=START_SECONDS, what=f"an answer from {path}")


@dataclass(frozen=True)
class Answer:
    """What the service answered, with the names that a test client's response has."""

    status_code: int
    text: str
    headers: httpx.Headers
    _response: httpx.Response = field(repr=False)

    @property
    def json(self) -> Any:
        """The body, read."""
        return self._response.json()


@dataclass
class HttpSale(Sale):
    """A sale whose calls go to the running web processes."""

    client: httpx.Client = field(default_factory=httpx.Client)

    def call(  # type: ignore[override]
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        headers: dict[str, str] | None = None,
        json: Any = None,
        query_string: dict[str, Any] | None = None,
    ) -> Answer:
        """Call the JSON API."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        response = self.client.request(
            method, path, headers=sent, json=json, params=query_string or None
        )
        return Answer(response.status_code, response.text, response.headers, response)


@dataclass
class Hall:
    """A concert of this test's own, behind a room of its own."""

    sale: HttpSale
    slug: str
    concert_id: int

    date = NEW_YEARS_EVE.date().isoformat()

    @property
    def path(self) -> str:
        """The concert's page."""
        return f"/concerts/{self.concert_id}"

    @property
    def room_path(self) -> str:
        """The page of the concert's line."""
        return f"/rooms/{self.slug}?concert={self.concert_id}"

    @property
    def map_path(self) -> str:
        """The seat map."""
        return f"{self.path}/seats/{self.date}"

    def set(self, **settings: Any) -> None:
        """Change the room, as the organiser does."""
        self.sale.room(self.slug, **settings)

    def fan(self) -> Fan:
        """Somebody who lines up through the JSON API."""
        fan = self.sale.fan()
        joined = fan.join(self.concert_id)
        assert joined.status_code == 200, joined.text
        return fan

    def fan_inside(self) -> Fan:
        """Somebody whose turn it is, through the JSON API."""
        fan = self.fan()
        wait_until(lambda: fan.place().json["status"] == "admitted", what="the fan's turn")
        return fan

    def take(self, fan: Fan, *seat_nos: int) -> None:
        """Hold seats through the JSON API."""
        held = fan.hold(self.concert_id, *seat_nos)
        assert held.status_code == 200, held.text

    def seat_states(self, fan: Fan) -> dict[int, str]:
        """How the seats stand now."""
        (date,) = fan.seats(self.concert_id).json["dates"]
        return {seat["seat_no"]: seat["state"] for seat in date["seats"]}


@dataclass
class Halls:
    """Makes halls that no other test knows, because processes remember what they have read."""

    sale: HttpSale
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def open(self, **settings: Any) -> Hall:
        """A hall of 50 seats on sale now; its room lets in as fast as its capacity allows."""
        slug = f"hall-{next(self._numbers)}"
        self.sale.room(slug, **{"admit_per_minute": 60_000, **settings})
        return Hall(self.sale, slug, self.sale.concert(room=slug, price=PRICE))


def settings_of(app: ConcertApp) -> Settings:
    """The settings that an app was made with."""
    settings = part(Settings, app)
    return settings
