"""Staff as the tests have them: people with browsers, and keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from concert.ground.audit import SYSTEM, Entry, read_whole_log
from concert.staff import keys, service
from concert.staff.access import COOKIE, Role, csrf_token_of
from tests.sale import Sale
from tests.web.browser import Browser, Document


@dataclass
class Colleague:
    """Somebody of the staff, signed in with a browser of their own."""

    browser: Browser
    staff_id: int
    name: str

    @property
    def token(self) -> str:
        """What the cookie of the session holds."""
        cookie = self.browser.cookie(COOKIE)
        return cookie.value if cookie else ""

    def call(
        self, method: str, path: str, *, csrf: str | None = None, **options: Any
    ) -> TestResponse:
        """Call the JSON API as a page of ours would: with the cookie, and the page's token."""
        sent = {"X-CSRF-Token": csrf_token_of(self.token) if csrf is None else csrf}
        return self.browser.client.open(path, method=method, headers=sent, **options)


def link_for(name: str, role: Role = "door") -> service.SignInLink:
    """Add somebody; returns their sign-in link."""
    return service.add_person(name, role, actor=SYSTEM)


def signed_in(sale: Sale, name: str, role: Role = "door", language: str = "en") -> Colleague:
    """Somebody new who has opened their link and pressed the button."""
    made = link_for(name, role)
    browser = Browser(sale, language)
    entered = enter(browser, made.code)
    assert entered.status_code == 303, entered.text
    return Colleague(browser, made.person.staff_id, name)


def enter(browser: Browser, code: str) -> TestResponse:
    """Open a sign-in link, and press the button."""
    page = browser.read(f"/staff/enter/{code}")
    return browser.send(page.form_to("/staff/enter/"))


def key_for(name: str = "till", scope: Role = "organiser") -> str:
    """A new API key."""
    return keys.add_key(name, scope, actor=SYSTEM).secret


def lines(**wanted: str) -> list[Entry]:
    """The audit log, oldest first, with these values."""
    found = list(read_whole_log())[::-1]
    return [
        one for one in found if all(getattr(one, name) == value for name, value in wanted.items())
    ]


def words(page: Document) -> str:
    return page.text
