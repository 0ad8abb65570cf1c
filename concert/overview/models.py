"""The table of samples: how sales stood."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base


class SaleSample(Base):
    """How a room and the seats behind it stood at one moment; see :mod:`concert.overview.samples`.

    ``admitted`` counts everybody who was let in since Redis knows the room, so it may fall back to
    0; the others are people and seats at that moment.
    """

    __tablename__ = "sale_samples"

    room_slug: Mapped[str] = mapped_column(
        String(40), ForeignKey("rooms.slug", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True, index=True)
    waiting: Mapped[int] = mapped_column(Integer)
    inside: Mapped[int] = mapped_column(Integer)
    admitted: Mapped[int] = mapped_column(BigInteger)
    free: Mapped[int] = mapped_column(Integer)
    held: Mapped[int] = mapped_column(Integer)
    sold: Mapped[int] = mapped_column(Integer)
