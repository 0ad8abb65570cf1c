"""The tables of covers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    LargeBinary,
    SmallInteger,
    String,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.covers.hues import HUES
from concert.ground.database import Base


class Cover(Base):
    """Which picture a concert has: ``digest`` names it, ``hue`` is the accent colour (see hues.py)."""

    __tablename__ = "covers"
    __table_args__ = (CheckConstraint(f"hue BETWEEN 0 AND {HUES - 1}", name="hue_known"),)

    concert_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("concerts.id"), primary_key=True, autoincrement=False
    )
    digest: Mapped[str] = mapped_column(String(16), index=True)
    hue: Mapped[int] = mapped_column(SmallInteger)
    set_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class CoverFile(Base):
    """One size of a picture as it is sent: WebP, ``width`` in pixels. The same picture is kept once."""

    __tablename__ = "cover_files"

    digest: Mapped[str] = mapped_column(String(16), primary_key=True)
    width: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)
