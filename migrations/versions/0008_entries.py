"""what was shown at the doors, and who is in

Revision: 0008
After: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('entries',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('ticket_id', sa.Uuid(), nullable=True),
    sa.Column('performance_id', sa.BigInteger(), nullable=True),
    sa.Column('gate', sa.String(length=40), nullable=False),
    sa.Column('device', sa.String(length=40), nullable=False),
    sa.Column('scan_id', sa.String(length=40), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('offline', sa.Boolean(), nullable=False),
    sa.Column('result', sa.String(length=10), nullable=False),
    sa.Column('first_id', sa.BigInteger(), nullable=True),
    sa.Column('undone_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("result IN ('in', 'already_in', 'void', 'other_date', 'unknown')", name=op.f('ck_entries_result_known')),
    sa.CheckConstraint("(undone_at IS NULL) OR result = 'in'", name=op.f('ck_entries_only_entries_are_undone')),
    sa.ForeignKeyConstraint(['ticket_id'], ['tickets.id'], name=op.f('fk_entries_ticket_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_entries')),
    sa.UniqueConstraint('device', 'scan_id', name=op.f('uq_entries_device_scan_id'))
    )
    op.create_index('uq_entries_standing', 'entries', ['ticket_id'], unique=True, postgresql_where=sa.text("result = 'in' AND undone_at IS NULL"))
    op.create_index('ix_entries_performance', 'entries', ['performance_id', 'id'], unique=False)


def downgrade() -> None:
    op.drop_table('entries')
