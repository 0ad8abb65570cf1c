"""The audit log: written with the change, by whom, and never changed."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from concert.catalogue import service as catalogue
from concert.ground import audit
from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.database import connection
from concert.ground.errors import BadRequest
from concert.waiting_room import rooms
from tests.sale import ORGANISER_KEY, Sale
from tests.staff.crew import key_for, lines, signed_in

ROOT = Actor("root")


def write(verb: str = "test", **more: object) -> None:
    with connection() as link, link.transaction():
        record(link, SYSTEM, verb, "thing", 1, **more)  # type: ignore[arg-type]


def test_a_changed_room_says_who_before_after_and_why(sale: Sale) -> None:
    answer = sale.organise(
        "PATCH", "/v1/rooms/main", json={"capacity": 7, "reason": " fire inspection "}
    )
    (line,) = lines(verb="change_room")
    assert (line.actor_kind, line.subject_kind, line.subject_id) == ("root", "room", "main")
    assert line.changes == [("capacity", 200, 7)]
    assert line.reason == "fire inspection"
    assert line.request_id == answer.headers["X-Request-ID"]
    assert line.origin and "127.0.0.1" not in line.origin
    with connection() as link:
        now = link.execute("SELECT clock_timestamp() - %s < '1 minute'", (line.at,)).fetchone()
    assert now == (True,)


def test_every_change_of_an_organiser_is_a_line_under_the_name_of_who_called(sale: Sale) -> None:
    boss, key = signed_in(sale, "Boss", "organiser"), key_for("program")
    date = {"starts_at": "2030-12-31T19:00:00+09:00", "price": 1, "capacity": 1}
    later = {**date, "starts_at": "2031-01-01T19:00:00+09:00"}
    calls = (
        ("POST", "/v1/concerts", {"title": "A", "venue": "B", "dates": [date]}, "create_concert"),
        ("POST", "/v1/concerts/{0}/dates", {"dates": [later]}, "add_dates"),
        ("PUT", "/v1/rooms/new-{0}", {"capacity": 3}, "create_room"),
        ("PATCH", "/v1/rooms/new-{0}", {"capacity": 4}, "change_room"),
    )
    for number, (kind, name, call) in enumerate(
        (
            ("root", None, lambda *args, **more: sale.call(*args, token=ORGANISER_KEY, **more)),
            ("key", "program", lambda *args, **more: sale.call(*args, token=key, **more)),
            ("staff", "Boss", boss.call),
        ),
        1,
    ):
        for method, path, body, verb in calls:
            before = len(lines())
            answer = call(method, path.format(number), json=body)
            assert answer.status_code in (200, 201), answer.text
            (line,) = lines()[before:]
            assert (line.verb, line.actor_kind, line.actor_name) == (verb, kind, name)
            assert line.request_id == answer.headers["X-Request-ID"]


def test_what_changes_nothing_is_no_line(sale: Sale) -> None:
    sale.room(capacity=7)
    sale.room(capacity=7)
    assert len(lines(subject_kind="room")) == 1


def test_a_change_that_fails_leaves_no_line(sale: Sale) -> None:
    sale.organise("POST", "/v1/concerts", json={"title": "A", "venue": "B", "room": "none"})
    date = catalogue.NewDate(catalogue.LATEST, 1)
    with pytest.raises(BadRequest):
        catalogue.create_concert("A", "B", "main", [date, date], actor=ROOT)
    with pytest.raises(BadRequest):
        rooms.change_room("main", {"capacity": 3}, actor=ROOT, reason="x" * 501)
    assert lines() == []
    assert catalogue.is_empty()
    assert rooms.room_of("main").capacity == 200


def test_a_line_that_cannot_be_written_leaves_no_change(sale: Sale) -> None:
    with connection() as link:
        link.execute("ALTER TABLE audit_log RENAME TO away")
    try:
        with pytest.raises(psycopg.errors.UndefinedTable):
            rooms.create_room("new", {"capacity": 3}, actor=ROOT)
        with pytest.raises(psycopg.errors.UndefinedTable):
            catalogue.create_concert("A", "B", "main", [], actor=ROOT)
    finally:
        with connection() as link:
            link.execute("ALTER TABLE away RENAME TO audit_log")
    assert [room.slug for room in rooms.list_rooms()] == ["main"]
    assert catalogue.is_empty()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET reason = 'better'",
        "UPDATE audit_log SET reason = 'better' WHERE false",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_log",
        """INSERT INTO audit_log OVERRIDING SYSTEM VALUE SELECT * FROM audit_log
        ON CONFLICT (id) DO UPDATE SET reason = 'better'""",
    ],
)
def test_nothing_is_changed_in_the_log_or_taken_out_of_it(sale: Sale, statement: str) -> None:
    write(reason="as it was")
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        connection() as link,
        link.transaction(),
    ):
        link.execute(statement)
    assert [line.reason for line in lines()] == ["as it was"]


def test_a_role_that_may_only_add_cannot_take_the_guard_off(sale: Sale) -> None:
    """As docs/operations.md sets it up, where the app and the owner of the tables are two roles."""
    write()
    attempts = (
        "ALTER TABLE audit_log DISABLE TRIGGER audit_log_append_only",
        "DROP TRIGGER audit_log_append_only ON audit_log",
        "DROP TABLE audit_log",
        "UPDATE audit_log SET reason = 'better'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    )
    with connection() as link:
        link.execute("CREATE ROLE concert_app_in_test")
        link.execute("GRANT USAGE ON SCHEMA public TO concert_app_in_test")
        link.execute("GRANT SELECT, INSERT ON audit_log TO concert_app_in_test")
        try:
            with link.transaction():
                link.execute("SET LOCAL ROLE concert_app_in_test")
                record(link, SYSTEM, "test", "thing", 2)
            for attempt in attempts:
                with pytest.raises(psycopg.errors.InsufficientPrivilege), link.transaction():
                    link.execute("SET LOCAL ROLE concert_app_in_test")
                    link.execute(attempt)
        finally:
            link.execute("DROP OWNED BY concert_app_in_test")
            link.execute("DROP ROLE concert_app_in_test")
    assert [line.subject_id for line in lines()] == ["1", "2"]


def test_no_secret_is_written_whoever_hands_it_over(sale: Sale) -> None:
    write(after={"token": "aaaa", "inner": [{"key": "aaaa", "name": "x"}], "code": "aaaa"})
    (line,) = lines()
    assert line.after == {"token": "…", "inner": [{"key": "…", "name": "x"}], "code": "…"}


def test_no_key_link_or_cookie_of_a_whole_day_is_in_the_log_or_its_exports(sale: Sale) -> None:
    boss = signed_in(sale, "Boss", "organiser")
    made = boss.call("POST", "/v1/keys", json={"name": "till", "scope": "door"}).json
    newer = boss.call("POST", f"/v1/keys/{made['key_id']}/rotation", json={}).json
    door = boss.call("POST", "/v1/staff", json={"name": "Gate", "role": "door"}).json
    again = boss.call("POST", f"/v1/staff/{door['staff_id']}/links").json
    secrets = [made["key"], newer["key"], door["code"], again["code"], boss.token, ORGANISER_KEY]
    shown = [boss.browser.open(f"/organiser/log{suffix}").text for suffix in ("", ".csv", ".jsonl")]
    shown.append(boss.call("GET", "/v1/audit-log?limit=200").text)
    assert all("rotate_key" in text for text in shown[1:])
    assert [secret for secret in secrets for text in shown if secret in text] == []


def test_the_log_is_read_by_who_what_and_when_a_page_at_a_time(sale: Sale) -> None:
    key = key_for("program")
    for capacity in range(1, 8):
        sale.call("PATCH", "/v1/rooms/main", token=key, json={"capacity": capacity})
    sale.room("other")
    asked = {"subject_kind": "room", "subject_id": "main", "limit": "3"}
    found, cursor = [], None
    for _ in range(3):
        more = {"cursor": cursor} if cursor else {}
        page = sale.organise("GET", "/v1/audit-log", query_string={**asked, **more}).json
        found += [one["after"]["capacity"] for one in page["entries"]]
        cursor = page["next"]
    assert (found, cursor) == ([7, 6, 5, 4, 3, 2, 1], None)

    def verbs(**query: str) -> list[str]:
        page = sale.organise("GET", "/v1/audit-log", query_string=query).json
        return [one["verb"] for one in page["entries"]]

    assert verbs(actor_kind="root") == ["create_room"]
    assert verbs(actor_kind="key", actor_id="1", verb="change_room") == ["change_room"] * 7
    assert verbs(actor_kind="key", actor_id="2") == []
    assert verbs(since="2200-01-01T00:00:00Z") == verbs(until="2020-01-01T00:00:00Z") == []
    assert len(verbs(since="2020-01-01T00:00:00Z", until="2200-01-01T00:00:00Z")) == 9


def test_the_whole_log_is_saved_as_a_table_and_as_json_lines(sale: Sale) -> None:
    boss = signed_in(sale, "Boss", "organiser")
    with connection() as link, link.transaction():
        for number in range(audit.BATCH + 5):
            record(link, ROOT, "test", "thing", number, reason="=1+1", after={"n": number})
    table = boss.browser.open("/organiser/log.csv?kind=thing")
    assert "attachment" in table.headers["Content-Disposition"]
    head, *rows = csv.reader(io.StringIO(table.text))
    assert tuple(head) == audit.CSV_HEAD
    numbers = [int(row[head.index("subject_id")]) for row in rows]
    assert numbers == list(range(audit.BATCH + 5))[::-1]
    # No spreadsheet takes what somebody typed for a formula.
    assert {row[head.index("reason")] for row in rows} == {"'=1+1"}
    saved = boss.browser.open("/organiser/log.jsonl?kind=thing").text.splitlines()
    assert [json.loads(one)["after"]["n"] for one in saved] == numbers


def test_staff_and_their_keys_are_in_the_log_from_the_first_day_to_the_last(sale: Sale) -> None:
    boss = signed_in(sale, "Boss", "organiser")
    gate = boss.call("POST", "/v1/staff", json={"name": "Gate", "role": "door"}).json
    boss.call("POST", f"/v1/staff/{gate['staff_id']}/links")
    key = boss.call("POST", "/v1/keys", json={"name": "till", "scope": "door"}).json
    boss.call("POST", f"/v1/keys/{key['key_id']}/rotation", json={})
    boss.call("DELETE", f"/v1/keys/{key['key_id']}?reason=leaked")
    boss.call("DELETE", f"/v1/staff/{gate['staff_id']}?reason=left")
    boss.browser.send(boss.browser.read("/staff").form_to("/staff/leave"))
    told = [(one.verb, one.reason) for one in lines(actor_kind="staff", actor_name="Boss")]
    assert told == [
        ("sign_in", None),
        ("add_staff", None),
        ("make_link", None),
        ("add_key", None),
        ("rotate_key", None),
        ("add_key", None),
        ("revoke_key", "leaked"),
        ("remove_staff", "left"),
        ("end_session", None),
    ]


def test_many_who_write_at_once_lose_no_line(sale: Sale) -> None:
    def change(number: int) -> None:
        with sale.app.app_context():
            rooms.change_room("main", {"capacity": number + 1000}, actor=ROOT)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(40)))
    told = lines(verb="change_room")
    assert len(told) == 40
    # Each begins where the one before has ended: they are written under the room's lock.
    assert [one.before["capacity"] for one in told[1:] if one.before] == [
        one.after["capacity"] for one in told[:-1] if one.after
    ]
