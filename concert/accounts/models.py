"""The table of users."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, String, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base

LONGEST_NAME = 80


class User(Base):
    """A person, known by a UUID."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("name <> ''", name="name_not_empty"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str | None] = mapped_column(String(LONGEST_NAME))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
