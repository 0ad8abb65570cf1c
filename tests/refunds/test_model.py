"""Money as a model: whatever is charged, paid, given back and paid out, every won is where it should be."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from concert.ground.audit import SYSTEM
from concert.ground.errors import DomainError
from concert.refunds import books
from concert.refunds.cancelling import refund_cancelled
from concert.refunds.service import refund_payment, return_seat
from concert.wallet.payouts import pay_out
from tests.refunds.money import PRICE, allow, performances, tomorrow
from tests.sale import Fan, Sale, empty_everything

SEATS = 6
PEOPLE = 3


class Money(RuleBasedStateMachine):
    """People who charge, buy and give back, and staff who refund, pay out and cancel in the end."""

    def __init__(self, sale: Sale) -> None:
        super().__init__()
        empty_everything(sale.app)
        self.sale = sale
        sale.room(capacity=10_000, admit_per_minute=1_000_000)
        sale.something_else()
        self.concert = sale.concert(price=PRICE, capacity=SEATS)
        (self.performance,) = performances(sale, self.concert)
        allow(sale, self.performance, tomorrow())
        self.fans: list[Fan] = [sale.admitted_fan() for _ in range(PEOPLE)]
        self.balances = [0] * PEOPLE
        # Whose each seat is, and by which payment.
        self.owned: dict[int, tuple[int, UUID]] = {}
        self.is_cancelled = False

    @rule(who=st.integers(0, PEOPLE - 1), amount=st.sampled_from([PRICE, 3 * PRICE, 777]))
    def charge(self, who: int, amount: int) -> None:
        assert self.fans[who].charge(amount).status_code == 200
        self.balances[who] += amount

    @rule(
        who=st.integers(0, PEOPLE - 1), seats=st.sets(st.integers(1, SEATS), min_size=1, max_size=3)
    )
    def buy(self, who: int, seats: set[int]) -> None:
        fan = self.fans[who]
        fan.join()
        held = fan.hold(self.concert, *sorted(seats))
        mine = sum(owner == who for owner, _ in self.owned.values())
        can = not (self.is_cancelled or seats & set(self.owned) or mine + len(seats) > 4)
        assert (held.status_code == 200) == can, held.text
        if not can:
            return
        paid = fan.pay(self.concert, min(seats))
        cost = PRICE * len(seats)
        if self.balances[who] < cost:
            assert paid.status_code == 402
            fan.call_as_user("DELETE", f"/v1/reservations/{held.json['reservation_id']}")
            return
        assert paid.status_code == 200, paid.text
        self.balances[who] -= cost
        self.owned |= {seat: (who, UUID(paid.json["payment_id"])) for seat in seats}

    @precondition(lambda self: self.owned)
    @rule(chance=st.randoms(use_true_random=False), whole=st.booleans())
    def refund(self, chance: object, whole: bool) -> None:
        seat = chance.choice(sorted(self.owned))  # type: ignore[attr-defined]
        _, payment = self.owned[seat]
        gone = [n for n, (_, of) in self.owned.items() if of == payment] if whole else [seat]
        done = refund_payment(payment, None if whole else [seat], reason="x", actor=SYSTEM)
        assert done.amount == PRICE * len(gone)
        self._gone(gone)

    @rule(who=st.integers(0, PEOPLE - 1), seat=st.integers(1, SEATS))
    def give_back(self, who: int, seat: int) -> None:
        if seat not in self.owned:
            return
        owner, payment = self.owned[seat]
        try:
            return_seat(self.fans[who].user_id, payment, seat)
        except DomainError as error:
            assert who != owner, error
        else:
            assert who == owner
            self._gone([seat])

    @rule(who=st.integers(0, PEOPLE - 1), amount=st.sampled_from([1, PRICE, 10 * PRICE]))
    def pay_some_out(self, who: int, amount: int) -> None:
        try:
            pay_out(self.fans[who].user_id, amount, note="x", actor=SYSTEM)
        except DomainError:
            assert amount > self.balances[who]
        else:
            self.balances[who] -= amount

    @precondition(lambda self: len(self.owned) > 2)
    @rule()
    def cancel(self) -> None:
        path = f"/v1/performances/{self.performance}/cancellation"
        assert self.sale.organise("POST", path, json={"reason": "x"}).status_code in (200, 201)
        self.is_cancelled = True
        refund_cancelled()
        self._gone(list(self.owned))

    @invariant()
    def every_won_is_where_it_should_be(self) -> None:
        assert [fan.balance() for fan in self.fans] == self.balances
        found = books.audit()
        assert found.differences == ()
        assert found.sums.seats_sold == len(self.owned)

    def _gone(self, seats: list[int]) -> None:
        for seat in seats:
            who, _ = self.owned.pop(seat)
            self.balances[who] += PRICE


@pytest.mark.timeout(300)
def test_every_won_is_where_it_should_be_whatever_people_and_staff_do(sale: Sale) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Money(sale),
        settings=settings(
            max_examples=5,
            stateful_step_count=15,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
