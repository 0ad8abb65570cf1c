"""Takes pictures of every page: phone and desktop, light and dark, Korean and English.

    python -m scripts.screenshots [--out docs/screenshots] [--only wallet,ticket] [--check]

It starts a service of its own, with its own data directory and port, and ends it.
With ``--check``, axe-core looks at every page as well, and anything that it finds, or that
a page writes to the console as an error, makes the exit code 1.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import itertools
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from itertools import product
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.chromium import installed_chromium
from tests.servers import temporary_directory
from tests.service import UP, Program, free_port

PROJECT = Path(__file__).resolve().parent.parent
ORGANISER_KEY = "the organiser's key for pictures"
SIZES = {"phone": (390, 844), "desktop": (1440, 900)}
SCHEMES = ("light", "dark")
LANGUAGES = ("en", "ko")
# Pages of staff are many: each size, scheme and language in half of their pictures is enough to see them by.
STAFF_VIEWS = (
    ("phone", "light", "en"),
    ("phone", "dark", "ko"),
    ("desktop", "light", "ko"),
    ("desktop", "dark", "en"),
)
TALLEST = 1800
JPEG_QUALITY = 50


@dataclass
class Service:
    """The running service, spoken to through its JSON door."""

    address: str

    def call(
        self, method: str, path: str, token: str = "", body: dict[str, Any] | None = None
    ) -> Any:
        """Call the API; fails on any problem."""
        request = urllib.request.Request(
            f"{self.address}{path}",
            method=method,
            data=json.dumps(body or {}).encode() if method != "GET" else None,
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"null")

    def organise(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """Call the API as the organiser."""
        return self.call(method, path, ORGANISER_KEY, body)


@dataclass
class Fan:
    """Somebody who uses the service, with the cookies that a browser of theirs has."""

    service: Service
    token: str
    queue_tokens: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)

    @classmethod
    def new(cls, service: Service, name: str = "Yuna") -> Fan:
        """A new user."""
        return cls(service, service.call("POST", "/v1/users", body={"name": name})["user_token"])

    def join(self, concert_id: int) -> dict[str, Any]:
        """Line up for a concert."""
        place: dict[str, Any] = self.service.call(
            "POST", "/v1/enqueues", self.token, {"concert_id": concert_id}
        )
        self.queue_tokens[place["room"]] = place["queue_token"]
        return place

    def hold(self, concert_id: int, room: str, seats: list[int], date: str) -> dict[str, Any]:
        """Hold seats."""
        held: dict[str, Any] = self.service.call(
            "POST",
            f"/v1/concerts/{concert_id}/reservations",
            self.queue_tokens[room],
            {"seats": seats, "date": date},
        )
        return held

    def pay(self, concert_id: int, room: str, seat: int, date: str) -> dict[str, Any]:
        """Pay for them."""
        paid: dict[str, Any] = self.service.call(
            "POST",
            f"/v1/concerts/{concert_id}/seats/{seat}/payments",
            self.queue_tokens[room],
            {"date": date},
        )
        return paid

    def charge(self, amount: int) -> None:
        """Add to the wallet."""
        self.service.call("PATCH", "/v1/charges", self.token, {"amount": amount})

    def cookies(self) -> list[dict[str, str]]:
        """What the browser keeps of this."""
        kept = {"concert_user": self.token}
        kept |= {f"concert_queue_{room}": token for room, token in self.queue_tokens.items()}
        kept |= {f"wanted-{room}": str(concert) for room, concert in self.wanted.items()}
        return [
            {"name": name, "value": value, "url": self.service.address}
            for name, value in kept.items()
        ]


@dataclass
class Colleague:
    """Somebody of the staff, signed in by a link of theirs."""

    service: Service
    link: str
    _kept: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def new(cls, service: Service, name: str, role: str) -> Colleague:
        """Somebody who was not here yet."""
        made = service.organise("POST", "/v1/staff", {"name": name, "role": role})
        return cls(service, f"/staff/enter/{made['code']}")

    def cookies(self) -> list[dict[str, str]]:
        """What the browser keeps once they have opened the link and pressed the button."""
        if self._kept:
            return self._kept
        jar = CookieJar()
        opened = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        opened.addheaders = [("User-Agent", "Mozilla/5.0 (Linux; Android 15) Chrome/140.0")]
        address = self.service.address + self.link
        with opened.open(address, timeout=20) as answer:
            page = answer.read().decode()
        token = page.split('name="csrf_token" value="')[1].split('"')[0]
        opened.open(address, urllib.parse.urlencode({"csrf_token": token}).encode()).close()
        self._kept = [
            {"name": one.name, "value": one.value or "", "url": self.service.address} for one in jar
        ]
        return self._kept


@dataclass
class Stage:
    """What there is to be seen: concerts by what they show, and the two dates of the main one.

    The seat map of the first date is shown; tickets are bought for the second.
    """

    service: Service
    on_sale: int
    soon: int
    crowded: int
    date: str
    second_date: str
    held_seats: Iterator[int]
    bought_seats: Iterator[int]
    organiser: Colleague
    door: int
    rooms: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    halls: dict[str, tuple[int, str]] = field(default_factory=dict)
    draft: tuple[int, int] | None = None
    pictured: int = 0


Way = Callable[[Stage], tuple[Fan | Colleague | None, str]]


def nobody(path: str) -> Way:
    """A page as somebody sees it who comes for the first time."""
    return lambda stage: (None, path.format(stage=stage))


def in_line(stage: Stage) -> tuple[Fan | None, str]:
    """The waiting room, some way back."""
    fan = Fan.new(stage.service)
    place = fan.join(stage.crowded)
    return fan, f"/rooms/{place['room']}?concert={stage.crowded}"


def a_sale(
    stage: Stage,
    title: str,
    seats: int = 2,
    *,
    price: int = 0,
    room: dict[str, Any] | None = None,
    **sales: Any,
) -> tuple[int, str, str]:
    """A concert of this picture's own behind a room of its own: its number, its room and its date."""
    slug = f"room-{next(stage.rooms)}"
    stage.service.organise(
        "PUT", f"/v1/rooms/{slug}", {"capacity": 1000, "admit_per_minute": 100_000, **(room or {})}
    )
    starts_at = (datetime.now(UTC) + timedelta(days=40)).replace(hour=10, minute=0).isoformat()
    date = {"starts_at": starts_at, "price": price, "capacity": seats, **sales}
    body = {"title": title, "venue": "Blue Hall, Seoul", "room": slug, "dates": [date]}
    made = stage.service.organise("POST", "/v1/concerts", body)
    ends = time.monotonic() + 15
    # A room that was in front of nothing a moment ago lets everybody in until its seats are counted.
    while not stage.service.call("GET", f"/v1/rooms/{slug}")["seats"]["free"]:
        if time.monotonic() > ends:
            raise TimeoutError("the seats are not counted")
        time.sleep(0.1)
    return int(made["id"]), slug, made["dates"][0]["date"]


def until(fan: Fan, slug: str, is_so: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until somebody's place is as it should be."""
    ends = time.monotonic() + 15
    while not is_so(fan.service.call("GET", "/v1/enqueues", fan.queue_tokens[slug])):
        if time.monotonic() > ends:
            raise TimeoutError("the place is not as it should be")
        time.sleep(0.1)


def inside(stage: Stage, concert: int, slug: str) -> Fan:
    """Somebody whose turn it is."""
    fan = Fan.new(stage.service)
    fan.join(concert)
    until(fan, slug, lambda place: place["status"] == "admitted")
    return fan


def with_nothing_free(stage: Stage, *, sold: bool, look: str) -> tuple[Fan | None, str]:
    """What a line, a map and a concert look like where nothing is free."""
    concert, slug, date = a_sale(stage, "Paper Moon")
    first, other = inside(stage, concert, slug), inside(stage, concert, slug)
    first.hold(concert, slug, [1], date)
    first.hold(concert, slug, [2], date)
    if sold:
        first.pay(concert, slug, 1, date)
        first.pay(concert, slug, 2, date)
    if look == "map":
        return other, f"/concerts/{concert}/seats/{date}"
    waiting = [Fan.new(stage.service) for _ in range(6)]
    for fan in waiting:
        fan.join(concert)
    until(
        waiting[3],
        slug,
        lambda place: place["seats"]["state"] == ("sold_out" if sold else "all_held"),
    )
    at_the_line = f"/rooms/{slug}?concert={concert}"
    ways = {
        "line": (waiting[3], at_the_line),
        "join": (None, at_the_line),
        "concert": (None, f"/concerts/{concert}"),
    }
    return ways[look]


def nothing_free(look: str, *, sold: bool) -> Way:
    """The same, as a page."""
    return lambda stage: with_nothing_free(stage, sold=sold, look=look)


def the_line_is_closed(stage: Stage) -> tuple[Fan | None, str]:
    """Somebody in line when the sale ends."""
    closes = datetime.now(UTC) + timedelta(seconds=3)
    concert, slug, _ = a_sale(
        stage, "Paper Moon", room={"paused": True}, sales_close_at=closes.isoformat()
    )
    fan = Fan.new(stage.service)
    fan.join(concert)
    until(fan, slug, lambda place: place["status"] == "expired")
    return fan, f"/rooms/{slug}?concert={concert}"


def told_by_the_organiser(stage: Stage) -> tuple[Fan | None, str]:
    """A line that moves, with a wait that is known, and a message to it."""
    said = {
        "en": "The support act has been changed: Paper Boats play at seven. Doors as announced.",
        "ko": "오프닝 공연이 바뀌었어요. 종이배가 7시에 무대에 올라요. 입장 시간은 그대로예요.",
    }
    concert, slug, _ = a_sale(
        stage, "Night Train", 120, room={"capacity": 40, "admit_per_minute": 20, "message": said}
    )
    line = [Fan.new(stage.service) for _ in range(40)]
    for fan in line:
        fan.join(concert)
    until(line[30], slug, lambda place: place["estimated_wait_range"] is not None)
    return line[30], f"/rooms/{slug}?concert={concert}"


def greeted(path: str, *, turn: bool) -> Way:
    """A page of somebody who stands in a line, or whose turn it is."""

    def way(stage: Stage) -> tuple[Fan | None, str]:
        concert, slug, _ = a_sale(stage, "Paper Moon", 5, room={} if turn else {"paused": True})
        fan = inside(stage, concert, slug) if turn else Fan.new(stage.service)
        fan.join(concert)
        fan.wanted[slug] = concert
        return fan, path

    return way


def on_the_map(stage: Stage) -> tuple[Fan | None, str]:
    """The seat map of somebody whose turn it is."""
    fan = Fan.new(stage.service)
    fan.join(stage.on_sale)
    return fan, f"/concerts/{stage.on_sale}/seats/{stage.date}"


def at_the_checkout(stage: Stage) -> tuple[Fan | None, str]:
    """Two seats held, and too little money."""
    fan = Fan.new(stage.service)
    fan.join(stage.on_sale)
    fan.charge(60_000)
    seats = [next(stage.held_seats), next(stage.held_seats)]
    held = fan.hold(stage.on_sale, "main", seats, stage.date)
    return fan, f"/reservations/{held['reservation_id']}"


def _with_ticket(stage: Stage) -> tuple[Fan, str]:
    fan = Fan.new(stage.service)
    fan.charge(300_000)
    fan.join(stage.on_sale)
    seats = [next(stage.bought_seats), next(stage.bought_seats)]
    fan.hold(stage.on_sale, "main", seats, stage.second_date)
    paid = fan.pay(stage.on_sale, "main", seats[0], stage.second_date)
    return fan, paid["payment_id"]


def with_tickets(stage: Stage) -> tuple[Fan | None, str]:
    """The list of tickets."""
    return _with_ticket(stage)[0], "/tickets"


def with_ticket(stage: Stage) -> tuple[Fan | None, str]:
    """One ticket."""
    fan, payment = _with_ticket(stage)
    return fan, f"/tickets/{payment}"


def with_money(stage: Stage) -> tuple[Fan | None, str]:
    """The wallet of somebody who has bought."""
    return _with_ticket(stage)[0], "/wallet"


def with_name(stage: Stage) -> tuple[Fan | None, str]:
    """The page about me."""
    return Fan.new(stage.service), "/me"


def a_link(stage: Stage) -> tuple[Fan | Colleague | None, str]:
    """A sign-in link that was just opened."""
    made = stage.service.organise("POST", f"/v1/staff/{stage.door}/links", {})
    return None, f"/staff/enter/{made['code']}"


def organiser(path: str) -> Way:
    """A page as an organiser sees it."""
    return lambda stage: (stage.organiser, path)


def planned(page: str) -> Way:
    """A page of planning: a draft with two dates that could not work as they are, or one of its dates."""

    def way(stage: Stage) -> tuple[Colleague, str]:
        if not stage.draft:
            stage.draft = _draft(stage)
        concert, date = stage.draft
        return stage.organiser, page.format(concert=concert, date=date)

    return way


def _draft(stage: Stage) -> tuple[int, int]:
    starts_at = (datetime.now(UTC) + timedelta(days=70)).replace(hour=10, minute=0, second=0)
    dates = [
        {"starts_at": starts_at.isoformat(), "price": 77_000, "capacity": 120},
        {
            "starts_at": (starts_at + timedelta(days=1)).isoformat(),
            "sales_close_at": (starts_at + timedelta(days=1, hours=2)).isoformat(),
            "price": 88_000,
            "capacity": 120,
        },
    ]
    body = {
        "title": "봄밤 Spring Night",
        "venue": "Blue Hall, Seoul",
        "room": "main",
        "artist": "Paper Boats",
        "description": "An evening of new songs, with a string quartet.",
        "dates": dates,
        "draft": True,
    }
    made = stage.service.organise("POST", "/v1/concerts", body)
    plan = stage.service.call("GET", f"/v1/planning/{made['id']}", ORGANISER_KEY)
    return int(made["id"]), int(plan["dates"][0]["performance_id"])


def at_the_door(stage: Stage) -> tuple[Colleague, str]:
    """Scanning at the north gate."""
    [_, second] = stage.service.call("GET", f"/v1/concerts/{stage.on_sale}")["dates"]
    return stage.organiser, f"/door/{second['performance_id']}?gate=North"


def a_payment(stage: Stage) -> tuple[Colleague, str]:
    """One payment with its seats, as somebody sees it who may give money back."""
    _, payment = _with_ticket(stage)
    return stage.organiser, f"/organiser/payments/{payment}"


def cancelling(stage: Stage) -> tuple[Colleague, str]:
    """What cancelling a date would do."""
    [_, second] = stage.service.call("GET", f"/v1/concerts/{stage.on_sale}")["dates"]
    return stage.organiser, f"/organiser/performances/{second['performance_id']}/cancellation"


def with_image(stage: Stage) -> tuple[Fan | None, str]:
    """A concert with an image of its own: dusk over hills, painted here."""
    if not stage.pictured:
        stage.pictured = _sale_with_image(stage)
    return None, f"/concerts/{stage.pictured}"


def _sale_with_image(stage: Stage) -> int:
    concert, _, _ = a_sale(stage, "Dusk", 80, price=60_000)
    width, height = 900, 600
    picture = Image.new("RGB", (width, height))
    brush = ImageDraw.Draw(picture)
    for y in range(height):
        part = y / height
        shade = (int(70 + 150 * part), int(40 + 60 * part), int(110 + 10 * part))
        brush.line([(0, y), (width, y)], fill=shade)
    brush.ellipse([560, 210, 700, 350], fill=(250, 214, 150))
    brush.polygon(
        [(0, 460), (260, 340), (520, 470), (900, 380), (900, 600), (0, 600)], (60, 24, 70)
    )
    written = io.BytesIO()
    picture.save(written, "PNG")
    body = {"image": base64.b64encode(written.getvalue()).decode()}
    stage.service.organise("PUT", f"/v1/concerts/{concert}/image", body)
    return concert


# Which seats others have in the pictures of halls: so many at once, at places that look like chance.
SOLD_AT, HELD_AT = (37, 91, 140, 183, 262, 311, 402, 455, 540, 610, 700, 777), (52, 205, 333, 580)
HALL_PRICES = (165_000, 143_000, 121_000, 99_000, 77_000)


def in_a_hall(name: str) -> Way:
    """The map of one of the halls that come with us, some of it sold and held."""

    def way(stage: Stage) -> tuple[Fan | None, str]:
        if name not in stage.halls:
            stage.halls[name] = _sale_in_a_hall(stage, name)
        concert, date = stage.halls[name]
        fan = Fan.new(stage.service)
        fan.join(concert)
        return fan, f"/concerts/{concert}/seats/{date}"

    return way


def _sale_in_a_hall(stage: Stage, name: str) -> tuple[int, str]:
    service, slug = stage.service, f"hall-{name}"
    plan = json.loads((PROJECT / "concert" / "halls" / "examples" / f"{name}.json").read_text())
    hall = service.organise("POST", "/v1/halls", {"plan": plan})
    service.organise("PUT", f"/v1/rooms/{slug}", {"capacity": 1000, "admit_per_minute": 100_000})
    prices = {
        one["name"]: price for one, price in zip(plan["categories"], HALL_PRICES, strict=False)
    }
    starts_at = (datetime.now(UTC) + timedelta(days=40)).replace(hour=10, minute=0).isoformat()
    dates = [{"starts_at": starts_at, "hall": hall["hall_id"], "prices": prices}]
    body = {"title": "겨울 노래 Winter Songs", "venue": plan["name"], "room": slug, "dates": dates}
    made = service.organise("POST", "/v1/concerts", body)
    concert, date = int(made["id"]), made["dates"][0]["date"]
    taken: set[int] = set()
    for place in (*SOLD_AT, *HELD_AT):
        first = max(1, place * hall["capacity"] // 800)
        wanted = {first, first + 1, first + 2}
        if taken & wanted:
            continue
        taken |= wanted
        buyer = Fan.new(service)
        buyer.charge(1_000_000)
        buyer.join(concert)
        buyer.hold(concert, slug, sorted(wanted), date)
        if place in SOLD_AT:
            buyer.pay(concert, slug, first, date)
    return concert, date


def look_near(page: Page) -> None:
    """Bring a part of the hall near, and choose two seats."""
    page.evaluate(
        """() => {
          const { plan, pane, choice } = document.getElementById("hall").map;
          const free = (n) => choice.states[n] === "a" && plan.label[n] !== "1";
          let n = Math.round(plan.count * 0.46);
          while (!free(n) || !free(n + 1)) n++;
          const scale = Math.max(26 / plan.pitch, pane.view.scale);
          pane.look({ scale, x: plan.x[n] - pane.size.width / 2 / scale, y: plan.y[n] - pane.size.height / 2 / scale });
          choice.toggle(n);
          choice.toggle(n + 1);
        }"""
    )


def many_dates(stage: Stage) -> tuple[Fan | None, str]:
    """A concert with twelve dates, one sold out, two nearly."""
    start = (datetime.now(UTC) + timedelta(days=50)).replace(hour=10, minute=0)
    dates = [
        {"starts_at": (start + timedelta(days=day)).isoformat(), "price": 0, "capacity": 2}
        if day in (2, 5, 6)
        else {"starts_at": (start + timedelta(days=day)).isoformat(), "price": 88_000}
        for day in range(12)
    ]
    stage.service.organise("PUT", "/v1/rooms/run", {"capacity": 1000, "admit_per_minute": 100_000})
    body = {"title": "Winter Run", "venue": "Blue Hall, Seoul", "room": "run", "dates": dates}
    made = stage.service.organise("POST", "/v1/concerts", body)
    fan = Fan.new(stage.service)
    fan.join(made["id"])
    date = made["dates"][5]["date"]
    fan.hold(made["id"], "run", [1, 2], date)
    fan.pay(made["id"], "run", 1, date)
    return None, f"/concerts/{made['id']}"


# What is done on a page before its picture is taken; where there is something, the window stays as it is.
ACTS: dict[str, Callable[[Page], None]] = {
    **{f"hall-{name}": lambda page: None for name in ("club", "theatre", "arena")},
    **{f"hall-{name}-near": look_near for name in ("club", "theatre", "arena")},
}

STAFF_PAGES: dict[str, Way] = {
    "staff-ask": nobody("/staff"),
    "staff-link": a_link,
    "staff-devices": organiser("/staff"),
    "organiser": organiser("/organiser"),
    "organiser-staff": organiser("/organiser/staff"),
    "organiser-keys": organiser("/organiser/keys"),
    "organiser-log": organiser("/organiser/log"),
    "planning": organiser("/organiser/concerts"),
    "planning-new": organiser("/organiser/concerts/new"),
    "planning-concert": planned("/organiser/concerts/{concert}"),
    "planning-date": planned("/organiser/dates/{date}"),
    "cockpit": organiser("/organiser/sales/main"),
    "cockpit-lever": organiser("/organiser/sales/main/lever?lever=pause"),
    "reports": organiser("/organiser/reports"),
    "door": organiser("/door"),
    "door-scan": at_the_door,
    "payments": organiser("/organiser/payments"),
    "payment": a_payment,
    "cancellation": cancelling,
}

PAGES: dict[str, Way] = {
    "home": nobody("/"),
    "concert": nobody("/concerts/{stage.on_sale}"),
    "concert-soon": nobody("/concerts/{stage.soon}"),
    "waiting-room": in_line,
    "seat-map": on_the_map,
    "checkout": at_the_checkout,
    "wallet": with_money,
    "wallet-new": nobody("/wallet"),
    "tickets": with_tickets,
    "tickets-none": nobody("/tickets"),
    "ticket": with_ticket,
    "not-a-ticket": nobody("/tickets/verify/no-such-code"),
    "me": with_name,
    "not-found": nobody("/no-such-page"),
    "line-message": told_by_the_organiser,
    "line-all-held": nothing_free("line", sold=False),
    "line-sold-out": nothing_free("line", sold=True),
    "line-sold-out-join": nothing_free("join", sold=True),
    "line-ended": the_line_is_closed,
    "concert-sold-out": nothing_free("concert", sold=True),
    "seat-map-all-held": nothing_free("map", sold=False),
    "seat-map-sold-out": nothing_free("map", sold=True),
    "concert-many-dates": many_dates,
    **{f"hall-{name}": in_a_hall(name) for name in ("club", "theatre", "arena")},
    **{f"hall-{name}-near": in_a_hall(name) for name in ("club", "theatre", "arena")},
    "greeting-waiting": greeted("/wallet", turn=False),
    "greeting-turn": greeted("/wallet", turn=True),
    "concert-image": with_image,
    **STAFF_PAGES,
}


def main() -> int:
    """Take the pictures; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=PROJECT / "docs" / "screenshots")
    parser.add_argument("--only", default="", help="names of pages, with commas between them")
    parser.add_argument("--check", action="store_true", help="let axe-core look, too")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name] or list(PAGES)
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    with running_service() as service, sync_playwright() as playwright:
        stage = set_stage(service)
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or installed_chromium(),
            args=["--no-sandbox", "--disable-background-networking"],
        )
        views = [(name, *view) for name in names for view in views_of(name)]
        for done, (name, size, scheme, language) in enumerate(views, 1):
            picture = options.out / f"{name}-{size}-{scheme}-{language}.jpg"
            found += take(browser, stage, name, size, scheme, language, picture, options.check)
            print(
                f"\r{done} of {len(views)} {picture.name:<44}", end="", file=sys.stderr, flush=True
            )
        print(file=sys.stderr)
        browser.close()
    for line in found:
        print(line)
    return 1 if found else 0


def views_of(name: str) -> Iterable[tuple[str, str, str]]:
    """In which sizes, schemes and languages a page is shown."""
    return STAFF_VIEWS if name in STAFF_PAGES else product(SIZES, SCHEMES, LANGUAGES)


def take(
    browser: Browser,
    stage: Stage,
    name: str,
    size: str,
    scheme: Any,
    language: str,
    picture: Path,
    check: bool,
) -> list[str]:
    """Take one picture; returns what is wrong with the page."""
    fan, path = PAGES[name](stage)
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        locale={"en": "en-GB", "ko": "ko-KR"}[language],
        reduced_motion="reduce",
        has_touch=size == "phone",
    )
    with contextlib.closing(context):
        if fan:
            context.add_cookies(fan.cookies())  # type: ignore[arg-type]
        return _take(context, stage.service.address + path, picture, name, check)


def _take(
    context: BrowserContext, address: str, picture: Path, name: str, check: bool
) -> list[str]:
    page = context.new_page()
    said: list[str] = []
    page.on(
        "console", lambda message: said.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address, wait_until="load")
    # The live pages never rest, so there is no "network idle" to wait for.
    page.evaluate("() => document.fonts.ready")
    if name in ACTS:
        page.wait_for_selector("#hall[data-ready]")
        ACTS[name](page)
    found = _complaints(page, picture.stem) if check else []
    found += [f"{picture.stem}: {line}" for line in said if "404" not in line and "401" not in line]
    width = page.viewport_size["width"] if page.viewport_size else 0
    actual = page.evaluate("document.documentElement.scrollWidth")
    if actual > width:
        found.append(f"{picture.stem}: {actual} px wide in a window of {width} px")
    if name not in ACTS:
        tall = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": max(tall, 600)})
    page.screenshot(path=picture, type="jpeg", quality=JPEG_QUALITY, animations="disabled")
    return found


def _complaints(page: Page, name: str) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [
        f"{name}: {one['id']}: {one['help']}: {node['html'][:120]}"
        for one in violations
        for node in one["nodes"]
    ]


def set_stage(service: Service) -> Stage:
    """Concerts of every kind, with some seats sold and a line in front of one."""
    now = datetime.now(UTC).replace(microsecond=0, second=0, minute=0)
    evening = now.replace(hour=10)

    def concert(title: str, venue: str, room: str, *dates: dict[str, Any]) -> int:
        body = {"title": title, "venue": venue, "room": room, "dates": list(dates)}
        return int(service.organise("POST", "/v1/concerts", body)["id"])

    def date(days: int, price: int, capacity: int = 50, **sales: datetime) -> dict[str, Any]:
        shown = {name: moment.isoformat() for name, moment in sales.items()}
        starts_at = (evening + timedelta(days=days)).isoformat()
        return {"starts_at": starts_at, "price": price, "capacity": capacity, **shown}

    opens_at = now + timedelta(days=1, hours=3)
    service.organise("PUT", "/v1/rooms/main", {"capacity": 1000, "admit_per_minute": 100_000})
    service.organise("PUT", "/v1/rooms/small", {"capacity": 1, "admit_per_minute": 1})
    service.organise("PUT", "/v1/rooms/dawn", {"opens_at": opens_at.isoformat()})
    gone = concert("Old Letters", "Attic Hall, Seoul", "main", date(20, 40_000, 2))
    crowded = concert("Night Train", "Blue Hall, Seoul", "small", date(45, 66_000))
    soon = concert(
        "First Light", "Harbour Stage, Busan", "dawn", date(60, 80_000, sales_open_at=opens_at)
    )
    on_sale = concert(
        "겨울 노래 Winter Songs",
        "Blue Hall, Seoul",
        "main",
        date(30, 50_000, 50),
        date(31, 55_000, 120),
    )
    dates = service.call("GET", f"/v1/concerts/{on_sale}")["dates"]
    for concert_id, day, seats in (
        (gone, service.call("GET", f"/v1/concerts/{gone}")["dates"][0]["date"], [1, 2]),
        (on_sale, dates[0]["date"], [5, 6, 7, 8]),
        (on_sale, dates[1]["date"], [119, 120]),
    ):
        buyer = Fan.new(service)
        buyer.charge(1_000_000)
        buyer.join(concert_id)
        buyer.hold(concert_id, "main", seats, day)
        buyer.pay(concert_id, "main", seats[0], day)
    holder = Fan.new(service)
    holder.join(on_sale)
    holder.hold(on_sale, "main", [14, 15], dates[0]["date"])
    for _ in range(24):
        Fan.new(service).join(crowded)
    first, second = dates[0]["date"], dates[1]["date"]
    for name, role in (("till at the north gate", "box-office"), ("seating chart", "organiser")):
        service.organise("POST", "/v1/keys", {"name": name, "scope": role})
    organiser = Colleague.new(service, "Haneul", "organiser")
    organiser.cookies()
    Colleague.new(service, "Jisu", "box-office").cookies()
    door = service.organise("POST", "/v1/staff", {"name": "Minseo", "role": "door"})["staff_id"]
    service.organise("PATCH", "/v1/rooms/dawn", {"capacity": 80, "reason": "fire inspection"})
    held_seats, bought_seats = iter(range(21, 51)), iter(range(1, 119))
    return Stage(
        service, on_sale, soon, crowded, first, second, held_seats, bought_seats, organiser, door
    )


@contextlib.contextmanager
def running_service() -> Iterator[Service]:
    """A service of our own, from the first process to the last."""
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_URL")}
    with temporary_directory() as directory:
        ours = {
            "CONCERT_DATA_DIR": str(directory / "data"),
            "CONCERT_ORGANISER_KEY": ORGANISER_KEY,
            "CONCERT_LOG_LEVEL": "warning",
            "CONCERT_WEB_WORKERS": "1",
            "PORT": str(port),
        }
        program = Program(UP, {**kept, **ours})
        try:
            program.wait_until_it_serves(port, "/readyz")
            yield Service(f"http://127.0.0.1:{port}")
        finally:
            program.end()


if __name__ == "__main__":
    sys.exit(main())
