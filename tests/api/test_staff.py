"""The calls about staff, keys and the log: what each answers, right and wrong."""

from __future__ import annotations

from typing import Any

import pytest

from concert.factory import ConcertApp
from concert.staff.access import need_of
from tests.sale import Sale

PERSON = {"name": "Mina", "role": "door"}
KEY = {"name": "till", "scope": "box-office"}


def test_a_person_is_added_listed_linked_anew_and_removed(sale: Sale) -> None:
    added = sale.organise("POST", "/v1/staff", json=PERSON)
    assert added.status_code == 201
    person = added.json
    assert (person["name"], person["role"]) == ("Mina", "door")
    assert person["link"] == f"http://localhost/staff/enter/{person['code']}"
    (listed,) = sale.organise("GET", "/v1/staff").json["staff"]
    assert listed == {name: person[name] for name in ("staff_id", "name", "role", "created_at")}
    path = f"/v1/staff/{person['staff_id']}"
    again = sale.organise("POST", f"{path}/links")
    assert again.status_code == 201 and again.json["code"] != person["code"]
    assert sale.organise("DELETE", path).status_code == 204
    assert sale.organise("DELETE", path).status_code == 404
    assert sale.organise("POST", f"{path}/links").status_code == 404
    assert sale.organise("GET", "/v1/staff").json == {"staff": []}


def test_a_key_is_made_listed_and_revoked(sale: Sale) -> None:
    made = sale.organise("POST", "/v1/keys", json={**KEY, "expires_at": "2100-01-01T00:00:00Z"})
    assert made.status_code == 201
    (listed,) = sale.organise("GET", "/v1/keys").json["keys"]
    assert made.json == {**listed, "key": made.json["key"]}
    assert (listed["scope"], listed["last_used_at"]) == ("box-office", None)
    assert listed["expires_at"].startswith("2100-01-01T00:00:00")
    assert sale.organise("DELETE", f"/v1/keys/{listed['key_id']}").status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/staff", {}, 400, "bad_request"),
        ("/v1/staff", {"name": "Mina"}, 400, "bad_request"),
        ("/v1/staff", {**PERSON, "role": "king"}, 400, "bad_request"),
        ("/v1/staff", {**PERSON, "name": " "}, 400, "bad_request"),
        ("/v1/staff", {**PERSON, "name": "a\u0000b"}, 400, "bad_request"),
        ("/v1/staff", {**PERSON, "reason": "x" * 501}, 400, "bad_request"),
        ("/v1/staff", {**PERSON, "reason": "a\u0000b"}, 400, "bad_request"),
        ("/v1/staff", {**PERSON, "shoes": 42}, 400, "bad_request"),
        ("/v1/staff", {"name": "BOSS", "role": "door"}, 409, "name_taken"),
        ("/v1/staff/0/links", {}, 400, "bad_request"),
        ("/v1/staff/9223372036854775807/links", {}, 404, "not_found"),
        ("/v1/staff/9223372036854775808/links", {}, 400, "bad_request"),
        ("/v1/keys", {**KEY, "scope": None}, 400, "bad_request"),
        ("/v1/keys", {**KEY, "expires_at": "2020-01-01T00:00:00Z"}, 400, "bad_request"),
        ("/v1/keys", {**KEY, "expires_at": "9999-12-31T00:00:00Z"}, 400, "bad_request"),
        ("/v1/keys", {**KEY, "expires_at": "2100-01-01"}, 400, "bad_request"),
        ("/v1/keys", {**KEY, "name": "boss"}, 409, "name_taken"),
        ("/v1/keys/99/rotation", {}, 404, "not_found"),
        ("/v1/keys/1/rotation", {"overlap_hours": -1}, 400, "bad_request"),
        ("/v1/keys/1/rotation", {"overlap_hours": 99_999}, 400, "bad_request"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    sale: Sale, path: str, body: Any, status: int, code: str
) -> None:
    sale.organise("POST", "/v1/staff", json={"name": "Boss", "role": "organiser"})
    sale.organise("POST", "/v1/keys", json={"name": "boss", "scope": "organiser"})
    log = sale.organise("GET", "/v1/audit-log").json
    refused = sale.organise("POST", path, json=body)
    assert (refused.status_code, refused.json["code"]) == (status, code)
    assert sale.organise("GET", "/v1/audit-log").json == log


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"cursor": "x"},
        {"actor_kind": "king"},
        {"verb": "a\x00"},
        {"since": "yesterday"},
        {"shoes": "42"},
    ],
)
def test_a_wrong_question_about_the_log_is_400(sale: Sale, query: dict[str, str]) -> None:
    assert sale.organise("GET", "/v1/audit-log", query_string=query).status_code == 400


def test_answers_with_secrets_are_kept_by_nobody(sale: Sale) -> None:
    for path, body in (("/v1/staff", PERSON), ("/v1/keys", KEY)):
        assert sale.organise("POST", path, json=body).headers["Cache-Control"] == "no-store"


def test_who_may_is_said_before_what_is_wrong(sale: Sale) -> None:
    door = sale.organise("POST", "/v1/keys", json={"name": "gate", "scope": "door"}).json["key"]
    for method, path in (("POST", "/v1/concerts"), ("PATCH", "/v1/rooms/main")):
        assert sale.call(method, path, json={"wrong": 1}).status_code == 401
        assert sale.call(method, path, token=door, json={"wrong": 1}).status_code == 403
        assert sale.organise(method, path, json={"wrong": 1}).status_code == 400


def test_the_document_says_of_each_call_for_staff_whom_it_takes(app: ConcertApp) -> None:
    document = app.test_client().get("/openapi.json").json
    seen = 0
    for rule in app.url_map.iter_rules():
        need = need_of(app.view_functions[rule.endpoint])
        if need is None or not rule.rule.startswith("/v1/"):
            continue
        path = rule.rule.replace("<", "{").replace(">", "}")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            first, second = document["paths"][path][method.lower()]["security"]
            assert list(first) == [need.role if need.keys else "root"], path
            assert set(second) == {"session", "page"}
            seen += 1
    assert seen >= 13
