"""Somebody at a browser, in the words of the journey; and what the browser complained of."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask_babel import force_locale, gettext
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Page, expect

from concert.factory import ConcertApp
from tests.e2e.house import Hall

# The browser tells of each page that is an error, though it is the page that was wanted.
STATUS = r"Failed to load resource: the server responded with a status of {}\b"
NETWORK = r"net::ERR_(INTERNET_DISCONNECTED|NETWORK_|CONNECTION_|INCOMPLETE_|EMPTY_RESPONSE)"

# The console tells of violations, too, but only of those that happen while it is listened to.
TELL_OF_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
MOST_TABS = 120


@dataclass
class Complaints:
    """Errors that a browser's pages have logged or thrown, but for the expected ones."""

    logged: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def listen(self, context: BrowserContext) -> None:
        """Note everything that goes wrong in any page of the context."""
        context.add_init_script(TELL_OF_VIOLATIONS)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.logged.append(f"thrown: {error.error}"))

    def expect_status(self, *statuses: int) -> None:
        """An error page is what this test wants to see."""
        self.expected += [STATUS.format(status) for status in statuses]

    def expect_broken_network(self) -> None:
        """This test breaks the network."""
        self.expected += [NETWORK, "htmx: htmx:(sse:)?error"]

    def unexpected(self) -> list[str]:
        """What nobody foresaw."""
        return [
            said for said in self.logged if not any(re.search(one, said) for one in self.expected)
        ]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.location.get("url", "")
            self.logged.append(f"{message.type}: {message.text} ({where})")


@dataclass
class Words:
    """The texts of the pages in one language, from the catalogues that the pages use."""

    app: ConcertApp
    language: str

    def __call__(self, text: str, **variables: Any) -> str:
        with self.app.test_request_context(), force_locale(self.language):
            return str(gettext(text, **variables))


@dataclass
class Visitor:
    """A person with a browser of their own."""

    context: BrowserContext
    page: Page
    complaints: Complaints
    words: Words
    scripts: bool = True
    address: str = ""

    def button(self, action: str) -> Locator:
        """The button of the form that is sent to an address with ``action`` in it."""
        return self.page.locator(f'form[action*="{action}"] button[type=submit]:visible').first

    def place(self) -> Locator:
        """Where I stand in line."""
        return self.page.locator("#place .place")

    def seat(self, seat_no: int) -> Locator:
        """A seat on the map."""
        return self.page.locator(f"#seat-{seat_no}")

    def go(self, path: str) -> None:
        """Type the address of a page."""
        try:
            self.page.goto(self.address + path)
        except Error as error:
            # A page without scripts loads itself again; where that comes between, the address is typed again.
            if "net::ERR_ABORTED" not in error.message:
                raise
            self.page.goto(self.address + path)

    def join(self, hall: Hall) -> None:
        """Line up from the concert's page."""
        self.go(hall.path)
        self.button("/join").click()

    def stand_in_line(self, hall: Hall, position: int) -> None:
        """Line up, and see my place and that the page is live."""
        self.join(hall)
        self.sees_place(position)
        if self.scripts:
            self.sees_connection("live")

    def sees_place(self, position: int, *, seconds: float = 10) -> None:
        """The page shows my place."""
        expect(self.page.locator(".place-number")).to_have_text(
            str(position), timeout=seconds * 1000
        )

    def sees_connection(self, state: str, *, seconds: float = 10) -> None:
        """The page says that it is live, or that it is reconnecting."""
        expect(self.page.locator("#connection")).to_have_attribute(
            "data-state", state, timeout=seconds * 1000
        )

    def is_taken_in(self, hall: Hall) -> None:
        """It is my turn: I find myself before the seat map."""
        self.page.wait_for_url(f"**{hall.map_path}")

    def enter(self, hall: Hall) -> None:
        """Line up where there is no line, and see the seat map, live."""
        with self._live_map():
            self.join(hall)
            self.is_taken_in(hall)

    def open_map(self, hall: Hall) -> None:
        """Open the seat map, live."""
        with self._live_map():
            self.go(hall.map_path)

    def choose(self, *seat_nos: int) -> None:
        """Click on seats."""
        for seat_no in seat_nos:
            self.seat(seat_no).click()

    def hold(self) -> None:
        """Hold what is chosen, and arrive at the checkout."""
        self.button("/hold").click()
        self.page.wait_for_url("**/reservations/*")

    def top_up(self) -> None:
        """Add what is missing in the wallet, and come back to the checkout, where it can be paid."""
        checkout = urlsplit(self.page.url).path
        missing = self.page.locator(".bill-missing td").inner_text()
        self.go(f"/wallet?next={checkout}")
        self.page.locator("input[name=amount]").fill(missing)
        self.page.locator(".another button").click()
        self.page.wait_for_url(f"**{checkout}")
        expect(self.button("/pay")).to_be_visible()

    def pay(self) -> None:
        """Pay, and see the ticket."""
        self.button("/pay").click()
        self.sees_ticket()

    def top_up_and_pay(self) -> None:
        """Do both with one tap, and see the ticket."""
        self.button("/top-up").click()
        self.sees_ticket()

    def sees_ticket(self) -> None:
        """The ticket is there, with its code."""
        self.page.wait_for_url("**/tickets/*")
        expect(self.page.locator("svg.qr").first).to_be_visible()

    def tab_to(self, selector: str) -> None:
        """Press Tab until something has the focus; there must be a way."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                return
        raise AssertionError(f"{selector} is not reached by Tab on {self.page.url}")

    def _live_map(self) -> Any:
        if self.scripts:
            return self.page.expect_response("**/live/performances/*")
        return _nothing()


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


OpenBrowser = Callable[..., Visitor]
