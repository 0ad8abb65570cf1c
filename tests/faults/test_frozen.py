"""PostgreSQL and Redis, each stopped for 20 s with all sockets open, while a crowd goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import httpx
import pytest

from tests.faults.conftest import Service
from tests.faults.crowd import Answered, Crowd, asked, frozen
from tests.sale import Fan
from tests.waiting import wait_until

FROZEN_SECONDS = 20.0
LONGEST_ANSWER = 3.5
# It is asked for 1.5 s; the rest is for a machine that does other things, and less than a probe waits.
LONGEST_READINESS = 3.0
RECOVERED_WITHIN = 5.0
CROWD = 24
# Between two questions of one person: a hundred and more a second of all, and time for others.
PAUSE_SECONDS = 0.15


def person(fan: Fan, concert: int, seat: int) -> list[Callable[[httpx.Client], httpx.Response]]:
    """What one person does again and again: look, hold, release, charge."""
    place = {"Authorization": f"Bearer {fan.queue_token}"}
    user = {"Authorization": f"Bearer {fan.user_token}"}
    key = iter(range(10**9))

    def release(client: httpx.Client) -> httpx.Response:
        mine = client.get("/v1/reservations", headers=user)
        held = [one for one in mine.json().get("reservations", []) if one["status"] == "held"]
        if not held:
            return mine
        return client.delete(f"/v1/reservations/{held[0]['reservation_id']}", headers=user)

    return [
        lambda client: client.get("/v1/enqueues", headers=place),
        lambda client: client.get(f"/v1/concerts/{concert}/seats", headers=place),
        lambda client: client.post(
            f"/v1/concerts/{concert}/seats/{seat}/reservations",
            headers={**place, "Idempotency-Key": f"{seat}-{next(key)}"},
            json={},
        ),
        lambda client: client.patch("/v1/charges", headers=user, json={"amount": 1}),
        release,
        lambda client: client.get("/"),
    ]


def worst(answers: list[Answered]) -> Answered:
    return max(answers, key=lambda one: one.seconds)


@pytest.mark.parametrize("part", ["postgresql", "redis"])
def test_a_frozen_server_makes_no_answer_late_and_none_a_fault(
    small_service: Service, part: Literal["postgresql", "redis"]
) -> None:
    service = small_service  # with more people than threads
    sale = service.sale
    slug = f"frozen-{part}"
    sale.room(slug, capacity=1000, admit_per_minute=60_000)
    concert = sale.concert(room=slug, capacity=CROWD)
    fans = [sale.admitted_fan(concert) for _ in range(CROWD)]
    crowd = Crowd(service.address)
    for seat, fan in enumerate(fans, 1):
        crowd.add(person(fan, concert, seat), PAUSE_SECONDS)
    readiness: list[Answered] = []
    try:
        wait_until(lambda: len(crowd.answers) > 10 * CROWD, seconds=30, what="a busy crowd")
        before = crowd.answers[:]
        with (
            httpx.Client(base_url=service.address, timeout=30) as client,
            frozen(service.postgres if part == "postgresql" else service.redis),
        ):
            begun = time.monotonic()
            while time.monotonic() < begun + FROZEN_SECONDS:
                readiness.append(asked(client, lambda client: client.get("/readyz")))
                time.sleep(0.5)
        thawed = time.monotonic()

        def recovered() -> bool:
            latest = [one for one in crowd.answers[-2 * CROWD :] if one.at > thawed]
            return len(latest) == 2 * CROWD and {one.status for one in latest} <= {200, 204}

        wait_until(recovered, seconds=20, what="a service that is as before")
        took = max(one.at for one in crowd.answers[-2 * CROWD :]) - thawed
        ready_again = httpx.get(f"{service.address}/readyz", timeout=30)
    finally:
        crowd.stop()
    during = crowd.between(begun, thawed)
    noise = crowd.lag
    assert {one.status for one in before} <= {200, 204}, before[-5:]
    assert {one.status for one in during} <= {200, 204, 503}, [
        one for one in during if one.status not in (200, 204, 503)
    ][:5]
    assert 503 in {one.status for one in during}
    assert worst(during).seconds <= LONGEST_ANSWER + noise, worst(during)
    assert worst(readiness).seconds <= LONGEST_READINESS + noise, worst(readiness)
    for one in readiness:
        assert one.status == 503
        assert f'"{part}":"ok"' not in one.body.replace(" ", "")
    assert took <= RECOVERED_WITHIN + noise
    assert ready_again.status_code == 200
