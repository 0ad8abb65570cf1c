"""PostgreSQL is set back to a moment before a mistake, from a base backup and the log that was kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest

from concert.factory import create_app
from concert.ground.database import Database, connection
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.jobs.ticks import admit_everywhere
from concert.payments.service import differing_seats
from concert.waiting_room.keys import room_keys
from concert.waiting_room.rooms import list_rooms
from concert.wallet.service import differing_wallets
from tests.faults.postgres import Server
from tests.sale import Sale, empty_everything
from tests.servers import NewCluster, own_redis, temporary_directory

PRICE = 1000
# What somebody does who meant another database.
MISTAKE = (
    "DELETE FROM wallet_entries; UPDATE wallets SET balance = 0; UPDATE seats SET sold_at = NULL"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_directory() as made:
        yield made


def test_a_backup_and_the_log_give_back_everything_up_to_a_moment_before_a_mistake(
    folder: Path, new_cluster: NewCluster, settings: Settings, worker_name: str
) -> None:
    new_cluster.put_into(folder / "p")
    server, log = Server(folder / "p"), folder / "log"
    server.archives_to(log)
    with own_redis(worker_name) as redis_url:
        with server:
            app = create_app(
                settings.model_copy(update={"database_url": server.url, "redis_url": redis_url})
            )
            with app.app_context():
                flask_migrate.upgrade()
            empty_everything(app)
            with app.app_context():
                sale = Sale(app)
                concert = sale.concert(price=PRICE)
                fans = [sale.admitted_fan(concert, balance=PRICE) for _ in range(4)]
                paid = [fans[0].hold(concert, 1).status_code, fans[0].pay(concert, 1).json]
                server.copy_to(folder / "b", follows=False)
                # What comes after the backup is in the log alone.
                assert fans[1].hold(concert, 2).status_code == 200
                assert fans[1].pay(concert, 2).status_code == 200
                sale.room(capacity=7)
                assert fans[2].hold(concert, 3).status_code == 200
                ((moment,),) = server.run("SELECT clock_timestamp()::text")
                server.run(MISTAKE)
                assert differing_seats()
                # And what is lost with it, since it came later; Redis knows it still.
                sale.room(capacity=9)
                server.archived(log)
            part(Database, app).pool.close()

        restored = Server(
            folder / "b",
            restore_command=f"cp {log}/%f %p",
            recovery_target_time=str(moment),
            recovery_target_action="promote",
        )
        signal = restored.data / "recovery.signal"
        signal.touch()
        shutil.chown(signal, restored.data.stat().st_uid, restored.data.stat().st_gid)
        with restored:
            app = create_app(
                settings.model_copy(update={"database_url": restored.url, "redis_url": redis_url})
            )
            with app.app_context():
                sale = Sale(app)
                for fan in fans:
                    fan.sale = sale
                assert (differing_seats(), differing_wallets()) == ([], [])
                assert paid[1] in fans[0].call_as_user("GET", "/v1/payments").json["payments"]
                with connection() as link:
                    sold = link.execute("SELECT seat_no FROM seats WHERE sold_at IS NOT NULL")
                    assert {row[0] for row in sold.fetchall()} == {1, 2}
                # The room is as it was then, and Redis is told so, although it knew a newer one.
                admit_everywhere()
                (room,) = list_rooms()
                mirrored = redis().hget(room_keys("main").settings, "capacity")
                assert (room.capacity, mirrored) == (7, b"7")
                # The sale goes on: whoever held a seat pays for it, and the next one is let in.
                assert fans[2].pay(concert, 3).status_code == 200
                assert sale.admitted_fan(concert).hold(concert, 4).status_code == 200
            part(Database, app).pool.close()
