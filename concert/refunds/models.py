"""The table of cancellations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base


class Cancellation(Base):
    """That a performance is cancelled, and how far giving the money back has come.

    It is finished when nobody owns or holds a seat of it any more. ``looked_at`` is the last time
    that all who were left were gone through.
    """

    __tablename__ = "cancellations"
    __table_args__ = (
        Index(
            "ix_cancellations_unfinished",
            "performance_id",
            postgresql_where=text("finished_at IS NULL"),
        ),
    )

    performance_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("performances.id"), primary_key=True, autoincrement=False
    )
    reason: Mapped[str] = mapped_column(String(500))
    cancelled_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    looked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
