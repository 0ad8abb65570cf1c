"""Errors in order: who you are, then whether it is your turn, then what you asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.api.test_statuses import ADMITTED_CALLS, QUEUE_CALLS, USER_CALLS
from tests.sale import Fan, Sale

JSON = "application/json"


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong with a request: what it is sent with, and what an admitted person hears."""

    heard: tuple[int, str]
    data: str = "{}"
    kind: str = JSON
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    concert: str = "1"
    seat: str = "1"
    methods: tuple[str, ...] = ("GET", "POST")


BAD, MISSING = (400, "bad_request"), (404, "not_found")
WRONGS = {
    "not JSON": Wrong(BAD, data="{", methods=("POST",)),
    "not an object": Wrong(BAD, data="[]", methods=("POST",)),
    "another media type": Wrong((415, "not_json"), kind="text/plain", methods=("POST",)),
    "too large": Wrong((413, "too_large"), data='{"a":"%s"}' % ("a" * 70_000), methods=("POST",)),
    "a field that nobody knows": Wrong(BAD, data='{"colour":"red"}', methods=("POST",)),
    "a date that is none": Wrong(BAD, data='{"date":"x","seats":[1]}', methods=("POST",)),
    "a date without a show": Wrong(
        BAD, data='{"date":"2029-01-01","seats":[1]}', methods=("POST",)
    ),
    "a date with two shows": Wrong(
        (400, "ambiguous_date"), data='{"date":"2030-12-31","seats":[1]}', methods=("POST",)
    ),
    "a key that is none": Wrong(BAD, headers={"Idempotency-Key": "\xe9"}, methods=("POST",)),
    "a concert that is none": Wrong(BAD, data='{"seats":[1]}', concert="x"),
    "a concert that is not there": Wrong(MISSING, data='{"seats":[1]}', concert="99"),
    "a concert beyond all numbers": Wrong(MISSING, data='{"seats":[1]}', concert="9" * 30),
}
QUERIES = {
    "a query's date that is none": Wrong(BAD, query={"date": "x"}),
    "a query's date without a show": Wrong(BAD, query={"date": "2029-01-01"}),
    "a query's date with two shows": Wrong((400, "ambiguous_date"), query={"date": "2030-12-31"}),
    "a query that nobody knows": Wrong(BAD, query={"colour": "red"}),
}
SEATS = {
    "a seat that is none": Wrong(BAD, seat="x"),
    "a seat out of range": Wrong(BAD, data='{"performance_id":1}', seat="51"),
    "a seat beyond all numbers, with a key": Wrong(
        BAD, data='{"performance_id":1}', seat="9" * 30, headers={"Idempotency-Key": "k"}
    ),
}
REFUSALS: dict[str, tuple[int, str]] = {
    "nobody": (401, "token_missing"),
    "somebody with a token of another kind": (401, "token_invalid"),
    "somebody who has left": (401, "token_invalid"),
    "somebody who has lined up again": (401, "token_invalid"),
    "somebody who has paid": (401, "token_expired"),
    "somebody who waits": (403, "not_admitted"),
    "somebody who missed the turn": (403, "not_admitted"),
}


@pytest.fixture
def two_shows(sale: Sale) -> Sale:
    """A concert with the number 1 that is given twice on one day."""
    assert sale.concert(price=0) == 1
    matinee = {"starts_at": "2030-12-31T14:00:00+09:00", "price": 0}
    assert (
        sale.organise("POST", "/v1/concerts/1/dates", json={"dates": [matinee]}).status_code == 201
    )
    return sale


def callers(sale: Sale) -> dict[str, str]:
    """A token for each kind of caller who may not come in."""

    def lined_up() -> Fan:
        fan = sale.fan()
        fan.join(1)
        return fan

    missed = lined_up()
    sale.let_time_pass(121)
    left, again, paid = lined_up(), lined_up(), lined_up()
    left.call("DELETE", "/v1/enqueues")
    older = again.queue_token
    again.call("DELETE", "/v1/enqueues")
    again.join(1)
    paid.hold(1, 50, performance_id=1)
    assert paid.pay(1, 50, performance_id=1).status_code == 200
    sale.room(paused=True)
    return {
        "nobody": "",
        "somebody with a token of another kind": left.user_token,
        "somebody who has left": left.queue_token,
        "somebody who has lined up again": older,
        "somebody who has paid": paid.queue_token,
        "somebody who waits": lined_up().queue_token,
        "somebody who missed the turn": missed.queue_token,
    }


def send(sale: Sale, method: str, path: str, token: str, wrong: Wrong) -> TestResponse:
    path = path.replace("/concerts/1", f"/concerts/{wrong.concert}").replace(
        "/seats/1/", f"/seats/{wrong.seat}/"
    )
    body: dict[str, Any] = (
        {"data": wrong.data, "content_type": wrong.kind} if method == "POST" else {}
    )
    if method == "POST" and "/seats/" in path:
        body["data"] = body["data"].replace(',"seats":[1]', "").replace('"seats":[1]', "")
    return sale.call(
        method, path, token=token, query_string=wrong.query, headers=wrong.headers, **body
    )


def heard(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def wrongs_of(method: str, path: str) -> dict[str, Wrong]:
    found = {name: wrong for name, wrong in WRONGS.items() if method in wrong.methods}
    if method == "GET" and path.endswith("/seats"):
        found |= QUERIES
    if "/seats/1/" in path:
        found |= SEATS
    return found


@pytest.mark.parametrize(("method", "path"), ADMITTED_CALLS)
def test_whoever_may_not_come_in_hears_that_whatever_is_wrong_with_the_request(
    two_shows: Sale, method: str, path: str
) -> None:
    for caller, token in callers(two_shows).items():
        for what, wrong in wrongs_of(method, path).items():
            answer = send(two_shows, method, path, token, wrong)
            assert heard(answer) == REFUSALS[caller], (caller, what)


@pytest.mark.parametrize(("method", "path"), ADMITTED_CALLS)
def test_whoever_is_in_hears_what_is_wrong_with_the_request(
    two_shows: Sale, method: str, path: str
) -> None:
    fan = two_shows.admitted_fan(1)
    for what, wrong in wrongs_of(method, path).items():
        assert heard(send(two_shows, method, path, fan.queue_token, wrong)) == wrong.heard, what


@pytest.mark.parametrize(("method", "path"), ADMITTED_CALLS)
def test_a_place_in_another_line_counts_for_another_concert_only(
    two_shows: Sale, method: str, path: str
) -> None:
    two_shows.room("side")
    assert two_shows.concert(room="side") == 2
    fan = two_shows.admitted_fan(2)
    for what, wrong in wrongs_of(method, path).items():
        known = wrong.concert == "1"
        expected = (403, "not_admitted") if known else wrong.heard
        assert heard(send(two_shows, method, path, fan.queue_token, wrong)) == expected, what


@pytest.mark.parametrize(
    ("method", "path"), [call for call in USER_CALLS + QUEUE_CALLS if call not in ADMITTED_CALLS]
)
def test_elsewhere_too_the_token_comes_first(sale: Sale, method: str, path: str) -> None:
    wrongs: list[Callable[[str], TestResponse]] = [
        lambda token: sale.call(method, path, token=token, query_string={"entries": "x"}),
        lambda token: sale.call(method, path, token=token, data="{", content_type=JSON),
        lambda token: sale.call(method, path, token=token, data="{}", content_type="text/plain"),
        lambda token: sale.call(method, path, token=token, headers={"Idempotency-Key": "\xe9"}),
    ]
    for wrong in wrongs:
        assert heard(wrong("")) == (401, "token_missing")
        assert heard(wrong("nonsense")) == (401, "token_invalid")


def test_a_reservation_asked_for_with_a_queue_token_needs_the_turn_first(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    fan.call("DELETE", "/v1/enqueues")
    for method in ("GET", "DELETE"):
        assert heard(fan.call(method, "/v1/reservations/x")) == (401, "token_invalid")
    sale.room(paused=True)
    fan.join(concert)
    for method in ("GET", "DELETE"):
        assert heard(fan.call(method, "/v1/reservations/x")) == (403, "not_admitted")


def test_a_request_that_is_wrong_begins_no_more_than_the_visit(two_shows: Sale) -> None:
    fan = two_shows.admitted_fan(1)
    for _ in range(3):
        send(two_shows, "POST", "/v1/concerts/1/reservations", fan.queue_token, WRONGS["not JSON"])
    until = fan.place().json["admitted_until"]
    send(two_shows, "POST", "/v1/concerts/1/reservations", fan.queue_token, WRONGS["not JSON"])
    assert fan.place().json["admitted_until"] == until
