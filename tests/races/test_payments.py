"""Money and seats at one time. Each storm has a control without the guard."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from concert.ground.database import connection
from concert.payments.queries import LOCK_HELD
from concert.reservations.queries import RELEASE, TIDY_LAPSED
from concert.reservations.service import tidy_expired
from concert.wallet.service import CHARGE
from tests.races import steps
from tests.races.crew import Altered, Answer, Crew
from tests.races.sabotage import Sabotage, spoiled
from tests.races.test_holds import ONE_FREE_NOW, people
from tests.races.verdict import assert_nothing_is_left_behind, contradictions
from tests.sale import Fan, Sale

pytestmark = pytest.mark.races

PRICE = 10_000
PAYMENTS, RESERVATIONS = "concert.payments.queries", "concert.reservations.queries"
# The moment between looking and acting, long enough that others act in it.
PAUSE = "(SELECT true FROM pg_sleep(0.3))"


@pytest.fixture
def rush(sale: Sale) -> Sale:
    """A sale whose room lets everybody in, so that all the people meet at the till."""
    sale.room(capacity=10_000, admit_per_minute=1_000_000)
    sale.something_else()
    return sale


def holders(sale: Sale, concert: int, count: int) -> list[Fan]:
    """Fans who have the money and hold seats 1 to ``count``, one each."""
    fans = people(sale, count, balance=10 * PRICE)
    for number, fan in enumerate(fans, start=1):
        assert fan.hold(concert, number).status_code == 200
    return fans


def end_hold_in(seat_no: int, seconds: float) -> None:
    """Move the deadline of a seat's hold to so many seconds from now."""
    with connection() as link:
        link.execute(
            """
            WITH moved AS (
                UPDATE seats SET held_until = clock_timestamp() + %s
                WHERE seat_no = %s AND held_until IS NOT NULL
                RETURNING reservation_id, held_until)
            UPDATE reservations r SET held_until = moved.held_until FROM moved
            WHERE r.id = moved.reservation_id""",
            (timedelta(seconds=seconds), seat_no),
        )


# Seats of which the hold is over, of which it ends during the storm, and of which it lasts.
OVER, ENDING, LASTING = range(1, 8), range(8, 24), range(24, 31)


def at_the_deadline(
    sale: Sale, crew: Crew, altered: Altered | None = None
) -> tuple[dict[int, Answer], dict[int, list[Answer]]]:
    """The holders pay, and two others want each seat, as the holds run out.

    Returns what the holders and the others were answered, by seat.
    """
    concert = sale.concert(price=PRICE)
    owners = holders(sale, concert, LASTING[-1])
    rivals = people(sale, 2 * len(owners))
    order = random.Random(20)
    for seat_no in OVER:
        end_hold_in(seat_no, -0.001)
    for seat_no in ENDING:
        end_hold_in(seat_no, order.uniform(0.05, 1.0))
    storm = [(n, True, steps.pay(fan, concert, n)) for n, fan in enumerate(owners, start=1)]
    storm += [
        (n % len(owners) + 1, False, steps.hold(fan, concert, n % len(owners) + 1))
        for n, fan in enumerate(rivals)
    ]
    order.shuffle(storm)
    answers = crew.storm([step for _, _, step in storm], altered)
    paid: dict[int, Answer] = {}
    held: dict[int, list[Answer]] = {}
    for (seat_no, is_owner, _), answer in zip(storm, answers, strict=True):
        if is_owner:
            paid[seat_no] = answer
        else:
            held.setdefault(seat_no, []).append(answer)
    return paid, held


def owners_of(paid: dict[int, Answer], held: dict[int, list[Answer]]) -> dict[int, int]:
    """How many people were told that they have a seat, by seat."""
    return {n: sum(one.status == 200 for one in (paid[n], *held[n])) for n in paid}


def test_paying_and_holding_at_the_deadline_give_a_seat_to_one_person_only(
    rush: Sale, crew: Crew
) -> None:
    paid, held = at_the_deadline(rush, crew)
    owners = owners_of(paid, held)
    assert {owners[n] for n in (*OVER, *LASTING)} == {1}
    assert {owners[n] for n in ENDING} <= {0, 1}
    assert {paid[n].code for n in OVER} <= {"hold_expired", "not_yours"}
    assert {paid[n].status for n in LASTING} == {200}
    assert {one.code for answers in held.values() for one in answers} <= {"", "seat_taken"}
    assert {one.code for one in paid.values()} <= {"", "hold_expired", "not_yours"}
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def test_control_a_payment_that_ignores_the_deadline_takes_money_after_it(
    rush: Sale, crew: Crew, sabotage: Sabotage
) -> None:
    sabotage.pay_reservation(
        (" AND r.held_until > pay_reservation.paid_at", ""),
        (" AND s.held_until > pay_reservation.paid_at", ""),
        ("s.reservation_id = held AND ", ""),
        ("SELECT s.reservation_id INTO held FROM seats s\n        WHERE s.performance_id = performance AND s.seat_no = seat",
         "SELECT l.id INTO held FROM reservations l WHERE l.user_id = payer"),
    )  # fmt: skip
    paid, _ = at_the_deadline(rush, crew)
    assert any(paid[n].status == 200 for n in OVER)


def test_control_a_hold_that_ignores_the_deadline_takes_seats_before_it(
    rush: Sale, crew: Crew, sabotage: Sabotage
) -> None:
    heedless = ONE_FREE_NOW.replace("held_until <= held_at", "held_until IS NOT NULL")
    concert = rush.concert(price=PRICE)
    holders(rush, concert, 4)
    sabotage.hold_seats((ONE_FREE_NOW, heedless))
    answers = crew.storm([steps.hold(fan, concert, n + 1) for n, fan in enumerate(people(rush, 4))])
    assert {answer.status for answer in answers} == {200}
    assert "a seat has two live holders" in contradictions(rush)


def paying_at_once(
    sale: Sale, crew: Crew, altered: Altered | None = None
) -> tuple[list[Answer], int]:
    concert = sale.concert(price=PRICE)
    (fan,) = holders(sale, concert, 1)
    answers = crew.storm([steps.pay(fan, concert, 1)] * 12, altered)
    return answers, fan.balance()


def test_paying_twice_at_once_is_one_payment_and_one_debit(rush: Sale, crew: Crew) -> None:
    answers, balance = paying_at_once(rush, crew)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["payment_id"] for answer in answers}) == 1
    assert balance == 9 * PRICE
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def test_control_without_lock_and_unique_key_paying_twice_debits_twice(
    rush: Sale, crew: Crew, sabotage: Sabotage
) -> None:
    sabotage.pay_reservation(
        ("    FOR UPDATE OF r;", ";"),
        ("FOR UPDATE  -- guard: seats in number order", ""),
        ("    IF amount = 0 THEN", "    PERFORM pg_sleep(0.3);\n    IF amount = 0 THEN"),
    )
    with connection() as link:
        link.execute("ALTER TABLE payments DROP CONSTRAINT uq_payments_reservation_id")
        # A seat's one ticket would refuse the second payment, too.
        link.execute("DROP INDEX uq_tickets_of_seat")
        try:
            _, balance = paying_at_once(rush, crew)
            assert balance < 9 * PRICE
            assert "a reservation has two payments" in contradictions(rush)
        finally:
            link.execute("TRUNCATE payments, wallet_entries, tickets CASCADE")
            link.execute(
                "ALTER TABLE payments ADD CONSTRAINT uq_payments_reservation_id UNIQUE (reservation_id)"
            )
            link.execute(
                "CREATE UNIQUE INDEX uq_tickets_of_seat ON tickets (performance_id, seat_no, ended_at)"
                " NULLS NOT DISTINCT"
            )


def test_paying_at_once_with_one_key_is_one_payment(rush: Sale, crew: Crew) -> None:
    concert = rush.concert(price=PRICE)
    (fan,) = holders(rush, concert, 1)
    answers = crew.storm([steps.pay(fan, concert, 1, key="once")] * 12)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["payment_id"] for answer in answers}) == 1
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def topping_up_at_once(
    sale: Sale, crew: Crew, altered: Altered | None = None
) -> tuple[list[Answer], list[int]]:
    """Two tabs, taps and retries on "Top up and pay", while money comes from elsewhere.

    Returns what the taps were answered, and the amounts of the ledger.
    """
    concert = sale.concert(price=PRICE)
    fan = sale.admitted_fan(concert)
    held = fan.hold(concert, 1).json["reservation_id"]
    storm = [steps.top_up_and_pay(fan, held, PRICE)] * 12
    storm.insert(4, steps.charge(fan, 100))
    answers = crew.storm(storm, altered)
    del answers[4]
    entries = fan.call_as_user("GET", "/v1/charges", query_string={"entries": 50}).json["entries"]
    return answers, [entry["amount"] for entry in entries]


def test_topping_up_and_paying_at_once_adds_what_is_missing_once(rush: Sale, crew: Crew) -> None:
    answers, amounts = topping_up_at_once(rush, crew)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["payment_id"] for answer in answers}) == 1
    # The charge of 100 won came before the tap, or after it.
    assert sorted(amounts) in ([-PRICE, 100, PRICE - 100], [-PRICE, 100, PRICE])
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def test_control_topping_up_without_the_locks_adds_money_for_what_another_tap_pays(
    rush: Sale, crew: Crew
) -> None:
    careless = spoiled(
        LOCK_HELD,
        ("statement_timestamp()\n    FOR UPDATE", "statement_timestamp()"),
        (" FOR UPDATE OF s", ""),
        ("(SELECT count(*) FROM locked)", f"(SELECT count(*) FROM locked) AND {PAUSE}"),
    )
    unlocked = "SELECT coalesce((SELECT balance FROM wallets WHERE user_id = %s), 0)"
    _, amounts = topping_up_at_once(
        rush,
        crew,
        {(PAYMENTS, "LOCK_HELD"): careless, ("concert.wallet.service", "LOCK_BALANCE"): unlocked},
    )
    assert sum(amounts) > 100


def charging_and_paying(
    sale: Sale, crew: Crew, altered: Altered | None = None
) -> tuple[list[Answer], int]:
    """One wallet, sixty charges of 100 won and three payments; the balance at the end."""
    concert = sale.concert(price=PRICE, dates=3)
    fan = sale.admitted_fan(balance=3 * PRICE)
    dates = [
        date["performance_id"]
        for date in fan.call("GET", f"/v1/concerts/{concert}/dates").json["dates"]
    ]
    for performance_id in dates:
        assert fan.hold(concert, 1, performance_id=performance_id).status_code == 200
    storm = [steps.charge(fan, 100)] * 60
    for number, performance_id in enumerate(dates):
        step = steps.asking(
            "POST",
            f"/v1/concerts/{concert}/seats/1/payments",
            fan.queue_token,
            {"performance_id": performance_id},
        )
        storm.insert(5 + 15 * number, step)
    return crew.storm(storm, altered), fan.balance()


def test_charges_and_payments_at_once_leave_the_balance_equal_to_the_ledger(
    rush: Sale, crew: Crew
) -> None:
    answers, balance = charging_and_paying(rush, crew)
    assert {answer.status for answer in answers} == {200}
    assert balance == 60 * 100
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def test_control_a_charge_that_reads_before_it_writes_loses_money(rush: Sale, crew: Crew) -> None:
    careless = spoiled(
        CHARGE,
        ("WITH charged AS", """WITH before AS MATERIALIZED (
            SELECT balance FROM wallets WHERE user_id = %(user)s AND (SELECT true FROM pg_sleep(0.02))), charged AS"""),
        ("SET balance = w.balance + excluded.balance",
         "SET balance = (SELECT balance FROM before) + excluded.balance"),
    )  # fmt: skip
    _, balance = charging_and_paying(rush, crew, {("concert.wallet.service", "CHARGE"): careless})
    assert balance != 60 * 100
    assert "a balance is not the sum of its ledger" in contradictions(rush)


def test_two_people_who_pay_for_the_last_won_of_one_wallet_never_overdraw_it(
    rush: Sale, crew: Crew
) -> None:
    concert = rush.concert(price=PRICE, dates=2)
    fan = rush.admitted_fan(balance=PRICE)
    dates = fan.call("GET", f"/v1/concerts/{concert}/dates").json["dates"]
    storm = []
    for date in dates:
        body = {"performance_id": date["performance_id"]}
        assert fan.hold(concert, 1, **body).status_code == 200
        storm.append(
            steps.asking("POST", f"/v1/concerts/{concert}/seats/1/payments", fan.queue_token, body)
        )
    answers = crew.storm(storm)
    assert sorted(answer.status for answer in answers) == [200, 402]
    assert fan.balance() == 0
    assert contradictions(rush) == set()


def test_paying_for_the_last_two_holds_at_once_completes_the_place(rush: Sale, crew: Crew) -> None:
    concert = rush.concert(price=PRICE, dates=2)
    fans = people(rush, 10, balance=2 * PRICE)
    dates = fans[0].call("GET", f"/v1/concerts/{concert}/dates").json["dates"]
    storm = []
    for seat_no, fan in enumerate(fans, start=1):
        for date in dates:
            body = {"performance_id": date["performance_id"]}
            assert fan.hold(concert, seat_no, **body).status_code == 200
            path = f"/v1/concerts/{concert}/seats/{seat_no}/payments"
            storm.append(steps.asking("POST", path, fan.queue_token, body))
    assert {answer.status for answer in crew.storm(storm)} == {200}
    assert [(fan.place().status_code, fan.balance()) for fan in fans] == [(401, 0)] * 10
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def releasing_and_paying(sale: Sale, crew: Crew, altered: Altered | None = None) -> Counter[str]:
    """Twenty people release what they pay for at the same time; who of the two was answered well."""
    concert = sale.concert(price=PRICE)
    fans = holders(sale, concert, 20)
    storm = []
    for number, fan in enumerate(fans, start=1):
        reservation = fan.call_as_user("GET", "/v1/reservations").json["reservations"][0]
        storm.append(steps.release(fan, reservation["reservation_id"]))
        storm.append(steps.pay(fan, concert, number))
    answers = crew.storm(storm, altered)
    outcomes: Counter[str] = Counter()
    for released, paid in zip(answers[::2], answers[1::2], strict=True):
        outcomes[f"{released.status}{released.code} {paid.status}{paid.code}"] += 1
    return outcomes


def test_releasing_and_paying_at_once_do_one_of_the_two(rush: Sale, crew: Crew) -> None:
    outcomes = releasing_and_paying(rush, crew)
    assert set(outcomes) <= {"204 409hold_expired", "409already_paid 200"}
    assert sum(outcomes.values()) == 20
    assert contradictions(rush) == set()
    assert_nothing_is_left_behind(rush)


def test_control_a_release_that_does_not_lock_cancels_what_is_paid(rush: Sale, crew: Crew) -> None:
    careless = spoiled(
        RELEASE,
        ("AND held_until > statement_timestamp()\n    FOR UPDATE", f"AND held_until > statement_timestamp() AND {PAUSE}"),
    )  # fmt: skip
    outcomes = releasing_and_paying(rush, crew, {(RESERVATIONS, "RELEASE"): careless})
    assert outcomes["204 200"] > 0
    assert "a payment is for a reservation that is not paid" in contradictions(rush)


def tidying_meanwhile(sale: Sale, crew: Crew, altered: Altered | None = None) -> list[Answer]:
    """Thirty lapsed holds are tidied up while others take the seats, and twenty live ones are paid."""
    concert = sale.concert(price=PRICE)
    owners = holders(sale, concert, 50)
    rivals = people(sale, 30, balance=PRICE)
    for seat_no in range(1, 31):
        end_hold_in(seat_no, -1)
    storm = [steps.tidying(3)] * 6
    storm += [steps.hold(fan, concert, n) for n, fan in enumerate(rivals, start=1)]
    storm += [steps.pay(owners[n - 1], concert, n) for n in range(31, 51)]
    storm += [steps.tidying(3)] * 6
    answers = crew.storm(storm, altered)
    return answers[6:-6]


def test_the_tidy_up_job_takes_no_seat_from_those_who_hold_or_pay(rush: Sale, crew: Crew) -> None:
    answers = tidying_meanwhile(rush, crew)
    assert {answer.status for answer in answers} == {200}
    assert contradictions(rush) == set()
    # What somebody was taking at that moment is for the next to tidy up.
    tidy_expired()
    with connection() as link:
        left = link.execute(
            "SELECT count(*) FROM reservations WHERE status = 'held' AND held_until < now()"
        ).fetchone()
    assert left == (0,)
    assert_nothing_is_left_behind(rush)


def test_control_a_tidy_up_job_that_does_not_lock_takes_seats_from_their_holders(
    rush: Sale, crew: Crew
) -> None:
    careless = spoiled(
        TIDY_LAPSED,
        ("sold_at IS NULL\n    ORDER", f"sold_at IS NULL AND {PAUSE}\n    ORDER"),
        (" FOR UPDATE OF s SKIP LOCKED", ""),
    )
    tidying_meanwhile(rush, crew, {(RESERVATIONS, "TIDY_LAPSED"): careless})
    assert "a live reservation lacks its seat" in contradictions(rush)
