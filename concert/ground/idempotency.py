"""Idempotency keys: work that is done once, however often its request arrives.

The key is written in the transaction of the work that it protects, so both are
there or neither is. Only work that was done is remembered: a request that failed
may be sent again with the same key, and is tried again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import DateTime, LargeBinary, PrimaryKeyConstraint, String, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from concert.ground.database import Base, Connection, connection, upkeep_connection
from concert.ground.errors import BadRequest, DomainError, IdempotencyConflict, RateLimited
from concert.ground.metrics import REPEATS, Figures
from concert.ground.parts import part
from concert.ground.prepared import Forgotten

T = TypeVar("T")

LONGEST_KEY = 200
KEPT_HOURS = 48


class IdempotencyKey(Base):
    """A key that one user has used, the digest of the request, and the answer."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (PrimaryKeyConstraint("user_id", "key"),)

    user_id: Mapped[UUID] = mapped_column(Uuid)
    key: Mapped[str] = mapped_column(String(LONGEST_KEY))
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[Any | None] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), index=True
    )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that carries a key: whose, which key, and a digest of what it asks."""

    user_id: UUID
    key: str
    fingerprint: bytes

    @classmethod
    def of(cls, user_id: UUID, key: str, operation: str, request: dict[str, Any]) -> Attempt:
        """Describe a request.

        Raises:
            BadRequest: the key is empty, too long or not printable ASCII.
        """
        if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise BadRequest(
                f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters."
            )
        # Not orjson, which knows no number beyond 64 bits; such a one is refused, but not here.
        asked = json.dumps([operation, request], sort_keys=True, default=str)
        return cls(user_id, key, hashlib.sha256(asked.encode()).digest())


CLAIM = """
INSERT INTO idempotency_keys (user_id, key, fingerprint) VALUES (%s, %s, %s)
ON CONFLICT (user_id, key) DO NOTHING RETURNING true"""
RECALL = "SELECT fingerprint, answer FROM idempotency_keys WHERE user_id = %s AND key = %s"
# Another worker may be forgetting the same ones: each takes what is free. What is taken is read once:
# as a condition of the DELETE it could be read again for every row, and find others each time.
FORGET = """
WITH old AS MATERIALIZED (
    SELECT user_id, key FROM idempotency_keys WHERE created_at < now() - %s * interval '1 hour'
    ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
)
DELETE FROM idempotency_keys k USING old WHERE k.user_id = old.user_id AND k.key = old.key"""
KEEP = "UPDATE idempotency_keys SET answer = %s WHERE user_id = %s AND key = %s"


def once(attempt: Attempt | None, answer_type: type[T], work: Callable[[Connection], T]) -> T:
    """Do the work, or return the answer it gave when this attempt was first made.

    ``work`` gets a connection and sends its statements on it; without a key each
    of them commits by itself, with one they commit together with the key.

    Raises:
        IdempotencyConflict: the key was used for another request.
    """
    with connection() as link:
        if attempt is None:
            return work(link)
        try:
            try:
                return _once(link, attempt, TypeAdapter(answer_type), work)
            except Forgotten:
                link.rollback()
                return _once(link, attempt, TypeAdapter(answer_type), work)
        except BaseException:
            link.rollback()
            raise


def recall(attempt: Attempt, answer_type: type[T]) -> T | None:
    """The answer that this attempt was given before, or None where it is the first.

    For work that has to look around before it begins; :func:`once` looks by itself, and
    :func:`or_first_answer` where the work was refused before it came to that.

    Raises:
        IdempotencyConflict: the key was used for another request.
    """
    with connection() as link:
        row = link.execute(RECALL, (attempt.user_id, attempt.key)).fetchone()
        return None if row is None else _recalled(link, attempt, TypeAdapter(answer_type))


def or_first_answer(attempt: Attempt | None, answer_type: type[T], work: Callable[[], T]) -> T:
    """What ``work`` gives; where it is refused, the answer that this attempt was given before.

    Whoever repeats what was done gets the first answer, whatever has happened to their place
    since: the work may have spent it. Looking only after a refusal costs those nothing who are
    let through, and they get the same: :func:`once` looks before it does anything.

    Raises:
        Whatever ``work`` raises, where there was no such answer.
    """
    try:
        return work()
    except (IdempotencyConflict, RateLimited):
        raise
    except DomainError:
        if attempt is None:
            raise
        # Whoever may not come in does not learn what the key was used for.
        with suppress(IdempotencyConflict):
            first = recall(attempt, answer_type)
            if first is not None:
                return first
        raise


def forget_old(most: int) -> int:
    """Drop keys that are older than ``KEPT_HOURS``, ``most`` of them; returns how many."""
    with upkeep_connection() as link:
        return link.execute(FORGET, (KEPT_HOURS, most)).rowcount


def _once(
    link: Connection, attempt: Attempt, answers: TypeAdapter[T], work: Callable[[Connection], T]
) -> T:
    # Another request with this key makes the insert wait until that one has ended.
    with link.pipeline():
        link.execute("BEGIN")
        claim = link.execute(CLAIM, (attempt.user_id, attempt.key, attempt.fingerprint))
    if claim.fetchone() is None:
        return _recalled(link, attempt, answers)
    answer = work(link)
    kept = answers.dump_json(answer).decode()
    with link.pipeline():
        link.execute(KEEP, (kept, attempt.user_id, attempt.key))
        link.execute("COMMIT")
    return answer


def _recalled(link: Connection, attempt: Attempt, answers: TypeAdapter[T]) -> T:
    row = link.execute(RECALL, (attempt.user_id, attempt.key)).fetchone()
    link.rollback()
    if row is None or row[1] is None or bytes(row[0]) != attempt.fingerprint:
        raise IdempotencyConflict("This Idempotency-Key was used for another request.")
    part(Figures).count(REPEATS)
    return answers.validate_python(row[1])
