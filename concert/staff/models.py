"""The tables of staff: people, sign-in links, sessions and API keys. Of secrets, only digests are kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    String,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base

LONGEST_NAME = 80
LONGEST_DEVICE = 200
ROLE_KNOWN = "role IN ('organiser', 'box-office', 'door')"
SCOPE_KNOWN = "scope IN ('organiser', 'box-office', 'door')"


class StaffMember(Base):
    """Somebody who works here. They are never deleted, since the audit log names them."""

    __tablename__ = "staff"
    __table_args__ = (
        CheckConstraint(ROLE_KNOWN, name="role_known"),
        CheckConstraint("name <> ''", name="name_not_empty"),
        Index(
            "uq_staff_name", text("lower(name)"), unique=True, postgresql_where="removed_at IS NULL"
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    role: Mapped[str] = mapped_column(String(10))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    removed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class StaffLink(Base):
    """A sign-in link: it works once, until a moment."""

    __tablename__ = "staff_links"

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class StaffSession(Base):
    """A device on which somebody is signed in."""

    __tablename__ = "staff_sessions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    device: Mapped[str] = mapped_column(String(LONGEST_DEVICE))
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_seen_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now()
    )
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ApiKey(Base):
    """A key of a program or a person, with the role that it may act in."""

    __tablename__ = "api_keys"
    __table_args__ = (
        CheckConstraint(SCOPE_KNOWN, name="scope_known"),
        CheckConstraint("name <> ''", name="name_not_empty"),
        Index("ix_api_keys_name", text("lower(name)")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME))
    scope: Mapped[str] = mapped_column(String(10))
    # How the key begins: enough to tell keys apart, and of no use to anybody.
    prefix: Mapped[str] = mapped_column(String(20))
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    last_used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
