"""The table of hall plans."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Identity,
    Integer,
    LargeBinary,
    String,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base
from concert.halls.draft import LONGEST_NAME
from concert.halls.plan import LARGEST_PLAN


class Hall(Base):
    """A plan, kept once and never changed: ``hash`` is the SHA-256 of ``document``."""

    __tablename__ = "halls"
    __table_args__ = (
        CheckConstraint(f"capacity BETWEEN 1 AND {LARGEST_PLAN}", name="capacity_in_range"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    capacity: Mapped[int] = mapped_column(Integer)
    document: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
