"""The table of reservations."""

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
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base


class Reservation(Base):
    """Seats held together for one user, with the prices they had, in seat order.

    A row that says ``held`` after ``held_until`` is an expired reservation that
    nobody has tidied up yet: read ``status`` and ``held_until`` together. One that is
    ``paid`` has the seats that are still its user's: what was given back has left it, and
    stands in the refunds. When nothing is left it is ``refunded``, and has all of them again.
    """

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint(
            "status IN ('held', 'paid', 'expired', 'cancelled', 'refunded')", name="status_known"
        ),
        CheckConstraint("cardinality(seat_nos) >= 1", name="holds_a_seat"),
        CheckConstraint("cardinality(seat_nos) = cardinality(prices)", name="every_seat_priced"),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        Index("ix_reservations_user", "user_id", "performance_id"),
        Index("ix_reservations_lapsing", "held_until", postgresql_where=text("status = 'held'")),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id"))
    # No foreign key: every hold of a performance would share a lock on its one row. `hold_seats` has
    # just read the performance, and the reconciliation looks for one that is not there.
    performance_id: Mapped[int] = mapped_column(BigInteger, index=True)
    seat_nos: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    prices: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    amount: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    held_until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    # The place in line under which they were held; a visit may let only so many holds lapse.
    place_sequence: Mapped[int | None] = mapped_column(BigInteger)
