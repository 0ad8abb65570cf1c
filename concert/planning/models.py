"""The table of what was changed after somebody had bought a ticket."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    String,
    Text,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base


class PerformanceChange(Base):
    """What the owners of a performance's tickets are told: it was moved, or is played elsewhere.

    ``before`` and ``after`` are moments (ISO 8601) or names of venues. ``returns_until`` is until
    when the tickets may be given back for it; None: they may not.
    """

    __tablename__ = "performance_changes"
    __table_args__ = (CheckConstraint("kind IN ('moved', 'venue')", name="kind_known"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    performance_id: Mapped[int] = mapped_column(ForeignKey("performances.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
    returns_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    changed_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
