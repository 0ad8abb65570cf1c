"""first tables

Revision: 0001
After: 
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

# As it was then. What it is now is for later migrations to install, each with its own text.
HOLD_SEATS = """
CREATE OR REPLACE FUNCTION hold_seats(
    holder uuid, performance bigint, wanted smallint[], reservation uuid, hold interval, seat_limit integer,
    OUT outcome text, OUT used bigint, OUT seats smallint[], OUT prices integer[], OUT amount integer,
    OUT held_at timestamptz, OUT held_until timestamptz
) LANGUAGE plpgsql AS $$
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

    SELECT coalesce(sum(cardinality(r.seat_nos)), 0) INTO used FROM reservations r
    WHERE r.user_id = holder AND r.performance_id = performance
      AND (r.status = 'paid' OR (r.status = 'held' AND r.held_until > held_at));
    IF used + cardinality(wanted) > seat_limit THEN
        outcome := 'limit';
        RETURN;
    END IF;

    SELECT array_agg(free.seat_no), array_agg(free.price), sum(free.price) INTO seats, prices, amount
    FROM (
        SELECT s.seat_no, s.price FROM seats s
        WHERE s.performance_id = performance AND s.seat_no = ANY (wanted)
          AND s.sold_at IS NULL AND (s.held_until IS NULL OR s.held_until <= held_at)  -- guard: free now
        ORDER BY s.seat_no
        FOR UPDATE  -- guard: seats in number order
    ) free;
    IF coalesce(cardinality(seats), 0) < cardinality(wanted) THEN
        outcome := 'taken';
        RETURN;
    END IF;

    INSERT INTO reservations AS r
        (id, user_id, performance_id, seat_nos, prices, amount, status, created_at, held_until)
    VALUES (reservation, holder, performance, seats, prices, amount, 'held', held_at, hold_seats.held_until);
    UPDATE seats s SET reservation_id = reservation, held_until = hold_seats.held_until
    WHERE s.performance_id = performance AND s.seat_no = ANY (wanted);
    outcome := 'held';
END
$$;
"""


def upgrade() -> None:
    op.create_table('idempotency_keys',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('key', sa.String(length=200), nullable=False),
    sa.Column('fingerprint', sa.LargeBinary(), nullable=False),
    sa.Column('answer', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('user_id', 'key', name=op.f('pk_idempotency_keys'))
    )
    op.create_index(op.f('ix_idempotency_keys_created_at'), 'idempotency_keys', ['created_at'], unique=False)
    op.create_table('rooms',
    sa.Column('slug', sa.String(length=40), nullable=False),
    sa.Column('capacity', sa.Integer(), server_default=sa.text('200'), nullable=False),
    sa.Column('admit_per_minute', sa.Integer(), server_default=sa.text('1200'), nullable=False),
    sa.Column('entry_seconds', sa.Integer(), server_default=sa.text('120'), nullable=False),
    sa.Column('visit_seconds', sa.Integer(), server_default=sa.text('600'), nullable=False),
    sa.Column('opens_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('paused', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('version', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('epoch', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'", name=op.f('ck_rooms_slug_is_plain')),
    sa.CheckConstraint('admit_per_minute BETWEEN 1 AND 1000000', name=op.f('ck_rooms_admit_per_minute_in_range')),
    sa.CheckConstraint('capacity BETWEEN 1 AND 1000000', name=op.f('ck_rooms_capacity_in_range')),
    sa.CheckConstraint('entry_seconds BETWEEN 1 AND 86400', name=op.f('ck_rooms_entry_seconds_in_range')),
    sa.CheckConstraint('visit_seconds BETWEEN 1 AND 86400', name=op.f('ck_rooms_visit_seconds_in_range')),
    sa.PrimaryKeyConstraint('slug', name=op.f('pk_rooms'))
    )
    op.create_table('users',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(length=80), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("name <> ''", name=op.f('ck_users_name_not_empty')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users'))
    )
    op.create_table('completed_places',
    sa.Column('room_slug', sa.String(length=40), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('sequence', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('completed_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['room_slug'], ['rooms.slug'], name=op.f('fk_completed_places_room_slug')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_completed_places_user_id')),
    sa.PrimaryKeyConstraint('room_slug', 'user_id', 'sequence', name=op.f('pk_completed_places'))
    )
    op.create_index(op.f('ix_completed_places_completed_at'), 'completed_places', ['completed_at'], unique=False)
    op.create_table('concerts',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('title', sa.String(length=200), nullable=False),
    sa.Column('venue', sa.String(length=200), nullable=False),
    sa.Column('room_slug', sa.String(length=40), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['room_slug'], ['rooms.slug'], name=op.f('fk_concerts_room_slug')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_concerts'))
    )
    op.create_index(op.f('ix_concerts_room_slug'), 'concerts', ['room_slug'], unique=False)
    op.create_table('wallets',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('balance', sa.BigInteger(), nullable=False),
    sa.CheckConstraint('balance BETWEEN 0 AND 1000000000', name=op.f('ck_wallets_balance_in_range')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_wallets_user_id')),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_wallets')),
    postgresql_with={'fillfactor': 70}
    )
    op.create_table('performances',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('concert_id', sa.BigInteger(), nullable=False),
    sa.Column('date', sa.Date(), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('price', sa.Integer(), nullable=False),
    sa.Column('capacity', sa.Integer(), nullable=False),
    sa.Column('sales_open_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('sales_close_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('capacity BETWEEN 1 AND 20000', name=op.f('ck_performances_capacity_in_range')),
    sa.CheckConstraint('price BETWEEN 0 AND 10000000', name=op.f('ck_performances_price_in_range')),
    sa.CheckConstraint('sales_open_at < sales_close_at', name=op.f('ck_performances_sales_period_in_order')),
    sa.ForeignKeyConstraint(['concert_id'], ['concerts.id'], name=op.f('fk_performances_concert_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_performances')),
    sa.UniqueConstraint('concert_id', 'starts_at', name=op.f('uq_performances_concert_id_starts_at'))
    )
    op.create_table('reservations',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('performance_id', sa.BigInteger(), nullable=False),
    sa.Column('seat_nos', postgresql.ARRAY(sa.SmallInteger()), nullable=False),
    sa.Column('prices', postgresql.ARRAY(sa.Integer()), nullable=False),
    sa.Column('amount', sa.Integer(), nullable=False),
    sa.Column('status', sa.String(length=10), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("status IN ('held', 'paid', 'expired', 'cancelled')", name=op.f('ck_reservations_status_known')),
    sa.CheckConstraint('amount >= 0', name=op.f('ck_reservations_amount_not_negative')),
    sa.CheckConstraint('cardinality(seat_nos) = cardinality(prices)', name=op.f('ck_reservations_every_seat_priced')),
    sa.CheckConstraint('cardinality(seat_nos) >= 1', name=op.f('ck_reservations_holds_a_seat')),
    sa.ForeignKeyConstraint(['performance_id'], ['performances.id'], name=op.f('fk_reservations_performance_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_reservations_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reservations'))
    )
    op.create_index('ix_reservations_lapsing', 'reservations', ['held_until'], unique=False, postgresql_where=sa.text("status = 'held'"))
    op.create_index(op.f('ix_reservations_performance_id'), 'reservations', ['performance_id'], unique=False)
    op.create_index('ix_reservations_user', 'reservations', ['user_id', 'performance_id'], unique=False)
    op.create_table('payments',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('reservation_id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('amount', sa.Integer(), nullable=False),
    sa.Column('balance_after', sa.BigInteger(), nullable=False),
    sa.Column('paid_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('amount >= 0', name=op.f('ck_payments_amount_not_negative')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_payments_reservation_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_payments_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payments')),
    sa.UniqueConstraint('reservation_id', name=op.f('uq_payments_reservation_id'))
    )
    op.create_index('ix_payments_user', 'payments', ['user_id', 'paid_at'], unique=False)
    op.create_table('seats',
    sa.Column('performance_id', sa.BigInteger(), nullable=False),
    sa.Column('seat_no', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('price', sa.Integer(), nullable=False),
    sa.Column('reservation_id', sa.Uuid(), nullable=True),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sold_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('held_until IS NULL OR reservation_id IS NOT NULL', name=op.f('ck_seats_held_has_holder')),
    sa.CheckConstraint('price BETWEEN 0 AND 10000000', name=op.f('ck_seats_price_in_range')),
    sa.CheckConstraint('seat_no >= 1', name=op.f('ck_seats_numbered_from_one')),
    sa.CheckConstraint('sold_at IS NULL OR reservation_id IS NOT NULL', name=op.f('ck_seats_sold_has_owner')),
    sa.ForeignKeyConstraint(['performance_id'], ['performances.id'], name=op.f('fk_seats_performance_id')),
    sa.ForeignKeyConstraint(['reservation_id'], ['reservations.id'], name=op.f('fk_seats_reservation_id')),
    sa.PrimaryKeyConstraint('performance_id', 'seat_no', name=op.f('pk_seats')),
    postgresql_with={'fillfactor': 70}
    )
    op.create_index('ix_seats_lapsing', 'seats', ['held_until'], unique=False, postgresql_where=sa.text('held_until IS NOT NULL'))
    op.create_index('ix_seats_reservation_id', 'seats', ['reservation_id'], unique=False, postgresql_where=sa.text('reservation_id IS NOT NULL'))
    op.create_table('wallet_entries',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('amount', sa.Integer(), nullable=False),
    sa.Column('balance_after', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(length=10), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("(kind = 'payment') = (payment_id IS NOT NULL)", name=op.f('ck_wallet_entries_payment_named')),
    sa.CheckConstraint("kind IN ('charge', 'payment')", name=op.f('ck_wallet_entries_kind_known')),
    sa.CheckConstraint('balance_after >= 0', name=op.f('ck_wallet_entries_balance_after_not_negative')),
    sa.ForeignKeyConstraint(['payment_id'], ['payments.id'], name=op.f('fk_wallet_entries_payment_id')),
    sa.ForeignKeyConstraint(['user_id'], ['wallets.user_id'], name=op.f('fk_wallet_entries_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_wallet_entries'))
    )
    op.create_index('ix_wallet_entries_user', 'wallet_entries', ['user_id', 'id'], unique=False)
    op.execute("INSERT INTO rooms (slug) VALUES ('main')")
    op.execute(HOLD_SEATS)


def downgrade() -> None:
    op.execute("DROP FUNCTION hold_seats")
    op.drop_index('ix_wallet_entries_user', table_name='wallet_entries')
    op.drop_table('wallet_entries')
    op.drop_index('ix_seats_reservation_id', table_name='seats', postgresql_where=sa.text('reservation_id IS NOT NULL'))
    op.drop_index('ix_seats_lapsing', table_name='seats', postgresql_where=sa.text('held_until IS NOT NULL'))
    op.drop_table('seats')
    op.drop_index('ix_payments_user', table_name='payments')
    op.drop_table('payments')
    op.drop_index('ix_reservations_user', table_name='reservations')
    op.drop_index(op.f('ix_reservations_performance_id'), table_name='reservations')
    op.drop_index('ix_reservations_lapsing', table_name='reservations', postgresql_where=sa.text("status = 'held'"))
    op.drop_table('reservations')
    op.drop_table('performances')
    op.drop_table('wallets')
    op.drop_index(op.f('ix_concerts_room_slug'), table_name='concerts')
    op.drop_table('concerts')
    op.drop_index(op.f('ix_completed_places_completed_at'), table_name='completed_places')
    op.drop_table('completed_places')
    op.drop_table('users')
    op.drop_table('rooms')
    op.drop_index(op.f('ix_idempotency_keys_created_at'), table_name='idempotency_keys')
    op.drop_table('idempotency_keys')
