"""API keys: shown once, kept as digests, of one role, replaced without a gap, revoked at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from concert.ground.audit import SYSTEM
from concert.ground.database import connection
from concert.ground.errors import BadRequest, NameTaken, NotFound, TokenInvalid
from concert.staff import keys
from concert.staff.keys import caller_of_key
from tests.sale import ORGANISER_KEY, Sale
from tests.staff.crew import key_for, signed_in

HOUR = 3600


def test_a_key_opens_what_its_scope_covers_and_says_who_it_is(sale: Sale) -> None:
    organiser, door = key_for("boss"), key_for("gate", "door")
    body = {"capacity": 5}
    assert sale.call("PATCH", "/v1/rooms/main", token=organiser, json=body).status_code == 200
    refused = sale.call("PATCH", "/v1/rooms/main", token=door, json=body)
    assert (refused.status_code, refused.json["code"]) == (403, "role_too_small")
    assert (caller_of_key(door).name, caller_of_key(door).role) == ("gate", "door")


def test_only_the_digest_of_a_key_is_kept_and_how_it_begins(sale: Sale) -> None:
    made = sale.organise("POST", "/v1/keys", json={"name": "till", "scope": "door"})
    assert made.status_code == 201 and made.json["key"].startswith(made.json["prefix"])
    assert made.json["prefix"].startswith("ck_test_") and len(made.json["prefix"]) == 14
    with connection() as link:
        kept = str(link.execute("SELECT k::text FROM api_keys k").fetchall())
        kept += str(link.execute("SELECT a::text FROM audit_log a").fetchall())
    for secret in (made.json["key"], made.json["key"][14:]):
        assert secret not in kept and secret.encode().hex() not in kept
    listed = sale.organise("GET", "/v1/keys").json["keys"]
    assert [one["prefix"] for one in listed] == [made.json["prefix"]]
    assert "key" not in listed[0] and made.json["key"] not in str(listed)


@pytest.mark.parametrize(
    "change", [lambda key: key[:-1], lambda key: key + "x", str.upper, str.lower]
)
def test_a_key_that_differs_by_a_letter_is_none(sale: Sale, change: object) -> None:
    wrong = change(key_for())  # type: ignore[operator]
    with pytest.raises(TokenInvalid):
        caller_of_key(wrong)


def test_what_is_kept_of_a_key_opens_nothing(sale: Sale) -> None:
    key_for()
    with connection() as link:
        row = link.execute("SELECT encode(digest, 'hex'), prefix FROM api_keys").fetchone()
    assert row is not None
    for found in (*row, f"ck_test_{row[0]}"):
        assert sale.call("GET", "/v1/audit-log", token=found).status_code == 401


def test_a_revoked_key_is_good_no_more_at_once(sale: Sale) -> None:
    made = sale.organise("POST", "/v1/keys", json={"name": "till", "scope": "organiser"}).json
    assert sale.call("GET", "/v1/audit-log", token=made["key"]).status_code == 200
    path = f"/v1/keys/{made['key_id']}"
    assert sale.organise("DELETE", path).status_code == 204
    assert sale.call("GET", "/v1/audit-log", token=made["key"]).status_code == 401
    assert sale.organise("DELETE", path).status_code == 404
    assert sale.organise("GET", "/v1/keys").json == {"keys": []}


def test_a_key_ends_when_it_was_said_to(sale: Sale) -> None:
    until = datetime.now(UTC) + timedelta(hours=2)
    made = keys.add_key("guest", "organiser", actor=SYSTEM, expires_at=until)
    sale.let_time_pass(1.9 * HOUR)
    assert caller_of_key(made.secret).name == "guest"
    sale.let_time_pass(0.2 * HOUR)
    with pytest.raises(TokenInvalid):
        caller_of_key(made.secret)
    with pytest.raises(BadRequest):
        keys.add_key("late", "door", actor=SYSTEM, expires_at=datetime.now(UTC))


def test_a_key_is_replaced_without_a_gap(sale: Sale) -> None:
    old = sale.organise("POST", "/v1/keys", json={"name": "till", "scope": "organiser"}).json
    new = sale.organise(
        "POST", f"/v1/keys/{old['key_id']}/rotation", json={"overlap_hours": 3}
    ).json
    assert (new["name"], new["scope"]) == ("till", "organiser") and new["key"] != old["key"]
    for key in (old["key"], new["key"]):
        assert sale.call("GET", "/v1/audit-log", token=key).status_code == 200
    sale.let_time_pass(3 * HOUR + 1)
    assert sale.call("GET", "/v1/audit-log", token=old["key"]).status_code == 401
    assert sale.call("GET", "/v1/audit-log", token=new["key"]).status_code == 200


def test_a_key_has_one_successor(sale: Sale) -> None:
    made = keys.add_key("till", "door", actor=SYSTEM).key
    newer = keys.rotate_key(made.key_id, actor=SYSTEM).key
    with pytest.raises(NameTaken):
        keys.rotate_key(made.key_id, actor=SYSTEM)
    assert [key.key_id for key in keys.list_keys()] == [made.key_id, newer.key_id]


def test_an_overlap_never_lengthens_a_key_s_life(sale: Sale) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    made = keys.add_key("guest", "door", actor=SYSTEM, expires_at=until)
    keys.rotate_key(made.key.key_id, actor=SYSTEM, overlap_hours=48)
    sale.let_time_pass(HOUR + 1)
    with pytest.raises(TokenInvalid):
        caller_of_key(made.secret)


def test_a_name_is_one_key_s_unless_it_is_replaced(sale: Sale) -> None:
    key_for("till")
    with pytest.raises(NameTaken):
        key_for("TILL")
    with pytest.raises(NotFound):
        keys.rotate_key(999, actor=SYSTEM)


def test_when_a_key_was_used_last_is_kept_to_the_minute(sale: Sale) -> None:
    def used() -> datetime | None:
        return keys.list_keys()[0].last_used_at

    key = key_for()
    assert used() is None
    caller_of_key(key)
    first = used()
    caller_of_key(key)
    assert first is not None and used() == first
    sale.let_time_pass(61)
    caller_of_key(key)
    assert (used() or first) > first


def test_a_key_makes_no_keys_and_no_people(sale: Sale) -> None:
    key = key_for("boss")
    for method, path, body in (
        ("POST", "/v1/keys", {"name": "mine", "scope": "door"}),
        ("POST", "/v1/staff", {"name": "me", "role": "organiser"}),
    ):
        refused = sale.call(method, path, token=key, json=body)
        assert (refused.status_code, refused.json["code"]) == (403, "role_too_small")
    assert len(keys.list_keys()) == 1


def test_the_root_key_needs_no_database(sale: Sale) -> None:
    assert (caller_of_key(ORGANISER_KEY).kind, caller_of_key(ORGANISER_KEY).id) == ("root", None)


def test_a_session_calls_the_api_with_the_page_s_token_only(sale: Sale) -> None:
    boss = signed_in(sale, "Boss", "organiser")
    body = {"capacity": 7}
    assert boss.call("PATCH", "/v1/rooms/main", json=body).status_code == 200
    for csrf in ("", "x", "\xff", boss.token):
        refused = boss.call("PATCH", "/v1/rooms/main", json=body, csrf=csrf)
        assert (refused.status_code, refused.json["code"]) == (403, "csrf_missing")
    # What changes nothing needs none.
    assert boss.call("GET", "/v1/audit-log", csrf="").status_code == 200
    assert boss.browser.read("/organiser").text
    page = boss.browser.open("/organiser").text
    token = page.split('<meta name="csrf-token" content="')[1].split('"')[0]
    assert boss.call("PATCH", "/v1/rooms/main", json=body, csrf=token).status_code == 200
