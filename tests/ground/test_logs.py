"""Logs: one line of JSON a request, with its id, and never a secret."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concert.factory import ConcertApp, create_app
from concert.ground.observability import configure_logs
from concert.ground.parts import part
from concert.ground.settings import Settings
from tests.sale import ORGANISER_KEY, Fan, Sale

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged(
    sale: Sale, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[ConcertApp, Lines]]:
    """An app that logs everything, and what it has logged."""
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        app = create_app(settings.model_copy(update={"log_level": "debug"}))
    yield app, lambda: [json.loads(line) for line in stream.buffer.getvalue().splitlines()]  # type: ignore[attr-defined]
    configure_logs(settings)


def test_every_request_is_one_line_of_json(logged: tuple[ConcertApp, Lines]) -> None:
    app, lines = logged
    answer = app.test_client().get("/v1/concerts/999?x=1")
    (line,) = lines()
    assert line["event"] == "request"
    assert (line["method"], line["status"]) == ("GET", 404)
    assert line["route"] == "/v1/concerts/<concert_id>"
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert line["ms"] >= 0
    assert {"level", "timestamp"} <= line.keys()


def test_a_request_id_that_is_sent_is_kept_and_a_strange_one_is_not(
    logged: tuple[ConcertApp, Lines],
) -> None:
    app, lines = logged
    client = app.test_client()
    kept = client.get("/healthz", headers={"X-Request-ID": "order-2030.A_1"})
    assert kept.headers["X-Request-ID"] == "order-2030.A_1"
    for strange in ("short", "a" * 65, 'x" injected="1', "a b c d e f", "é" * 10):
        answer = client.get("/healthz", headers={"X-Request-ID": strange})
        assert answer.headers["X-Request-ID"] != strange
        assert len(answer.headers["X-Request-ID"]) == 32
    found = [line["request_id"] for line in lines()]
    assert found[0] == "order-2030.A_1"
    assert len(set(found)) == len(found)


def test_tokens_and_keys_are_never_logged(logged: tuple[ConcertApp, Lines], sale: Sale) -> None:
    app, lines = logged
    concert = sale.concert(price=10)
    made = sale.admitted_fan(concert, balance=10)
    fan = Fan(Sale(app), made.user_id, made.user_token, made.queue_token)
    key = {"Idempotency-Key": "a-key-that-nobody-reads"}
    fan.hold(concert, 1, headers=key)
    fan.pay(concert, 1, headers={"Idempotency-Key": "another-key-that-nobody-reads"})
    fan.charge(True, headers=key)
    fan.place()
    fan.sale.organise("PUT", "/v1/rooms/main", json={})
    fan.sale.call("GET", "/v1/charges", token=fan.queue_token)
    # A link to another device has its one-time code in the path.
    app.test_client().get("/me/continue/a-code-that-nobody-reads")
    found = json.dumps(lines())
    assert len(lines()) == 7 + 3  # and what was held, paid and completed
    secrets = [fan.user_token, fan.queue_token, ORGANISER_KEY, "that-nobody-reads", "Bearer"]
    secrets += list(part(Settings, app).secret_keys)
    for secret in secrets:
        assert secret not in found


def test_a_fault_is_logged_with_its_trace_under_the_id_that_the_caller_was_told(
    logged: tuple[ConcertApp, Lines],
) -> None:
    app, lines = logged

    def broken() -> None:
        raise RuntimeError("no such luck")

    app.add_url_rule("/v1/broken", view_func=broken)
    answer = app.test_client().get("/v1/broken", headers={"Authorization": "Bearer secret-token"})
    fault, request = lines()
    assert (fault["event"], fault["level"]) == ("fault", "error")
    assert "no such luck" in fault["exception"]
    assert fault["request_id"] == request["request_id"] == answer.json["request_id"]
    assert request["status"] == 500
    assert "secret-token" not in json.dumps([fault, request])


@pytest.mark.parametrize("door", ["/v1", ""])
def test_a_fault_does_not_log_the_code_that_its_address_carries(
    logged: tuple[ConcertApp, Lines], door: str
) -> None:
    app, lines = logged

    def broken(code: str) -> None:
        raise RuntimeError("no such luck")

    app.add_url_rule(f"{door}/broken/<code>", view_func=broken)
    assert app.test_client().get(f"{door}/broken/that-nobody-reads").status_code == 500
    fault, _request = lines()
    assert fault["route"] == f"{door}/broken/<code>"
    assert "that-nobody-reads" not in json.dumps(lines())
