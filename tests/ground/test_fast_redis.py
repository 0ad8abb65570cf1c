"""The short way to Redis: it answers as the usual way does, and keeps all that is promised of that."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
)

from concert.ground import fast_redis
from concert.ground.budget import within
from concert.ground.fast_redis import MOST_LINKS, FastRedis, packed
from concert.ground.parts import part
from concert.ground.redis_client import Client, new_client, redis
from concert.ground.settings import Settings
from tests.sale import Sale
from tests.waiting import wait_until

CERTIFICATE = Path(__file__).with_name("localhost.pem")
ECHO = "return ARGV"
# What a script may answer, as Lua writes it.
ANSWERS = {
    "nothing": "return false",
    "a number": "return 3.99",
    "the greatest number": "return 9007199254740991",
    "a negative number": "return -5",
    "a status": "return redis.status_reply('FINE')",
    "an empty list": "return {}",
    "lists within lists": "return {1, {'two', {3, {}}}, false}",
    "an empty text": "return ''",
    "two megabytes": "return string.rep('x', 2000000)",
    "an error": "return redis.error_reply('NO such thing')",
    "a mistake": "return nothing.there",
    "a wrong type": "return redis.call('LPOP', KEYS[1])",
}
# A busy machine may be slow, but not by this much.
SLACK = 2.0


@pytest.fixture(autouse=True)
def no_outage_is_left(sale: Sale) -> Iterator[None]:
    yield
    part(Client).connection_pool.outage.end()  # type: ignore[attr-defined]  # a Pool


opened: list[FastRedis] = []


def way_to(url: str) -> FastRedis:
    """A short way of a test's own, closed when the test is over."""
    found = FastRedis.for_url(url)
    assert found is not None, url
    opened.append(found)
    return found


@pytest.fixture(autouse=True)
def what_was_opened_is_closed() -> Iterator[None]:
    yield
    while opened:
        opened.pop().let_go()


@pytest.fixture
def client(sale: Sale) -> Client:
    found = redis()
    assert found.fast is not None
    return found


@pytest.fixture(params=["the short way", "an option that is not known", "without hiredis"])
def either(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch, sale: Sale
) -> Client:
    """The app's client, on the short way or on the one that it falls back to."""
    url = settings.redis_url
    if request.param == "an option that is not known":
        url += "&health_check_interval=0"
    if request.param == "without hiredis":
        monkeypatch.setattr(fast_redis, "Reader", None)
    client = redis()
    fast = FastRedis.for_url(url)
    monkeypatch.setattr(client, "fast", fast)
    client.is_short = request.param == "the short way"  # type: ignore[attr-defined]
    return client


def said(ask: Callable[..., Any], *command: Any) -> tuple[str, Any]:
    """An answer, or the kind of an error."""
    try:
        return "answer", ask(*command)
    except (RedisError, UnicodeError) as error:
        return "error", type(error)


@contextmanager
def takes(least: float, most: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began <= most + SLACK


values = (
    strategies.binary(max_size=40)
    | strategies.text(max_size=40)
    | strategies.text(strategies.characters(), max_size=5)
    | strategies.integers()
    | strategies.floats(allow_nan=False)
    | strategies.booleans()
    | strategies.none()
    | strategies.just(b"x" * 300_000)
    | strategies.just("é" * 100_000)
    | strategies.sampled_from([b"", "", b"\r\n", b"$-1\r\n", b"\0", "\0"])
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(strategies.lists(values, max_size=8))
def test_whatever_is_sent_both_ways_answer_the_same(client: Client, sent: list[Any]) -> None:
    command = ("EVAL", ECHO, 0, *sent)
    assert said(client.ask, *command) == said(client.execute_command, *command)


@pytest.mark.parametrize("kind", ANSWERS)
def test_whatever_is_answered_both_ways_read_the_same(client: Client, kind: str) -> None:
    client.set("{k}", "text")
    command = ("EVAL", ANSWERS[kind], 1, "{k}")
    assert said(client.ask, *command) == said(client.execute_command, *command)


def test_both_ways_know_the_same_errors(client: Client) -> None:
    for command in (("EVALSHA", "0" * 40, 0), ("NOTHING",), ("EVAL", ECHO), ("SELECT", "99")):
        assert said(client.ask, *command) == said(client.execute_command, *command)
    with pytest.raises(NoScriptError):
        client.ask("EVALSHA", "0" * 40, 0)


def test_a_sale_goes_on_whichever_way_is_taken(sale: Sale, either: Client) -> None:
    assert (either.fast is not None) == either.is_short  # type: ignore[attr-defined]
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(concert, balance=10)
    either.script_flush()
    assert fan.place().json["status"] == "admitted"
    assert fan.hold(concert, 7).status_code == 200
    assert fan.pay(concert, 7).status_code == 200
    other = sale.admitted_fan(concert)
    assert other.call("DELETE", "/v1/enqueues").status_code == 204
    either.connection_pool.outage.begin()  # type: ignore[attr-defined]  # a Pool
    assert sale.fan().join().status_code == 503


def test_scripts_go_the_short_way(sale: Sale, client: Client) -> None:
    fan = sale.fan()
    fan.join()
    with Redis.from_url(sale_url(client)) as other:
        other.client_kill_filter(_type="normal", skipme=True)
        assert fan.place().status_code == 200
        # Of all connections there is now the one that the question came by.
        own = {one["id"] for one in other.client_list(_type="normal")} - {str(other.client_id())}
    assert own == {str(client.ask("CLIENT", "ID"))}


def test_where_every_link_is_in_use_the_usual_way_is_taken(client: Client) -> None:
    with ThreadPoolExecutor(MOST_LINKS + 8) as pool:
        waits = [
            pool.submit(client.ask, "BLPOP", f"list {number}", 20)
            for number in range(MOST_LINKS + 8)
        ]
        wait_until(
            lambda: len(blocked(client)) == MOST_LINKS + 8,
            what="more who wait than there are links",
        )
        for number in range(MOST_LINKS + 8):
            client.rpush(f"list {number}", number)
        answers = [list(one.result(10)) for one in waits]
    assert answers == [[b"list %d" % number, b"%d" % number] for number in range(MOST_LINKS + 8)]
    assert client.ask("ECHO", "after") == b"after"


def test_a_question_that_was_slow_is_not_sent_again_and_its_answer_is_nobody_s(
    client: Client,
) -> None:
    client.config_resetstat()
    with takes(0.3, 0.3), pytest.raises(TimeoutError), within(0.3):
        client.ask("BLPOP", "nothing", 20)
    assert client.info("commandstats")["cmdstat_blpop"]["calls"] == 1
    client.rpush("nothing", "late")
    assert [client.ask("ECHO", "mine") for _ in range(3)] == [b"mine"] * 3


def test_a_question_that_was_cut_off_is_not_sent_again(sale: Sale, client: Client) -> None:
    client.config_resetstat()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.ask, "BLPOP", "nothing", 20)
        found = wait_until(lambda: blocked(client), what="a question that waits")
        client.client_kill_filter(_id=found[0])
        with pytest.raises(ConnectionError):
            waiting.result(5)
    assert client.info("commandstats")["cmdstat_blpop"]["calls"] == 1


def test_links_that_died_while_nobody_used_them_are_found_before_anything_is_sent(
    client: Client,
) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.ask("BLPOP", "nothing", 0.05), range(8)))
    client.config_resetstat()
    with Redis.from_url(sale_url(client)) as other:
        other.client_kill_filter(_type="normal", skipme=True)
    assert [client.ask("INCR", "once") for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert client.info("commandstats")["cmdstat_incr"]["calls"] == 6


def blocked(client: Client) -> list[str]:
    """The connections that wait for a list to be filled."""
    return [one["id"] for one in client.client_list() if "b" in one["flags"]]


class Server:
    """Something on a TCP port that is no good Redis: it says what a test wants it to."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._talk, args=(link,), daemon=True).start()

    def _talk(self, link: socket.socket) -> None:
        with link, suppress(OSError):
            self._serve(link)


@contextmanager
def served(serve: Callable[[socket.socket], None]) -> Iterator[Server]:
    server = Server(serve)
    try:
        yield server
    finally:
        server.close()


def asked(link: socket.socket) -> Iterator[bytes]:
    while said := link.recv(65536):
        yield said


def at(port: int) -> FastRedis:
    return way_to(f"redis://127.0.0.1:{port}/0")


def test_an_answer_that_trickles_has_one_deadline() -> None:
    def serve(link: socket.socket) -> None:
        for question in asked(link):
            if b"PING" in question:
                link.sendall(b"+PONG\r\n")
                continue
            link.sendall(b"$1000\r\n")
            for _ in range(100):
                link.sendall(b"x")
                time.sleep(0.05)

    with served(serve) as server, takes(0.4, 0.4), pytest.raises(TimeoutError):
        at(server.port).ask(packed(("GET", "it")), 0.4)


def test_a_server_that_says_more_than_it_was_asked_is_left() -> None:
    def serve(link: socket.socket) -> None:
        for question in asked(link):
            link.sendall(b"+PONG\r\n" if b"PING" in question else b"+yours\r\n+another's\r\n")

    with served(serve) as server:
        fast = at(server.port)
        for _ in range(2):
            with pytest.raises(ConnectionError):
                fast.ask(packed(("GET", "it")), 1.0)
        assert server.connections == 2


def test_a_server_that_talks_nonsense_is_left() -> None:
    def serve(link: socket.socket) -> None:
        for _ in asked(link):
            link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with served(serve) as server, pytest.raises(ConnectionError):
        at(server.port).ask(packed(("GET", "it")), 1.0)


def test_a_server_that_is_not_there_is_told_from_one_that_is_mute(sale: Sale) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with takes(0.3, 0.3), pytest.raises(TimeoutError):
            at(port).ask(packed(("GET", "it")), 0.3)
    with pytest.raises(ConnectionError):
        at(port).ask(packed(("GET", "it")), 0.3)


def test_a_question_as_large_as_it_likes_is_sent_whole(client: Client) -> None:
    large = os.urandom(5_000_000)
    assert client.ask("ECHO", large) == large


def test_a_server_that_only_reads_is_let_go(client: Client) -> None:
    before = client.ask("CLIENT", "ID")
    client.replicaof("127.0.0.1", "1")
    try:
        with pytest.raises(ReadOnlyError):
            client.ask("SET", "a", "b")
    finally:
        client.replicaof("NO", "ONE")
    assert client.ask("CLIENT", "ID") != before


def test_many_threads_get_each_its_own_answers(client: Client) -> None:
    def ask(thread: int) -> bool:
        return all(
            client.ask("EVAL", ECHO, 0, f"{thread}-{turn}") == [f"{thread}-{turn}".encode()]
            for turn in range(100)
        )

    with ThreadPoolExecutor(48) as pool:
        assert all(pool.map(ask, range(48)))


def test_after_a_fork_each_process_has_links_of_its_own(client: Client) -> None:
    before = client.ask("CLIENT", "ID")
    out, into = os.pipe()
    child = os.fork()
    if not child:
        try:
            found = [client.ask("CLIENT", "ID") for _ in range(3)]
            os.write(into, b" ".join(b"%d" % one for one in found))
        finally:
            os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        theirs = pipe.read().split()
    os.waitpid(child, 0)
    assert len(theirs) == 3 and len(set(theirs)) == 1
    assert int(theirs[0]) != before
    assert client.ask("CLIENT", "ID") == before


def sale_url(client: Client) -> str:
    return f"unix://{client.connection_pool.connection_kwargs['path']}?db=0"


@contextmanager
def in_front_of(client: Client, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The tests' Redis on a TCP port, with TLS where a context is given."""

    def serve(link: socket.socket) -> None:
        near = context.wrap_socket(link, server_side=True) if context else link
        with near, socket.socket(socket.AF_UNIX) as far:
            far.connect(client.connection_pool.connection_kwargs["path"])

            def back() -> None:
                with suppress(OSError):
                    for answer in asked(far):
                        near.sendall(answer)

            threading.Thread(target=back, daemon=True).start()
            for question in asked(near):
                far.sendall(question)
            far.shutdown(socket.SHUT_RDWR)

    with served(serve) as server:
        yield server.port


@pytest.fixture
def acl(client: Client) -> Iterator[None]:
    client.acl_setuser(
        "seller", enabled=True, passwords=["+se cret"], keys=["*"], categories=["+@all"]
    )
    yield
    client.acl_deluser("seller")


@pytest.mark.parametrize("query", ["", "?db=3"])
def test_a_user_with_a_password_and_a_database_of_their_own_by_tcp(
    client: Client, acl: None, query: str
) -> None:
    with in_front_of(client) as port:
        url = f"redis://seller:se%20cret@127.0.0.1:{port}{query}"
        fast = way_to(url)
        usual = new_client(url)
        assert fast.ask(packed(("ACL", "WHOAMI")), 1.0) == b"seller"
        fast.ask(packed(("SET", "where", "here")), 1.0)
        assert usual.get("where") == b"here"
        usual.delete("where")
        usual.close()
        wrong = way_to(url.replace("se%20cret", "wrong"))
        with pytest.raises(AuthenticationError):
            wrong.ask(packed(("PING",)), 1.0)


def test_tls_is_spoken_and_certificates_are_checked(client: Client) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with in_front_of(client, context) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={CERTIFICATE}"
        fast = way_to(url)
        connected = {fast.ask(packed(("CLIENT", "ID")), 2.0) for _ in range(5)}
        # What TLS says after its handshake is not taken for a server that has gone.
        assert len(connected) == 1
        large = os.urandom(1_000_000)
        assert fast.ask(packed(("ECHO", large)), 5.0) == large
        stranger = way_to(f"rediss://localhost:{port}/0")
        with pytest.raises(ConnectionError):
            stranger.ask(packed(("PING",)), 2.0)
        other_name = way_to(url.replace("localhost", "127.0.0.1", 1))
        with pytest.raises(ConnectionError):
            other_name.ask(packed(("PING",)), 2.0)
        trusting = way_to(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none")
        assert trusting.ask(packed(("PING",)), 2.0) == b"PONG"


def test_what_an_address_says_and_is_not_known_is_left_to_redis_py() -> None:
    for url in (
        "redis://h:1/0?socket_keepalive=true",
        "redis://h:1/0?ssl_ca_certs=/x",
        "rediss://h:1/0?ssl_min_version=771",
        "rediss://h:1/0?ssl_cert_reqs=perhaps",
        "unix:///x?client_name=me",
    ):
        assert FastRedis.for_url(url) is None, url
    for url in ("redis://h", "rediss://:p@h:1/2?ssl_check_hostname=no", "unix:///x?db=1"):
        way_to(url)
