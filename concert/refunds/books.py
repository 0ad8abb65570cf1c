"""The books: what wallets, ledger, payments, refunds, payouts, seats and tickets say of each other.

Each kind of difference is one statement, which the daily reconciliation asks in batches, and
``concert audit`` all at once, in one snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from concert.ground.budget import within
from concert.ground.database import Connection, connection, upkeep_connection
from concert.payments.service import read_differing_seats
from concert.refunds import queries
from concert.wallet.service import GREATEST, LEAST, read_differing_wallets

# Nobody waits for it but who has asked, and it locks nobody out.
AUDIT_SECONDS = 600.0
LAST = 2**63 - 1
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@dataclass(frozen=True, slots=True)
class Difference:
    """Two places that contradict each other: what it is about, its number, and how it differs."""

    about: str
    number: str
    difference: str


@dataclass(frozen=True, slots=True)
class Sums:
    """How much there is of everything: won, then payments and sold seats."""

    in_wallets: int
    charged: int
    paid: int
    refunded: int
    paid_out: int
    payments: int
    seats_sold: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What one look at everything has found."""

    differences: tuple[Difference, ...]
    sums: Sums


def audit() -> Audit:
    """Compare everything with everything, in one snapshot that changes nothing and locks nobody out.

    Raises:
        Unavailable: PostgreSQL cannot be reached, or took longer than ten minutes.
    """
    with within(AUDIT_SECONDS, each=AUDIT_SECONDS), connection() as link:
        link.execute(SNAPSHOT)
        try:
            link.execute(f"SET LOCAL statement_timeout = '{AUDIT_SECONDS:.0f}s'")
            differences = tuple(_all_differences(link))
            row = link.execute(queries.SUMS).fetchone()
            assert row is not None
        finally:
            link.rollback()
    return Audit(differences, Sums(*row))


def differing_documents(after: UUID = LEAST, until: UUID = GREATEST) -> list[Difference]:
    """Payments, refunds and payouts that differ from the ledger or from their seats, among users in this order of ids."""
    with upkeep_connection() as link:
        return list(_documents(link, after, until))


def differing_tickets(first: int = 0, last: int = LAST) -> list[Difference]:
    """Sold seats without a ticket that is good, and the other way round, of performances in this order of ids."""
    with upkeep_connection() as link:
        return _tickets(link, first, last)


def differing_cancellations() -> list[Difference]:
    """Dates that are cancelled in one place and not in another, or only in part."""
    with upkeep_connection() as link:
        return _found(link, queries.DIFFERING_CANCELLATIONS)


def _all_differences(link: Connection) -> Iterator[Difference]:
    for user_id, balance, entered in read_differing_wallets(link, LEAST, GREATEST):
        told = f"the wallet has {balance}, its entries add up to {entered}"
        yield Difference("wallet", str(user_id), told)
    yield from _found(link, queries.DIFFERING_LEDGERS)
    yield from _documents(link, LEAST, GREATEST)
    for performance_id, seat_no, difference in read_differing_seats(link, 0, LAST):
        yield Difference("seat", f"{performance_id}/{seat_no}", difference)
    yield from _tickets(link, 0, LAST)
    yield from _found(link, queries.DIFFERING_CANCELLATIONS)


def _documents(link: Connection, after: UUID, until: UUID) -> list[Difference]:
    rows = link.execute(queries.DIFFERING_DOCUMENTS, {"after": after, "until": until}).fetchall()
    return [Difference(*row) for row in rows]


def _tickets(link: Connection, first: int, last: int) -> list[Difference]:
    rows = link.execute(queries.DIFFERING_TICKETS, {"first": first, "last": last}).fetchall()
    return [Difference(*row) for row in rows]


def _found(link: Connection, statement: str) -> list[Difference]:
    return [Difference(*row) for row in link.execute(statement).fetchall()]
