"""fewer keys and indexes on hot rows

Every hold of a performance took a lock on the performance's one row, for a foreign key that
hold_seats has just proved; and an index on what changes about a seat made every hold and payment
write to all its indexes. The daily reconciliation looks for what the keys would have refused.

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


def upgrade() -> None:
    op.drop_constraint('fk_seats_reservation_id', 'seats', type_='foreignkey')
    op.drop_constraint('fk_reservations_performance_id', 'reservations', type_='foreignkey')
    op.drop_index('ix_seats_lapsing', table_name='seats', postgresql_where=sa.text('held_until IS NOT NULL'))
    op.drop_index('ix_seats_reservation_id', table_name='seats', postgresql_where=sa.text('reservation_id IS NOT NULL'))


def downgrade() -> None:
    op.create_index('ix_seats_reservation_id', 'seats', ['reservation_id'], unique=False, postgresql_where=sa.text('reservation_id IS NOT NULL'))
    op.create_index('ix_seats_lapsing', 'seats', ['held_until'], unique=False, postgresql_where=sa.text('held_until IS NOT NULL'))
    op.create_foreign_key('fk_reservations_performance_id', 'reservations', 'performances', ['performance_id'], ['id'])
    op.create_foreign_key('fk_seats_reservation_id', 'seats', 'reservations', ['reservation_id'], ['id'])
