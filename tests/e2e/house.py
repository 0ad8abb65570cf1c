"""The service as it is run: web, worker and clock as processes, and a sale driven over HTTP."""

from __future__ import annotations

import contextlib
import itertools
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from concert.factory import ConcertApp
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.local.processes import local_parts
from tests.sale import NEW_YEARS_EVE, Fan, Sale
from tests.service import PROJECT, Program, end_all, environment_of, started, wait_until_served
from tests.waiting import wait_until

PRICE = 50_000


class House:
    """The processes of one machine, each started by itself, from the sources in ``directory``."""

    def __init__(self, settings: Settings, directory: Path = PROJECT) -> None:
        self._directory = directory
        self.address = f"http://{settings.host}:{settings.port}"
        self._port = settings.port
        parts = local_parts(settings, settings.redis_url)
        # Nothing here waits for an hour or a day.
        self._parts = {part.name: part for part in parts if part.name != "upkeep"}
        self._environment = environment_of(settings) | {"CONCERT_LOG_LEVEL": "warning"}
        self._programs: dict[str, Program] = {}
        # Every process that there has been, with how much of its output was shown.
        self._shown: dict[Program, int] = {}

    def start(self) -> None:
        """Start every process, and wait until all of them do their work."""
        for name in self._parts:
            self._start(name)
        for path in ("/readyz", "/healthz/sale"):
            wait_until_served(self._programs.values(), self._port, path)

    def stop(self) -> None:
        """End every process."""
        end_all(self._programs.values())

    def newly_said(self) -> str:
        """What the processes have said since this was last asked."""
        new = ""
        for program, shown in self._shown.items():
            text = program.text
            new += text[shown:]
            self._shown[program] = len(text)
        return new

    @contextlib.contextmanager
    def web_is_down(self) -> Iterator[None]:
        """Kill the web process, as a crash would; it is started again at the end."""
        self._programs["web"].end(signal.SIGKILL)
        try:
            yield
        finally:
            self._start("web").wait_until_it_serves(self._port)

    def _start(self, name: str) -> Program:
        program = started(self._parts[name], self._environment, self._directory)
        self._programs[name] = program
        self._shown[program] = 0
        return program


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

    def open(self, date: dict[str, Any] | None = None, **settings: Any) -> Hall:
        """A hall of 50 seats on sale now, unless ``date`` says otherwise.

        Its room lets in as fast as its capacity allows.
        """
        slug = f"hall-{next(self._numbers)}"
        self.sale.room(slug, **{"admit_per_minute": 60_000, **settings})
        return Hall(self.sale, slug, self.sale.concert(room=slug, price=PRICE, **(date or {})))


def settings_of(app: ConcertApp) -> Settings:
    """The settings that an app was made with."""
    settings = part(Settings, app)
    return settings
