"""Clients that send their bodies a byte at a time, or never."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from tests.faults.conftest import SMALL_THREADS, Service
from tests.waiting import wait_until

# As many for each thread as in a flood of 270 on two workers of 128.
SLOW_CLIENTS = SMALL_THREADS + 1
FLOOD_SECONDS = 5.0


@contextmanager
def slow_bodies(address: str, path: str, token: str, trickle: float | None) -> Iterator[None]:
    """Clients that send a byte every ``trickle`` seconds (None: none at all), and come again when refused."""
    over = threading.Event()
    where = urlsplit(address)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
    ).encode()

    def one() -> None:
        while not over.wait(0.05):
            with (
                contextlib.suppress(OSError),
                socket.create_connection((where.hostname, where.port or 80)) as link,
            ):
                link.settimeout(trickle or 0.5)
                link.sendall(head)
                while not over.is_set():
                    if trickle:
                        link.sendall(b" ")
                    with contextlib.suppress(TimeoutError):
                        if not link.recv(4096):
                            break

    threads = [threading.Thread(target=one, daemon=True) for _ in range(SLOW_CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(10)


def flood(service: Service, trickle: float | None) -> None:
    fan = service.sale.fan()
    with (
        slow_bodies(service.address, "/v1/enqueues", fan.user_token, trickle),
        httpx.Client(base_url=service.address, timeout=30) as client,
    ):
        ends = time.monotonic() + FLOOD_SECONDS
        took = []
        while time.monotonic() < ends:
            began = time.monotonic()
            assert client.get("/healthz").status_code == 200
            took.append(time.monotonic() - began)
            time.sleep(0.05)
        assert max(took) < 2.0
        assert len(took) > 20
        # Those who send a body may be refused meanwhile, and at once.
        began = time.monotonic()
        assert client.post("/v1/users", json={}).status_code in (201, 503)
        assert time.monotonic() - began < 2.0
    wait_until(lambda: fan.charge(1).status_code == 200, what="calm")


def test_bodies_that_trickle_leave_threads_for_everybody_else(small_service: Service) -> None:
    flood(small_service, 0.1)


def test_bodies_that_never_come_leave_threads_for_everybody_else(small_service: Service) -> None:
    flood(small_service, None)


def test_half_a_body_is_not_taken_for_a_whole_one(small_service: Service) -> None:
    fan = small_service.sale.fan()
    where = urlsplit(small_service.address)
    body = b'{"amount": 5}'
    head = (
        f"PATCH /v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {fan.user_token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body) + 5}\r\n\r\n"
    ).encode()
    with socket.create_connection((where.hostname, where.port or 80)) as link:
        link.sendall(head + body)
        link.shutdown(socket.SHUT_WR)
        link.settimeout(5)
        with contextlib.suppress(OSError):
            assert b" 200 " not in link.recv(4096)
    assert fan.balance() == 0
