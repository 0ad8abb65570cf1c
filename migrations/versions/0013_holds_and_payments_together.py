"""holds and payments together

Functions by which a web process does at once what several people ask for at the same moment.
Nothing that is there changes, and code from before does not know of them.

Revision: 0013
After: 0012
"""

from __future__ import annotations

from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

HOLD_TOGETHER = """\
-- hold_together: hold one seat for each of several users, in one transaction.
--
-- What many ask for at the same moment costs one round trip, one commit and one wait for the disk. Each
-- hold is judged by hold_seats as if it were alone, in the order in which they were asked for, and one
-- that comes to nothing changes nothing for the others.
--
-- Nothing is waited for: whoever is doing something else at this moment, and a seat that somebody else is
-- taking, have no row in the result. They are to be held one by one, and may wait then. So nobody
-- waits for another's lock, and transactions of several cannot wait for each other in a circle.
-- Whose place is completed has no row, either.
--
-- holders, rooms, places, performances, numbers, reservations: one for each hold; `places` are the sequence
-- numbers of places in `rooms`. The rest is as in hold_seats, and so is what comes back: a row for each that
-- was judged, with its number among those that were asked for.
CREATE OR REPLACE FUNCTION hold_together(
    holders uuid[], rooms varchar[], places bigint[], performances bigint[], numbers smallint[], reservations uuid[],
    hold interval, seat_limit integer, rehold interval, lapsed_limit integer
) RETURNS TABLE (
    number integer, outcome text, used bigint, seats smallint[], prices integer[], amount integer,
    held_at timestamptz, held_until timestamptz
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    judged record;
BEGIN
    FOR one IN 1 .. cardinality(holders) LOOP
        PERFORM FROM users u WHERE u.id = holders[one] FOR NO KEY UPDATE SKIP LOCKED;  -- guard: no waiting
        CONTINUE WHEN NOT FOUND;
        PERFORM FROM seats s WHERE s.performance_id = performances[one] AND s.seat_no = numbers[one]
        FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        CONTINUE WHEN EXISTS (
            SELECT FROM completed_places c
            WHERE c.room_slug = rooms[one] AND c.user_id = holders[one] AND c.sequence >= places[one]);
        judged := hold_seats(
            holders[one], performances[one], numbers[one : one], reservations[one], hold, seat_limit, NULL,
            places[one], rehold, lapsed_limit);
        number := one;
        outcome := judged.outcome;
        used := judged.used;
        seats := judged.seats;
        prices := judged.prices;
        amount := judged.amount;
        held_at := judged.held_at;
        held_until := judged.held_until;
        RETURN NEXT;
    END LOOP;
END
$$;
"""

PAY_TOGETHER = """\
-- pay_together: pay the reservations of several users, each found by one of its seats, in one transaction.
--
-- What many ask for at the same moment costs one round trip, one commit and one wait for the disk. Each
-- payment is made by pay_reservation as if it were alone, and one that comes to nothing changes nothing for
-- the others.
--
-- Nothing is waited for: where somebody else has the reservation, the seat or the wallet at this moment,
-- or there is no such hold, there is no row in the result. Those are to be paid one by one, and may wait
-- then. So transactions of several cannot wait for each other in a circle.
--
-- payers, performances, numbers, payments, rooms, places: one for each payment, as in pay_reservation; what comes
-- back is as there, too, with the payment's number among those that were asked for.
CREATE OR REPLACE FUNCTION pay_together(
    payers uuid[], performances bigint[], numbers smallint[], payments uuid[], rooms varchar[], places bigint[]
) RETURNS TABLE (
    number integer, paid_id uuid, concert_id bigint, performance_id bigint, date date, seat_nos smallint[],
    prices integer[], amount integer, paid_at timestamptz, balance bigint, completed boolean
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    held uuid;
    taken smallint[];
    paid record;
BEGIN
    FOR one IN 1 .. cardinality(payers) LOOP
        SELECT s.reservation_id INTO held FROM seats s
        WHERE s.performance_id = performances[one] AND s.seat_no = numbers[one];
        CONTINUE WHEN held IS NULL;
        SELECT r.seat_nos INTO taken FROM reservations r
        WHERE r.id = held AND r.user_id = payers[one] FOR UPDATE SKIP LOCKED;  -- guard: no waiting
        CONTINUE WHEN NOT FOUND OR cardinality(taken) > 1;
        PERFORM FROM seats s WHERE s.performance_id = performances[one] AND s.seat_no = numbers[one]
        FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        PERFORM FROM wallets w WHERE w.user_id = payers[one] FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        paid := pay_reservation(
            payers[one], held, NULL, NULL, payments[one], rooms[one], places[one]);
        CONTINUE WHEN paid.paid_id IS NULL;
        number := one;
        paid_id := paid.paid_id;
        concert_id := paid.concert_id;
        performance_id := paid.performance_id;
        date := paid.date;
        seat_nos := paid.seat_nos;
        prices := paid.prices;
        amount := paid.amount;
        paid_at := paid.paid_at;
        balance := paid.balance;
        completed := paid.completed;
        RETURN NEXT;
    END LOOP;
END
$$;
"""

CHARGE_TOGETHER = """\
-- charge_together: add to the wallets of several users, in one transaction.
--
-- What many ask for at the same moment costs one round trip, one commit and one wait for the disk. It is a
-- function so that it is planned once a connection: a statement with arrays would be planned anew each time.
--
-- Nobody waits for a wallet that somebody else is changing: it has no row in the result, and is to be charged
-- alone. So has one that would hold more than `highest`, a user who is not there, and the second charge of one
-- user. New wallets are made in the order of their users, so that nobody waits for somebody who waits for them.
--
-- users, amounts: one for each charge. A row for each that was made, with its number among those that were
-- asked for, and the balance after it.
CREATE OR REPLACE FUNCTION charge_together(users uuid[], amounts bigint[], highest bigint)
RETURNS TABLE (number bigint, balance bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    -- Before anything is locked: two who make the same wallet wait for each other.
    INSERT INTO wallets (user_id, balance)
    SELECT DISTINCT a.user_id, 0 FROM unnest(users) AS a (user_id)
    WHERE NOT EXISTS (SELECT FROM wallets w WHERE w.user_id = a.user_id)
      AND EXISTS (SELECT FROM users u WHERE u.id = a.user_id)
    ORDER BY a.user_id
    ON CONFLICT DO NOTHING;
    RETURN QUERY WITH locked AS MATERIALIZED (
        SELECT a.* FROM unnest(users, amounts) WITH ORDINALITY AS a (user_id, amount, number)
        CROSS JOIN LATERAL (
            SELECT FROM wallets w WHERE w.user_id = a.user_id FOR UPDATE SKIP LOCKED) w  -- guard: no waiting
    ), charged AS (
        UPDATE wallets w SET balance = w.balance + l.amount FROM locked l
        WHERE w.user_id = l.user_id AND w.balance + l.amount <= highest
        RETURNING w.user_id, l.number, l.amount, w.balance
    ), entered AS (
        INSERT INTO wallet_entries (user_id, amount, balance_after, kind)
        SELECT c.user_id, c.amount, c.balance, 'charge' FROM charged c
    )
    SELECT c.number, c.balance FROM charged c;
END
$$;
"""

LOOK_TOGETHER = """\
-- look_together: what each of some users holds at this moment; of several reservations, the one that ends first.
--
-- Every page says it, so many look at the same moment. It is a function so that it is planned once a
-- connection: a statement with an array would be planned anew each time.
CREATE OR REPLACE FUNCTION look_together(users uuid[])
RETURNS TABLE (
    id uuid, user_id uuid, concert_id bigint, performance_id bigint, date date, seat_nos smallint[],
    prices integer[], amount integer, status varchar, created_at timestamptz, held_until timestamptz
) LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT r.id, r.user_id, p.concert_id, r.performance_id, p.date, r.seat_nos, r.prices, r.amount, r.status,
        r.created_at, r.held_until
    FROM unnest(users) AS asked (user_id)
    CROSS JOIN LATERAL (
        SELECT * FROM reservations r
        WHERE r.user_id = asked.user_id AND r.status = 'held' AND r.held_until > statement_timestamp()
        ORDER BY r.held_until LIMIT 1) r
    CROSS JOIN LATERAL (SELECT p.concert_id, p.date FROM performances p WHERE p.id = r.performance_id LIMIT 1) p;
END
$$;
"""


def upgrade() -> None:
    op.execute(HOLD_TOGETHER)
    op.execute(PAY_TOGETHER)
    op.execute(CHARGE_TOGETHER)
    op.execute(LOOK_TOGETHER)


def downgrade() -> None:
    op.execute("DROP FUNCTION look_together")
    op.execute("DROP FUNCTION charge_together")
    op.execute("DROP FUNCTION pay_together")
    op.execute("DROP FUNCTION hold_together")
