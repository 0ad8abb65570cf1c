"""A sale as the tests drive it: fans, the organiser, and the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from werkzeug.test import TestResponse

from concert.catalogue.service import Remembered
from concert.covers.service import Known as KnownCovers
from concert.factory import ConcertApp
from concert.ground.audit import APPEND_ONLY
from concert.ground.database import connection
from concert.ground.parts import keep, part
from concert.ground.redis_client import redis
from concert.halls.service import RememberedPlans
from concert.overview.lately import LatelyRead
from concert.overview.samples import LastNoted
from concert.reservations.service import RememberedPrices
from concert.reservations.snapshots import SeatSnapshots
from concert.waiting_room import service as waiting_room
from concert.waiting_room.keys import room_keys
from concert.waiting_room.rooms import list_rooms
from concert.waiting_room.seats import count_seats, hand_in

ORGANISER_KEY = "the organiser's key in the tests"
SEOUL = ZoneInfo("Asia/Seoul")
NEW_YEARS_EVE = datetime(2030, 12, 31, 19, 0, tzinfo=SEOUL)

# Children before parents, as foreign keys want it.
TABLES = (
    "sale_samples",
    *("entries", "hand_ons", "tickets", "wallet_entries", "refunded_seats", "refunds", "payouts"),
    *("cancellations", "payments", "seats", "reservations", "wallets", "covers", "cover_files"),
    *("performance_changes", "performances", "halls"),
    *("concerts", "completed_places", "ended_places", "idempotency_keys", "users", "rooms"),
    *("staff_links", "staff_sessions", "api_keys", "staff", "audit_log"),
)
# To truncate makes new files for tables and indexes, which takes a hundred times as long as to
# delete a few rows; but what is deleted is still in the way until somebody cleans up.
EMPTY = f"""
DROP TRIGGER audit_log_append_only ON audit_log;
DO $empty$
DECLARE
    size bigint := (SELECT sum(pg_relation_size(t)) FROM unnest('{{{",".join(TABLES)}}}'::regclass[]) t);
BEGIN
    IF size > 2 * 1024 * 1024 THEN
        TRUNCATE {", ".join(TABLES)} RESTART IDENTITY;
    ELSE
        {"; ".join(f"DELETE FROM {table}" for table in TABLES)};
        PERFORM setval(oid, 1, false) FROM pg_class
            WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
    END IF;
    INSERT INTO rooms (slug) VALUES ('main');
END $empty$;
{APPEND_ONLY}"""

LATER = """
UPDATE seats SET held_until = held_until - {0}, sold_at = sold_at - {0};
UPDATE reservations SET held_until = held_until - {0}, created_at = created_at - {0};
UPDATE performances SET sales_open_at = sales_open_at - {0}, sales_close_at = sales_close_at - {0},
    cancelled_at = cancelled_at - {0}, returns_until = returns_until - {0};
UPDATE cancellations SET cancelled_at = cancelled_at - {0}, looked_at = looked_at - {0};
UPDATE performance_changes SET changed_at = changed_at - {0}, returns_until = returns_until - {0};
UPDATE idempotency_keys SET created_at = created_at - {0};
UPDATE completed_places SET completed_at = completed_at - {0};
UPDATE ended_places SET ended_at = ended_at - {0};
UPDATE rooms SET short_since = short_since - {0};
UPDATE staff_links SET expires_at = expires_at - {0};
UPDATE staff_sessions SET created_at = created_at - {0}, expires_at = expires_at - {0},
    last_seen_at = last_seen_at - {0}, ended_at = ended_at - {0};
UPDATE api_keys SET expires_at = expires_at - {0}, last_used_at = last_used_at - {0}"""


@dataclass
class Fan:
    """A user with the tokens that they have."""

    sale: Sale
    user_id: UUID
    user_token: str
    queue_token: str = ""

    def call(
        self, method: str, path: str, *, token: str | None = None, **options: Any
    ) -> TestResponse:
        """Call the JSON API, with the queue token unless another is given."""
        return self.sale.call(
            method, path, token=self.queue_token if token is None else token, **options
        )

    def call_as_user(self, method: str, path: str, **options: Any) -> TestResponse:
        """Call the JSON API with the user token."""
        return self.call(method, path, token=self.user_token, **options)

    def join(self, concert_id: int | None = None) -> TestResponse:
        """Line up, and keep the queue token."""
        body = {} if concert_id is None else {"concert_id": concert_id}
        response = self.call_as_user("POST", "/v1/enqueues", json=body)
        if response.status_code == 200:
            self.queue_token = response.json["queue_token"]
        return response

    def place(self) -> TestResponse:
        """Ask where the place stands."""
        return self.call("GET", "/v1/enqueues")

    def seats(self, concert_id: int, **query: Any) -> TestResponse:
        """Look at the seats."""
        return self.call("GET", f"/v1/concerts/{concert_id}/seats", query_string=query)

    def hold(
        self, concert_id: int, *seat_nos: int, headers: dict[str, str] | None = None, **body: Any
    ) -> TestResponse:
        """Hold one seat, or several at once."""
        if len(seat_nos) == 1:
            path = f"/v1/concerts/{concert_id}/seats/{seat_nos[0]}/reservations"
        else:
            path = f"/v1/concerts/{concert_id}/reservations"
            body["seats"] = list(seat_nos)
        return self.call("POST", path, json=body, headers=headers)

    def pay(
        self, concert_id: int, seat_no: int, headers: dict[str, str] | None = None, **body: Any
    ) -> TestResponse:
        """Pay the reservation that holds this seat."""
        path = f"/v1/concerts/{concert_id}/seats/{seat_no}/payments"
        return self.call("POST", path, json=body, headers=headers)

    def charge(self, amount: Any, headers: dict[str, str] | None = None) -> TestResponse:
        """Add to the wallet."""
        return self.call_as_user("PATCH", "/v1/charges", json={"amount": amount}, headers=headers)

    def balance(self) -> int:
        """What the wallet holds, in won."""
        balance: int = self.call_as_user("GET", "/v1/charges").json["balance"]
        return balance


@dataclass
class Sale:
    """The service under test."""

    app: ConcertApp
    _keys: list[str] = field(default_factory=list)

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> TestResponse:
        """Call the JSON API."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        return self.app.test_client().open(path, method=method, headers=sent, **options)

    def organise(self, method: str, path: str, **options: Any) -> TestResponse:
        """Call the JSON API as the organiser."""
        return self.call(method, path, token=ORGANISER_KEY, **options)

    def concert(
        self,
        *,
        dates: int = 1,
        price: int = 50_000,
        capacity: int = 50,
        room: str = "main",
        title: str = "Winter Songs",
        **date: Any,
    ) -> int:
        """Make a concert whose dates begin on New Year's Eve 2030 in Seoul; returns its number."""
        days = [
            {
                "starts_at": (NEW_YEARS_EVE + timedelta(days=day)).isoformat(),
                "price": price,
                "capacity": capacity,
                **date,
            }
            for day in range(dates)
        ]
        body = {"title": title, "venue": "Blue Hall", "room": room, "dates": days}
        response = self.organise("POST", "/v1/concerts", json=body)
        assert response.status_code == 201, response.text
        number: int = response.json["id"]
        self.count_seats()
        return number

    def something_else(self, room: str = "main") -> int:
        """Something on sale with a seat for everybody: people are let in, whatever else they want."""
        return self.concert(capacity=1000, room=room)

    def count_seats(self) -> None:
        """Count the seats behind every room that Redis knows, as the clock does every second."""
        with self.app.app_context():
            slugs = [room.slug for room in list_rooms()]
            known = [slug for slug in slugs if redis().exists(room_keys(slug).settings)]
            for slug, count in count_seats(known).items():
                hand_in(slug, count)

    def room(self, slug: str = "main", **settings: Any) -> None:
        """Make a room, or change its settings."""
        response = self.organise("PUT", f"/v1/rooms/{slug}", json=settings)
        assert response.status_code in (200, 201), response.text

    def fan(self, *, balance: int = 0) -> Fan:
        """A new user, with money where it is said."""
        made = self.call("POST", "/v1/users", json={})
        assert made.status_code == 201, made.text
        fan = Fan(self, UUID(made.json["user_id"]), made.json["user_token"])
        if balance:
            assert fan.charge(balance).status_code == 200
        return fan

    def admitted_fan(self, concert_id: int | None = None, *, balance: int = 0) -> Fan:
        """A new user whose turn it is."""
        fan = self.fan(balance=balance)
        joined = fan.join(concert_id)
        assert joined.json["status"] == "admitted", joined.text
        return fan

    def admit(self, room: str = "main") -> int:
        """Do what the clock does every second; returns how many were let in."""
        return waiting_room.admit(room).admitted

    def let_time_pass(self, seconds: float, *rooms: str) -> None:
        """Move the clocks of PostgreSQL and Redis, by moving every moment that they are compared with."""
        with connection() as link:
            link.execute(LATER.format(f"interval '{seconds} seconds'"))
        forget_all(self.app)
        for room in rooms or ("main",):
            self._let_time_pass_in(room, round(seconds * 1000))
        self.count_seats()

    def _let_time_pass_in(self, room: str, ms: int) -> None:
        keys, client = room_keys(room), redis()
        for user, deadline in client.zrange(keys.admitted, 0, -1, withscores=True):
            client.zadd(keys.admitted, {user: deadline - ms})
        for user, until in client.zrange(keys.holders, 0, -1, withscores=True):
            client.zadd(keys.holders, {user: until - ms})
        for user, end in client.hgetall(keys.visits).items():
            client.hset(keys.visits, user, int(end) - ms)
        opens_at = int(client.hget(keys.settings, "opens_at") or 0)
        if opens_at:
            client.hset(keys.settings, "opens_at", opens_at - ms)
        for name, unit in (
            ("tokens_at", 1000),
            ("pace_at", 1),
            ("pace_since", 1),
            ("recovering_since", 1),
            ("recovered_at", 1),
        ):
            moment = client.hget(keys.state, name)
            if moment is not None:
                client.hset(keys.state, name, int(moment) - ms * unit)


def empty_everything(app: ConcertApp) -> None:
    """Empty the database and Redis, and forget what the process remembers of them."""
    with app.app_context():
        with connection() as link:
            link.execute(EMPTY)
        redis().flushall()
    forget_all(app)


def forget_all(app: ConcertApp) -> None:
    """Make the process forget what it has read lately."""
    keep(app, Remembered())
    keep(app, RememberedPrices())
    keep(app, RememberedPlans())
    keep(app, KnownCovers())
    part(SeatSnapshots, app).forget_all()
    keep(app, LatelyRead())
    keep(app, LastNoted())
