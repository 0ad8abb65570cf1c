"""a ticket for each seat, and links that hand one on

What was paid before gets its tickets here, in one statement: about a second for a hundred thousand
seats, during which nobody can pay. pay_reservation makes them from here on; code from before goes on
with it, since it is called as it was.

Revision: 0007
After: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

PAY_RESERVATION = """\
-- pay_reservation: pay one live reservation from its holder's wallet, all or nothing.
--
-- A function and not one statement with many parts, which costs PostgreSQL a tenth more. Its steps
-- are planned once a connection; that a plan is good whatever the values is sure where every table
-- is read by an index.
-- It makes a ticket for each seat, which nobody else can be making: the seats are locked.
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
    INSERT INTO tickets (id, payment_id, performance_id, seat_no, user_id)
    SELECT uuidv7(), payment, pay_reservation.performance_id, bought, payer
    FROM unnest(pay_reservation.seat_nos) AS bought;
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

PAY_RESERVATION_BEFORE = """\
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

# Whoever pays meanwhile would get no ticket: payments wait until their tickets are made here.
MAKE_TICKETS = """
LOCK TABLE payments IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO tickets (id, payment_id, performance_id, seat_no, user_id)
SELECT uuidv7(), y.id, r.performance_id, bought, y.user_id
FROM payments y JOIN reservations r ON r.id = y.reservation_id CROSS JOIN unnest(r.seat_nos) AS bought
ORDER BY y.paid_at, bought"""


def upgrade() -> None:
    op.create_table('tickets',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=False),
    sa.Column('performance_id', sa.BigInteger(), nullable=False),
    sa.Column('seat_no', sa.SmallInteger(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('taken', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('status', sa.String(length=10), server_default='valid', nullable=False),
    sa.Column('serial', sa.SmallInteger(), server_default='1', nullable=False),
    sa.Column('renewed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.String(length=500), nullable=True),
    sa.CheckConstraint("status IN ('valid', 'used', 'void', 'handed_on')", name=op.f('ck_tickets_status_known')),
    sa.CheckConstraint('serial >= 1', name=op.f('ck_tickets_serial_from_one')),
    sa.CheckConstraint("(ended_at IS NULL) = (status IN ('valid', 'used'))", name=op.f('ck_tickets_ended_or_not')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tickets'))
    )
    op.create_table('hand_ons',
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('ticket_id', sa.Uuid(), nullable=False),
    sa.Column('price', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('new_ticket_id', sa.Uuid(), nullable=True),
    sa.CheckConstraint('price >= 0', name=op.f('ck_hand_ons_price_not_negative')),
    sa.ForeignKeyConstraint(['ticket_id'], ['tickets.id'], name=op.f('fk_hand_ons_ticket_id')),
    sa.ForeignKeyConstraint(['new_ticket_id'], ['tickets.id'], name=op.f('fk_hand_ons_new_ticket_id')),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_hand_ons')),
    sa.UniqueConstraint('ticket_id', name=op.f('uq_hand_ons_ticket_id'))
    )
    op.execute("ALTER TABLE performances ADD COLUMN IF NOT EXISTS returns_until timestamptz")
    op.drop_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries', type_='check')
    op.create_check_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries', "kind IN ('charge', 'payment', 'handed_on')")
    op.execute(MAKE_TICKETS)
    op.create_index('uq_tickets_of_seat', 'tickets', ['performance_id', 'seat_no', 'ended_at'], unique=True, postgresql_nulls_not_distinct=True)
    op.create_index('ix_tickets_taken', 'tickets', ['user_id'], unique=False, postgresql_where=sa.text('taken'))
    op.execute(PAY_RESERVATION)


def downgrade() -> None:
    op.execute(PAY_RESERVATION_BEFORE)
    op.drop_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries', type_='check')
    op.create_check_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries', "kind IN ('charge', 'payment')")
    op.drop_column('performances', 'returns_until')
    op.drop_table('hand_ons')
    op.drop_table('tickets')
