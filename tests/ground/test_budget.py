"""One budget of time for all that a request asks, and no waiting for a part that is silent."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psycopg
import pytest
from redis import Redis
from redis.exceptions import ConnectionError, TimeoutError

from concert.ground.budget import REQUEST_SECONDS, Budgeted, Limits, Outage, budget, within
from concert.ground.database import Database, answers, connection
from concert.ground.errors import Unavailable
from concert.ground.parts import part
from concert.ground.redis_client import Client, redis
from concert.ground.settings import Settings
from tests.sale import Sale
from tests.waiting import wait_until

# A busy machine may be slow, but not by this much.
SLACK = 2.0


@contextmanager
def takes(least: float, most: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began <= most + SLACK


@pytest.fixture(autouse=True)
def no_outage_is_left(sale: Sale) -> Iterator[None]:
    yield
    part(Database).outage.end()
    part(Client).connection_pool.outage.end()  # type: ignore[attr-defined]  # a Pool


def test_a_connection_whose_time_was_over_is_closed_and_never_used_again(sale: Sale) -> None:
    with takes(0.3, 0.3), pytest.raises(Unavailable), within(0.3), connection() as link:
        link.execute("SELECT pg_sleep(30), 'the answer to another question'")
    assert link.closed
    with connection() as next_link:
        assert next_link is not link
        assert next_link.execute("SELECT 1").fetchone() == (1,)


def test_many_statements_have_one_budget_and_not_one_each(sale: Sale) -> None:
    done = 0
    with takes(0.9, 1.0), pytest.raises(Unavailable), within(1.0), connection() as link:
        for _ in range(100):
            link.execute("SELECT pg_sleep(0.3)")
            done += 1
    assert done < 4


def test_waiting_for_a_connection_is_taken_off_the_budget(sale: Sale) -> None:
    pool = part(Database).pool
    taken = [pool.getconn() for _ in range(pool.max_size)]
    try:
        with takes(0.4, 0.4), pytest.raises(Unavailable), within(0.4), connection():
            pass
    finally:
        for link in taken:
            pool.putconn(link)
    with connection() as link:
        assert link.execute("SELECT 1").fetchone() == (1,)


def test_a_hold_that_waits_for_somebody_s_lock_is_refused_in_time_and_undone(
    sale: Sale, settings: Settings
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan()
    fan.seats(concert)
    with psycopg.connect(settings.database_url) as other:
        other.execute("SELECT 1 FROM seats WHERE seat_no = 7 FOR UPDATE")
        with takes(1.0, 3.0):
            refused = fan.hold(concert, 7)
        assert (refused.status_code, refused.json["code"]) == (503, "unavailable")
        # It was the lock, and not the server: others are served meanwhile.
        assert fan.hold(concert, 8).status_code == 200
    mine = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
    assert [seat["seat_no"] for one in mine for seat in one["seats"]] == [8]


def test_a_job_may_take_longer_than_a_request(sale: Sale) -> None:
    with connection() as link:
        assert link.execute("SELECT current_setting('statement_timeout')").fetchone() == ("10s",)
    with within(3.0), connection() as link:
        assert link.execute("SELECT current_setting('statement_timeout')").fetchone() == ("2500ms",)
        assert link.execute("SELECT current_setting('lock_timeout')").fetchone() == ("2s",)


def test_what_a_stream_asks_is_not_the_request_s_any_more() -> None:
    seen: list[float] = []

    def stream(_: object, __: object) -> Iterator[str]:
        def told() -> Iterator[str]:
            yield "a"
            seen.append(budget().left())

        seen.append(budget().left())
        return told()

    before = budget().left()
    assert list(Budgeted(stream)({}, lambda *_: None)) == ["a"]
    assert 0 < seen[0] <= REQUEST_SECONDS < before
    assert seen[1] == before


def test_a_command_that_was_slow_is_not_sent_again(sale: Sale) -> None:
    redis().config_resetstat()
    with takes(0.3, 0.3), pytest.raises(TimeoutError), within(0.3):
        redis().execute_command("BLPOP", "nothing", 20)
    assert redis().info("commandstats")["cmdstat_blpop"]["calls"] == 1
    # Its connection is closed: what is pushed now is not the answer to another question.
    redis().rpush("nothing", "late")
    assert redis().get("something") is None


def test_a_pipeline_that_was_slow_is_not_sent_again(sale: Sale) -> None:
    redis().config_resetstat()
    with takes(0.3, 0.3), pytest.raises(TimeoutError), within(0.3):
        redis().pipeline(transaction=False).blpop(["nothing"], 20).execute()
    assert redis().info("commandstats")["cmdstat_blpop"]["calls"] == 1


def test_a_command_that_was_cut_off_is_not_sent_again(sale: Sale) -> None:
    redis().config_resetstat()
    with ThreadPoolExecutor(1) as pool, sale.app.app_context():
        client = redis()
        waiting = pool.submit(client.execute_command, "BLPOP", "nothing", 20)
        blocked = wait_until(
            lambda: [one for one in client.client_list() if one["cmd"] == "blpop"],
            seconds=1.0,
            what="a command that waits",
        )
        client.client_kill_filter(_id=blocked[0]["id"])
        with pytest.raises(ConnectionError):
            waiting.result(5)
    assert redis().info("commandstats")["cmdstat_blpop"]["calls"] == 1


def test_connections_that_died_while_nobody_used_them_are_found_before_anything_is_sent(
    sale: Sale, settings: Settings
) -> None:
    client = redis()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(client.get, ["something"] * 8))
        client.config_resetstat()
        with Redis.from_url(settings.redis_url) as other:
            other.client_kill_filter(_type="normal", skipme=True)
        list(pool.map(lambda _: client.execute_command("INCR", "once"), range(6)))
    assert redis().get("once") == b"6"
    assert redis().info("commandstats")["cmdstat_incr"]["calls"] == 6


def test_after_a_silence_nobody_waits_for_a_second_and_then_one_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    outage = Outage()
    assert not outage.refuses()
    outage.goes_on()
    assert not outage.refuses()
    outage.begin()
    assert outage.refuses()
    now += 1.1
    assert [outage.refuses() for _ in range(3)] == [False, True, True]
    outage.goes_on()
    assert outage.refuses()
    now += 1.1
    assert [outage.refuses() for _ in range(2)] == [False, True]
    outage.end()
    assert [outage.refuses() for _ in range(2)] == [False, False]


def test_whoever_tries_and_is_never_heard_of_again_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    outage = Outage()
    outage.begin()
    now += 1.1
    assert not outage.refuses()
    now += 5.0
    assert [outage.refuses() for _ in range(2)] == [False, True]


def test_one_who_finds_the_server_silent_ends_the_waits_of_the_others(sale: Sale) -> None:
    def wait_long() -> float:
        began = time.monotonic()
        with (
            sale.app.app_context(),
            suppress(Unavailable),
            within(30.0, each=30.0, limits=Limits(30_000, 30_000)),
            connection() as link,
        ):
            link.execute("SELECT pg_sleep(25) AS of_the_others")
        return time.monotonic() - began

    def all_wait() -> bool:
        with connection() as link:
            row = link.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%of_the_others' AND state = 'active'"
            ).fetchone()
        return row == (3,)

    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(wait_long) for _ in range(3)]
        wait_until(all_wait, what="three who wait")
        part(Database).outage.begin()
        assert max(one.result() for one in waits) < 20


def test_a_server_that_is_busy_still_answers_and_one_that_is_gone_does_not(
    settings: Settings, sale: Sale
) -> None:
    with connection() as link:
        assert answers(link.info.host, link.info.port)
    assert not answers("/nowhere", 5432)
    with socket.create_server(("127.0.0.1", 0)) as mute, takes(0.4, 0.6):
        assert not answers("127.0.0.1", mute.getsockname()[1])
