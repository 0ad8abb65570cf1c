"""samples of sales

How a room and the seats behind it stood, every ten seconds in which anything has moved.

Revision: 0011
After: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sale_samples",
        sa.Column("room_slug", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("inside", sa.Integer(), nullable=False),
        sa.Column("admitted", sa.BigInteger(), nullable=False),
        sa.Column("free", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("sold", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["room_slug"], ["rooms.slug"], ondelete="CASCADE", name=op.f("fk_sale_samples_room_slug_rooms")
        ),
        sa.PrimaryKeyConstraint("room_slug", "at", name=op.f("pk_sale_samples")),
    )
    op.create_index(op.f("ix_sale_samples_at"), "sale_samples", ["at"])


def downgrade() -> None:
    op.drop_table("sale_samples")
