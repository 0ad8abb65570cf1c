"""Charging a wallet and reading its balance and ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from flask import Flask

from concert.ground.database import (
    Connection,
    array,
    connection,
    undone_together,
    upkeep_connection,
)
from concert.ground.errors import BadRequest, BalanceLimit, InsufficientBalance, UnknownUser
from concert.ground.idempotency import Attempt, once
from concert.ground.limits import limit
from concert.ground.observability import counts_refusals, note_event
from concert.ground.parts import keep, part
from concert.ground.prepared import Hot
from concert.ground.together import Together
from concert.wallet.models import HIGHEST_BALANCE, HIGHEST_CHARGE

MOST_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a balance, in won; ``note`` says why of a refund, and where to of a payout."""

    amount: int
    balance_after: int
    kind: str
    created_at: datetime
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """A user's balance in won; ``entries``, newest first, only where they were asked for."""

    user_id: UUID
    balance: int
    entries: tuple[Entry, ...] | None = None


@dataclass(slots=True)
class AskedCharge:
    """A charge that is made with others'; ``balance`` is the one after it, None where it was not made."""

    user_id: UUID
    amount: int
    balance: int | None = None


class ChargesTogether(Together[AskedCharge]):
    """The charges of this process that are asked for at the same time."""

    def __init__(self) -> None:
        super().__init__(_charge_together)


def init_wallet(app: Flask) -> None:
    """Charge together what is asked for together."""
    keep(app, ChargesTogether())


# The wallet is made by its first charge. The condition stands in the statement, so a
# charge that would go over the limit changes nothing, whoever else charges meanwhile.
CHARGE = Hot("""
WITH charged AS (
    INSERT INTO wallets AS w (user_id, balance) VALUES (%(user)s, %(amount)s)
    ON CONFLICT (user_id) DO UPDATE SET balance = w.balance + excluded.balance
        WHERE w.balance + excluded.balance <= %(highest)s
    RETURNING w.balance
)
INSERT INTO wallet_entries (user_id, amount, balance_after, kind)
SELECT %(user)s, %(amount)s, charged.balance, 'charge' FROM charged
RETURNING balance_after""")
# The function that charges several; the migrations install this text.
CHARGE_TOGETHER = (Path(__file__).parent / "sql" / "charge_together.sql").read_text(
    encoding="utf-8"
)
CHARGE_ALL = Hot("""
SELECT number, balance FROM charge_together(%(users)s::uuid[], %(amounts)s::bigint[], %(highest)s)""")
READ_BALANCE = """
SELECT w.balance FROM users u LEFT JOIN wallets w ON w.user_id = u.id WHERE u.id = %s"""
READ_ENTRIES = """
SELECT amount, balance_after, kind, created_at, note FROM wallet_entries
WHERE user_id = %s AND id < %s ORDER BY id DESC LIMIT %s"""
WALLET_AFTER = "SELECT user_id FROM wallets WHERE user_id > %s ORDER BY user_id OFFSET %s LIMIT 1"
LEAST, GREATEST = UUID(int=0), UUID(int=2**128 - 1)
DIFFERING = """
SELECT w.user_id, w.balance, coalesce(sum(e.amount), 0)::bigint AS entered
FROM wallets w LEFT JOIN wallet_entries e ON e.user_id = w.user_id
WHERE w.user_id > %s AND w.user_id <= %s
GROUP BY w.user_id HAVING w.balance <> coalesce(sum(e.amount), 0)"""


# The balance, locked until the transaction ends; a wallet that is not there yet is made, empty,
# so that a first charge from elsewhere cannot come between.
LOCK_BALANCE = """
INSERT INTO wallets AS w (user_id, balance) VALUES (%s, 0)
ON CONFLICT (user_id) DO UPDATE SET balance = w.balance RETURNING w.balance"""

# Both wallets at once, in the order of their users; whoever has none gets an empty one.
MAKE_BOTH = """
INSERT INTO wallets (user_id, balance) SELECT one, 0 FROM unnest(%s::uuid[]) AS one ORDER BY one
ON CONFLICT DO NOTHING"""
LOCK_BOTH = "SELECT user_id FROM wallets WHERE user_id = ANY (%s) ORDER BY user_id FOR UPDATE"
MOVE = """
UPDATE wallets SET balance = balance + %(amount)s
WHERE user_id = %(user)s AND balance + %(amount)s BETWEEN 0 AND %(highest)s RETURNING balance"""
ENTER = "INSERT INTO wallet_entries (user_id, amount, balance_after, kind) VALUES (%s, %s, %s, %s)"
READ_ONE = "SELECT balance FROM wallets WHERE user_id = %s"


@counts_refusals("charge")
def charge(user_id: UUID, amount: int, attempt: Attempt | None = None) -> Balance:
    """Add won to a user's balance.

    Raises:
        BadRequest: the amount is not 1 to 10,000,000.
        BalanceLimit: the balance would pass 1,000,000,000.
        UnknownUser: there is no such user.
        IdempotencyConflict: the key was used for another request.
        RateLimited: the user charges too often.
    """
    limit("charges", user_id)
    if not 1 <= amount <= HIGHEST_CHARGE:
        raise BadRequest(f"A charge is a whole number of won, 1 to {HIGHEST_CHARGE:,}.")
    charged_now = False

    def work(link: Connection) -> Balance:
        nonlocal charged_now
        balance = _charge(link, user_id, amount)
        charged_now = True
        return balance

    balance = _charge_with_others(user_id, amount) if attempt is None else None
    if balance is not None:
        charged_now = True
    else:
        balance = once(attempt, Balance, work)
    if charged_now:
        note_event("charged", user_id, amount=amount)
    return balance


def raise_balance(link: Connection, user_id: UUID, wanted: int, most: int) -> int:
    """Add to a balance what it lacks of ``wanted`` won, nothing where it lacks nothing; returns how much.

    It is a part of the caller's transaction, which holds the wallet's lock from here on. What is
    more than one charge may add becomes several, each with its entry in the ledger.

    Raises:
        InsufficientBalance: more than ``most`` won are lacking; nothing was added.
        BalanceLimit: the balance would pass 1,000,000,000.
    """
    row = link.execute(LOCK_BALANCE, (user_id,)).fetchone()
    assert row is not None
    missing: int = max(0, wanted - row[0])
    if missing > most:
        raise InsufficientBalance(missing)
    for added in range(0, missing, HIGHEST_CHARGE):
        _charge(link, user_id, min(HIGHEST_CHARGE, missing - added))
    return missing


def pass_on(link: Connection, payer: UUID, payee: UUID, amount: int, kind: str) -> None:
    """Move won from one user's wallet to another's, with an entry in each ledger.

    It is a part of the caller's transaction, which holds both wallets' locks from here on; they are
    taken in the order of the users, so that two who pay each other cannot wait in a circle.

    Raises:
        InsufficientBalance: the payer has less.
        BalanceLimit: the payee's wallet would hold more than it may.
    """
    both = [payer, payee]
    link.execute(MAKE_BOTH, (both,))
    link.execute(LOCK_BOTH, (both,))
    for user_id, change in ((payer, -amount), (payee, amount)):
        asked = {"user": user_id, "amount": change, "highest": HIGHEST_BALANCE}
        row = link.execute(MOVE, asked).fetchone()
        if row is None and change < 0:
            (balance,) = link.execute(READ_ONE, (user_id,)).fetchone() or (0,)
            raise InsufficientBalance(amount - balance)
        if row is None:
            raise BalanceLimit(f"The other wallet would hold more than {HIGHEST_BALANCE:,} won.")
        link.execute(ENTER, (user_id, change, row[0], kind))


def balance_of(user_id: UUID, entries: int = 0) -> Balance:
    """The balance, and as many of the newest ledger entries as asked for.

    Raises:
        UnknownUser: there is no such user.
    """
    with connection() as link:
        row = link.execute(READ_BALANCE, (user_id,)).fetchone()
        if row is None:
            raise UnknownUser()
        newest: tuple[Entry, ...] | None = None
        if entries:
            rows = link.execute(
                READ_ENTRIES, (user_id, 2**62, min(entries, MOST_ENTRIES))
            ).fetchall()
            newest = tuple(Entry(*entry) for entry in rows)
    return Balance(user_id, row[0] or 0, newest)


def differing_wallets(after: UUID = LEAST, until: UUID = GREATEST) -> list[dict[str, Any]]:
    """The wallets whose balance is not the sum of their entries, among users in this order of ids."""
    with upkeep_connection() as link:
        rows = read_differing_wallets(link, after, until)
    return [
        {"user_id": str(user_id), "balance": balance, "entries": entered}
        for user_id, balance, entered in rows
    ]


def read_differing_wallets(link: Connection, after: UUID, until: UUID) -> Sequence[tuple[Any, ...]]:
    """The same on somebody's connection: whose, the balance and the sum of its entries."""
    return link.execute(DIFFERING, (after, until)).fetchall()


def wallet_after(after: UUID, count: int) -> UUID | None:
    """Whose wallet is ``count`` further on in the order of ids, or None where there are fewer."""
    with upkeep_connection() as link:
        row = link.execute(WALLET_AFTER, (after, count - 1)).fetchone()
    return None if row is None else row[0]


def _charge_with_others(user_id: UUID, amount: int) -> Balance | None:
    """The balance after a charge that was made together with what others asked for; None where it was not."""
    mine = AskedCharge(user_id, amount)
    part(ChargesTogether).do(mine)
    return None if mine.balance is None else Balance(user_id, mine.balance)


def _charge_together(asked: Sequence[AskedCharge]) -> None:
    with connection() as link, undone_together("charge"):
        rows = CHARGE_ALL.rows(
            link,
            {
                "users": array(one.user_id for one in asked),
                "amounts": array(one.amount for one in asked),
                "highest": HIGHEST_BALANCE,
            },
        )
        for number, balance in rows:
            asked[number - 1].balance = balance


def _charge(link: Connection, user_id: UUID, amount: int) -> Balance:
    try:
        row = CHARGE.row(link, {"user": user_id, "amount": amount, "highest": HIGHEST_BALANCE})
    except psycopg.errors.ForeignKeyViolation as error:
        raise UnknownUser() from error
    if row is None:
        raise BalanceLimit(f"A wallet holds at most {HIGHEST_BALANCE:,} won.")
    return Balance(user_id, row[0])
