"""The tables of payments, and of what was given back of them."""

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
    SmallInteger,
    String,
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


class Refund(Base):
    """That money of a payment was given back to somebody's wallet, and why.

    ``user_id`` is whose the seats were then. ``cause`` is ``staff`` (somebody of the staff decided
    it), ``returned`` (the owner gave the seats back) or ``cancelled`` (the date was).
    """

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        CheckConstraint("cause IN ('staff', 'returned', 'cancelled')", name="cause_known"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    payment_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("payments.id"), index=True)
    # No foreign key, as of reservations: it is read from one that is locked.
    performance_id: Mapped[int] = mapped_column(BigInteger, index=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id"), index=True)
    amount: Mapped[int] = mapped_column(Integer)
    cause: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str | None] = mapped_column(String(500))
    refunded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class RefundedSeat(Base):
    """One seat of a payment whose price was given back: its key allows that once."""

    __tablename__ = "refunded_seats"
    __table_args__ = (CheckConstraint("price >= 0", name="price_not_negative"),)

    payment_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("payments.id"), primary_key=True)
    seat_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    price: Mapped[int] = mapped_column(Integer)
    refund_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("refunds.id"), index=True)
