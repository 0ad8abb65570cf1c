"""Paying a balance out: that won left a wallet; the transfer itself is made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from concert.ground.audit import Actor, checked_reason, record
from concert.ground.database import Connection
from concert.ground.errors import BadRequest, InsufficientBalance, NotFound
from concert.ground.idempotency import Attempt, once
from concert.ground.observability import note_event
from concert.wallet.models import HIGHEST_BALANCE
from concert.wallet.service import READ_BALANCE

# The condition stands in the statement, so that no balance falls below nothing whatever else is paid meanwhile.
PAY_OUT = """
WITH lowered AS (
    UPDATE wallets SET balance = balance - %(amount)s
    WHERE user_id = %(user)s AND balance >= %(amount)s RETURNING balance
), written AS (
    INSERT INTO payouts (id, user_id, amount, note, paid_out_at)
    SELECT %(id)s, %(user)s, %(amount)s, %(note)s, statement_timestamp() FROM lowered RETURNING paid_out_at
), entered AS (
    INSERT INTO wallet_entries (user_id, amount, balance_after, kind, payout_id, note)
    SELECT %(user)s, -%(amount)s, lowered.balance, 'payout', %(id)s, %(note)s FROM lowered
)
SELECT lowered.balance, written.paid_out_at FROM lowered, written"""


@dataclass(frozen=True, slots=True)
class Payout:
    """Won that were paid out of a wallet, and its balance after it."""

    payout_id: UUID
    user_id: UUID
    amount: int
    note: str
    balance: int
    paid_out_at: datetime


def pay_out(
    user_id: UUID, amount: int, *, note: str, actor: Actor, attempt: Attempt | None = None
) -> Payout:
    """Write down that some of a balance was paid out; ``note`` says where it went.

    Raises:
        BadRequest: the amount is not 1 to 1,000,000,000, or there is no note.
        NotFound: there is no such user.
        InsufficientBalance: the wallet has less; nothing was changed.
        IdempotencyConflict: the key was used for another request.
    """
    if not 1 <= amount <= HIGHEST_BALANCE:
        raise BadRequest(f"A payout is a whole number of won, 1 to {HIGHEST_BALANCE:,}.")
    checked = checked_reason(note)
    if checked is None:
        raise BadRequest("Say where the money went: its owner reads it.")
    made: UUID | None = None

    def work(link: Connection) -> Payout:
        nonlocal made
        made = uuid4()
        with link.transaction():
            asked = {"user": user_id, "amount": amount, "note": checked, "id": made}
            row = link.execute(PAY_OUT, asked).fetchone()
            if row is None:
                _refuse(link, user_id, amount)
            assert row is not None
            balance, paid_out_at = row
            record(
                link,
                actor,
                "pay_out",
                "user",
                user_id,
                before={"balance": balance + amount},
                after={"balance": balance, "payout_id": made},
                reason=checked,
            )
        return Payout(made, user_id, amount, checked, balance, paid_out_at)

    payout = once(attempt, Payout, work)
    if payout.payout_id == made:
        note_event("paid_out", user_id, amount=amount)
    return payout


def _refuse(link: Connection, user_id: UUID, amount: int) -> None:
    row = link.execute(READ_BALANCE, (user_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such user.")
    raise InsufficientBalance(amount - (row[0] or 0))
