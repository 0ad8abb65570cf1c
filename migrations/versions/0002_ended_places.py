"""places that are over, losses of Redis, payments that Redis has not been told of

Revision: 0002
After: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('ended_places',
    sa.Column('room_slug', sa.String(length=40), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('sequence', sa.BigInteger(), nullable=False),
    sa.Column('status', sa.String(length=10), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("status IN ('left', 'expired', 'completed')", name=op.f('ck_ended_places_status_known')),
    sa.ForeignKeyConstraint(['room_slug'], ['rooms.slug'], name=op.f('fk_ended_places_room_slug')),
    sa.PrimaryKeyConstraint('room_slug', 'user_id', name=op.f('pk_ended_places'))
    )
    op.create_index(op.f('ix_ended_places_ended_at'), 'ended_places', ['ended_at'], unique=False)
    op.add_column('rooms', sa.Column('admitted_sequence', sa.BigInteger(), server_default=sa.text('0'), nullable=False))
    op.add_column('rooms', sa.Column('admitted_before_loss', sa.BigInteger(), server_default=sa.text('0'), nullable=False))
    op.add_column('rooms', sa.Column('last_sequence', sa.BigInteger(), server_default=sa.text('0'), nullable=False))
    op.add_column('rooms', sa.Column('losses', postgresql.ARRAY(sa.BigInteger()), server_default=sa.text("'{}'"), nullable=False))
    op.add_column('rooms', sa.Column('longest_poll_seconds', sa.Integer(), server_default=sa.text('2'), nullable=False))
    op.add_column('rooms', sa.Column('short_since', sa.DateTime(timezone=True), nullable=True))
    op.add_column('completed_places', sa.Column('told_at', sa.DateTime(timezone=True), nullable=True))
    # What was paid longer ago was told by the payment or the tick after it.
    op.execute("UPDATE completed_places SET told_at = completed_at WHERE completed_at < now() - interval '1 hour'")
    op.create_index('ix_completed_places_untold', 'completed_places', ['completed_at'], unique=False, postgresql_where=sa.text('told_at IS NULL'))


def downgrade() -> None:
    op.drop_index('ix_completed_places_untold', table_name='completed_places', postgresql_where=sa.text('told_at IS NULL'))
    op.drop_column('completed_places', 'told_at')
    op.drop_column('rooms', 'short_since')
    op.drop_column('rooms', 'longest_poll_seconds')
    op.drop_column('rooms', 'losses')
    op.drop_column('rooms', 'last_sequence')
    op.drop_column('rooms', 'admitted_before_loss')
    op.drop_column('rooms', 'admitted_sequence')
    op.drop_index(op.f('ix_ended_places_ended_at'), table_name='ended_places')
    op.drop_table('ended_places')
