"""a message to the line

What the organiser says to everybody in a room's line, in both languages.

Revision: 0006
After: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rooms", sa.Column("message", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("rooms", "message")
