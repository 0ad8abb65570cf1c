"""Users and user tokens."""

from __future__ import annotations

from uuid import UUID

import jwt
import pytest

from concert.factory import create_app
from concert.ground.settings import Settings
from tests.sale import Sale


def test_a_new_user_gets_a_name_an_id_and_a_token_that_says_who_they_are(sale: Sale) -> None:
    made = sale.call("POST", "/v1/users", json={"name": "Mina"})
    assert made.status_code == 201
    assert made.json.keys() == {"user_id", "name", "user_token"}
    assert made.json["name"] == "Mina"
    claims = jwt.decode(made.json["user_token"], options={"verify_signature": False})
    assert claims.keys() == {"typ", "iat", "exp", "sub"}
    assert claims["typ"] == "user"
    assert UUID(claims["sub"]) == UUID(made.json["user_id"])
    assert jwt.get_unverified_header(made.json["user_token"])["alg"] == "HS256"


def test_a_user_needs_no_name_and_no_body(sale: Sale) -> None:
    for options in ({}, {"json": {}}, {"json": {"name": None}}):
        made = sale.call("POST", "/v1/users", **options)
        assert (made.status_code, made.json["name"]) == (201, None)


@pytest.mark.parametrize("name", ["민아", "O'Brien; DROP TABLE users", "a" * 80, "🎻"])
def test_a_name_is_kept_as_it_was_given(sale: Sale, name: str) -> None:
    assert sale.call("POST", "/v1/users", json={"name": name}).json["name"] == name


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\x00b", "a\nb", 7, True, ["Mina"], {}])
def test_a_name_that_is_none_is_400(sale: Sale, name: object) -> None:
    refused = sale.call("POST", "/v1/users", json={"name": name})
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request")


def test_making_users_too_fast_is_429_and_says_when_to_come_back(
    sale: Sale, settings: Settings
) -> None:
    app = create_app(settings.model_copy(update={"new_users_per_minute": 2}))
    client = app.test_client()
    assert [client.post("/v1/users").status_code for _ in range(2)] == [201, 201]
    refused = client.post("/v1/users")
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    other = client.post("/v1/users", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other.status_code == 201


def test_the_token_of_a_user_that_the_database_does_not_know_is_401(sale: Sale) -> None:
    from concert.accounts.service import issue_user_token

    token = issue_user_token(UUID("5f0c6f2e-6f1b-4a43-9d7c-2a4f1f0b7c11"))
    for method, body in (("GET", None), ("PATCH", {"amount": 1})):
        refused = sale.call(method, "/v1/charges", token=token, json=body)
        assert (refused.status_code, refused.json["code"]) == (401, "token_invalid")


def test_a_user_token_lasts_as_long_as_the_setting_says(sale: Sale, settings: Settings) -> None:
    claims = jwt.decode(sale.fan().user_token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == settings.user_token_days * 86_400


def statuses_behind(settings: Settings, proxies: int, addresses: list[str]) -> list[int]:
    """What is answered to those who make users, by what they say in ``X-Forwarded-For``; two may."""
    limits = {"new_users_per_minute": 2, "trusted_proxies": proxies}
    client = create_app(settings.model_copy(update=limits)).test_client()
    return [
        client.post("/v1/users", headers={"X-Forwarded-For": address}).status_code
        for address in addresses
    ]


def test_an_address_that_somebody_only_claims_is_not_believed(
    sale: Sale, settings: Settings
) -> None:
    claimed = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert statuses_behind(settings, 0, claimed) == [201, 201, 429]


def test_as_many_addresses_are_believed_as_there_are_proxies(
    sale: Sale, settings: Settings
) -> None:
    claimed = [f"198.51.100.{number}, 192.0.2.1" for number in range(3)]
    assert statuses_behind(settings, 1, claimed) == [201, 201, 429]
    assert statuses_behind(settings, 2, claimed) == [201, 201, 201]
