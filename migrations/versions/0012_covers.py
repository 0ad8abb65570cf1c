"""images of concerts

Revision: 0012
After: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('covers',
    sa.Column('concert_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('digest', sa.String(length=16), nullable=False),
    sa.Column('hue', sa.SmallInteger(), nullable=False),
    sa.Column('set_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('hue BETWEEN 0 AND 11', name=op.f('ck_covers_hue_known')),
    sa.ForeignKeyConstraint(['concert_id'], ['concerts.id'], name=op.f('fk_covers_concert_id')),
    sa.PrimaryKeyConstraint('concert_id', name=op.f('pk_covers'))
    )
    op.create_index(op.f('ix_covers_digest'), 'covers', ['digest'])
    op.create_table('cover_files',
    sa.Column('digest', sa.String(length=16), nullable=False),
    sa.Column('width', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('digest', 'width', name=op.f('pk_cover_files'))
    )


def downgrade() -> None:
    op.drop_table('cover_files')
    op.drop_table('covers')
