"""fewer keys and indexes on hot rows

Every hold of a performance took a lock on the performance's one row, for a foreign key that
hold_seats has just proved; and an index on what changes about a seat made every hold and payment
write to all its indexes. The daily reconciliation looks for what the keys would have refused.
hold_seats means what it meant, and pay_reservation is beside whatever is there.

Nothing is rewritten and nothing built, so each lock lasts a moment, however large the tables.
Code from before goes on: its tidying up and its releases read seats without an index until it is
replaced, which takes a few hundredths of a second for a hundred thousand seats.

Revision: 0004
After: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

HOLD_SEATS = """\
-- hold_seats: hold seats of one performance for one user until a deadline, all or nothing.
--
-- A function and not a statement, because the seat limit needs two looks: the user's
-- row is locked first, and only a statement that begins after that sees what the
-- user's other requests have just held. It is one round trip all the same, and no
-- lock waits for a client.
--
-- Its statements are planned once a connection. PostgreSQL would plan those with an array of seats
-- anew each time, which is a fifth of a hold of several; that one plan is good whatever the
-- values is sure where every table is read by an index.
--
-- wanted: the seats; or, where `together` is given, several choices of so many seats one after
-- another, the best first: the first of them that is free, and that nobody is taking at this
-- moment, is held. Nothing is waited for then, so many people at once do not queue for one choice.
-- place: the sequence number of the place in line that the user's visit comes from. Of the holds
-- made in it `lapsed_limit` may lapse, and no more can be made.
-- rehold: for how long after a hold of theirs has lapsed its seats are for others only.
-- Both limits are for holds that lapsed: whoever released a hold may change their mind.
--
-- outcome: 'held'; or nothing was changed, and 'no_user', 'closed' (not on sale now),
-- 'limit' (used: seats that the user has already), 'lapsed' (too many holds have lapsed),
-- 'too_soon' (seats: those of them that are for others until held_until),
-- 'taken' (seats: those that were free).
CREATE OR REPLACE FUNCTION hold_seats(
    holder uuid, performance bigint, wanted smallint[], reservation uuid, hold interval, seat_limit integer,
    together integer DEFAULT NULL, place bigint DEFAULT NULL,
    rehold interval DEFAULT interval '0', lapsed_limit integer DEFAULT NULL,
    OUT outcome text, OUT used bigint, OUT seats smallint[], OUT prices integer[], OUT amount integer,
    OUT held_at timestamptz, OUT held_until timestamptz
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    size integer := coalesce(together, cardinality(wanted));
    choice smallint[] := wanted;
    lapsed bigint;
    lapsed_at timestamptz;
    barred smallint[] := '{}';
BEGIN
    PERFORM 1 FROM users u WHERE u.id = holder FOR NO KEY UPDATE;  -- guard: seat limit
    IF NOT FOUND THEN
        outcome := 'no_user';
        RETURN;
    END IF;
    held_at := clock_timestamp();
    held_until := held_at + hold;

    PERFORM 1 FROM performances p
    WHERE p.id = performance AND p.sales_open_at <= held_at AND held_at < p.sales_close_at;
    IF NOT FOUND THEN
        outcome := 'closed';
        RETURN;
    END IF;

    SELECT coalesce(sum(cardinality(r.seat_nos)) FILTER (
            WHERE r.performance_id = performance
              AND (r.status = 'paid' OR (r.status = 'held' AND r.held_until > held_at))), 0),
        count(*) FILTER (WHERE r.status IN ('held', 'expired') AND r.held_until <= held_at
              AND r.place_sequence = place),
        max(r.held_until) FILTER (WHERE r.status IN ('held', 'expired') AND r.held_until <= held_at
              AND r.performance_id = performance)
        INTO used, lapsed, lapsed_at
    FROM reservations r WHERE r.user_id = holder;
    IF used + size > seat_limit THEN
        outcome := 'limit';
        RETURN;
    END IF;

    IF lapsed >= lapsed_limit THEN
        outcome := 'lapsed';
        RETURN;
    END IF;
    -- Looked up only for those who have let a hold lapse just now.
    IF lapsed_at > held_at - rehold THEN
        SELECT array_agg(seat_no), max(r.held_until) INTO barred, lapsed_at
        FROM reservations r CROSS JOIN unnest(r.seat_nos) AS seat_no
        WHERE r.user_id = holder AND r.performance_id = performance AND r.status IN ('held', 'expired')
          AND r.held_until <= held_at AND r.held_until > held_at - rehold
          AND seat_no = ANY (wanted);
        IF together IS NULL AND cardinality(barred) > 0 THEN
            outcome := 'too_soon';
            seats := barred;
            held_until := lapsed_at + rehold;
            RETURN;
        END IF;
    END IF;

    IF together IS NULL AND size = 1 THEN
        -- Most take one seat. It has no order among others, so locking, looking and taking are one step.
        UPDATE seats s SET reservation_id = reservation, held_until = hold_seats.held_until
        WHERE s.performance_id = performance AND s.seat_no = wanted[1]
          AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: one seat
        RETURNING wanted, ARRAY[s.price], s.price INTO seats, prices, amount;
    ELSIF together IS NULL THEN
        SELECT array_agg(free.seat_no), array_agg(free.price), sum(free.price) INTO seats, prices, amount
        FROM (
            SELECT s.seat_no, s.price FROM seats s
            WHERE s.performance_id = performance AND s.seat_no = ANY (wanted)
              AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: free now
            ORDER BY s.seat_no
            FOR UPDATE  -- guard: seats in number order
        ) free;
    ELSE
        FOR start IN 1 .. cardinality(wanted) BY size LOOP
            choice := wanted[start : start + size - 1];
            CONTINUE WHEN choice && barred;
            -- A choice that is gone is passed by without a lock: others may want a part of it.
            CONTINUE WHEN EXISTS (
                SELECT 1 FROM seats s WHERE s.performance_id = performance AND s.seat_no = ANY (choice)
                  AND (s.sold_at IS NOT NULL OR s.held_until > held_at));
            SELECT array_agg(free.seat_no), array_agg(free.price), sum(free.price) INTO seats, prices, amount
            FROM (
                SELECT s.seat_no, s.price FROM seats s
                WHERE s.performance_id = performance AND s.seat_no = ANY (choice)
                  AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)
                ORDER BY s.seat_no
                FOR UPDATE SKIP LOCKED
            ) free;
            EXIT WHEN cardinality(seats) = size;
        END LOOP;
    END IF;
    IF coalesce(cardinality(seats), 0) < size THEN
        outcome := 'taken';
        RETURN;
    END IF;

    INSERT INTO reservations AS r
        (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until, place_sequence)
    VALUES (reservation, holder, performance, seats, prices, amount, 'held', held_at, hold_seats.held_until, place);
    IF size > 1 OR together IS NOT NULL THEN
        UPDATE seats s SET reservation_id = reservation, held_until = hold_seats.held_until
        WHERE s.performance_id = performance AND s.seat_no = ANY (choice);
    END IF;
    outcome := 'held';
END
$$;
"""

PAY_RESERVATION = """\
-- pay_reservation: pay one live reservation from its holder's wallet, all or nothing.
--
-- A function and not one statement with many parts, which costs PostgreSQL a tenth more. Its steps
-- are planned once a connection; that a plan is good whatever the values is sure where every table
-- is read by an index.
-- Locks go from the reservation to its seats in number order and then to the wallet.
--
-- reservation: what is to be paid; or null, and whatever holds the seat `seat` of `performance`.
-- room, place: the room in which the payer stands, and the sequence number of their place there. It
-- is completed where they hold nothing else behind it.
--
-- paid_id is null where nothing was changed: there is no such live hold of theirs (amount is null,
-- too), or the balance is less than the amount. completed: whether this completed the place.
CREATE OR REPLACE FUNCTION pay_reservation(
    payer uuid, reservation uuid, performance bigint, seat smallint, payment uuid, room varchar, place bigint,
    OUT paid_id uuid, OUT concert_id bigint, OUT performance_id bigint, OUT date date, OUT seat_nos smallint[],
    OUT prices integer[], OUT amount integer, OUT paid_at timestamptz, OUT balance bigint, OUT completed boolean
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    held uuid := reservation;
    behind varchar;
    missing boolean;
BEGIN
    paid_at := statement_timestamp();
    IF held IS NULL THEN
        SELECT s.reservation_id INTO held FROM seats s
        WHERE s.performance_id = performance AND s.seat_no = seat;
    END IF;
    SELECT p.concert_id, r.performance_id, p.date, r.seat_nos, r.prices, r.amount, c.room_slug
        INTO concert_id, performance_id, date, seat_nos, prices, amount, behind
    FROM reservations r JOIN performances p ON p.id = r.performance_id JOIN concerts c ON c.id = p.concert_id
    WHERE r.id = held AND r.user_id = payer
      AND r.status = 'held' AND r.held_until > pay_reservation.paid_at
    FOR UPDATE OF r;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    SELECT count(*) < cardinality(pay_reservation.seat_nos) INTO missing
    FROM (
        SELECT FROM seats s
        WHERE s.performance_id = pay_reservation.performance_id AND s.seat_no = ANY (pay_reservation.seat_nos)
          AND s.reservation_id = held AND s.sold_at IS NULL AND s.held_until > pay_reservation.paid_at
        ORDER BY s.seat_no
        FOR UPDATE  -- guard: seats in number order
    ) locked;
    IF missing THEN
        amount := NULL;
        RETURN;
    END IF;

    IF amount = 0 THEN
        INSERT INTO wallets (user_id, balance) VALUES (payer, 0) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE wallets w SET balance = w.balance - pay_reservation.amount
    WHERE w.user_id = payer AND w.balance >= pay_reservation.amount
    RETURNING w.balance INTO balance;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO payments (id, reservation_id, user_id, amount, balance_after, paid_at)
    VALUES (payment, held, payer, pay_reservation.amount, pay_reservation.balance, pay_reservation.paid_at);
    INSERT INTO wallet_entries (user_id, amount, balance_after, kind, payment_id)
    VALUES (payer, -pay_reservation.amount, pay_reservation.balance, 'payment', payment);
    UPDATE seats s SET sold_at = pay_reservation.paid_at, held_until = NULL
    WHERE s.performance_id = pay_reservation.performance_id AND s.seat_no = ANY (pay_reservation.seat_nos);
    UPDATE reservations r SET status = 'paid' WHERE r.id = held;

    -- Two payments of one user meet at the wallet, so the later one sees what the first has paid.
    INSERT INTO completed_places (room_slug, user_id, sequence)
    SELECT behind, payer, place
    WHERE behind = room AND NOT EXISTS (
        SELECT 1 FROM reservations o
        JOIN performances p ON p.id = o.performance_id JOIN concerts c ON c.id = p.concert_id
        WHERE o.user_id = payer AND c.room_slug = behind
          AND o.status = 'held' AND o.held_until > pay_reservation.paid_at)
    ON CONFLICT DO NOTHING;
    completed := FOUND;
    paid_id := held;
END
$$;
"""

HOLD_SEATS_BEFORE = """\
-- hold_seats: hold seats of one performance for one user until a deadline, all or nothing.
--
-- A function and not a statement, because the seat limit needs two looks: the user's
-- row is locked first, and only a statement that begins after that sees what the
-- user's other requests have just held. It is one round trip all the same, and no
-- lock waits for a client.
--
-- wanted: the seats; or, where `together` is given, several choices of so many seats one after
-- another, the best first: the first of them that is free, and that nobody is taking at this
-- moment, is held. Nothing is waited for then, so many people at once do not queue for one choice.
-- place: the sequence number of the place in line that the user's visit comes from. Of the holds
-- made in it `lapsed_limit` may lapse, and no more can be made.
-- rehold: for how long after a hold of theirs has lapsed its seats are for others only.
-- Both limits are for holds that lapsed: whoever released a hold may change their mind.
--
-- outcome: 'held'; or nothing was changed, and 'no_user', 'closed' (not on sale now),
-- 'limit' (used: seats that the user has already), 'lapsed' (too many holds have lapsed),
-- 'too_soon' (seats: those of them that are for others until held_until),
-- 'taken' (seats: those that were free).
CREATE OR REPLACE FUNCTION hold_seats(
    holder uuid, performance bigint, wanted smallint[], reservation uuid, hold interval, seat_limit integer,
    together integer DEFAULT NULL, place bigint DEFAULT NULL,
    rehold interval DEFAULT interval '0', lapsed_limit integer DEFAULT NULL,
    OUT outcome text, OUT used bigint, OUT seats smallint[], OUT prices integer[], OUT amount integer,
    OUT held_at timestamptz, OUT held_until timestamptz
) LANGUAGE plpgsql AS $$
DECLARE
    size integer := coalesce(together, cardinality(wanted));
    choice smallint[] := wanted;
    lapsed bigint;
    lapsed_at timestamptz;
    barred smallint[] := '{}';
BEGIN
    PERFORM 1 FROM users u WHERE u.id = holder FOR NO KEY UPDATE;  -- guard: seat limit
    IF NOT FOUND THEN
        outcome := 'no_user';
        RETURN;
    END IF;
    held_at := clock_timestamp();
    held_until := held_at + hold;

    PERFORM 1 FROM performances p
    WHERE p.id = performance AND p.sales_open_at <= held_at AND held_at < p.sales_close_at;
    IF NOT FOUND THEN
        outcome := 'closed';
        RETURN;
    END IF;

    SELECT coalesce(sum(cardinality(r.seat_nos)) FILTER (
            WHERE r.performance_id = performance
              AND (r.status = 'paid' OR (r.status = 'held' AND r.held_until > held_at))), 0),
        count(*) FILTER (WHERE r.status IN ('held', 'expired') AND r.held_until <= held_at
              AND r.place_sequence = place),
        max(r.held_until) FILTER (WHERE r.status IN ('held', 'expired') AND r.held_until <= held_at
              AND r.performance_id = performance)
        INTO used, lapsed, lapsed_at
    FROM reservations r WHERE r.user_id = holder;
    IF used + size > seat_limit THEN
        outcome := 'limit';
        RETURN;
    END IF;

    IF lapsed >= lapsed_limit THEN
        outcome := 'lapsed';
        RETURN;
    END IF;
    -- Looked up only for those who have let a hold lapse just now.
    IF lapsed_at > held_at - rehold THEN
        SELECT array_agg(seat_no), max(r.held_until) INTO barred, lapsed_at
        FROM reservations r CROSS JOIN unnest(r.seat_nos) AS seat_no
        WHERE r.user_id = holder AND r.performance_id = performance AND r.status IN ('held', 'expired')
          AND r.held_until <= held_at AND r.held_until > held_at - rehold
          AND seat_no = ANY (wanted);
        IF together IS NULL AND cardinality(barred) > 0 THEN
            outcome := 'too_soon';
            seats := barred;
            held_until := lapsed_at + rehold;
            RETURN;
        END IF;
    END IF;

    IF together IS NULL THEN
        SELECT array_agg(free.seat_no), array_agg(free.price), sum(free.price) INTO seats, prices, amount
        FROM (
            SELECT s.seat_no, s.price FROM seats s
            WHERE s.performance_id = performance AND s.seat_no = ANY (wanted)
              AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: free now
            ORDER BY s.seat_no
            FOR UPDATE  -- guard: seats in number order
        ) free;
    ELSE
        FOR start IN 1 .. cardinality(wanted) BY size LOOP
            choice := wanted[start : start + size - 1];
            CONTINUE WHEN choice && barred;
            -- A choice that is gone is passed by without a lock: others may want a part of it.
            CONTINUE WHEN EXISTS (
                SELECT 1 FROM seats s WHERE s.performance_id = performance AND s.seat_no = ANY (choice)
                  AND (s.sold_at IS NOT NULL OR s.held_until > held_at));
            SELECT array_agg(free.seat_no), array_agg(free.price), sum(free.price) INTO seats, prices, amount
            FROM (
                SELECT s.seat_no, s.price FROM seats s
                WHERE s.performance_id = performance AND s.seat_no = ANY (choice)
                  AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)
                ORDER BY s.seat_no
                FOR UPDATE SKIP LOCKED
            ) free;
            EXIT WHEN cardinality(seats) = size;
        END LOOP;
    END IF;
    IF coalesce(cardinality(seats), 0) < size THEN
        outcome := 'taken';
        RETURN;
    END IF;

    INSERT INTO reservations AS r
        (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until, place_sequence)
    VALUES (reservation, holder, performance, seats, prices, amount, 'held', held_at, hold_seats.held_until, place);
    UPDATE seats s SET reservation_id = reservation, held_until = hold_seats.held_until
    WHERE s.performance_id = performance AND s.seat_no = ANY (choice);
    outcome := 'held';
END
$$;
"""


def upgrade() -> None:
    op.execute(HOLD_SEATS)
    op.execute(PAY_RESERVATION)
    op.drop_constraint('fk_seats_reservation_id', 'seats', type_='foreignkey')
    op.drop_constraint('fk_reservations_performance_id', 'reservations', type_='foreignkey')
    op.drop_index('ix_seats_lapsing', table_name='seats', postgresql_where=sa.text('held_until IS NOT NULL'))
    op.drop_index('ix_seats_reservation_id', table_name='seats', postgresql_where=sa.text('reservation_id IS NOT NULL'))


def downgrade() -> None:
    op.execute('DROP FUNCTION pay_reservation')
    op.execute(HOLD_SEATS_BEFORE)
    op.create_index('ix_seats_reservation_id', 'seats', ['reservation_id'], unique=False, postgresql_where=sa.text('reservation_id IS NOT NULL'))
    op.create_index('ix_seats_lapsing', 'seats', ['held_until'], unique=False, postgresql_where=sa.text('held_until IS NOT NULL'))
    op.create_foreign_key('fk_reservations_performance_id', 'reservations', 'performances', ['performance_id'], ['id'])
    op.create_foreign_key('fk_seats_reservation_id', 'seats', 'reservations', ['reservation_id'], ['id'])
