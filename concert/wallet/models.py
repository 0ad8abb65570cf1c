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
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base

HIGHEST_CHARGE = 10_000_000
HIGHEST_BALANCE = 1_000_000_000
LONGEST_NOTE = 500


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
        CheckConstraint(
            "kind IN ('charge', 'payment', 'refund', 'payout', 'handed_on')", name="kind_known"
        ),
        CheckConstraint("(kind = 'payment') = (payment_id IS NOT NULL)", name="payment_named"),
        CheckConstraint("(kind = 'refund') = (refund_id IS NOT NULL)", name="refund_named"),
        CheckConstraint("(kind = 'payout') = (payout_id IS NOT NULL)", name="payout_named"),
        Index("ix_wallet_entries_user", "user_id", "id"),
        Index(
            "uq_wallet_entries_refund",
            "refund_id",
            unique=True,
            postgresql_where=text("refund_id IS NOT NULL"),
        ),
        Index(
            "uq_wallet_entries_payout",
            "payout_id",
            unique=True,
            postgresql_where=text("payout_id IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("wallets.user_id"))
    amount: Mapped[int] = mapped_column(Integer)
    balance_after: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(10))
    payment_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("payments.id"))
    refund_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("refunds.id"))
    payout_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("payouts.id"))
    # Why, in the words of whoever gave it back or paid it out.
    note: Mapped[str | None] = mapped_column(String(LONGEST_NOTE))
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )


class Payout(Base):
    """That won of a balance were paid out: the transfer itself is made elsewhere, ``note`` says where."""

    __tablename__ = "payouts"
    __table_args__ = (CheckConstraint("amount >= 1", name="amount_positive"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id"), index=True)
    amount: Mapped[int] = mapped_column(Integer)
    note: Mapped[str] = mapped_column(String(LONGEST_NOTE))
    paid_out_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
