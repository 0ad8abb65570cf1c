"""deploy/nginx.conf by itself, in front of a server that says what it was asked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import http.server
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.stack import DEPLOY, Stack
from tests.servers import temporary_directory
from tests.service import free_port, wait_until_served
from tests.waiting import wait_until

STREAMS = ("/v1/enqueues/events", "/live/rooms/main", "/live/performances/1")


class Echo(http.server.ThreadingHTTPServer):
    """Answers with what it was asked; a path with ``cut`` in it ends the connection instead.

    A stream's second piece comes when ``go`` is set; a static file may be kept.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[str] = []
        self.go = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self.thread.start()

    def end(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Echo)
        self.server.asked.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "cut" in self.path:
            self.close_connection = True
            return
        if self.path in STREAMS:
            self.stream(self.server.go)
            return
        said = {"headers": dict(self.headers.items()), "count": len(self.server.asked)}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        if self.path.startswith("/static/"):
            self.send_header("Cache-Control", "public, max-age=31536000, immutable")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_GET

    def stream(self, go: threading.Event) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: 1\n\n")
        self.wfile.flush()
        go.wait(30)
        self.wfile.write(b"data: 2\n\n")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    try:
        yield server
    finally:
        server.end()


other_echo = echo


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Stack]:
    with proxy_before([echo]) as stack:
        yield stack


@contextmanager
def proxy_before(webs: list[Echo], live: Echo | None = None, more: str = "") -> Iterator[Stack]:
    """The proxy in front of these; where there is no live process, nobody listens in its place."""
    with temporary_directory() as directory:
        stack = Stack(directory, "", "")
        stack.web_ports = {f"web-{n}": web.server_port for n, web in enumerate(webs, 1)}
        stack.live_port = live.server_port if live else free_port()
        try:
            stack.start_proxy(more)
            wait_until_served(stack.processes.values(), stack.port, "/proxy-health")
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def behind_another(echo: Echo) -> Iterator[Stack]:
    """The proxy behind one that ends TLS, whom it believes who asks."""
    with proxy_before(
        [echo], more="set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"
    ) as stack:
        yield stack


@pytest.fixture
def beside_a_web(echo: Echo) -> Iterator[Stack]:
    """The proxy with deploy/beside/upstreams.conf: in a cloud, behind a balancer, at one address with its web."""
    text = (DEPLOY / "beside/upstreams.conf").read_text()
    for old, new in (
        ("10.0.0.0/8", "127.0.0.0/8"),
        ("127.0.0.1:8000", f"127.0.0.1:{echo.server_port}"),
        ("127.0.0.1:8001", f"127.0.0.1:{free_port()}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    with temporary_directory() as directory:
        stack = Stack(directory, "", "")
        stack.web_ports, stack.live_port = {"web-1": echo.server_port}, free_port()
        try:
            stack.start_proxy(instead=text)
            wait_until_served(stack.processes.values(), stack.port, "/proxy-health")
            yield stack
        finally:
            stack.stop()


def headers_seen(proxy: Stack, **sent: str) -> dict[str, str]:
    headers = {name.replace("_", "-"): value for name, value in sent.items()}
    seen: dict[str, str] = proxy.call("GET", "/v1/concerts", headers=headers).json["headers"]
    return seen


def test_the_app_learns_who_asked_and_how(proxy: Stack) -> None:
    seen = headers_seen(proxy, Host="sale.example", X_Request_ID="abcdef-123456")
    assert seen["Host"] == "sale.example"
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen["X-Forwarded-Host"] == "sale.example"
    assert seen["X-Request-ID"] == "abcdef-123456"


def test_what_a_caller_claims_stands_before_what_the_proxy_knows(proxy: Stack) -> None:
    seen = headers_seen(
        proxy,
        Host="inside.example",
        X_Forwarded_For="10.9.8.7",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="sale.example",
    )
    assert seen["X-Forwarded-For"] == "10.9.8.7, 127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "https, http"
    assert seen["X-Forwarded-Host"] == "sale.example, inside.example"


def test_a_request_id_that_the_app_would_not_keep_is_replaced(proxy: Stack) -> None:
    made = headers_seen(proxy, X_Request_ID="no spaces allowed")["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_the_room_status_is_asked_once_for_many_anonymous_people(proxy: Stack, echo: Echo) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: proxy.call("GET", "/rooms/main/status"), range(100)))
    assert {answer.status for answer in answers} == {200}
    # One a second: a slow machine may need several seconds for a hundred.
    assert len(echo.asked) < 50


def test_the_room_status_of_a_known_person_is_never_shared(proxy: Stack, echo: Echo) -> None:
    for name, value in (("Cookie", "user=a"), ("Authorization", "Bearer a")):
        counts = [
            proxy.call("GET", "/rooms/main/status", headers={name: value}).json["count"]
            for _ in range(3)
        ]
        assert len(set(counts)) == 3
    proxy.call("GET", "/rooms/main/status")
    assert len(echo.asked) == 7
    # Nor does anybody known get what was kept just now for those who are not.
    proxy.call("GET", "/rooms/main/status", headers={"Cookie": "user=a"})
    assert len(echo.asked) == 8


def test_how_a_room_is_is_asked_once_for_everybody_whatever_comes_with_the_question(
    proxy: Stack, echo: Echo
) -> None:
    def ask(number: int) -> Any:
        mine = {"Cookie": f"user={number}", "Authorization": f"Bearer {number}"}
        return proxy.call("GET", f"/v1/rooms/main?chance={number}", headers=mine)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(ask, range(100)))
    assert {answer.status for answer in answers} == {200}
    assert len(echo.asked) < 50
    for method in ("PUT", "PATCH", "PATCH"):
        proxy.call(method, "/v1/rooms/main", {})
    assert [asked.partition(" ")[0] for asked in echo.asked[-3:]] == ["PUT", "PATCH", "PATCH"]


def test_a_request_that_changes_something_is_never_sent_to_the_other_web(
    echo: Echo, other_echo: Echo
) -> None:
    with proxy_before([echo, other_echo]) as proxy:
        answer = proxy.call("POST", "/v1/cut", {})
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"] or 0) > 0
        assert echo.asked + other_echo.asked == ["POST /v1/cut"]


def test_a_question_that_one_web_leaves_unanswered_goes_to_the_other(
    echo: Echo, other_echo: Echo
) -> None:
    with proxy_before([echo, other_echo]) as proxy:
        assert proxy.call("GET", "/v1/cut").status == 503
        assert echo.asked == other_echo.asked == ["GET /v1/cut"]


def test_a_page_that_cannot_be_reached_is_a_page_in_the_apps_look(proxy: Stack) -> None:
    answer = proxy.call("GET", "/cut")
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("text/html")
    assert int(answer.headers["Retry-After"] or 0) > 0
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body == (DEPLOY / "unavailable.html").read_bytes()


@pytest.mark.parametrize("path", STREAMS)
def test_streams_go_to_live_and_come_piece_by_piece(
    echo: Echo, other_echo: Echo, path: str
) -> None:
    with proxy_before([echo], other_echo) as proxy:
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
        try:
            connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            response = connection.getresponse()
            assert response.readline() == b"data: 1\n"
            other_echo.go.set()
            assert response.read() == b"\ndata: 2\n\n"
        finally:
            other_echo.go.set()
            connection.close()
        assert (echo.asked, other_echo.asked) == ([], [f"GET {path}"])


def test_a_body_that_no_call_takes_does_not_reach_the_app(proxy: Stack, echo: Echo) -> None:
    for path in ("/v1/users", "/wallet"):
        answer = proxy.call("POST", path, b"x" * 140_000)
        assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert echo.asked == []


def test_a_file_is_asked_for_once_and_kept(proxy: Stack, echo: Echo) -> None:
    counts = {proxy.call("GET", "/static/v/abc/css/site.css").json["count"] for _ in range(3)}
    assert counts == {1}
    assert len(echo.asked) == 1


def test_the_proxy_does_not_say_which_version_it_is(proxy: Stack) -> None:
    assert proxy.call("GET", "/v1/concerts").headers["Server"] == "nginx"


def flood(
    proxy: Stack, path: str, count: int, headers: Callable[[int], dict[str, str]] = lambda _: {}
) -> list[Any]:
    """Send so many POSTs at once; the answers."""

    def make(number: int) -> Any:
        return proxy.call("POST", path, {}, headers=headers(number))

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(make, range(count)))


def test_a_flood_of_new_users_from_one_address_is_slowed_down(proxy: Stack, echo: Echo) -> None:
    answers = flood(proxy, "/v1/users", 800)
    refused = [answer for answer in answers if answer.status == 429]
    assert 300 < len(answers) - len(refused) == len(echo.asked)
    assert refused
    assert json.loads(refused[0].body)["code"] == "rate_limited"
    assert int(refused[0].headers["Retry-After"] or 0) > 0
    assert proxy.call("POST", "/v1/enqueues", {}).status == 200


def test_users_made_by_pages_and_by_the_api_have_one_limit(proxy: Stack, echo: Echo) -> None:
    flood(proxy, "/rooms/main/join", 800)
    by_pages = len(echo.asked)
    assert 300 < by_pages < 800
    assert 429 in {answer.status for answer in flood(proxy, "/v1/users", 50)}
    assert len(echo.asked) - by_pages < 50
    (refused, *_) = (answer for answer in flood(proxy, "/wallet", 50) if answer.status == 429)
    assert refused.headers["Content-Type"].startswith("text/html")
    assert int(refused.headers["Retry-After"] or 0) > 0
    assert "다시 눌러 주세요" in refused.body.decode()


def test_staff_at_the_gate_do_not_wait_for_a_crowd_that_shares_their_address(
    proxy: Stack, echo: Echo
) -> None:
    assert 429 in {answer.status for answer in flood(proxy, "/rooms/main/join", 800)}
    for path in ("/staff/leave", "/organiser/staff"):
        assert {answer.status for answer in flood(proxy, path, 100)} == {200}


def test_sign_in_links_are_not_guessed_by_the_hundred(proxy: Stack, echo: Echo) -> None:
    answers = flood(proxy, "/staff/enter/guess", 100)
    assert 20 < len(echo.asked) < 100
    (refused, *_) = (answer for answer in answers if answer.status == 429)
    assert "다시 눌러 주세요" in refused.body.decode()


def test_whoever_is_a_user_already_is_not_counted_on_pages_but_on_the_api(
    proxy: Stack, echo: Echo
) -> None:
    known = {"Cookie": "other=1; concert_user=somebody"}
    for path in ("/rooms/main/join", "/wallet"):
        answers = flood(proxy, path, 400, lambda _: known)
        assert {answer.status for answer in answers} == {200}
    assert {answer.status for answer in flood(proxy, "/v1/users", 800, lambda _: known)} == {
        200,
        429,
    }


def test_an_ipv6_network_counts_as_one_address(behind_another: Stack) -> None:
    def of_one_network(number: int) -> dict[str, str]:
        return {"X-Forwarded-For": f"2001:db8:0:1::{number:x}"}

    refused = [
        a for a in flood(behind_another, "/v1/users", 800, of_one_network) if a.status == 429
    ]
    assert refused
    for address in ("2001:db8:0:2::1", "192.0.2.1", "::ffff:192.0.2.2"):
        answer = behind_another.call("POST", "/v1/users", {}, headers={"X-Forwarded-For": address})
        assert answer.status == 200
    mapped = flood(
        behind_another,
        "/v1/users",
        400,
        lambda n: {"X-Forwarded-For": f"::ffff:10.0.{n >> 8}.{n & 255}"},
    )
    assert {answer.status for answer in mapped} == {200}


def half_a_body(proxy: Stack) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", proxy.port))
    link.sendall(b"POST /v1/enqueues HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    return link


def test_a_body_that_stops_coming_is_given_up_and_the_app_never_hears_of_it(
    proxy: Stack, echo: Echo
) -> None:
    began = time.monotonic()
    with half_a_body(proxy) as link:
        link.settimeout(30)
        with contextlib.suppress(ConnectionResetError):
            assert b" 200 " not in link.recv(4096)
    assert 4 < time.monotonic() - began < 15
    assert echo.asked == []


def test_one_address_may_be_sending_only_so_many_bodies_at_once(proxy: Stack, echo: Echo) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(250):
            held.enter_context(half_a_body(proxy))
        answer = proxy.call("POST", "/v1/enqueues", {})
        page = proxy.call("POST", "/rooms/main/join", {})
        assert (answer.status, answer.json["code"]) == (503, "unavailable")
        assert (page.status, page.headers["Content-Type"]) == (503, "text/html")
        assert int(answer.headers["Retry-After"]) > 0 and int(page.headers["Retry-After"]) > 0
        assert echo.asked == []
        assert proxy.call("GET", "/v1/concerts").status == 200
    wait_until(
        lambda: proxy.call("POST", "/v1/enqueues", {}).status == 200, what="an address in peace"
    )


def test_new_users_of_one_address_come_no_faster_than_ten_a_second(
    proxy: Stack, echo: Echo
) -> None:
    began, refused = time.monotonic(), list[int]()

    def make_for_a_while(_: int) -> None:
        while time.monotonic() < began + (2 if len(refused) > 100 else 20):
            if proxy.call("POST", "/v1/users", {}).status == 429:
                refused.append(429)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make_for_a_while, range(8)))
    # Three hundred at once, and ten a second; the one that begins the count is free.
    assert 301 <= len(echo.asked) <= 302 + 10 * (time.monotonic() - began)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/metrics?x=1",
        "//metrics",
        "/./metrics",
        "/v1/../metrics",
        "/%6detrics",
        "/%2Fmetrics",
    ],
)
def test_figures_for_the_operator_are_not_public(proxy: Stack, echo: Echo, path: str) -> None:
    for method in ("GET", "HEAD", "POST"):
        assert proxy.call(method, path, token="whatever").status == 404
    assert echo.asked == []


def test_the_proxy_logs_what_failed_and_no_path(proxy: Stack) -> None:
    proxy.call("GET", "/v1/concerts")
    proxy.call("GET", "/tickets/verify/cut-one-time-code")
    log: Path = proxy.directory / "access.log"
    lines = wait_until(lambda: log.read_text().splitlines())
    assert [json.loads(line)["status"] for line in lines] == [503]
    assert "one-time-code" not in lines[0]


def test_the_page_for_an_outage_passes_its_own_content_security_policy() -> None:
    page = (DEPLOY / "unavailable.html").read_text()
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    assert len(style) == 1
    assert f"style-src 'sha256-{digest}'" in (DEPLOY / "nginx.conf").read_text()
    assert "<script" not in page and "style=" not in page


def test_beside_a_web_the_proxy_says_whom_the_balancer_saw_and_that_it_was_https(
    beside_a_web: Stack,
) -> None:
    seen = headers_seen(
        beside_a_web, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https", Host="t.example"
    )
    # Two proxies are believed there: the last two of each.
    assert seen["X-Forwarded-For"].split(", ")[-2] == "203.0.113.9"
    assert seen["X-Forwarded-Proto"].split(", ")[-2] == "https"
    assert seen["X-Forwarded-Host"] == "t.example"
    # Figures are not for the public there, either.
    assert beside_a_web.call("GET", "/metrics").status == 404
