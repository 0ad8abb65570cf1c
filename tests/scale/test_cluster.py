"""Rooms on a Redis Cluster: each at one server, facts by slots, a slot that moves, a server that is lost."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import flask_migrate
import pytest
from redis.exceptions import ResponseError

from concert.factory import ConcertApp, create_app
from concert.ground import events, keys
from concert.ground.database import Database
from concert.ground.events import ROOMS
from concert.ground.fanout import Fact, facts
from concert.ground.parts import part
from concert.ground.redis_client import jobs_redis, redis
from concert.ground.redis_cluster import ClusterClient, slot_of_key
from concert.ground.settings import Settings, SettingsError, load_settings
from concert.jobs.ticks import admit_everywhere
from concert.local.redis_cluster import ClusterNode, EmbeddedCluster
from concert.waiting_room.keys import room_keys
from tests.sale import Fan, Sale, empty_everything
from tests.servers import own_database, own_redis, temporary_directory
from tests.waiting import wait_until

BEAT_SECONDS = 10.0
PATIENCE_SECONDS = 40.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    """Three servers with slots, and one that follows the first of them."""
    with (
        temporary_directory() as directory,
        EmbeddedCluster(directory / "c", "password-of-the-tests", replicas=1, fast=True) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def app(
    settings: Settings, database_url: str, worker_name: str, cluster: EmbeddedCluster
) -> Iterator[ConcertApp]:
    """An app whose rooms are in the cluster, and whose jobs are at a server of their own."""
    with (
        own_database(database_url, "clustered") as database,
        own_redis(worker_name) as jobs,
    ):
        own = {"database_url": database, "redis_url": cluster.url, "jobs_redis_url": jobs}
        app = create_app(settings.model_copy(update=own))
        with app.app_context():
            flask_migrate.upgrade()
        yield app
        part(Database, app).pool.close()


@pytest.fixture
def sale(app: ConcertApp) -> Iterator[Sale]:
    empty_everything(app)
    with app.app_context():
        yield Sale(app)


def the_cluster() -> ClusterClient:
    client = redis()
    assert isinstance(client, ClusterClient)
    return client


def rooms_at(node: ClusterNode, count: int) -> list[str]:
    """Names of rooms whose keys are at this server."""
    known = the_cluster().known()
    names = (f"hall-{number}" for number in range(10_000))
    found = []
    for name in names:
        owner = known.owners[slot_of_key(room_keys(name).waiting)]
        if owner is not None and owner[1] == node.port:
            found.append(name)
        if len(found) == count:
            break
    return found


def has_moved(room: str, taker: ClusterNode) -> bool:
    """Whether the app knows by now that a room's keys are at this server."""
    the_cluster().look_anew()
    return room in rooms_at(taker, 10_000)


def line_up(sale: Sale, concert: int, count: int) -> list[Fan]:
    """So many people in line, in this order."""
    fans = [sale.fan() for _ in range(count)]
    for fan in fans:
        answer = fan.join(concert)
        assert answer.status_code == 200, answer.text
    return fans


def positions(fans: list[Fan]) -> list[int | None]:
    answers = [fan.place() for fan in fans]
    return [answer.json["position"] if answer.status_code == 200 else None for answer in answers]


def next_of(heard: Iterator[Fact | None], kind: str) -> Fact:
    """The next fact of a kind; resyncs and others before it do no harm."""
    for fact in heard:
        assert fact is not None, f"nothing of {kind} was heard"
        if fact.kind == kind:
            return fact
    raise AssertionError("the stream has ended")


def test_many_rooms_spread_over_the_servers_and_each_is_whole_at_one_of_them(sale: Sale) -> None:
    for number in range(30):
        sale.room(f"hall-{number}", paused=True)
    at = Counter[Any]()
    for server in the_cluster().servers():
        names = {key.decode().partition(":")[2].partition("}")[0] for key in server.keys("{room:*")}
        at[server.address] = len(names & {f"hall-{number}" for number in range(30)})
    assert sum(at.values()) == 30
    assert len(at) == 3
    assert min(at.values()) >= 1
    # One look at rooms of all servers is answered as one.
    admit_everywhere()
    assert sale.call("GET", "/healthz/sale").json["checks"]["worker"] == "ok"


def test_every_key_in_the_cluster_has_a_tag(sale: Sale) -> None:
    concert = sale.concert()
    assert sale.admitted_fan(concert).hold(concert, 1).status_code == 200
    assert sale.call("GET", "/readyz").status_code == 200
    admit_everywhere()
    found = [key.decode() for key in redis().keys("*")]
    assert found
    assert all(key.startswith(("{room:", keys.WRITTEN_AT)) for key in found)
    # What jobs count is where the jobs are.
    assert jobs_redis().exists(keys.TICKED_AT)


def test_facts_are_heard_by_those_who_listen_and_go_to_the_server_of_their_slot_alone(
    sale: Sale,
) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    performance = fan.seats(concert).json["dates"][0]["performance_id"]
    channel = events.performance_channel(performance)
    with facts(channel, BEAT_SECONDS) as heard, facts(ROOMS, BEAT_SECONDS) as rooms:
        listening = [
            server.pubsub_shardchannels(channel)  # type: ignore[no-untyped-call]
            for server in the_cluster().servers()
        ]
        assert sorted(map(len, listening)) == [0, 0, 1]
        assert fan.hold(concert, 3).status_code == 200
        assert next_of(heard, "seats").data["seats"] == [3]
        events.publish_room("main", 1)
        assert next_of(rooms, "moved").data["room"] == "main"


def test_a_line_goes_on_while_its_slot_moves_to_another_server(
    sale: Sale, cluster: EmbeddedCluster
) -> None:
    giver, taker = cluster.primaries[1], cluster.primaries[2]
    (room,) = rooms_at(giver, 1)
    sale.room(room, paused=True)
    concert = sale.concert(room=room)
    fans = line_up(sale, concert, 20)
    more: list[Fan] = []
    wrong: list[str] = []
    over = threading.Event()

    def go_on() -> None:
        with sale.app.app_context():
            while not over.is_set():
                fan = sale.fan()
                answer = fan.join(concert)
                if answer.status_code == 503:
                    continue
                if answer.status_code != 200:
                    wrong.append(answer.text)
                    return
                more.append(fan)

    crowd = threading.Thread(target=go_on, daemon=True)
    crowd.start()
    try:
        wait_until(lambda: len(more) > 5, seconds=PATIENCE_SECONDS, what="people line up")
        move_slot(slot_of_key(room_keys(room).waiting), giver, taker)
        before = len(more)
        wait_until(lambda: len(more) > before + 5, seconds=PATIENCE_SECONDS, what="they go on")
    finally:
        over.set()
        crowd.join(PATIENCE_SECONDS)
    assert not wrong
    wait_until(lambda: has_moved(room, taker), seconds=PATIENCE_SECONDS, what="the slot is there")
    everybody = [*fans, *more]
    assert positions(everybody) == list(range(1, len(everybody) + 1))
    # It is another server's run now, which cannot know that nothing is missing.
    admit_everywhere()
    assert sale.call("GET", f"/v1/rooms/{room}").json["resumes_at"]


def test_those_who_listen_hear_on_when_the_slot_of_their_channel_moves(
    sale: Sale, cluster: EmbeddedCluster
) -> None:
    client = the_cluster()
    slot = slot_of_key(ROOMS)
    with facts(ROOMS, BEAT_SECONDS) as heard:
        port = client.owner_of(slot).address.rpartition(":")[2].strip("/")
        giver = next(one for one in cluster.primaries if str(one.port) == port)
        taker = next(one for one in cluster.primaries if one is not giver)
        move_slot(slot, giver, taker)
        # Facts may have been missed meanwhile, so everybody is told to look.
        assert next_of(heard, "resync")
        events.publish_room("main", 3)
        assert next_of(heard, "moved").data["admitted"] == 3


def test_a_server_that_is_lost_takes_no_place_with_it_that_its_replica_had(
    sale: Sale, cluster: EmbeddedCluster
) -> None:
    lost, replica = cluster.primaries[0], cluster.replicas[0]
    (room,) = rooms_at(lost, 1)
    (elsewhere,) = rooms_at(cluster.primaries[1], 1)
    sale.room(room, paused=True)
    sale.room(elsewhere, paused=True)
    concert = sale.concert(room=room)
    fans, others = line_up(sale, concert, 20), line_up(sale, sale.concert(room=elsewhere), 3)
    with lost.client() as client:
        # What WAIT promises: everything until now is at the replica, too.
        assert client.wait(1, 10_000) == 1
    assert lost._process is not None
    lost._process.send_signal(signal.SIGKILL)
    # Other rooms notice nothing.
    assert positions(others) == [1, 2, 3]
    wait_until(
        lambda: None not in positions(fans), seconds=PATIENCE_SECONDS, what="the replica answers"
    )
    assert positions(fans) == list(range(1, 21))
    late = sale.fan()
    assert late.join(concert).json["position"] == 21
    assert the_cluster().server_of(room_keys(room).waiting).address.endswith(f":{replica.port}/")
    # Nobody is let in until those whom the replica may lack had time to come back.
    admit_everywhere()
    assert sale.call("GET", f"/v1/rooms/{room}").json["resumes_at"]


def test_jobs_need_a_server_of_their_own_beside_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBS_REDIS_URL", raising=False)
    with pytest.raises(SettingsError, match="JOBS_REDIS_URL"):
        load_settings(redis_url="redis+cluster://127.0.0.1:7000")
    with pytest.raises(SettingsError, match="JOBS_REDIS_URL"):
        load_settings(redis_url="redis://127.0.0.1:7000", jobs_redis_url="redis+cluster://x:1")


def move_slot(slot: int, giver: ClusterNode, taker: ClusterNode) -> None:
    """Move a slot with all its keys, one after the other, as redis-cli does."""
    with giver.client() as old, taker.client() as new:
        ids = [client.execute_command("CLUSTER", "MYID").decode() for client in (old, new)]
        new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        old.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        while found := old.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1):
            target = ("127.0.0.1", taker.port, "", 0, 5000, "REPLACE", "AUTH", taker.password)
            old.execute_command("MIGRATE", *target, "KEYS", *found)
        for client in (new, old):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    # Whoever is third hears of it soon; until then it sends on to the giver, who sends on, too.


def test_a_fault_of_ours_in_one_answer_is_that_answers_own(sale: Sale) -> None:
    pipeline = redis().pipeline(transaction=False)
    for number in range(6):
        pipeline.set(f"key-{number}", "text")
    pipeline.execute()
    pipeline = redis().pipeline(transaction=False)
    pipeline.get("key-0")
    pipeline.zcard("key-1")
    pipeline.get("key-2")
    first, second, third = pipeline.execute(raise_on_error=False)
    assert (first, third) == (b"text", b"text")
    assert isinstance(second, ResponseError)
