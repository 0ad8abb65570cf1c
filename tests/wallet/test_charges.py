"""The wallet: charging, limits, and a ledger that always adds up."""

from __future__ import annotations

from typing import Any

import pytest

from concert.ground.database import connection
from concert.ground.errors import BadRequest
from concert.wallet.service import charge, differing_wallets
from tests.sale import Fan, Sale

ENTRY = {"amount", "balance_after", "kind", "created_at", "note"}


def entries(fan: Fan, count: int = 100) -> list[dict[str, Any]]:
    answer = fan.call_as_user("GET", "/v1/charges", query_string={"entries": count})
    found: list[dict[str, Any]] = answer.json["entries"]
    return found


def test_charging_adds_a_whole_number_of_won(sale: Sale) -> None:
    fan = sale.fan()
    first = fan.charge(1)
    assert (first.status_code, first.json) == (200, {"user_id": str(fan.user_id), "balance": 1})
    assert fan.charge(10_000_000).json["balance"] == 10_000_001


def test_a_user_who_has_never_charged_has_nothing_and_that_is_no_fault(sale: Sale) -> None:
    fan = sale.fan()
    answer = fan.call_as_user("GET", "/v1/charges")
    assert (answer.status_code, answer.json) == (200, {"user_id": str(fan.user_id), "balance": 0})
    assert entries(fan) == []


@pytest.mark.parametrize(
    "amount",
    [0, -1, 10_000_001, 2**63, 1.0, 1.5, 1e3, True, False, "1000", None, [1], {}],
    ids=str,
)
def test_an_amount_that_is_not_1_to_10_000_000_whole_won_is_400_and_changes_nothing(
    sale: Sale, amount: object
) -> None:
    fan = sale.fan(balance=500)
    refused = fan.charge(amount)
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert fan.balance() == 500
    assert len(entries(fan)) == 1


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "01", "1_000", "0x10", "1" + "0" * 5000]
)
def test_an_amount_that_json_does_not_know_is_400(sale: Sale, number: str) -> None:
    fan = sale.fan()
    body = f'{{"amount": {number}}}'
    refused = fan.call_as_user("PATCH", "/v1/charges", data=body, content_type="application/json")
    assert (refused.status_code, fan.balance()) == (400, 0)


def test_a_balance_never_goes_above_1_000_000_000(sale: Sale) -> None:
    fan = sale.fan(balance=1)
    with connection() as link, link.transaction():
        link.execute("UPDATE wallets SET balance = 995_000_000")
        link.execute("UPDATE wallet_entries SET amount = 995_000_000, balance_after = 995_000_000")
    refused = fan.charge(5_000_001)
    assert (refused.status_code, refused.json["code"]) == (400, "balance_limit")
    assert fan.charge(5_000_000).json["balance"] == 1_000_000_000
    assert fan.charge(1).status_code == 400
    assert differing_wallets() == []


def test_every_change_is_an_entry_with_the_balance_after_it_newest_first(sale: Sale) -> None:
    concert = sale.concert(price=700)
    fan = sale.admitted_fan(concert, balance=1000)
    fan.hold(concert, 1)
    fan.pay(concert, 1)
    fan.charge(5)
    found = entries(fan)
    assert all(entry.keys() == ENTRY for entry in found)
    assert [(entry["amount"], entry["balance_after"], entry["kind"]) for entry in found] == [
        (5, 305, "charge"),
        (-700, 300, "payment"),
        (1000, 1000, "charge"),
    ]


def test_the_balance_always_equals_the_sum_of_the_entries(sale: Sale) -> None:
    concert = sale.concert(price=300)
    fan = sale.admitted_fan(concert)
    for amount in (1, 999, 10_000_001, 0, 250):
        fan.charge(amount)
    fan.hold(concert, 2, 3)
    fan.pay(concert, 2)
    assert fan.balance() == sum(entry["amount"] for entry in entries(fan)) == 650


def test_as_many_entries_come_as_are_asked_for(sale: Sale) -> None:
    fan = sale.fan()
    for _ in range(3):
        fan.charge(10)
    assert "entries" not in fan.call_as_user("GET", "/v1/charges").json
    assert len(entries(fan, 2)) == 2
    for count in ("101", "-1", "x", "1.0", "%00"):
        assert fan.call_as_user("GET", f"/v1/charges?entries={count}").status_code == 400


def test_a_wallet_is_seen_by_its_owner_only(sale: Sale) -> None:
    fan, other = sale.fan(balance=100), sale.fan()
    assert other.balance() == 0
    assert fan.balance() == 100
    assert (entries(other), len(entries(fan))) == ([], 1)
    assert sale.call("GET", "/v1/charges").status_code == 401


@pytest.mark.parametrize("amount", [-1, 0, 10_000_001])
def test_no_door_can_charge_what_is_not_1_to_10_000_000_won(sale: Sale, amount: int) -> None:
    fan = sale.fan(balance=500)
    with pytest.raises(BadRequest):
        charge(fan.user_id, amount)
    assert fan.balance() == 500
