"""Many at one ticket at once: one enters, one takes it over, and money and tickets agree; and the same without the guards."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from concert.ground.database import connection
from concert.ground.errors import DomainError
from concert.tickets import entries, handing_on
from concert.tickets.service import void_tickets
from concert.wallet.service import differing_wallets
from tests.sale import Sale
from tests.tickets.buying import PRICE, Owner, may_be_returned, owner_of
from tests.tickets.door import EARLY

MANY = 5
# A database that takes its time to write, so that all have looked before anybody has written.
SLOW = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(0.25);
    RETURN NEW;
END $$;
CREATE TRIGGER slowly BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION slowly();
CREATE TRIGGER slowly BEFORE INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION slowly();"""
QUICK = "DROP FUNCTION slowly CASCADE"
ONE_ENTRY = """
CREATE UNIQUE INDEX uq_entries_standing ON entries (ticket_id) WHERE result = 'in' AND undone_at IS NULL"""
ONE_TICKET = """
CREATE UNIQUE INDEX uq_tickets_of_seat ON tickets (performance_id, seat_no, ended_at) NULLS NOT DISTINCT"""


@pytest.fixture
def owner(sale: Sale) -> Owner:
    """Somebody with a ticket that may be handed on."""
    owner = owner_of(sale, 1)
    may_be_returned(sale, owner.performance)
    return owner


def at_once(sale: Sale, *steps: Callable[[], Any]) -> list[Any]:
    """Do all of this in one moment; what each gave, or the code of its error."""
    together = threading.Barrier(len(steps))

    def do(step: Callable[[], Any]) -> Any:
        with sale.app.app_context():
            together.wait(20)
            try:
                return step()
            except DomainError as error:
                return error.code

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(do, steps))


def show(code: str, number: int) -> Callable[[], str]:
    """Show a code at a door."""
    scan = entries.Scan(gate=str(number), device=str(number), scan_id="1", at=EARLY, code=code)
    return lambda: entries.enter(scan).result


@pytest.fixture
def slow_writes(owner: Owner) -> Iterator[None]:
    """From here on; what was made before was made quickly."""
    with connection() as link:
        link.execute(SLOW)
    yield
    with connection() as link:
        link.execute(QUICK)


@pytest.fixture
def without_indexes(sale: Sale) -> Iterator[None]:
    """The database referees nothing; the indexes are made again on what is empty."""
    with connection() as link:
        link.execute("DROP INDEX uq_entries_standing, uq_tickets_of_seat")
    yield
    with connection() as link:
        for table in ("entries", "hand_ons", "tickets"):
            link.execute(f"DELETE FROM {table}".encode())
        link.execute(ONE_ENTRY)
        link.execute(ONE_TICKET)


def standing() -> int:
    with connection() as link:
        row = link.execute(
            "SELECT count(*) FROM entries WHERE result = 'in' AND undone_at IS NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_one_ticket_at_many_doors_enters_once(sale: Sale, owner: Owner, slow_writes: None) -> None:
    code = owner.code()

    results = at_once(sale, *(show(code, number) for number in range(MANY)))

    assert sorted(results) == ["already_in"] * (MANY - 1) + ["in"]
    assert standing() == 1


def test_without_lock_and_index_one_ticket_enters_many_times(
    sale: Sale,
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    slow_writes: None,
    without_indexes: None,
) -> None:
    monkeypatch.setattr(entries, "LOCK", entries.LOCK.replace(" FOR UPDATE OF t", ""))
    code = owner.code()

    at_once(sale, *(show(code, number) for number in range(MANY)))

    assert standing() > 1


def test_a_scan_that_is_told_many_times_at_once_is_one_scan(sale: Sale, owner: Owner) -> None:
    code = owner.code()

    results = at_once(sale, *(show(code, 1) for _ in range(MANY)))

    assert results == ["in"] * MANY
    assert standing() == 1


def test_one_link_in_many_hands_gives_the_ticket_and_takes_the_money_once(
    sale: Sale, owner: Owner, slow_writes: None
) -> None:
    made = handing_on.offer(owner.fan.user_id, owner.tickets[0])
    takers = [sale.fan(balance=PRICE) for _ in range(MANY)]
    assert made.code is not None
    code = made.code

    def take(user: Any) -> Callable[[], str]:
        return lambda: handing_on.take_over(user, code).status

    results = at_once(sale, *(take(taker.user_id) for taker in takers))

    assert sorted(results) == ["not_found"] * (MANY - 1) + ["valid"]
    assert sorted(taker.balance() for taker in takers) == [0] + [PRICE] * (MANY - 1)
    assert owner.fan.balance() == PRICE
    assert differing_wallets() == []


def test_without_lock_and_index_one_link_gives_the_ticket_to_many(
    sale: Sale,
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    slow_writes: None,
    without_indexes: None,
) -> None:
    made = handing_on.offer(owner.fan.user_id, owner.tickets[0], gift=True)
    assert made.code is not None
    code = made.code
    monkeypatch.setattr(handing_on, "LOCK", handing_on.LOOK)
    takers = [sale.fan().user_id for _ in range(MANY)]

    at_once(sale, *((lambda user=user: handing_on.take_over(user, code)) for user in takers))

    with connection() as link:
        row = link.execute("SELECT count(*) FROM tickets WHERE status = 'valid'").fetchone()
    assert row is not None and row[0] > 1


def test_a_ticket_that_is_shown_taken_over_renewed_and_refunded_at_once_has_one_end(
    sale: Sale,
) -> None:
    concert = sale.concert()
    for seat in (1, 2, 3, 4, 5, 6):
        owner = owner_of(sale, seat, concert=concert)
        may_be_returned(sale, owner.performance)
        made = handing_on.offer(owner.fan.user_id, owner.tickets[0])
        taker = sale.fan(balance=PRICE)
        code, link_code = owner.code(), made.code
        assert link_code is not None

        def take(user: Any = taker.user_id, code: str = link_code) -> str:
            return handing_on.take_over(user, code).status

        def refund(payment: Any = owner.payment) -> str:
            with connection() as link, link.transaction():
                return "voided" if void_tickets(link, payment_id=payment, reason="x") else "nothing"

        steps = (show(code, seat), take, *((refund,) if seat % 2 else ()))
        entered, taken, *refunded = at_once(sale, *steps)

        # Whoever was first decides: the old code is in, or it was handed on, or it is void.
        assert (entered == "in") != (taken == "valid") or refunded == ["voided"], (entered, taken)
        assert not (entered == "in" and taken == "valid")
        assert (taker.balance() == 0) == (taken == "valid")
        assert (owner.fan.balance() == PRICE) == (taken == "valid")
    assert differing_wallets() == []
