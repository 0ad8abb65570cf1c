"""The tables of rooms, and of places that are over."""

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
    String,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base

LONGEST_SLUG = 40


class Room(Base):
    """A line in front of one or more concerts; its settings are mirrored to Redis.

    ``version`` counts the changes, so that an older mirror never replaces a newer one.
    ``epoch`` counts how often the room was built up in Redis: 0 means never, and
    more than 1 means that Redis has lost the room's places before. ``losses`` are the
    sequence numbers up to which places may have been lost, the oldest first.

    The tick keeps what must outlive Redis: the greatest numbers that were let in and given,
    and the longest time (seconds) after which somebody in line may have been told to
    ask again; ``short_since`` is since when the line has been too short for that.
    ``admitted_before_loss`` is ``admitted_sequence`` as it was at the last loss.

    ``message`` is what the organiser says to the line: a text for each language, or null.
    """

    __tablename__ = "rooms"
    __table_args__ = (
        CheckConstraint("slug ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'", name="slug_is_plain"),
        CheckConstraint("capacity BETWEEN 1 AND 1000000", name="capacity_in_range"),
        CheckConstraint("admit_per_minute BETWEEN 1 AND 1000000", name="admit_per_minute_in_range"),
        CheckConstraint("entry_seconds BETWEEN 1 AND 86400", name="entry_seconds_in_range"),
        CheckConstraint("visit_seconds BETWEEN 1 AND 86400", name="visit_seconds_in_range"),
    )

    slug: Mapped[str] = mapped_column(String(LONGEST_SLUG), primary_key=True)
    capacity: Mapped[int] = mapped_column(Integer, server_default=text("200"))
    admit_per_minute: Mapped[int] = mapped_column(Integer, server_default=text("1200"))
    entry_seconds: Mapped[int] = mapped_column(Integer, server_default=text("120"))
    visit_seconds: Mapped[int] = mapped_column(Integer, server_default=text("600"))
    opens_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    paused: Mapped[bool] = mapped_column(server_default=text("false"))
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    epoch: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    admitted_sequence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    admitted_before_loss: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_sequence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    losses: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    longest_poll_seconds: Mapped[int] = mapped_column(Integer, server_default=text("2"))
    short_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    message: Mapped[dict[str, str] | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class EndedPlace(Base):
    """The newest place of a user in a room that is over; written by the tick, and by whoever leaves.

    Redis forgets; this does not. The user may be one that the database does not know:
    joining a line does not ask. A payment's places are in :class:`CompletedPlace`, but for
    those that had a further number.
    """

    __tablename__ = "ended_places"
    __table_args__ = (
        CheckConstraint("status IN ('left', 'expired', 'completed')", name="status_known"),
    )

    room_slug: Mapped[str] = mapped_column(ForeignKey("rooms.slug"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(10))
    ended_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


class CompletedPlace(Base):
    """A place that ended with a payment; written in the payment's transaction.

    Redis forgets; this does not. It keeps a spent queue token spent when Redis has
    lost its data, and lets a job finish what a crash has cut off: ``told_at`` is when
    Redis has certainly been told.
    """

    __tablename__ = "completed_places"
    __table_args__ = (
        Index(
            "ix_completed_places_untold", "completed_at", postgresql_where=text("told_at IS NULL")
        ),
    )

    room_slug: Mapped[str] = mapped_column(ForeignKey("rooms.slug"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    completed_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp(), index=True
    )
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
