"""The audit log: what the people who run the night have changed, written with the change.

A service writes its line on the connection, and in the transaction, of the change itself, so
that neither is there without the other. Nothing is ever changed or taken out: a trigger refuses
it (``concert/ground/sql/audit_log.sql``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Index, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base, Connection, connection
from concert.ground.errors import BadRequest

# The trigger's text; the migration that installs it carries a copy of its own.
APPEND_ONLY = (Path(__file__).parent / "sql" / "audit_log.sql").read_text(encoding="utf-8")

LONGEST_ACTOR = 80
LONGEST_REASON = 500
LARGEST_ID = 2**63 - 1
# Lines at a time, where the whole log is read.
BATCH = 1000

Kind = Literal["root", "key", "staff", "command", "system"]
KINDS: tuple[Kind, ...] = ("root", "key", "staff", "command", "system")

# What is never written down, whatever a service hands over under such a name.
SECRETS = frozenset(
    {"code", "cookie", "digest", "key", "link", "password", "secret", "session_token", "token"}
)
HIDDEN = "…"


class AuditEntry(Base):
    """One change: who, what, how it was before and after, why, when, and in which request."""

    __tablename__ = "audit_log"
    __table_args__ = (
        CheckConstraint(
            "actor_kind IN ('root', 'key', 'staff', 'command', 'system')", name="actor_kind_known"
        ),
        Index("ix_audit_log_subject", "subject_kind", "subject_id", "id"),
        Index("ix_audit_log_actor", "actor_kind", "actor_id", "id"),
        Index("ix_audit_log_verb", "verb", "id"),
        Index("ix_audit_log_at", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.clock_timestamp()
    )
    actor_kind: Mapped[str] = mapped_column(String(10))
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    # As it was called then: a person's name, a key's name.
    actor_name: Mapped[str | None] = mapped_column(String(LONGEST_ACTOR))
    verb: Mapped[str] = mapped_column(String(40))
    subject_kind: Mapped[str] = mapped_column(String(20))
    subject_id: Mapped[str] = mapped_column(String(80))
    before: Mapped[Any | None] = mapped_column(JSONB)
    after: Mapped[Any | None] = mapped_column(JSONB)
    reason: Mapped[str | None] = mapped_column(String(LONGEST_REASON))
    request_id: Mapped[str | None] = mapped_column(String(64))
    # A keyed digest of the network that the request came from, not the address itself.
    origin: Mapped[str | None] = mapped_column(String(16))


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, as a door hands it to a service.

    ``root`` is whoever has ``CONCERT_ORGANISER_KEY``, ``key`` an API key, ``staff`` a person with a
    session, ``command`` whoever has the machine's command line, ``system`` the service itself.
    """

    kind: Kind
    id: int | None = None
    name: str | None = None
    request_id: str | None = None
    origin: str | None = None


SYSTEM = Actor("system")
COMMAND = Actor("command")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    id: int
    at: datetime
    actor_kind: Kind
    actor_id: int | None
    actor_name: str | None
    verb: str
    subject_kind: str
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    request_id: str | None
    origin: str | None

    @property
    def subject_name(self) -> str | None:
        """What the thing was called, where the line says so."""
        told = {**(self.before or {}), **(self.after or {})}
        name = told.get("name") or told.get("title")
        return name if isinstance(name, str) else None

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """What differs: name, value before, value after, by name; None where there was none."""
        before, after = self.before or {}, self.after or {}
        return [
            (name, before.get(name), after.get(name))
            for name in sorted({*before, *after})
            if before.get(name) != after.get(name)
        ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines to read; what is None leaves all. ``until`` is the first moment after them."""

    actor_kind: Kind | None = None
    actor_id: int | None = None
    verb: str | None = None
    subject_kind: str | None = None
    subject_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


COLUMNS = (
    "id, at, actor_kind, actor_id, actor_name, verb, subject_kind, subject_id, before, after, "
    "reason, request_id, origin"
)
WRITE = """
INSERT INTO audit_log (actor_kind, actor_id, actor_name, verb, subject_kind, subject_id,
    before, after, reason, request_id, origin)
VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb, %s, %s, %s)"""
LIST = f"""
SELECT {COLUMNS} FROM audit_log
WHERE id < %(before)s
  AND (%(actor_kind)s::text IS NULL OR actor_kind = %(actor_kind)s)
  AND (%(actor_id)s::bigint IS NULL OR actor_id = %(actor_id)s)
  AND (%(verb)s::text IS NULL OR verb = %(verb)s)
  AND (%(subject_kind)s::text IS NULL OR subject_kind = %(subject_kind)s)
  AND (%(subject_id)s::text IS NULL OR subject_id = %(subject_id)s)
  AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
ORDER BY id DESC LIMIT %(limit)s"""
# Each different word with one look into an index, however long the log is.
WORDS = """
WITH RECURSIVE words AS (
    (SELECT {0} AS word FROM audit_log ORDER BY {0} LIMIT 1)
    UNION ALL
    SELECT (SELECT {0} FROM audit_log WHERE {0} > words.word ORDER BY {0} LIMIT 1)
    FROM words WHERE words.word IS NOT NULL
) SELECT word FROM words WHERE word IS NOT NULL"""
VERBS, SUBJECT_KINDS = WORDS.format("verb"), WORDS.format("subject_kind")


def record(
    link: Connection,
    actor: Actor,
    verb: str,
    subject_kind: str,
    subject_id: object,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str | None = None,
) -> None:
    """Write one line on the connection of the change, which has to be in a transaction.

    ``before`` and ``after`` are plain values by name. Whatever stands under a name that is a
    secret's is left out.

    Raises:
        BadRequest: the reason is too long or holds control characters.
    """
    link.execute(
        WRITE,
        (
            actor.kind,
            actor.id,
            actor.name and actor.name[:LONGEST_ACTOR],
            verb,
            subject_kind,
            str(subject_id),
            _written(before),
            _written(after),
            checked_reason(reason),
            actor.request_id,
            actor.origin,
        ),
    )


def read_log(
    wanted: Wanted | None = None, *, before: int | None = None, limit: int = 50
) -> tuple[list[Entry], int | None]:
    """Lines of the log, newest first, and what to give as ``before`` for the next page (None: no more)."""
    asked = wanted or Wanted()
    with connection() as link:
        rows = link.execute(LIST, _asked(asked, before, limit + 1)).fetchall()
    entries = [Entry(*row) for row in rows[:limit]]
    return entries, entries[-1].id if len(rows) > limit else None


def read_whole_log(wanted: Wanted | None = None) -> Iterator[Entry]:
    """Every wanted line, newest first, read in batches."""
    before: int | None = None
    while True:
        entries, before = read_log(wanted, before=before, limit=BATCH)
        yield from entries
        if before is None:
            return


def words_of_log() -> tuple[list[str], list[str]]:
    """The verbs, and the kinds of subjects, that the log has so far."""
    with connection() as link:
        verbs, kinds = (link.execute(words).fetchall() for words in (VERBS, SUBJECT_KINDS))
    return [row[0] for row in verbs], [row[0] for row in kinds]


def checked_reason(reason: str | None) -> str | None:
    """The reason without surrounding space; None where none was given.

    Raises:
        BadRequest: it is too long or holds control characters.
    """
    reason = (reason or "").strip()
    if not reason:
        return None
    if len(reason) > LONGEST_REASON or not reason.isprintable():
        raise BadRequest(f"A reason has at most {LONGEST_REASON} printable characters.")
    return reason


def as_document(entry: Entry) -> dict[str, Any]:
    """A line as JSON shows it."""
    return {
        "id": entry.id,
        "at": entry.at,
        "actor": {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.actor_name},
        "verb": entry.verb,
        "subject": {"kind": entry.subject_kind, "id": entry.subject_id},
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "request_id": entry.request_id,
        "origin": entry.origin,
    }


CSV_HEAD = (
    "id",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "verb",
    "subject_kind",
    "subject_id",
    "before",
    "after",
    "reason",
    "request_id",
    "origin",
)


def as_cells(entry: Entry) -> list[str]:
    """A line as the cells of a table; none of them is taken for a formula by a spreadsheet."""
    cells = (
        entry.id,
        entry.at.isoformat(),
        entry.actor_kind,
        entry.actor_id,
        entry.actor_name,
        entry.verb,
        entry.subject_kind,
        entry.subject_id,
        _written(entry.before),
        _written(entry.after),
        entry.reason,
        entry.request_id,
        entry.origin,
    )
    return [spreadsheet_cell(one) for one in cells]


def spreadsheet_cell(value: object) -> str:
    """A value as the cell of a table that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _asked(wanted: Wanted, before: int | None, limit: int) -> dict[str, Any]:
    return {
        "actor_kind": wanted.actor_kind,
        "actor_id": None if wanted.actor_id is None else min(wanted.actor_id, LARGEST_ID),
        "verb": wanted.verb,
        "subject_kind": wanted.subject_kind,
        "subject_id": wanted.subject_id,
        "since": wanted.since,
        "until": wanted.until,
        "before": LARGEST_ID if before is None else min(before, LARGEST_ID),
        "limit": limit,
    }


def _written(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else orjson.dumps(_without_secrets(values)).decode()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if name in SECRETS else _without_secrets(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value
