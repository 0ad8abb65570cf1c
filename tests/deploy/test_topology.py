"""The service as docker-compose.yml lays it out: proxy, two webs, live, worker and clock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.deploy.stack import DEPLOY, Stack, command_of
from tests.sale import ORGANISER_KEY
from tests.service import call, free_port, open_stream
from tests.waiting import wait_until

DAY = "2031-12-31"


def new_concert(stack: Stack, room: str, **settings: Any) -> int:
    stack.call("PUT", f"/v1/rooms/{room}", settings, token=ORGANISER_KEY)
    dates = [{"starts_at": f"{DAY}T19:00:00+09:00", "price": 30_000, "capacity": 20}]
    body = {"title": "Tides", "venue": "Harbour Stage", "room": room, "dates": dates}
    made = stack.call("POST", "/v1/concerts", body, token=ORGANISER_KEY)
    assert made.status == 201, made.body
    number: int = made.json["id"]
    return number


def new_fan(stack: Stack) -> str:
    made = stack.call("POST", "/v1/users", {})
    assert made.status == 201, made.body
    token: str = made.json["user_token"]
    return token


def line_up(stack: Stack, user: str, concert: int) -> str:
    joined = stack.call("POST", "/v1/enqueues", {"concert_id": concert}, token=user)
    assert joined.status == 200, joined.body
    token: str = joined.json["queue_token"]
    return token


def status_of(stack: Stack, place: str) -> str:
    status: str = stack.call("GET", "/v1/enqueues", token=place).json["status"]
    return status


def test_a_whole_sale_goes_through_the_proxy(stack: Stack) -> None:
    concert = new_concert(stack, "whole-sale", capacity=1)
    first, second = new_fan(stack), new_fan(stack)
    place, behind = line_up(stack, first, concert), line_up(stack, second, concert)
    assert (status_of(stack, place), status_of(stack, behind)) == ("admitted", "waiting")

    seat = f"/v1/concerts/{concert}/seats/7"
    assert stack.call("POST", f"{seat}/reservations", {"date": DAY}, token=place).status == 200
    assert stack.call("POST", f"{seat}/payments", {}, token=place).json["missing"] == 30_000
    assert stack.call("PATCH", "/v1/charges", {"amount": 50_000}, token=first).status == 200
    paid = stack.call("POST", f"{seat}/payments", {}, token=place)
    assert (paid.status, paid.json["balance"]) == (200, 20_000)
    assert stack.call("GET", "/v1/payments", token=first).json["payments"] == [paid.json]

    # The place is over, and the clock and a worker let the next person in.
    assert stack.call("GET", "/v1/enqueues", token=place).json["code"] == "token_expired"
    wait_until(lambda: status_of(stack, behind) == "admitted", what="the next one is let in")
    taken = stack.call("POST", f"{seat}/reservations", {}, token=behind)
    assert (taken.status, taken.json["code"]) == (409, "seat_taken")


def test_the_stream_of_a_place_comes_through_the_proxy_piece_by_piece(stack: Stack) -> None:
    concert = new_concert(stack, "streamed", capacity=1)
    inside = line_up(stack, new_fan(stack), concert)
    place = line_up(stack, new_fan(stack), concert)
    with open_stream(stack.port, "/v1/enqueues/events", place) as (response, events):
        assert response.headers["Content-Type"].startswith("text/event-stream")
        # The stream stays open, so a proxy that gathered it up would show nothing yet.
        assert next(events)["position"] == 1
        assert stack.call("DELETE", "/v1/enqueues", token=inside).status == 204
        assert (
            next(event for event in events if event["status"] != "waiting")["status"] == "admitted"
        )


def test_the_live_process_streams_without_postgresql(stack: Stack) -> None:
    concert = new_concert(stack, "no-database", capacity=1)
    inside = line_up(stack, new_fan(stack), concert)
    place = line_up(stack, new_fan(stack), concert)
    port, nowhere = free_port(), f"postgresql://concert@127.0.0.1:{free_port()}/concert"
    command = [one.replace("0.0.0.0:8001", f"127.0.0.1:{port}") for one in command_of("live")]
    live = stack.run("live-2", command, stack.environment("live", DATABASE_URL=nowhere))
    try:
        live.wait_until_it_serves(port)
        assert call(port, "GET", "/v1/concerts").json["code"] == "unavailable"
        with open_stream(port, "/v1/enqueues/events", place) as (_, events):
            assert next(events)["position"] == 1
            assert stack.call("DELETE", "/v1/enqueues", token=inside).status == 204
            assert next(e for e in events if e["status"] != "waiting")["status"] == "admitted"
    finally:
        stack.processes.pop("live-2").end()


def test_one_web_that_is_killed_does_not_stop_the_sale(stack: Stack) -> None:
    concert = new_concert(stack, "one-web")
    fans = [new_fan(stack) for _ in range(5)]
    stack.kill("web-1")
    try:
        places = [line_up(stack, fan, concert) for fan in fans]
        held = [
            stack.call("POST", f"/v1/concerts/{concert}/seats/{seat}/reservations", {}, token=place)
            for seat, place in enumerate(places, start=1)
        ]
        assert [answer.status for answer in held] == [200] * 5
        assert {stack.call("GET", "/v1/concerts").status for _ in range(10)} == {200}
    finally:
        stack.start("web-1")
        stack.wait_until_ready()


def static_file(stack: Stack) -> str:
    """The address of a static file that a page asks for."""
    page = stack.call("GET", "/").body.decode()
    found = re.search(r'"(/static/v/[^"]+\.css)"', page)
    assert found, page
    return found[1]


def test_without_any_web_streams_go_on_and_everybody_else_is_told_to_come_back(
    stack: Stack,
) -> None:
    concert = new_concert(stack, "outage", capacity=1)
    user = new_fan(stack)
    inside = line_up(stack, new_fan(stack), concert)
    place = line_up(stack, user, concert)
    address = static_file(stack)
    file = stack.call("GET", address)
    assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    with open_stream(stack.port, "/v1/enqueues/events", place) as (_, events):
        assert next(events)["status"] == "waiting"
        assert stack.call("DELETE", "/v1/enqueues", token=inside).status == 204
        stack.kill("web-1")
        stack.kill("web-2")
        try:
            assert next(e for e in events if e["status"] != "waiting")["status"] == "admitted"
            kept = stack.call("GET", address)
            assert (kept.status, kept.body) == (200, file.body)
            problem = stack.call("PATCH", "/v1/charges", {"amount": 1_000}, token=user)
            page = stack.call("GET", "/", headers={"Accept": "text/html"})
        finally:
            stack.start("web-1")
            stack.start("web-2")
            stack.wait_until_ready()

    assert (problem.status, page.status) == (503, 503)
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert (problem.json["code"], problem.json["status"]) == ("unavailable", 503)
    assert problem.json["request_id"] == problem.headers["X-Request-ID"]
    assert int(problem.headers["Retry-After"]) > 0 and int(page.headers["Retry-After"]) > 0
    text = page.body.decode()
    assert "잠시만 기다려 주세요" in text and "One moment, please" in text
    assert stack.call("GET", "/v1/charges", token=user).json["balance"] == 0


def test_readiness_and_the_health_of_the_sale_are_asked_for_through_the_proxy(
    stack: Stack,
) -> None:
    ready = stack.call("GET", "/readyz")
    assert (ready.status, set(ready.json["checks"])) == (200, {"postgresql", "redis"})
    sale = stack.call("GET", "/healthz/sale")
    assert (sale.status, sale.json["checks"]) == (200, {"clock": "ok", "worker": "ok"})


def asked(health: list[str], redis_url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RQ_REDIS_URL": redis_url}
    return subprocess.run(health, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("part", ["worker", "upkeep", "clock"])
def test_the_health_check_sees_its_part(stack: Stack, part: str) -> None:
    health = [sys.executable, str(DEPLOY / "healthcheck.py"), part]
    seen = asked(health, stack.redis_url)
    assert seen.returncode == 0, seen.stderr
    unseen = asked(health, f"redis://127.0.0.1:{free_port()}/0")
    assert unseen.returncode == 1
    assert "Error" in unseen.stderr


def test_a_body_that_is_too_large_is_a_problem_whoever_refuses_it(stack: Stack) -> None:
    for size in (100_000, 200_000):
        body = b'{"name": "' + b"x" * size + b'"}'

        def refusal(body: bytes = body) -> Any:
            answer = stack.call("POST", "/v1/users", body)
            # On a machine that is busy with other things the proxy may find no web at once.
            return None if answer.status == 503 else answer

        answer = wait_until(refusal)
        assert (answer.status, answer.json["code"]) == (413, "too_large")
