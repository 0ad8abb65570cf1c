"""The table of payments."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base


class Payment(Base):
    """The record that a reservation was paid; at most one per reservation."""

    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("reservation_id"),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        Index("ix_payments_user", "user_id", "paid_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    reservation_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("reservations.id"))
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id"))
    amount: Mapped[int] = mapped_column(Integer)
    balance_after: Mapped[int] = mapped_column(BigInteger)
    paid_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
