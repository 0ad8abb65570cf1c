"""The tables of concerts, performances and seats."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base

LARGEST_CAPACITY = 20_000
HIGHEST_PRICE = 10_000_000
LONGEST_TITLE = 200
MOST_SEATS_A_PERSON = 100


class Concert(Base):
    """What is played; it belongs to one waiting room.

    A ``draft`` is for staff to see. ``version`` counts the changes. ``entry_minutes`` is how long
    before each date people are let into the house.
    """

    __tablename__ = "concerts"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE))
    venue: Mapped[str] = mapped_column(String(LONGEST_TITLE))
    room_slug: Mapped[str] = mapped_column(ForeignKey("rooms.slug"), index=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    description: Mapped[str] = mapped_column(Text, server_default="")
    artist: Mapped[str] = mapped_column(String(LONGEST_TITLE), server_default="")
    age_limit: Mapped[int | None] = mapped_column(SmallInteger)
    running_minutes: Mapped[int | None] = mapped_column(SmallInteger)
    entry_minutes: Mapped[int | None] = mapped_column(SmallInteger)
    draft: Mapped[bool] = mapped_column(Boolean, server_default=false())
    version: Mapped[int] = mapped_column(Integer, server_default="1")


class Performance(Base):
    """One date of a concert. ``date`` is the day of ``starts_at`` where it is played.

    A ``draft`` is for staff to see, as is every date of a concert that is one. ``seat_limit`` is how
    many seats of it one user may have; None: as many as of any. Until ``returns_until`` its
    tickets may be given back; None: they may not.
    """

    __tablename__ = "performances"
    __table_args__ = (
        UniqueConstraint("concert_id", "starts_at"),
        CheckConstraint(f"capacity BETWEEN 1 AND {LARGEST_CAPACITY}", name="capacity_in_range"),
        CheckConstraint(f"price BETWEEN 0 AND {HIGHEST_PRICE}", name="price_in_range"),
        CheckConstraint("sales_open_at < sales_close_at", name="sales_period_in_order"),
        CheckConstraint("lone_seats IN ('off', 'advise', 'refuse')", name="lone_seats_known"),
        CheckConstraint("(hall_id IS NULL) = (category_prices IS NULL)", name="hall_has_prices"),
        CheckConstraint(
            f"seat_limit BETWEEN 1 AND {MOST_SEATS_A_PERSON}", name="seat_limit_in_range"
        ),
        CheckConstraint(
            "cancelled_at IS NULL OR sales_close_at <= cancelled_at", name="cancelled_is_closed"
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    concert_id: Mapped[int] = mapped_column(ForeignKey("concerts.id"))
    date: Mapped[dt.date] = mapped_column(Date)
    starts_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    price: Mapped[int] = mapped_column(Integer)
    capacity: Mapped[int] = mapped_column(Integer)
    sales_open_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    sales_close_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    seat_limit: Mapped[int | None] = mapped_column(SmallInteger)
    # How many seats a row has, where the house was enlarged after somebody had a seat: a seat that
    # somebody has stays where it is. None: as many as suit the capacity.
    row_seats: Mapped[int | None] = mapped_column(SmallInteger)
    draft: Mapped[bool] = mapped_column(Boolean, server_default=false())
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    # Where the seats are, and what each of its categories costs; the usual hall has no plan.
    hall_id: Mapped[int | None] = mapped_column(ForeignKey("halls.id"))
    category_prices: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    # What to do where a choice would leave a single seat between others.
    lone_seats: Mapped[str] = mapped_column(String(10), server_default="off")
    # Places for wheelchairs and companions that anybody may be given by now.
    released_seats: Mapped[list[int]] = mapped_column(
        ARRAY(SmallInteger), server_default=text("'{}'")
    )
    # Its sale is over then, and everybody gets their money back.
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    # Until when tickets may be given back or handed on; null: never.
    returns_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Seat(Base):
    """One seat of one performance.

    It is free when it is not sold and nobody's ``held_until`` lies in the future;
    a lapsed hold may stay written here until somebody tidies it up. One that is ``blocked`` is not
    for sale: whoever counts or holds seats looks at the view ``seats_for_sale``, which has the others.

    Whatever changes has no index and no foreign key: a hold is then written beside the row that it
    changes, and touches nothing else. What the key would refuse, the functions that write here rule
    out, and the reconciliation looks for.
    """

    __tablename__ = "seats"
    __table_args__ = (
        CheckConstraint("seat_no >= 1", name="numbered_from_one"),
        CheckConstraint(f"price BETWEEN 0 AND {HIGHEST_PRICE}", name="price_in_range"),
        CheckConstraint("sold_at IS NULL OR reservation_id IS NOT NULL", name="sold_has_owner"),
        CheckConstraint("held_until IS NULL OR reservation_id IS NOT NULL", name="held_has_holder"),
        CheckConstraint("NOT blocked OR reservation_id IS NULL", name="blocked_is_nobodys"),
        {"postgresql_with": {"fillfactor": 70}},
    )

    performance_id: Mapped[int] = mapped_column(ForeignKey("performances.id"), primary_key=True)
    seat_no: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    price: Mapped[int] = mapped_column(Integer)
    reservation_id: Mapped[UUID | None] = mapped_column(Uuid)
    held_until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    sold_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    blocked: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
