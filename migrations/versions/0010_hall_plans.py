"""hall plans, and seats that are blocked

Plans are kept by their hash; a performance may refer to one, with a price for each of its
categories. A blocked seat is not for sale: whoever counts or holds seats looks at the view
`seats_for_sale`, which has the others. `hold_seats` is the same as before, but for that.

Revision: 0010
After: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

SEATS_FOR_SALE = """
CREATE VIEW seats_for_sale AS
SELECT performance_id, seat_no, price, reservation_id, held_until, sold_at FROM seats WHERE NOT blocked"""

HOLD_SEATS = """-- hold_seats: hold seats of one performance for one user until a deadline, all or nothing.
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
-- Seats that are blocked are not for sale: the view `seats_for_sale` is without them.
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
        UPDATE seats_for_sale s SET reservation_id = reservation, held_until = hold_seats.held_until
        WHERE s.performance_id = performance AND s.seat_no = wanted[1]
          AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: one seat
        RETURNING wanted, ARRAY[s.price], s.price INTO seats, prices, amount;
    ELSIF together IS NULL THEN
        SELECT array_agg(free.seat_no), array_agg(free.price), sum(free.price) INTO seats, prices, amount
        FROM (
            SELECT s.seat_no, s.price FROM seats_for_sale s
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
                SELECT s.seat_no, s.price FROM seats_for_sale s
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
$$;"""

HOLD_SEATS_BEFORE = HOLD_SEATS.replace("seats_for_sale s", "seats s")


def upgrade() -> None:
    op.create_table(
        "halls",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("capacity BETWEEN 1 AND 20000", name=op.f("ck_halls_capacity_in_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_halls")),
        sa.UniqueConstraint("hash", name=op.f("uq_halls_hash")),
    )
    # Columns with a constant default are added without touching the rows. That no seat that is there
    # breaks the new condition is looked for in one pass: about 0.1 s for a million seats.
    op.execute("""
ALTER TABLE performances ADD COLUMN hall_id bigint,
    ADD COLUMN category_prices integer[],
    ADD COLUMN lone_seats varchar(10) NOT NULL DEFAULT 'off',
    ADD COLUMN released_seats smallint[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT fk_performances_hall_id_halls FOREIGN KEY (hall_id) REFERENCES halls (id),
    ADD CONSTRAINT ck_performances_lone_seats_known CHECK (lone_seats IN ('off', 'advise', 'refuse')),
    ADD CONSTRAINT ck_performances_hall_has_prices CHECK ((hall_id IS NULL) = (category_prices IS NULL))""")
    op.execute("""
ALTER TABLE seats ADD COLUMN blocked boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT ck_seats_blocked_is_nobodys CHECK (NOT blocked OR reservation_id IS NULL)""")
    op.execute(SEATS_FOR_SALE)
    op.execute(HOLD_SEATS)


def downgrade() -> None:
    op.execute(HOLD_SEATS_BEFORE)
    op.execute("DROP VIEW seats_for_sale")
    op.execute("ALTER TABLE seats DROP COLUMN blocked")
    op.execute("""
ALTER TABLE performances DROP COLUMN hall_id, DROP COLUMN category_prices,
    DROP COLUMN lone_seats, DROP COLUMN released_seats""")
    op.drop_table("halls")
