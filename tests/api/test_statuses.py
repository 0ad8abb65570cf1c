"""What each status means, everywhere; and how a problem looks."""

from __future__ import annotations

from typing import Any

import pytest

from concert.factory import create_app
from concert.ground.settings import Settings
from concert.ground.signing import sign
from tests.sale import ORGANISER_KEY, Fan, Sale

SOME_ID = "5f0c6f2e-6f1b-4a43-9d7c-2a4f1f0b7c11"
USER_CALLS = [
    ("POST", "/v1/enqueues"),
    ("GET", "/v1/charges"),
    ("PATCH", "/v1/charges"),
    ("GET", "/v1/payments"),
    ("GET", f"/v1/payments/{SOME_ID}"),
]
QUEUE_CALLS = [
    ("GET", "/v1/enqueues"),
    ("DELETE", "/v1/enqueues"),
    ("GET", "/v1/enqueues/events"),
    ("GET", "/v1/concerts/1/dates"),
    ("GET", "/v1/concerts/1/seats"),
    ("POST", "/v1/concerts/1/seats/1/reservations"),
    ("POST", "/v1/concerts/1/reservations"),
    ("POST", "/v1/concerts/1/seats/1/payments"),
]
EITHER_CALLS = [
    ("GET", "/v1/reservations"),
    ("GET", f"/v1/reservations/{SOME_ID}"),
    ("DELETE", f"/v1/reservations/{SOME_ID}"),
]
ADMITTED_CALLS = QUEUE_CALLS[3:]
BODY_CALLS = [
    ("POST", "/v1/users"),
    ("POST", "/v1/enqueues"),
    ("PATCH", "/v1/charges"),
    ("POST", "/v1/concerts/1/seats/1/reservations"),
    ("POST", "/v1/concerts/1/reservations"),
    ("POST", "/v1/concerts/1/seats/1/payments"),
    ("POST", "/v1/concerts"),
    ("POST", "/v1/concerts/1/dates"),
    ("PUT", "/v1/rooms/main"),
    ("PATCH", "/v1/rooms/main"),
]


def token_for(path: str, fan: Fan) -> str:
    """The token that a call takes."""
    if path in ("/v1/concerts", "/v1/concerts/1/dates") or path.startswith("/v1/rooms"):
        return ORGANISER_KEY
    if path in [one for _, one in USER_CALLS] or path == "/v1/users":
        return fan.user_token
    return fan.queue_token


@pytest.mark.parametrize(("method", "path"), USER_CALLS + QUEUE_CALLS + EITHER_CALLS)
def test_a_call_without_a_token_is_401_and_says_how_to_send_one(
    sale: Sale, method: str, path: str
) -> None:
    for header in (None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token x"):
        headers = {} if header is None else {"Authorization": header}
        refused = sale.call(method, path, headers=headers)
        assert (refused.status_code, refused.json["code"]) == (401, "token_missing")
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("method", "path"), USER_CALLS + QUEUE_CALLS + EITHER_CALLS)
def test_a_token_that_is_not_ours_is_401(sale: Sale, method: str, path: str) -> None:
    for token in ("nonsense", "a.b.c", "é" * 3, ORGANISER_KEY):
        refused = sale.call(method, path, token=token)
        assert (refused.status_code, refused.json["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(("method", "path"), USER_CALLS)
def test_a_queue_token_does_not_open_what_a_user_token_opens(
    sale: Sale, method: str, path: str
) -> None:
    refused = sale.admitted_fan().call(method, path)
    assert (refused.status_code, refused.json["code"]) == (401, "token_invalid")


@pytest.mark.parametrize(("method", "path"), QUEUE_CALLS)
def test_a_user_token_does_not_open_what_a_queue_token_opens(
    sale: Sale, method: str, path: str
) -> None:
    sale.concert()
    refused = sale.admitted_fan().call_as_user(method, path)
    assert (refused.status_code, refused.json["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("kind", ["user", "queue"])
def test_a_token_whose_time_is_over_is_401(sale: Sale, kind: str) -> None:
    fan = sale.fan()
    token = sign(kind, -1, {"sub": str(fan.user_id), "room": "main", "seq": 1})
    calls = USER_CALLS + EITHER_CALLS if kind == "user" else QUEUE_CALLS
    for method, path in calls:
        refused = sale.call(method, path, token=token)
        assert (refused.status_code, refused.json["code"]) == (401, "token_expired")


@pytest.mark.parametrize(("method", "path"), ADMITTED_CALLS)
def test_whoever_only_waits_is_403_behind_the_waiting_room(
    sale: Sale, method: str, path: str
) -> None:
    concert = sale.concert()
    assert concert == 1
    sale.room(paused=True)
    fan = sale.fan()
    assert fan.join(concert).json["status"] == "waiting"
    body = {
        "json": {"seats": [1, 2]} if path.endswith("1/reservations") and "seats" not in path else {}
    }
    refused = fan.call(method, path, **(body if method == "POST" else {}))
    assert (refused.status_code, refused.json["code"]) == (403, "not_admitted")


def test_a_place_in_another_room_is_403(sale: Sale) -> None:
    sale.room("side")
    concert = sale.concert(room="side")
    fan = sale.admitted_fan()
    for refused in (fan.seats(concert), fan.hold(concert, 1), fan.pay(concert, 1)):
        assert (refused.status_code, refused.json["code"]) == (403, "not_admitted")


@pytest.mark.parametrize(("method", "path"), BODY_CALLS)
def test_a_body_that_is_not_json_is_400_and_another_media_type_415(
    sale: Sale, method: str, path: str
) -> None:
    sale.concert()
    token = token_for(path, sale.admitted_fan())
    for data in (
        "{",
        "nul",
        "[1,]",
        "{'a': 1}",
        b"\xff\xfe",
        b'{"a":"\xc3\x28"}',
        "[]",
        "1",
        '"{}"',
        "null",
    ):
        refused = sale.call(method, path, token=token, data=data, content_type="application/json")
        assert (refused.status_code, refused.json["code"]) == (400, "bad_request"), data
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        refused = sale.call(method, path, token=token, data="{}", content_type=kind)
        assert (refused.status_code, refused.json["code"]) == (415, "not_json"), kind


@pytest.mark.parametrize(("method", "path"), BODY_CALLS)
def test_a_field_that_nobody_knows_is_400(sale: Sale, method: str, path: str) -> None:
    sale.concert()
    token = token_for(path, sale.admitted_fan())
    good: dict[str, Any] = {"amount": 1} if path == "/v1/charges" else {}
    refused = sale.call(method, path, token=token, json={**good, "colour": "red"})
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert "colour" in refused.json["detail"]


@pytest.mark.parametrize(("method", "path"), BODY_CALLS)
def test_a_body_that_is_too_large_is_413(sale: Sale, method: str, path: str) -> None:
    sale.concert()
    token = token_for(path, sale.admitted_fan())
    body = '{"name": "' + "a" * 70_000 + '"}'
    refused = sale.call(method, path, token=token, data=body, content_type="application/json")
    assert (refused.status_code, refused.json["code"]) == (413, "too_large")


def test_a_path_that_is_not_there_is_404_and_a_method_that_is_not_405(sale: Sale) -> None:
    missed = sale.call("GET", "/v1/nothing")
    assert (missed.status_code, missed.json["code"]) == (404, "not_found")
    refused = sale.call("PUT", "/v1/charges")
    assert (refused.status_code, refused.json["code"]) == (405, "method_not_allowed")
    assert {"GET", "PATCH"} <= set(refused.headers["Allow"].split(", "))


def test_a_problem_has_the_fields_of_rfc_9457_and_a_stable_code(sale: Sale) -> None:
    refused = sale.call("GET", "/v1/charges")
    assert refused.mimetype == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= refused.json.keys()
    assert refused.json["status"] == refused.status_code
    assert refused.json["type"].endswith(refused.json["code"])
    assert refused.headers["Cache-Control"] == "no-store"


def test_a_fault_of_ours_is_a_problem_that_tells_nothing_of_the_inside(
    settings: Settings, sale: Sale
) -> None:
    app = create_app(settings)

    def broken() -> None:
        raise RuntimeError("the password is swordfish")

    app.add_url_rule("/v1/broken", view_func=broken)
    answer = app.test_client().get("/v1/broken")
    assert answer.status_code == 500
    assert answer.mimetype == "application/problem+json"
    assert answer.json["code"] == "internal"
    assert answer.json["request_id"] == answer.headers["X-Request-ID"]
    for word in ("swordfish", "RuntimeError", "Traceback", ".py"):
        assert word not in answer.text


def test_a_place_has_the_fields_that_programs_rely_on(sale: Sale) -> None:
    fields = {
        "room",
        "status",
        "position",
        "waiting",
        "estimated_wait_seconds",
        "poll_after_seconds",
        "admitted_until",
    }
    fan = sale.fan()
    joined = fan.join().json
    assert fields | {"queue_token"} <= joined.keys()
    asked = fan.place()
    assert fields <= asked.json.keys()
    assert "queue_token" not in asked.json
    assert asked.json["position"] is None
    assert asked.json["admitted_until"] is not None
    assert int(asked.headers["Retry-After"]) >= asked.json["poll_after_seconds"]


def test_answers_are_not_kept_by_anybody_on_the_way(sale: Sale) -> None:
    fan = sale.admitted_fan()
    for answer in (
        fan.place(),
        fan.call_as_user("GET", "/v1/charges"),
        sale.call("GET", "/v1/concerts"),
        sale.call("GET", "/v1/concerts/99"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"


def test_times_are_iso_8601_with_offset(sale: Sale) -> None:
    from datetime import datetime

    concert = sale.concert()
    fan = sale.admitted_fan(concert, balance=50_000)
    held, paid = fan.hold(concert, 1).json, fan.pay(concert, 1).json
    moments = [held["created_at"], held["held_until"], paid["paid_at"]]
    moments += [sale.call("GET", f"/v1/concerts/{concert}").json["dates"][0]["starts_at"]]
    assert all(datetime.fromisoformat(moment).tzinfo is not None for moment in moments)
