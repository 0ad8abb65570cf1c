"""API keys: made, rotated and revoked by the root key or a person; only their digests are kept."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from concert.ground.audit import Actor, record
from concert.ground.database import Connection, connection
from concert.ground.errors import BadRequest, NameTaken, NotFound, TokenInvalid
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.staff.access import ROLES, ROOT, Caller, Role
from concert.staff.service import LARGEST_ID, checked_name, digest_of

# What a key begins with, so that whoever finds one knows what it is, and what searches for
# secrets in published code finds it.
MARKS = {"production": "ck_live_", "local": "ck_test_"}
# So many letters after the mark are shown in lists; the rest is the secret.
SHOWN = 6
# Being used is written down so often at most.
USED_SECONDS = 60
USUAL_OVERLAP_HOURS = 24
LONGEST_OVERLAP_HOURS = 24 * 90

COLUMNS = "id, name, scope, prefix, created_at, expires_at, last_used_at, revoked_at"
ALIVE = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > statement_timestamp())"
# Two keys of one name are made one after the other, so that the second sees the first.
ONE_NAME = "SELECT pg_advisory_xact_lock(hashtextextended('api key ' || lower(%s), 0))"
NAMED = f"SELECT {COLUMNS} FROM api_keys WHERE lower(name) = lower(%s) AND {ALIVE} ORDER BY id"
ADD = f"""
INSERT INTO api_keys (name, scope, prefix, digest, expires_at) VALUES (%s, %s, %s, %s, %s)
RETURNING {COLUMNS}"""
LIST = f"SELECT {COLUMNS} FROM api_keys WHERE {ALIVE} ORDER BY lower(name), id"
LOCK = f"SELECT {COLUMNS} FROM api_keys WHERE id = %s AND {ALIVE} FOR UPDATE"
# An earlier end stays as it is.
END_LATER = """
UPDATE api_keys SET expires_at = least(expires_at, statement_timestamp() + %s * interval '1 hour')
WHERE id = %s RETURNING expires_at"""
REVOKE = "UPDATE api_keys SET revoked_at = statement_timestamp() WHERE id = %s"
CALLER = f"""
WITH found AS (SELECT id, name, scope, last_used_at FROM api_keys WHERE digest = %s AND {ALIVE}),
used AS (
    UPDATE api_keys k SET last_used_at = statement_timestamp() FROM found
    WHERE k.id = found.id AND (found.last_used_at IS NULL
        OR found.last_used_at < statement_timestamp() - %s * interval '1 second')
)
SELECT id, name, scope FROM found"""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as lists show it."""

    key_id: int
    name: str
    scope: Role
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. The secret is told this once and kept by nobody."""

    key: Key
    secret: str


def add_key(
    name: str,
    scope: Role,
    *,
    actor: Actor,
    expires_at: datetime | None = None,
    reason: str | None = None,
) -> NewKey:
    """Make a key for a program or a person.

    Raises:
        BadRequest: the name or the scope cannot be, or it would be over before it begins.
        NameTaken: there is a key of this name; it can be rotated.
    """
    name = checked_name(name)
    if scope not in ROLES:
        raise BadRequest(f"A scope is one of {', '.join(ROLES)}.")
    if expires_at is not None and (
        expires_at.tzinfo is None
        or not datetime.now(UTC) < expires_at < datetime(2200, 1, 1, tzinfo=UTC)
    ):
        raise BadRequest("expires_at is a time to come, with an offset.")
    with connection() as link, link.transaction():
        link.execute(ONE_NAME, (name,))
        if link.execute(NAMED, (name,)).fetchone():
            raise NameTaken(f"There is a key {name!r} already; rotate it for a new one.")
        made = _made(link, name, scope, expires_at)
        record(link, actor, "add_key", "key", made.key.key_id, after=_told(made.key), reason=reason)
    return made


def list_keys() -> list[Key]:
    """The keys that are good at this moment, by name."""
    with connection() as link:
        return [Key(*row) for row in link.execute(LIST).fetchall()]


def keys_named(name: str) -> list[Key]:
    """The good keys of this name, the oldest first: two while one takes the other's place.

    Raises:
        NotFound: there is none.
    """
    with connection() as link:
        rows = link.execute(NAMED, (name.strip(),)).fetchall()
    if not rows:
        raise NotFound(f"There is no key {name!r}.")
    return [Key(*row) for row in rows]


def rotate_key(
    key_id: int,
    *,
    actor: Actor,
    overlap_hours: int = USUAL_OVERLAP_HOURS,
    reason: str | None = None,
) -> NewKey:
    """Make another key of the same name and scope; the one before it is good for ``overlap_hours`` more.

    Raises:
        BadRequest: the overlap is out of range.
        NameTaken: it has a successor already.
        NotFound: there is no such key, or it is good no more.
    """
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise BadRequest(f"The overlap is 0 to {LONGEST_OVERLAP_HOURS} hours.")
    with connection() as link, link.transaction():
        before = _locked(link, key_id)
        newest = link.execute(NAMED, (before.name,)).fetchall()[-1]
        if newest[0] != before.key_id:
            raise NameTaken(f"This key {before.name!r} has a successor already.")
        made = _made(link, before.name, before.scope, None)
        row = link.execute(END_LATER, (overlap_hours, before.key_id)).fetchone()
        assert row is not None
        record(
            link,
            actor,
            "rotate_key",
            "key",
            before.key_id,
            before={"prefix": before.prefix, "expires_at": before.expires_at},
            after={"prefix": before.prefix, "expires_at": row[0], "successor": made.key.key_id},
            reason=reason,
        )
        record(link, actor, "add_key", "key", made.key.key_id, after=_told(made.key), reason=reason)
    return made


def revoke_key(key_id: int, *, actor: Actor, reason: str | None = None) -> Key:
    """End a key at once.

    Raises:
        NotFound: there is no such key, or it is good no more.
    """
    with connection() as link, link.transaction():
        key = _locked(link, key_id)
        link.execute(REVOKE, (key.key_id,))
        record(link, actor, "revoke_key", "key", key_id, before=_told(key), reason=reason)
    return key


def caller_of_key(secret: str) -> Caller:
    """Who calls with this key: the root, or an API key.

    Raises:
        TokenInvalid: it is neither, or good no more.
    """
    root = part(Settings).organiser_key
    # WSGI hands a header's bytes over as Latin-1; a key in another script is UTF-8.
    if root and hmac.compare_digest(secret.encode("latin-1", "replace"), root.encode()):
        return ROOT
    if not secret.startswith(tuple(MARKS.values())):
        raise TokenInvalid("This is no key of ours.")
    with connection() as link:
        row = link.execute(CALLER, (digest_of(secret), USED_SECONDS)).fetchone()
    if row is None:
        raise TokenInvalid("This is no key of ours, or it is good no more.")
    return Caller("key", row[2], row[0], row[1])


def _locked(link: Connection, key_id: int) -> Key:
    row = link.execute(LOCK, (min(key_id, LARGEST_ID),)).fetchone()
    if row is None:
        raise NotFound("There is no such key, or it is good no more.")
    return Key(*row)


def _made(link: Connection, name: str, scope: Role, expires_at: datetime | None) -> NewKey:
    secret = MARKS[part(Settings).env] + secrets.token_urlsafe(32)
    prefix = secret[: len(MARKS["local"]) + SHOWN]
    row = link.execute(ADD, (name, scope, prefix, digest_of(secret), expires_at)).fetchone()
    assert row is not None
    return NewKey(Key(*row), secret)


def _told(key: Key) -> dict[str, object]:
    return {
        "name": key.name,
        "scope": key.scope,
        "prefix": key.prefix,
        "expires_at": key.expires_at,
    }
