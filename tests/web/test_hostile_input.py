"""No address, form, cookie or header gets a 500 from a page."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from concert.web.door import QUEUE_COOKIE, SESSION_COOKIE, USER_COOKIE
from concert.web.language import COOKIE as LANGUAGE_COOKIE
from tests.sale import Sale
from tests.web.browser import Browser

# In an address, as a browser would send it.
SEGMENTS = [
    "%00",
    "a%00b",
    "main%00",
    "%FF%FE",
    "%ED%A0%80",
    "%ED%B0%80x",
    "main%0A",
    "%0D%0AX-Evil:%201",
    "..%2F..",
    "%25%73",
    "0",
    "1e9",
    "-1",
    "9" * 400,
    "9223372036854775808",
    "2147483648",
    "٣",
    "0000-00-00",
    "0001-01-01",
    "9999-12-31",
    "10000-01-01",
    "2030-12-31%00",
    "00000000-0000-0000-0000-000000000000",
    "a" * 3000,
    "%F0%9F%8E%BB" * 50,
]
VALUES = [
    "\x00",
    "a\x00b",
    "\ud800",
    "\udc00\ud800",
    "\r\nX-Evil: 1",
    "9" * 400,
    "9223372036854775808",
    "-9223372036854775809",
    "1e309",
    "NaN",
    "٣",
    "0001-01-01",
    "9999-12-31",
    "%s%(x)s{0}",
    "a" * 5000,
    "",
]
CONVERTERS = {"int": "1", "uuid": str(uuid4()), "path": "x", "default": "x"}


def addresses(app: Flask, method: str) -> list[str]:
    """The addresses of all pages that take this method, with a place for each variable part."""
    return sorted(
        rule.rule
        for rule in app.url_map.iter_rules()
        if method in (rule.methods or ()) and not rule.rule.startswith("/v1/")
    )


def filled(address: str, segment: str) -> list[str]:
    """An address with one variable part filled in with this, and usual values in the others."""
    places = re.findall(r"<(?:(\w+):)?\w+>", address)
    found = []
    for odd in range(len(places)):
        numbers = iter(range(len(places)))
        found.append(
            re.sub(
                r"<(?:(\w+):)?\w+>",
                lambda place, odd=odd, numbers=numbers: (
                    segment if next(numbers) == odd else CONVERTERS[place[1] or "default"]
                ),
                address,
            )
        )
    return found or [address]


def check(answer: TestResponse, asked: object) -> None:
    assert answer.status_code < 500 or answer.status_code == 503, (asked, answer.text[:400])
    assert "X-Evil" not in answer.headers
    answer.close()


@pytest.fixture
def inside(sale: Sale, visitor: Browser) -> Browser:
    """Somebody whose turn it is, beside a concert with the number 1."""
    assert sale.concert() == 1
    return visitor.become(sale.admitted_fan(balance=1_000_000))


@pytest.mark.parametrize("segment", SEGMENTS, ids=lambda segment: segment[:20])
def test_an_address_of_any_kind_is_no_fault(inside: Browser, segment: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        for address in addresses(inside.sale.app, method):
            if address.startswith("/live/") and method == "GET":
                continue  # a stream that does not end; the next test asks for what is refused
            for path in filled(address, segment):
                check(inside.client.open(path, method=method), (method, path))


@pytest.mark.parametrize("segment", ["a%00b", "%FF%FE", "9" * 400], ids=["nul", "no utf-8", "long"])
def test_a_stream_of_what_is_not_there_is_refused(inside: Browser, segment: str) -> None:
    for path in (f"/live/rooms/{segment}", f"/live/performances/{segment}"):
        answer = inside.client.get(path)
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
        answer.close()


def test_a_room_with_a_nul_in_its_name_is_a_mistake_in_the_request(visitor: Browser) -> None:
    assert visitor.open("/rooms/a%00b").status_code == 400
    assert visitor.open("/rooms/a%00b/status").status_code == 400


NAMES = ["concert", "date", "performance", "part", "lang", "next", "seat", "seats", "count", "x"]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_a_query_of_any_kind_is_no_fault(inside: Browser, value: str) -> None:
    query = value.encode("utf-8", "surrogatepass")
    for path in ("/", "/rooms/main", "/rooms/main/place", "/rooms/main/status", "/concerts/1"):
        for name in NAMES:
            check(inside.client.get(path, query_string={name: query}), (path, name))
    for path in ("/concerts/1/seats", "/concerts/1/seats/2030-12-31", "/wallet", "/tickets", "/me"):
        for name in NAMES:
            check(inside.client.get(path, query_string={name: query}), (path, name))


FIELDS = [
    *("name", "language", "amount", "key", "seat", "seats", "count", "performance"),
    *("performance_id", "concert", "next", "date", "code"),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_a_form_of_any_kind_is_no_fault(inside: Browser, value: str) -> None:
    token = next(
        form.fields["csrf_token"]
        for form in inside.read("/me").forms
        if "csrf_token" in form.fields
    )
    sent = value.encode("utf-8", "surrogatepass")
    usual = {"amount": "1000", "seat": "1", "count": "1", "key": "a-key", "name": "Kim"}
    for address in addresses(inside.sale.app, "POST"):
        for path in filled(address, "1" if "int" in address else "main")[:1]:
            for name in FIELDS:
                data = {**usual, "csrf_token": token, name: sent}
                check(inside.client.post(path, data=data), (path, name))
                check(
                    inside.client.post(path, data=data, content_type="multipart/form-data"),
                    (path, name),
                )


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:20])
def test_a_cookie_or_header_of_any_kind_is_no_fault(inside: Browser, value: str) -> None:
    sent = value.encode("utf-8", "surrogatepass").decode("latin-1").replace("\r\n", " ")
    cookies = (USER_COOKIE, QUEUE_COOKIE + "main", SESSION_COOKIE, LANGUAGE_COOKIE, "x")
    client = inside.sale.app.test_client(use_cookies=False)
    for path in ("/", "/rooms/main", "/rooms/main/place", "/concerts/1", "/me", "/tickets"):
        for cookie in cookies:
            check(client.get(path, headers={"Cookie": f"{cookie}={sent}"}), (path, cookie))
        for name in ("Accept-Language", "Referer", "X-Request-ID", "HX-Request", "HX-Target"):
            check(client.get(path, headers={name: sent}), (path, name))
