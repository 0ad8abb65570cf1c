"""Servers that are there and take no work: read-only, full, or without their replicas."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from redis.exceptions import ResponseError

from concert.ground.database import Database, connection
from concert.ground.errors import Unavailable
from concert.ground.parts import part
from concert.ground.redis_client import redis, unavailable_on_failure
from concert.waiting_room.keys import room_keys
from tests.sale import Fan, Sale
from tests.waiting import wait_until

# What PostgreSQL says when it takes no work now; the next try may succeed.
TRY_AGAIN = {
    "25006": "a read-only server, as after a failover",
    "25P03": "idle in a transaction for too long",
    "40001": "two transactions in each other's way",
    "40P01": "a deadlock",
    "53100": "a full disk",
    "53200": "no memory",
    "53300": "too many connections",
    "55P03": "a lock that somebody else keeps",
    "57014": "a statement that took too long",
    "57P01": "a server that is being stopped",
    "57P02": "a server that has crashed",
    "57P03": "a server that is starting",
    "58030": "a disk that fails",
}


@contextmanager
def configured(**settings: Any) -> Iterator[None]:
    """Redis with other settings, and as it was afterwards."""
    names = {name.replace("_", "-"): value for name, value in settings.items()}
    before = {name: redis().config_get(name)[name] for name in names}
    for name, value in names.items():
        redis().config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            redis().config_set(name, value)


def whole_redis() -> dict[bytes, bytes]:
    return {key: redis().dump(key) for key in redis().scan_iter()}


def refused(answer: Any) -> None:
    assert (answer.status_code, answer.json["code"]) == (503, "unavailable"), answer.text


@pytest.mark.parametrize("code", TRY_AGAIN, ids=lambda code: f"{code} {TRY_AGAIN[code]}")
def test_what_postgresql_refuses_for_now_is_unavailable(sale: Sale, code: str) -> None:
    with pytest.raises(Unavailable), connection() as link:
        link.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")


def test_after_a_failover_connections_to_the_old_server_are_dropped(sale: Sale) -> None:
    fan = sale.fan()
    database = part(Database)
    database.looked_anew_at = 0.0  # not within a second of another test's
    with ExitStack() as held:
        # All that there are, so that none is left that writes.
        count = max(3, database.pool.get_stats()["pool_size"])
        old = [held.enter_context(connection()) for _ in range(count)]
        for link in old:
            link.execute("SET default_transaction_read_only = on")
    refused(fan.charge(1))
    # One was refused, and the others lead to the same server.
    assert [fan.charge(1).status_code for _ in range(5)] == [200] * 5
    assert all(link.closed for link in old)
    assert fan.balance() == 5


def test_over_its_memory_redis_keeps_everything_as_it_is(sale: Sale) -> None:
    """A script that began with what is allowed then (a deletion) would write on to its end."""
    sale.room(paused=True)
    left, newcomer = sale.fan(), sale.fan()
    assert left.join().status_code == 200
    assert left.call("DELETE", "/v1/enqueues").status_code == 204
    before = whole_redis()
    with configured(maxmemory=1):
        refused(left.join())
        refused(newcomer.join())
        assert whole_redis() == before
    assert left.join().json["status"] == "waiting"
    assert newcomer.join().json["position"] == 2


def test_over_its_memory_redis_brings_no_lost_place_back(sale: Sale) -> None:
    sale.room(paused=True)
    fan = sale.fan()
    fan.join()
    waiting, *_ = room_keys("main")
    redis().zrem(waiting, fan.user_id.bytes)
    before = whole_redis()
    with configured(maxmemory=1):
        refused(fan.place())
        assert whole_redis() == before
    assert fan.place().json["position"] == 1


def test_over_its_memory_redis_still_tells_who_is_in_line_and_lets_go_who_leaves(
    sale: Sale,
) -> None:
    sale.room(paused=True)
    fan, other = sale.fan(), sale.fan()
    fan.join()
    other.join()
    with configured(maxmemory=1):
        assert fan.join().json["position"] == 1
        assert fan.call("DELETE", "/v1/enqueues").status_code == 204
        assert other.place().json["position"] == 1


def everything_that_writes(fan: Fan, concert: int) -> None:
    refused(fan.sale.fan().join())
    refused(fan.hold(concert, 2))


def test_without_its_replicas_redis_refuses_cleanly(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan()
    with configured(min_replicas_to_write=1):
        everything_that_writes(fan, concert)
    assert fan.hold(concert, 2).status_code == 200


def test_a_redis_that_cannot_save_refuses_cleanly(sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan()
    gone = tempfile.mkdtemp(prefix="concert-tests-")
    with configured(save="3600 1", dir=gone):
        os.rmdir(gone)
        redis().bgsave()
        wait_until(lambda: saved() == "err", what="a failed save")
        everything_that_writes(fan, concert)
    redis().bgsave()
    wait_until(lambda: saved() == "ok", what="a save")
    assert fan.hold(concert, 2).status_code == 200


def saved() -> str:
    status: str = redis().info("persistence")["rdb_last_bgsave_status"]
    return status


def test_a_mistake_of_ours_is_not_called_an_outage(sale: Sale) -> None:
    redis().set("text", "x")
    with pytest.raises(ResponseError), unavailable_on_failure():
        redis().lpush("text", "y")
