"""A browser without JavaScript, for tests: it keeps cookies, follows forms and reads pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from concert.ground.parts import keep
from concert.overview.lately import LatelyRead
from concert.web.door import QUEUE_COOKIE, USER_COOKIE
from tests.sale import Fan, Sale


@dataclass
class Form:
    """A form of a page, with what its fields hold."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class Document(HTMLParser):
    """A page, read: its forms, its elements and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get").upper()))
        elif tag == "input" and self.forms and found.get("name"):
            self.forms[-1].fields[found["name"]] = found.get("value", "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def form_to(self, action: str) -> Form:
        """The form that is sent to an address which contains ``action``."""
        found = [form for form in self.forms if action in form.action]
        assert found, f"no form to {action} in: {self.text[:400]}"
        return found[0]

    def with_tag(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


class Browser:
    """One person's browser."""

    def __init__(self, sale: Sale, language: str = "en") -> None:
        self.sale = sale
        self.client: FlaskClient = sale.app.test_client()
        self.language = language

    def open(self, path: str, **options: Any) -> TestResponse:
        """Open a page, as it is a second later than whatever was looked at before."""
        keep(self.client.application, LatelyRead())
        headers = {"Accept-Language": self.language, **options.pop("headers", {})}
        # A request borrows the context that the test runs in, and what it keeps there.
        with self.sale.app.app_context():
            return self.client.get(path, headers=headers, **options)

    def read(self, path: str) -> Document:
        """Open a page that must be there, and read it."""
        response = self.open(path)
        assert response.status_code == 200, (path, response.status_code, response.text[:600])
        return Document(response.text)

    def send(self, form: Form, *, follow: bool = False, **filled: str) -> TestResponse:
        """Send a form with some fields filled in."""
        return self.post(form.action, {**form.fields, **filled}, follow=follow)

    def post(self, path: str, data: dict[str, str], *, follow: bool = False) -> TestResponse:
        """Send these values, whatever the page's form holds."""
        headers = {"Accept-Language": self.language}
        with self.sale.app.app_context():
            return self.client.post(path, data=data, headers=headers, follow_redirects=follow)

    def cookie(self, name: str) -> Any:
        """A cookie that the browser keeps, or None."""
        return self.client.get_cookie(name)

    def become(self, fan: Fan, room: str = "main") -> Browser:
        """Have the cookies of somebody who uses the API in the tests."""
        self.client.set_cookie(USER_COOKIE, fan.user_token)
        if fan.queue_token:
            self.client.set_cookie(QUEUE_COOKIE + room, fan.queue_token)
        return self


def set_cookies(response: TestResponse) -> dict[str, str]:
    """The cookies that an answer sets, whole, by name."""
    return {line.partition("=")[0]: line for line in response.headers.getlist("Set-Cookie")}
