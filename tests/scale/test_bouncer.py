"""Behind PgBouncer in transaction mode: the storms on seats and wallets, and what a session begins with."""

from __future__ import annotations

import psycopg
import pytest

from concert.factory import create_app
from concert.ground.bouncer import OptionsNotGiven, directly, give_options_to_role
from concert.ground.budget import PATIENT, QUICK, within
from concert.ground.database import Database, connection
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.local.bouncer import EmbeddedBouncer
from tests.races.test_holds import (
    rush,
    test_control_without_a_lock_one_seat_gets_several_holders,
    test_of_two_hundred_users_on_fifty_seats_every_seat_has_exactly_one_holder,
    test_of_two_hundred_users_on_one_seat_exactly_one_holds_it,
    test_one_user_at_ten_places_at_once_never_has_more_than_the_seat_limit,
    test_several_seat_holds_that_overlap_in_opposite_orders_never_meet_a_deadlock,
    test_the_same_hold_sent_many_times_with_one_key_is_one_hold,
)
from tests.races.test_payments import (
    test_charges_and_payments_at_once_leave_the_balance_equal_to_the_ledger,
    test_paying_and_holding_at_the_deadline_give_a_seat_to_one_person_only,
    test_paying_at_once_with_one_key_is_one_payment,
    test_paying_twice_at_once_is_one_payment_and_one_debit,
    test_releasing_and_paying_at_once_do_one_of_the_two,
    test_the_tidy_up_job_takes_no_seat_from_those_who_hold_or_pay,
)
from tests.sale import Sale
from tests.waiting import wait_until

# The storms of tests/races, whole, on this module's app and crew.
__all__ = [
    "rush",
    "test_charges_and_payments_at_once_leave_the_balance_equal_to_the_ledger",
    "test_control_without_a_lock_one_seat_gets_several_holders",
    "test_of_two_hundred_users_on_fifty_seats_every_seat_has_exactly_one_holder",
    "test_of_two_hundred_users_on_one_seat_exactly_one_holds_it",
    "test_one_user_at_ten_places_at_once_never_has_more_than_the_seat_limit",
    "test_paying_and_holding_at_the_deadline_give_a_seat_to_one_person_only",
    "test_paying_at_once_with_one_key_is_one_payment",
    "test_paying_twice_at_once_is_one_payment_and_one_debit",
    "test_releasing_and_paying_at_once_do_one_of_the_two",
    "test_several_seat_holds_that_overlap_in_opposite_orders_never_meet_a_deadlock",
    "test_the_same_hold_sent_many_times_with_one_key_is_one_hold",
    "test_the_tidy_up_job_takes_no_seat_from_those_who_hold_or_pay",
]

LIMITS = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('timezone')"


def test_a_session_that_the_bouncer_lends_begins_with_the_limits_of_a_request(sale: Sale) -> None:
    with connection() as link:
        assert link.execute(LIMITS).fetchone() == ("2500ms", "2s", "UTC")


def test_whoever_has_more_time_leaves_nothing_of_it_to_the_next(sale: Sale) -> None:
    with within(60, limits=PATIENT), connection() as link:
        assert link.execute("SELECT 1").fetchone() == (1,)
    with within(60, limits=QUICK):
        for _ in range(20):
            with connection() as link:
                assert link.execute(LIMITS).fetchone() == ("2500ms", "2s", "UTC")


def test_what_is_sent_with_a_connection_is_refused_by_the_bouncer(bouncer: EmbeddedBouncer) -> None:
    # Why the role has the options; a bouncer that takes them one day makes this test say so.
    with pytest.raises(psycopg.OperationalError, match="options"):
        psycopg.connect(bouncer.url, options="-c statement_timeout=1000")


def test_a_web_whose_role_has_no_limits_is_not_ready(
    sale: Sale, bouncer: EmbeddedBouncer, bounced_settings: Settings
) -> None:
    assert sale.call("GET", "/readyz").status_code == 200
    with connection() as link:
        row = link.execute("SELECT current_database()").fetchone()
        assert row
        link.execute(f'ALTER ROLE concert IN DATABASE "{row[0]}" RESET statement_timeout')
    lend_new_sessions(bouncer)
    wait_until(lambda: "concert migrate" in sale.call("GET", "/readyz").text, what="it is seen")
    assert sale.call("GET", "/readyz").status_code == 503
    # What `concert migrate` does at its end.
    give_options_to_role(bounced_settings)
    lend_new_sessions(bouncer)
    wait_until(lambda: sale.call("GET", "/readyz").status_code == 200, what="it is ready again")


def test_whoever_may_not_change_the_role_is_told_which_statements_to_have_run(
    sale: Sale, bounced_settings: Settings, bouncer: EmbeddedBouncer
) -> None:
    with connection() as link:
        link.execute("CREATE ROLE weak LOGIN")
    weak = bounced_settings.model_copy(
        update={"migration_database_url": bouncer.url_behind.replace("//concert@", "//weak@")}
    )
    try:
        with create_app(directly(weak)).app_context():
            with pytest.raises(OptionsNotGiven, match=r"ALTER ROLE .*concert.* SET lock_timeout"):
                give_options_to_role(weak)
            part(Database).pool.close()
    finally:
        with connection() as link:
            link.execute("DROP ROLE weak")


def lend_new_sessions(bouncer: EmbeddedBouncer) -> None:
    """What is open keeps what it began with."""
    with psycopg.connect(bouncer.url_of("pgbouncer"), autocommit=True) as console:
        console.execute("RECONNECT")
