"""JSON calls about the wallet."""

from __future__ import annotations

from flask import Response

from concert.api.door import (
    Written,
    answer,
    answers,
    attempt,
    new_door,
    security,
    takes,
    user_id,
    written,
)
from concert.api.schemas import BalanceAnswer, Charge, Entries, LedgerAnswer, Retry
from concert.wallet.service import balance_of, charge

door = new_door("wallet", "A prepaid balance in whole won.")


@door.get(
    "/charges",
    summary="My balance",
    security=security("user"),
    responses=answers({200: LedgerAnswer}, 400, 401),
)
@takes("user")
def get_charges(query: Entries) -> Response:
    """With the newest ledger entries where they are asked for."""
    balance = balance_of(user_id(), query.entries)
    document: dict[str, object] = {"user_id": balance.user_id, "balance": balance.balance}
    if balance.entries is not None:
        document["entries"] = [
            {
                "amount": entry.amount,
                "balance_after": entry.balance_after,
                "kind": entry.kind,
                "created_at": entry.created_at,
                "note": entry.note,
            }
            for entry in balance.entries
        ]
    return answer(document)


@door.patch(
    "/charges",
    summary="Add to my balance",
    security=security("user"),
    responses=answers({200: BalanceAnswer}, 400, 401, 409, 413, 415, 429),
)
@takes("user")
def patch_charges(body: Charge, header: Retry) -> Written:
    """A whole number of won, 1 to 10,000,000; the balance never passes 1,000,000,000."""
    balance = charge(user_id(), body.amount, attempt("charge", amount=body.amount))
    return written({"user_id": balance.user_id, "balance": balance.balance})
