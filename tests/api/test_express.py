"""The express door answers every request as Flask does: the same status, headers and body.

Each request is sent both ways. What changes something carries a key of its own, so that the
second way gets the first answer again; joining and asking change nothing the second time.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from concert.api import wallet
from concert.api.express import CALLS, ExpressDoor
from concert.ground.parts import part
from tests.sale import Fan, Sale

REQUESTS = 2_500
REQUEST_ID = "a-request-sent-both-ways"
# How long to wait before asking again, and an id where none was given, are drawn by chance.
CHANCE = 7


@dataclass(frozen=True)
class Way:
    """What one way answered."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def environ_of(
    method: str,
    path: str,
    *,
    headers: dict[str, str],
    query: str = "",
    body: bytes | None = None,
    content_type: str | None = None,
) -> dict[str, Any]:
    """A WSGI request."""
    builder = EnvironBuilder(
        method=method,
        path=path,
        query_string=query,
        headers={"X-Request-ID": REQUEST_ID, **headers},
        input_stream=BytesIO(body) if body is not None else None,
        content_length=len(body) if body is not None else None,
        content_type=content_type,
    )
    return builder.get_environ()


def both_ways(sale: Sale, **asked: Any) -> tuple[Way, Way, bool]:
    """What the express door and Flask answer; and whether the express door answered by itself."""
    express = part(ExpressDoor, sale.app)
    passed_on = []

    def behind(environ: dict[str, Any], start_response: Any) -> Any:
        passed_on.append(True)
        return express.behind(environ, start_response)

    fast = ExpressDoor(sale.app, behind)
    answers = []
    for way in (fast, express.behind):
        random.seed(CHANCE)
        chunks, status, headers = run_wsgi_app(way, environ_of(**asked), buffered=True)
        answers.append(Way(status, tuple(sorted(headers)), b"".join(chunks)))
    return answers[0], answers[1], not passed_on


def a_hall(sale: Sale) -> tuple[int, Fan, Fan]:
    """A concert with one date, somebody inside with money, and somebody who waits."""
    concert = sale.concert(capacity=20)
    sale.room("main", capacity=1)
    inside, waiting = sale.fan(), sale.fan()
    inside.join(concert)
    waiting.join(concert)
    inside.charge(10_000_000)
    return concert, inside, waiting


def drawn(chance: random.Random, concert: int, inside: Fan, waiting: Fan) -> dict[str, Any]:
    """A request to one of the calls: mostly right, with something odd here and there."""

    def often(right: Any, *odd: Any) -> Any:
        return right if chance.random() < 0.92 else chance.choice(odd)

    method, rule, _ = chance.choice(CALLS)
    method = often(method, "GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD")
    number = often(str(concert), "0", "999", "01", "1.5", "x", "9" * 19, "9" * 30, "١")
    seat = often(str(chance.randint(1, 20)), "0", "21", "99999", "-1", "1e3", "%31")
    path = rule.replace("<concert_id>", number).replace("<seat_no>", seat)
    fan = often(inside, waiting)
    kind = (
        fan.user_token
        if rule in ("/v1/charges",) or method + rule == "POST/v1/enqueues"
        else fan.queue_token
    )
    token = often(kind, fan.user_token, fan.queue_token, "", "x", kind + "=", kind[:-2], "é")
    headers = {
        "Authorization": often("Bearer", "bearer", "Basic", "") + often(" ", "  ", "\t") + token
    }
    if chance.random() < 0.05:
        headers.pop("Authorization")
    key = f"key-{chance.getrandbits(64):x}"
    if method in ("PATCH", "POST"):
        headers["Idempotency-Key"] = often(key, "k" * 200, "k" * 201, "a\tb", " ")
    if chance.random() < 0.1:
        headers["X-Request-ID"] = chance.choice(("another-id-of-theirs", "short", "no good!"))
    date = "2030-12-31"
    query = ""
    if method == "GET":
        query = often(
            chance.choice((f"date={date}", "", "performance_id=1")),
            "date=2030-13-31",
            "date=x",
            "performance_id=0",
            "performance_id=1&date=2030-12-31",
            "date=2030-12-31&date=2030-12-30",
            "other=1",
            "date=",
            "date=2030%2D12%2D31",
            "&",
        )
    right: dict[str, Any] = {}
    if "charges" in rule:
        right = {"amount": chance.randint(1, 5)}
    elif rule == "/v1/enqueues":
        right = {"concert_id": concert}
    elif chance.random() < 0.5:
        right = {"date": date}
    body: bytes | None = None
    if method in ("POST", "PATCH", "PUT"):
        body = often(
            json.dumps(right).encode(),
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"amount": 0}',
            b'{"amount": "5"}',
            b'{"amount": 1e400}',
            b'{"date": "2031-01-01"}',
            b'{"date": 5}',
            b'{"concert_id": 999}',
            b'{"concert_id": true}',
            b'{"more": 1}',
            b"\xff\xfe",
            b" " * 70_000,
        )
    content_type = often(
        "application/json",
        None,
        "text/plain",
        "application/json; charset=utf-8",
        "application/x+json",
    )
    return {
        "method": method,
        "path": path,
        "headers": headers,
        "query": query,
        "body": body,
        "content_type": content_type,
    }


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens say in which second they were made; let it be the same both ways."""
    now = time.time()
    monkeypatch.setattr("concert.ground.signing.time.time", lambda: now)


@pytest.mark.usefixtures("stopped_clock")
def test_thousands_of_requests_are_answered_alike_both_ways(sale: Sale) -> None:
    concert, inside, waiting = a_hall(sale)
    chance = random.Random(20)
    by_itself: Counter[str] = Counter()
    for _ in range(REQUESTS):
        asked = drawn(chance, concert, inside, waiting)
        fast, plain, express = both_ways(sale, **asked)
        assert fast == plain, asked
        by_itself[f"{fast.status[:3]} {'express' if express else 'Flask'}"] += 1
        if fast.status.startswith("200") and asked["path"].endswith("payments"):
            # Paying ends the visit; the next in line would come in. So that both go on:
            inside.join(concert)
            waiting.call("DELETE", "/v1/enqueues")
            waiting.join(concert)
    # Both doors were really used, for good answers and for refusals.
    assert by_itself["200 express"] > 300 and by_itself["400 Flask"] > 50, by_itself
    assert sum(count for name, count in by_itself.items() if "express" in name) > 500
    assert not any(name.startswith("500") for name in by_itself), by_itself


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    call=st.sampled_from(CALLS),
    numbers=st.tuples(
        st.text("0123456789-+ .x/", min_size=1, max_size=5),
        st.text("0123456789", min_size=1, max_size=4),
    ),
    query=st.text("adte=&%0123456789-;", max_size=24),
    body=st.one_of(st.binary(max_size=40), st.text(max_size=40).map(str.encode)),
    as_user=st.booleans(),
)
def test_whatever_comes_is_answered_alike_both_ways(
    sale: Sale,
    call: tuple[str, str, Any],
    numbers: tuple[str, str],
    query: str,
    body: bytes,
    as_user: bool,
) -> None:
    fan = sale.fan()
    fan.join()
    method, rule, _ = call
    fast, plain, _ = both_ways(
        sale,
        method=method,
        path=rule.replace("<concert_id>", numbers[0]).replace("<seat_no>", numbers[1]),
        query=query,
        headers={
            "Authorization": f"Bearer {fan.user_token if as_user else fan.queue_token}",
            "Idempotency-Key": "once",
        },
        body=body if method != "GET" else None,
        content_type="application/json" if method != "GET" else None,
    )
    assert fast == plain


@pytest.mark.usefixtures("stopped_clock")
def test_the_six_calls_of_a_crowd_are_answered_by_the_express_door(sale: Sale) -> None:
    concert, inside, _ = a_hall(sale)
    base = f"/v1/concerts/{concert}/seats"
    as_user = {"Authorization": f"Bearer {inside.user_token}"}
    as_place = {"Authorization": f"Bearer {inside.queue_token}"}
    calls = [
        ("POST", "/v1/enqueues", as_user, b"{}"),
        ("GET", "/v1/enqueues", as_place, None),
        ("GET", base, as_place, None),
        ("POST", f"{base}/3/reservations", {**as_place, "Idempotency-Key": "h"}, b"{}"),
        ("PATCH", "/v1/charges", {**as_user, "Idempotency-Key": "c"}, b'{"amount": 5}'),
        ("POST", f"{base}/3/payments", {**as_place, "Idempotency-Key": "p"}, b"{}"),
    ]
    for method, path, headers, body in calls:
        fast, plain, express = both_ways(
            sale,
            method=method,
            path=path,
            headers=headers,
            body=body,
            content_type="application/json",
        )
        assert express, path
        assert fast.status == "200 OK", fast
        assert fast == plain


@pytest.mark.parametrize(
    "query",
    [
        "date=x",
        "date=",
        "date=2030-13-31",
        "performance_id=0",
        "other=1",
        "&",
        "date=2030%2D12%2D31",
    ]
    + ["date=2030-12-31&date=2030-12-30", "performance_id=1&date=2030-12-31"],
)
def test_an_odd_query_of_somebody_inside_is_answered_alike_both_ways(
    sale: Sale, query: str
) -> None:
    concert, inside, _ = a_hall(sale)
    fast, plain, _ = both_ways(
        sale,
        method="GET",
        path=f"/v1/concerts/{concert}/seats",
        headers={"Authorization": f"Bearer {inside.queue_token}"},
        query=query,
    )
    assert fast == plain


def test_an_error_after_a_service_was_called_does_not_call_it_again(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    fan = sale.fan()

    def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("after the charge")

    with monkeypatch.context() as patched:
        patched.setattr(wallet, "written", breaks)
        broken = fan.charge(700)
    assert (broken.status_code, broken.json["code"]) == (500, "internal")
    assert fan.balance() == 700


def test_a_refusal_after_a_service_was_called_says_the_same_as_flask_does(sale: Sale) -> None:
    concert, _, waiting = a_hall(sale)
    asked = {
        "method": "POST",
        "path": f"/v1/concerts/{concert}/seats/3/reservations",
        "headers": {"Authorization": f"Bearer {waiting.queue_token}"},
        "body": b"{}",
        "content_type": "application/json",
    }
    fast, plain, express = both_ways(sale, **asked)
    assert express
    assert fast.status.startswith("403")
    assert fast == plain


def test_a_request_id_that_was_given_comes_back_and_a_bad_one_is_replaced(sale: Sale) -> None:
    fan = sale.fan()
    fan.join()
    given = fan.call("GET", "/v1/enqueues", headers={"X-Request-ID": "given-by-the-proxy"})
    assert given.headers["X-Request-ID"] == "given-by-the-proxy"
    replaced = fan.call("GET", "/v1/enqueues", headers={"X-Request-ID": "bad id"})
    assert len(replaced.headers["X-Request-ID"]) == 32
