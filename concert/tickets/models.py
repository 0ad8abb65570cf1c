"""The tables of tickets, of links that hand one on, and of entries."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.audit import LONGEST_REASON
from concert.ground.database import Base

LONGEST_WORD = 40


class Ticket(Base):
    """One seat that somebody owns; of one seat there is one that is valid or used.

    ``handed_on`` is what stays with whoever gave it away; the other person has a ticket of their
    own. ``serial`` counts the codes of a ticket: only its newest is good.

    A payment writes it while a crowd waits, so there is no foreign key: what the keys would refuse
    the functions that write here rule out, and the reconciliation looks for.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        CheckConstraint("status IN ('valid', 'used', 'void', 'handed_on')", name="status_known"),
        CheckConstraint("serial >= 1", name="serial_from_one"),
        CheckConstraint("(ended_at IS NULL) = (status IN ('valid', 'used'))", name="ended_or_not"),
        # Of a seat one ticket has not ended; those that have are found by the same index.
        Index(
            "uq_tickets_of_seat",
            "performance_id",
            "seat_no",
            "ended_at",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        # What somebody has bought is found by the payment.
        Index("ix_tickets_taken", "user_id", postgresql_where=text("taken")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    payment_id: Mapped[UUID] = mapped_column(Uuid)
    performance_id: Mapped[int] = mapped_column(BigInteger)
    seat_no: Mapped[int] = mapped_column(SmallInteger)
    user_id: Mapped[UUID] = mapped_column(Uuid)
    # Whether it was taken over from somebody, and not bought.
    taken: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    status: Mapped[str] = mapped_column(String(10), server_default="valid")
    serial: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    renewed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # When it became void or was handed on, and why it is void.
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str | None] = mapped_column(String(LONGEST_REASON))


class HandOn(Base):
    """The link by which a ticket may be taken over, once; a ticket has one at a time."""

    __tablename__ = "hand_ons"
    __table_args__ = (
        UniqueConstraint("ticket_id"),
        CheckConstraint("price >= 0", name="price_not_negative"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("tickets.id"))
    # What it costs, in won: what the seat cost, or nothing where it is a present.
    price: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    # The ticket of whoever took it over; it says that the link is used.
    new_ticket_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("tickets.id"))


class Entry(Base):
    """What a scanner has seen, and what it was told. Of a ticket one entry stands, unless it was undone."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("device", "scan_id"),
        CheckConstraint(
            "result IN ('in', 'already_in', 'void', 'other_date', 'unknown')", name="result_known"
        ),
        CheckConstraint("(undone_at IS NULL) OR result = 'in'", name="only_entries_are_undone"),
        Index(
            "uq_entries_standing",
            "ticket_id",
            unique=True,
            postgresql_where=text("result = 'in' AND undone_at IS NULL"),
        ),
        Index("ix_entries_performance", "performance_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    # Both are null where the code is not one of ours; the performance is that of the ticket.
    ticket_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("tickets.id"))
    performance_id: Mapped[int | None] = mapped_column(BigInteger)
    gate: Mapped[str] = mapped_column(String(LONGEST_WORD))
    device: Mapped[str] = mapped_column(String(LONGEST_WORD))
    scan_id: Mapped[str] = mapped_column(String(LONGEST_WORD))
    # When it was shown, by the scanner's clock; and when we heard of it.
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    received_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    # Whether the scanner had let them in before it asked.
    offline: Mapped[bool] = mapped_column(Boolean)
    result: Mapped[str] = mapped_column(String(10))
    # What stood already, where the result is already_in.
    first_id: Mapped[int | None] = mapped_column(BigInteger)
    undone_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
