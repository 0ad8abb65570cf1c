"""Webs are replaced one after the other while people use them: nobody notices."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest

from tests.deploy.stack import Stack
from tests.deploy.test_topology import line_up, new_concert, new_fan
from tests.service import wait_until_served
from tests.waiting import wait_until

CROWD = 6


class Crowd:
    """People who ask and join without a break, over connections that stay open."""

    def __init__(self, stack: Stack, concert: int, place: str, users: list[str]) -> None:
        self.stack, self.concert, self.place, self.users = stack, concert, place, users
        self.answers = 0
        self.lost: list[str] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._go_on, args=(user,), daemon=True) for user in users
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _go_on(self, user: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=20)
        body = b'{"concert_id": %d}' % self.concert
        try:
            for _ in itertools.count():
                if self._over.is_set():
                    return
                self._ask(connection, "GET", "/v1/enqueues", self.place)
                # Joining twice is joining once, so the proxy may send it again; this client does not.
                self._ask(connection, "POST", "/v1/enqueues", user, body)
                time.sleep(0.02)
        finally:
            connection.close()

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        token: str,
        body: bytes | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self.lost.append(f"{method} {path}: {error!r}")
            return
        self.answers += 1
        if answer.status != 200:
            self.lost.append(f"{method} {path}: {answer.status} {text[:200]!r}")


@pytest.fixture
def crowd(stack: Stack) -> Iterator[Crowd]:
    concert = new_concert(stack, "rolling", capacity=1)
    line_up(stack, new_fan(stack), concert)
    place = line_up(stack, new_fan(stack), concert)
    yield Crowd(stack, concert, place, [new_fan(stack) for _ in range(CROWD)])


def test_no_request_is_lost_while_webs_are_replaced_one_after_the_other(
    stack: Stack, crowd: Crowd
) -> None:
    with crowd:
        for name, port in stack.web_ports.items():
            before = crowd.answers
            wait_until(lambda: crowd.answers > before + 50, seconds=60, what="they are at it")  # noqa: B023
            # As a container is stopped: SIGTERM, and time to finish.
            stack.processes.pop(name).end()
            web = stack.start(name, CONCERT_LOG_LEVEL="info")
            wait_until_served(stack.processes.values(), port, "/readyz")
            # The proxy tries it again when the two seconds are over for which it left it alone.
            wait_until(lambda: web.said("/v1/enqueues"), seconds=60, what="the proxy uses it")  # noqa: B023
    assert crowd.lost == []
