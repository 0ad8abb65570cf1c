"""The tables of wallets and their ledger entries."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    Uuid,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base

HIGHEST_CHARGE = 10_000_000
HIGHEST_BALANCE = 1_000_000_000


class Wallet(Base):
    """A balance in whole won; it always equals the sum of its entries."""

    __tablename__ = "wallets"
    __table_args__ = (
        CheckConstraint(f"balance BETWEEN 0 AND {HIGHEST_BALANCE}", name="balance_in_range"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id"), primary_key=True)
    balance: Mapped[int] = mapped_column(BigInteger)


class WalletEntry(Base):
    """One change of a balance: how much, what for, and the balance after it."""

    __tablename__ = "wallet_entries"
    __table_args__ = (
        CheckConstraint("balance_after >= 0", name="balance_after_not_negative"),
        CheckConstraint("kind IN ('charge', 'payment', 'handed_on')", name="kind_known"),
        CheckConstraint("(kind = 'payment') = (payment_id IS NOT NULL)", name="payment_named"),
        Index("ix_wallet_entries_user", "user_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("wallets.user_id"))
    amount: Mapped[int] = mapped_column(Integer)
    balance_after: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(10))
    payment_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("payments.id"))
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
