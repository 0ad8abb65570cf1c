"""money back: refunds, payouts, and dates that are cancelled

Revision: 0009
After: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('cancellations',
    sa.Column('performance_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('reason', sa.String(length=500), nullable=False),
    sa.Column('cancelled_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('looked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['performance_id'], ['performances.id'], name=op.f('fk_cancellations_performance_id')),
    sa.PrimaryKeyConstraint('performance_id', name=op.f('pk_cancellations'))
    )
    op.create_index('ix_cancellations_unfinished', 'cancellations', ['performance_id'], postgresql_where=sa.text('finished_at IS NULL'))
    op.create_table('refunds',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('payment_id', sa.Uuid(), nullable=False),
    sa.Column('performance_id', sa.BigInteger(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('amount', sa.Integer(), nullable=False),
    sa.Column('cause', sa.String(length=10), nullable=False),
    sa.Column('reason', sa.String(length=500), nullable=True),
    sa.Column('refunded_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('amount >= 0', name=op.f('ck_refunds_amount_not_negative')),
    sa.CheckConstraint("cause IN ('staff', 'returned', 'cancelled')", name=op.f('ck_refunds_cause_known')),
    sa.ForeignKeyConstraint(['payment_id'], ['payments.id'], name=op.f('fk_refunds_payment_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_refunds_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_refunds'))
    )
    op.create_index(op.f('ix_refunds_payment_id'), 'refunds', ['payment_id'])
    op.create_index(op.f('ix_refunds_performance_id'), 'refunds', ['performance_id'])
    op.create_index(op.f('ix_refunds_user_id'), 'refunds', ['user_id'])
    op.create_table('refunded_seats',
    sa.Column('payment_id', sa.Uuid(), nullable=False),
    sa.Column('seat_no', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('price', sa.Integer(), nullable=False),
    sa.Column('refund_id', sa.Uuid(), nullable=False),
    sa.CheckConstraint('price >= 0', name=op.f('ck_refunded_seats_price_not_negative')),
    sa.ForeignKeyConstraint(['payment_id'], ['payments.id'], name=op.f('fk_refunded_seats_payment_id')),
    sa.ForeignKeyConstraint(['refund_id'], ['refunds.id'], name=op.f('fk_refunded_seats_refund_id')),
    sa.PrimaryKeyConstraint('payment_id', 'seat_no', name=op.f('pk_refunded_seats'))
    )
    op.create_index(op.f('ix_refunded_seats_refund_id'), 'refunded_seats', ['refund_id'])
    op.create_table('payouts',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('amount', sa.Integer(), nullable=False),
    sa.Column('note', sa.String(length=500), nullable=False),
    sa.Column('paid_out_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint('amount >= 1', name=op.f('ck_payouts_amount_positive')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_payouts_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_payouts'))
    )
    op.create_index(op.f('ix_payouts_user_id'), 'payouts', ['user_id'])

    op.add_column('wallet_entries', sa.Column('refund_id', sa.Uuid(), nullable=True))
    op.add_column('wallet_entries', sa.Column('payout_id', sa.Uuid(), nullable=True))
    op.add_column('wallet_entries', sa.Column('note', sa.String(length=500), nullable=True))
    op.create_foreign_key(op.f('fk_wallet_entries_refund_id'), 'wallet_entries', 'refunds', ['refund_id'], ['id'])
    op.create_foreign_key(op.f('fk_wallet_entries_payout_id'), 'wallet_entries', 'payouts', ['payout_id'], ['id'])
    op.create_index('uq_wallet_entries_refund', 'wallet_entries', ['refund_id'], unique=True, postgresql_where=sa.text('refund_id IS NOT NULL'))
    op.create_index('uq_wallet_entries_payout', 'wallet_entries', ['payout_id'], unique=True, postgresql_where=sa.text('payout_id IS NOT NULL'))
    op.drop_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries')
    op.create_check_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries', "kind IN ('charge', 'payment', 'refund', 'payout', 'handed_on')")
    op.create_check_constraint(op.f('ck_wallet_entries_refund_named'), 'wallet_entries', "(kind = 'refund') = (refund_id IS NOT NULL)")
    op.create_check_constraint(op.f('ck_wallet_entries_payout_named'), 'wallet_entries', "(kind = 'payout') = (payout_id IS NOT NULL)")

    op.drop_constraint(op.f('ck_reservations_status_known'), 'reservations')
    op.create_check_constraint(op.f('ck_reservations_status_known'), 'reservations', "status IN ('held', 'paid', 'expired', 'cancelled', 'refunded')")

    op.add_column('performances', sa.Column('cancelled_at', sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f('ck_performances_cancelled_is_closed'), 'performances', 'cancelled_at IS NULL OR sales_close_at <= cancelled_at')


def downgrade() -> None:
    op.drop_constraint(op.f('ck_performances_cancelled_is_closed'), 'performances')
    op.drop_column('performances', 'cancelled_at')
    op.drop_constraint(op.f('ck_reservations_status_known'), 'reservations')
    # What was given back is over; nothing before this knows another word for it.
    op.execute("UPDATE reservations SET status = 'cancelled' WHERE status = 'refunded'")
    op.create_check_constraint(op.f('ck_reservations_status_known'), 'reservations', "status IN ('held', 'paid', 'expired', 'cancelled')")
    op.drop_constraint(op.f('ck_wallet_entries_payout_named'), 'wallet_entries')
    op.drop_constraint(op.f('ck_wallet_entries_refund_named'), 'wallet_entries')
    op.drop_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries')
    # The ledger still adds up.
    op.execute("UPDATE wallet_entries SET kind = 'charge' WHERE kind IN ('refund', 'payout')")
    op.create_check_constraint(op.f('ck_wallet_entries_kind_known'), 'wallet_entries', "kind IN ('charge', 'payment', 'handed_on')")
    op.drop_column('wallet_entries', 'note')
    op.drop_column('wallet_entries', 'payout_id')
    op.drop_column('wallet_entries', 'refund_id')
    op.drop_table('payouts')
    op.drop_table('refunded_seats')
    op.drop_table('refunds')
    op.drop_table('cancellations')
