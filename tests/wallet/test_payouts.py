"""Paying out: what left a wallet for elsewhere is written down, once."""

from __future__ import annotations

from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from concert.wallet.service import differing_wallets
from tests.sale import Fan, Sale
from tests.staff.crew import key_for, lines

NOTE = "Transfer to the account ending in 1234"


def pay_out(sale: Sale, fan: Fan, amount: object, key: str = "", note: str = NOTE) -> TestResponse:
    path = f"/v1/users/{fan.user_id}/payouts"
    headers = {"Idempotency-Key": key} if key else {}
    return sale.organise("POST", path, json={"amount": amount, "note": note}, headers=headers)


def test_a_payout_lowers_the_balance_and_is_in_the_ledger(sale: Sale) -> None:
    fan = sale.fan(balance=1000)
    answer = pay_out(sale, fan, 400)
    assert answer.status_code == 201, answer.text
    assert (answer.json["amount"], answer.json["balance"], answer.json["note"]) == (400, 600, NOTE)
    entry = fan.call_as_user("GET", "/v1/charges?entries=1").json["entries"][0]
    assert (entry["kind"], entry["amount"], entry["balance_after"]) == ("payout", -400, 600)
    assert entry["note"] == NOTE
    assert fan.balance() == 600
    assert differing_wallets() == []


def test_no_more_is_paid_out_than_there_is(sale: Sale) -> None:
    fan = sale.fan(balance=1000)
    answer = pay_out(sale, fan, 1001)
    assert (answer.status_code, answer.json["missing"]) == (402, 1)
    assert fan.balance() == 1000
    assert pay_out(sale, sale.fan(), 1).json["missing"] == 1
    assert lines(verb="pay_out") == []


def test_the_same_key_pays_out_once(sale: Sale) -> None:
    fan = sale.fan(balance=1000)
    first = pay_out(sale, fan, 400, key="till")
    assert pay_out(sale, fan, 400, key="till").json == first.json
    assert pay_out(sale, fan, 300, key="till").json["code"] == "idempotency_conflict"
    assert fan.balance() == 600
    assert len(lines(verb="pay_out")) == 1


def test_keys_belong_to_whoever_sends_them(sale: Sale) -> None:
    fan = sale.fan(balance=1000)
    pay_out(sale, fan, 400, key="till")
    body = {"amount": 400, "note": NOTE}
    other = sale.call(
        "POST",
        f"/v1/users/{fan.user_id}/payouts",
        token=key_for("another"),
        json=body,
        headers={"Idempotency-Key": "till"},
    )
    assert other.status_code == 201
    assert fan.balance() == 200


@pytest.mark.parametrize("amount", [0, -1, 1_000_000_001, 1.5, "1", None])
def test_a_payout_is_a_whole_number_of_won(sale: Sale, amount: object) -> None:
    fan = sale.fan(balance=1000)
    assert pay_out(sale, fan, amount).status_code == 400
    assert fan.balance() == 1000


def test_a_payout_says_where_the_money_went_and_to_whom(sale: Sale) -> None:
    fan = sale.fan(balance=1000)
    assert pay_out(sale, fan, 1, note="  ").status_code == 400
    path = f"/v1/users/{uuid4()}/payouts"
    assert sale.organise("POST", path, json={"amount": 1, "note": NOTE}).status_code == 404


def test_a_payout_is_in_the_audit_log(sale: Sale) -> None:
    fan = sale.fan(balance=1000)
    pay_out(sale, fan, 400)
    (line,) = lines(verb="pay_out")
    assert (line.subject_kind, line.subject_id, line.reason) == ("user", str(fan.user_id), NOTE)
    assert line.before == {"balance": 1000}
    assert line.after is not None
    assert line.after["balance"] == 600
