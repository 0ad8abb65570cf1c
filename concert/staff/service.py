"""People who work here: adding and removing them, sign-in links, sessions."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from concert.ground.audit import Actor, record
from concert.ground.database import Connection, connection
from concert.ground.errors import BadRequest, NameTaken, NotFound, TokenExpired, TokenInvalid
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.staff.access import ROLES, Caller, Role
from concert.staff.models import LONGEST_DEVICE, LONGEST_NAME

LARGEST_ID = 2**63 - 1
# How long an ended session is still listed in the database.
KEPT_DAYS = 30
# Being seen is written down so often at most.
SEEN_SECONDS = 60

PERSON = "id, name, role, created_at"
ADD = f"INSERT INTO staff (name, role) VALUES (%s, %s) RETURNING {PERSON}"
LIST = f"SELECT {PERSON} FROM staff WHERE removed_at IS NULL ORDER BY lower(name)"
BY_NAME = f"SELECT {PERSON} FROM staff WHERE removed_at IS NULL AND lower(name) = lower(%s)"
# A lock, so that nobody is given a link or a session while they are being removed.
LOCK = f"SELECT {PERSON} FROM staff WHERE removed_at IS NULL AND id = %s FOR UPDATE"
REMOVE = "UPDATE staff SET removed_at = statement_timestamp() WHERE id = %s"
END_SESSIONS_OF = """
UPDATE staff_sessions SET ended_at = statement_timestamp() WHERE staff_id = %s AND ended_at IS NULL"""
DROP_LINKS_OF = "DELETE FROM staff_links WHERE staff_id = %s"
ADD_LINK = """
INSERT INTO staff_links (digest, staff_id, expires_at)
VALUES (%s, %s, statement_timestamp() + %s * interval '1 minute') RETURNING expires_at"""
READ_LINK = """
SELECT s.id, s.name, s.role, s.created_at FROM staff_links l JOIN staff s ON s.id = l.staff_id
WHERE l.digest = %s AND l.expires_at > statement_timestamp() AND s.removed_at IS NULL"""
# Whoever deletes the row has used the link: of two at once, one.
USE_LINK = """
DELETE FROM staff_links WHERE digest = %s AND expires_at > statement_timestamp() RETURNING staff_id"""
ADD_SESSION = """
INSERT INTO staff_sessions (staff_id, digest, device, expires_at)
VALUES (%s, %s, %s, statement_timestamp() + %s * interval '1 hour') RETURNING id"""
DROP_OLD_SESSIONS = """
DELETE FROM staff_sessions WHERE id IN (
    SELECT id FROM staff_sessions
    WHERE coalesce(ended_at, expires_at) < statement_timestamp() - %s * interval '1 day'
    FOR UPDATE SKIP LOCKED)"""
LIVE = """
s.ended_at IS NULL AND s.expires_at > statement_timestamp()
  AND s.last_seen_at > statement_timestamp() - %(idle)s * interval '1 minute' AND p.removed_at IS NULL"""
CALLER = f"""
WITH found AS (
    SELECT s.id AS session_id, p.id, p.name, p.role, {LIVE} AS live, s.last_seen_at
    FROM staff_sessions s JOIN staff p ON p.id = s.staff_id WHERE s.digest = %(digest)s
), seen AS (
    UPDATE staff_sessions t SET last_seen_at = statement_timestamp() FROM found
    WHERE t.id = found.session_id AND found.live
      AND found.last_seen_at < statement_timestamp() - %(seen)s * interval '1 second'
)
SELECT id, name, role, session_id, live FROM found"""
SESSIONS = f"""
SELECT s.id, p.id, p.name, s.device, s.created_at, s.last_seen_at, s.expires_at
FROM staff_sessions s JOIN staff p ON p.id = s.staff_id
WHERE {LIVE} AND (%(staff_id)s::bigint IS NULL OR p.id = %(staff_id)s)
ORDER BY s.last_seen_at DESC, s.id DESC"""
END_SESSION = """
UPDATE staff_sessions s SET ended_at = statement_timestamp() FROM staff p
WHERE s.id = %(id)s AND s.ended_at IS NULL AND p.id = s.staff_id
  AND (%(staff_id)s::bigint IS NULL OR p.id = %(staff_id)s)
RETURNING p.id, p.name, s.device"""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works here."""

    staff_id: int
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A link that signs one person in, once. The code is told this once and kept by nobody."""

    person: Person
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """A device on which somebody is signed in at this moment."""

    session_id: int
    staff_id: int
    name: str
    device: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


def add_person(name: str, role: Role, *, actor: Actor, reason: str | None = None) -> SignInLink:
    """Let somebody work here; returns the link with which they sign in.

    Raises:
        BadRequest: the name or the role cannot be.
        NameTaken: somebody here is called so.
    """
    name = checked_name(name)
    if role not in ROLES:
        raise BadRequest(f"A role is one of {', '.join(ROLES)}.")
    with connection() as link, link.transaction():
        try:
            row = link.execute(ADD, (name, role)).fetchone()
        except psycopg.errors.UniqueViolation as error:
            raise NameTaken(f"Somebody here is called {name!r} already.") from error
        assert row is not None
        person = Person(*row)
        after = {"name": name, "role": role}
        record(link, actor, "add_staff", "staff", person.staff_id, after=after, reason=reason)
        return _new_link(link, person)


def list_people() -> list[Person]:
    """Everybody who works here, by name."""
    with connection() as link:
        return [Person(*row) for row in link.execute(LIST).fetchall()]


def person_named(name: str) -> Person:
    """Who is called so.

    Raises:
        NotFound: nobody here is.
    """
    with connection() as link:
        row = link.execute(BY_NAME, (name.strip(),)).fetchone()
    if row is None:
        raise NotFound(f"Nobody here is called {name!r}.")
    return Person(*row)


def remove_person(staff_id: int, *, actor: Actor, reason: str | None = None) -> Person:
    """Let somebody work here no more: their sessions and their link end with it.

    Raises:
        NotFound: nobody with this number works here.
    """
    with connection() as link, link.transaction():
        person = _locked(link, staff_id)
        link.execute(REMOVE, (staff_id,))
        link.execute(END_SESSIONS_OF, (staff_id,))
        link.execute(DROP_LINKS_OF, (staff_id,))
        before = {"name": person.name, "role": person.role}
        record(link, actor, "remove_staff", "staff", staff_id, before=before, reason=reason)
    return person


def make_link(staff_id: int, *, actor: Actor) -> SignInLink:
    """A new sign-in link for somebody; one that they had before works no more.

    Raises:
        NotFound: nobody with this number works here.
    """
    with connection() as link, link.transaction():
        person = _locked(link, staff_id)
        made = _new_link(link, person)
        after = {"name": person.name, "expires_at": made.expires_at}
        record(link, actor, "make_link", "staff", staff_id, after=after)
    return made


def whose_link(code: str) -> Person:
    """Whom a link signs in. Asking does not use it up: messengers open links to preview them.

    Raises:
        NotFound: it was used, or its time is over, or there never was such a link.
    """
    with connection() as link:
        row = link.execute(READ_LINK, (digest_of(code),)).fetchone()
    if row is None:
        raise NotFound("This link was used before, or its time is over.")
    return Person(*row)


def sign_in(
    code: str, device: str, *, request_id: str | None = None, origin: str | None = None
) -> tuple[Person, str]:
    """Use a link up; returns whom it has signed in, and the token of the new session.

    Raises:
        NotFound: it was used, or its time is over, or there never was such a link.
    """
    token = secrets.token_urlsafe(32)
    with connection() as link, link.transaction():
        # The person first, as whoever removes them does; then their link.
        found = link.execute(READ_LINK, (digest_of(code),)).fetchone()
        person = _locked(link, found[0]) if found else None
        if person is None or link.execute(USE_LINK, (digest_of(code),)).fetchone() is None:
            raise NotFound("This link was used before, or its time is over.")
        device = _printable(device)
        hours = part(Settings).staff_session_hours
        row = link.execute(
            ADD_SESSION, (person.staff_id, digest_of(token), device, hours)
        ).fetchone()
        assert row is not None
        link.execute(DROP_OLD_SESSIONS, (KEPT_DAYS,))
        actor = Actor("staff", person.staff_id, person.name, request_id, origin)
        after = {"name": person.name, "device": device}
        record(link, actor, "sign_in", "session", row[0], after=after)
    return person, token


def caller_of_session(token: str) -> Caller:
    """Whose session this is.

    Raises:
        TokenInvalid: there is no such session.
        TokenExpired: it has ended, or nobody has used it for too long.
    """
    asked = {**_idle(), "digest": digest_of(token), "seen": SEEN_SECONDS}
    with connection() as link:
        row = link.execute(CALLER, asked).fetchone()
    if row is None:
        raise TokenInvalid("There is no such session.")
    staff_id, name, role, session_id, live = row
    if not live:
        raise TokenExpired("This session is over.")
    return Caller("staff", role, staff_id, name, session_id)


def list_sessions(staff_id: int | None = None) -> list[Session]:
    """The sessions of one person, or of everybody: the devices on which they are signed in now."""
    with connection() as link:
        rows = link.execute(SESSIONS, {**_idle(), "staff_id": staff_id}).fetchall()
    return [Session(*row) for row in rows]


def end_session(session_id: int, *, actor: Actor, of: int | None = None) -> None:
    """Sign a device out; with ``of``, only where it is this person's.

    Raises:
        NotFound: there is no such session, or it has ended.
    """
    with connection() as link, link.transaction():
        asked = {"id": min(session_id, LARGEST_ID), "staff_id": of}
        row = link.execute(END_SESSION, asked).fetchone()
        if row is None:
            raise NotFound("There is no such session, or it has ended.")
        before = {"staff_id": row[0], "name": row[1], "device": row[2]}
        record(link, actor, "end_session", "session", session_id, before=before)


def checked_name(name: str) -> str:
    """The name without surrounding space.

    Raises:
        BadRequest: it is empty, too long or holds control characters.
    """
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"A name has 1 to {LONGEST_NAME} printable characters.")
    return name


def digest_of(secret: str) -> bytes:
    """What is kept of a secret. Ours are random and long, so a plain digest cannot be guessed back."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _locked(link: Connection, staff_id: int) -> Person:
    row = link.execute(LOCK, (min(staff_id, LARGEST_ID),)).fetchone()
    if row is None:
        raise NotFound("Nobody with this number works here.")
    return Person(*row)


def _new_link(link: Connection, person: Person) -> SignInLink:
    code = secrets.token_urlsafe(32)
    link.execute(DROP_LINKS_OF, (person.staff_id,))
    minutes = part(Settings).staff_link_minutes
    row = link.execute(ADD_LINK, (digest_of(code), person.staff_id, minutes)).fetchone()
    assert row is not None
    return SignInLink(person, code, row[0])


def _idle() -> dict[str, Any]:
    return {"idle": part(Settings).staff_idle_minutes}


def _printable(device: str) -> str:
    kept = "".join(letter for letter in device if letter.isprintable())
    return kept[:LONGEST_DEVICE]
