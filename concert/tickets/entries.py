"""Entering: each ticket once, whichever door hears of it first, and what a door has to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from concert.ground.audit import Actor, checked_reason, record
from concert.ground.database import Connection, connection
from concert.ground.errors import BadRequest, IdempotencyConflict, NotFound, TokenInvalid
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.signing import verify_code
from concert.tickets.codes import TicketCode, read_code
from concert.tickets.keys import public_keys
from concert.tickets.models import LONGEST_WORD

Result = Literal["in", "already_in", "void", "other_date", "unknown"]
RESULTS: tuple[Result, ...] = ("in", "already_in", "void", "other_date", "unknown")
# So long after its beginning a performance is still that of the evening, past midnight, too.
LATECOMERS = timedelta(hours=6)
MOST_FOUND = 50
MOST_CONFLICTS = 200
LARGEST_ID = 2**63 - 1

# Whoever else has this ticket in hand (a second door, somebody who hands it on, a refund) waits here.
LOCK = """
SELECT t.id, t.performance_id, t.seat_no, t.payment_id, t.user_id, t.status, t.serial, p.date, p.starts_at
FROM tickets t JOIN performances p ON p.id = t.performance_id WHERE t.id = %s FOR UPDATE OF t"""
STANDING = """
SELECT id, at, gate FROM entries WHERE ticket_id = %s AND result = 'in' AND undone_at IS NULL"""
ADD = """
INSERT INTO entries (ticket_id, performance_id, gate, device, scan_id, at, offline, result, first_id)
VALUES (%(ticket)s, %(performance)s, %(gate)s, %(device)s, %(scan)s, %(at)s, %(offline)s, %(result)s, %(first)s)
ON CONFLICT (device, scan_id) DO NOTHING RETURNING id"""
USE = "UPDATE tickets SET status = 'used' WHERE id = %s"
# How a scan was answered. Of one that was undone since, the answer stays what it was.
ANSWERED = """
SELECT e.id, e.result, e.ticket_id, e.performance_id, t.seat_no, coalesce(f.at, e.at), coalesce(f.gate, e.gate),
    e.offline OR e.at < f.at
FROM entries e LEFT JOIN tickets t ON t.id = e.ticket_id LEFT JOIN entries f ON f.id = e.first_id
WHERE e.device = %s AND e.scan_id = %s"""
TOGETHER = """
SELECT o.id, o.seat_no, o.status FROM tickets t JOIN tickets o
    ON o.performance_id = t.performance_id AND o.payment_id = t.payment_id AND o.user_id = t.user_id AND o.id <> t.id
WHERE t.id = %s AND o.status IN ('valid', 'used') ORDER BY o.seat_no"""
UNDO = """
UPDATE entries SET undone_at = clock_timestamp()
WHERE id = %s AND result = 'in' AND undone_at IS NULL RETURNING gate, at"""
UNUSE = "UPDATE tickets SET status = 'valid' WHERE id = %s AND status = 'used'"
TICKET_OF_ENTRY = "SELECT ticket_id FROM entries WHERE id = %s"
PERFORMANCE = "SELECT 1 FROM performances WHERE id = %s"
EXPECTED = """
SELECT count(*) FROM tickets WHERE performance_id = %s AND ended_at IS NULL"""
BY_GATE_AND_MINUTE = """
SELECT gate, date_trunc('minute', at), count(*) FROM entries
WHERE performance_id = %s AND result = 'in' AND undone_at IS NULL GROUP BY 1, 2 ORDER BY 2, 1"""
REFUSED = """
SELECT result, count(*) FROM entries WHERE performance_id = %s AND result <> 'in' GROUP BY 1"""
# Somebody was let in without the network, or says to have been first, and may not have been.
CONFLICTS = """
SELECT e.id, e.ticket_id, t.seat_no, e.result, e.gate, e.device, e.at, e.received_at, f.at, f.gate
FROM entries e JOIN tickets t ON t.id = e.ticket_id LEFT JOIN entries f ON f.id = e.first_id
WHERE e.performance_id = %s AND e.result <> 'in' AND (e.offline OR e.at < f.at)
ORDER BY e.id DESC LIMIT %s"""
CHANGED = """
SELECT id, status, serial FROM tickets
WHERE performance_id = %s AND (ended_at IS NOT NULL OR serial > 1 OR status = 'used') ORDER BY id"""
SEARCH = """
SELECT t.id, t.payment_id, t.seat_no, t.status, u.name, e.id, e.at, e.gate
FROM tickets t JOIN users u ON u.id = t.user_id
    LEFT JOIN entries e ON e.ticket_id = t.id AND e.result = 'in' AND e.undone_at IS NULL
WHERE t.performance_id = %(performance)s
  AND (t.seat_no = %(seat)s OR t.payment_id = %(id)s OR t.id = %(id)s
       OR strpos(lower(u.name), lower(%(name)s::text)) > 0)
ORDER BY t.payment_id, t.seat_no, t.id LIMIT %(most)s"""


@dataclass(frozen=True, slots=True)
class Scan:
    """One showing of a ticket, as a scanner tells it.

    Either ``code`` is what was read, or ``ticket_id`` what the staff has found by name or number.
    ``performance_id`` is what is entered here; without it, whatever is played on the day of ``at``.
    ``offline`` says that whoever scanned has let them in before asking.
    """

    gate: str
    device: str
    scan_id: str
    at: datetime
    code: str | None = None
    ticket_id: UUID | None = None
    performance_id: int | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What a scanner is told.

    ``first_at`` and ``gate`` are those of the entry that stands; None where there is none.
    ``conflict``: somebody is in who should not be, as far as the scanners say.
    """

    entry_id: int
    result: Result
    ticket_id: UUID | None
    performance_id: int | None
    seat_no: int | None
    first_at: datetime | None
    gate: str | None
    conflict: bool
    together: tuple[tuple[UUID, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """An entry that does not stand, though somebody was let in; what stands, where anything does."""

    entry_id: int
    ticket_id: UUID
    seat_no: int
    result: Result
    gate: str
    device: str
    at: datetime
    received_at: datetime
    first_at: datetime | None
    first_gate: str | None


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who is in: of how many that are expected, by gate and minute; what was refused; conflicts, newest first."""

    performance_id: int
    expected: int
    entered: int
    by_gate: dict[str, int]
    by_minute: tuple[tuple[str, datetime, int], ...]
    refused: dict[str, int]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class DoorList:
    """What a scanner needs without the network: the keys, and whatever differs from a new ticket."""

    performance_id: int
    at: datetime
    expected: int
    ended: dict[UUID, str]
    serials: dict[UUID, int]
    entered: tuple[UUID, ...]
    keys: Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """A ticket that the staff has looked for; ``name`` is its owner's, where they gave one."""

    ticket_id: UUID
    payment_id: UUID
    seat_no: int
    status: str
    name: str | None
    entry_id: int | None
    first_at: datetime | None
    gate: str | None


def enter(scan: Scan) -> Answered:
    """Record one showing of a ticket, and say whether it enters.

    Of a ticket one entry stands: the first that arrives here. A scan that arrives again, by its
    device and its own id, gets its first answer.

    Raises:
        BadRequest: gate, device or scan_id is empty or too long, or neither a code nor a ticket is named.
        IdempotencyConflict: this id was used for another ticket.
    """
    _check(scan)
    read = _read(scan)
    with connection() as link, link.transaction():
        found = _answered(link, scan)
        if found is None:
            _judge(link, scan, read)
            found = _answered(link, scan)
            assert found is not None
    wanted = scan.ticket_id or (read.ticket_id if read else None)
    if found.ticket_id != wanted and found.result != "unknown":
        raise IdempotencyConflict("This scan_id was used for another ticket.")
    return found


def undo_entry(entry_id: int, *, actor: Actor, reason: str | None) -> None:
    """Take an entry back, so that its ticket may enter again: a wrong scan, or somebody who goes out.

    Raises:
        BadRequest: there is no reason.
        NotFound: there is no such entry, or it stands no more.
    """
    if checked_reason(reason) is None:
        raise BadRequest("Say why the entry is undone.")
    with connection() as link, link.transaction():
        row = link.execute(TICKET_OF_ENTRY, (min(entry_id, LARGEST_ID),)).fetchone()
        if row is None or row[0] is None:
            raise NotFound("There is no such entry.")
        # The ticket first, as whoever enters has it.
        link.execute(LOCK, (row[0],))
        undone = link.execute(UNDO, (entry_id,)).fetchone()
        if undone is None:
            raise NotFound("There is no such entry.")
        link.execute(UNUSE, (row[0],))
        before = {"entry": entry_id, "gate": undone[0], "at": undone[1]}
        record(link, actor, "undo_entry", "ticket", row[0], before=before, reason=reason)


def attendance(performance_id: int) -> Attendance:
    """Who is in.

    Raises:
        NotFound: there is no such performance.
    """
    with connection() as link:
        _require_performance(link, performance_id)
        row = link.execute(EXPECTED, (performance_id,)).fetchone()
        by_minute = link.execute(BY_GATE_AND_MINUTE, (performance_id,)).fetchall()
        refused = link.execute(REFUSED, (performance_id,)).fetchall()
        conflicts = link.execute(CONFLICTS, (performance_id, MOST_CONFLICTS)).fetchall()
    by_gate: dict[str, int] = {}
    for gate, _minute, count in by_minute:
        by_gate[gate] = by_gate.get(gate, 0) + count
    return Attendance(
        performance_id,
        row[0] if row else 0,
        sum(by_gate.values()),
        dict(sorted(by_gate.items())),
        tuple((gate, minute, count) for gate, minute, count in by_minute),
        dict(refused),
        tuple(Conflict(*one) for one in conflicts),
    )


def door_list(performance_id: int) -> DoorList:
    """What a scanner needs without the network, as it is now.

    Raises:
        NotFound: there is no such performance.
    """
    at = datetime.now(UTC)
    with connection() as link:
        _require_performance(link, performance_id)
        row = link.execute(EXPECTED, (performance_id,)).fetchone()
        changed = link.execute(CHANGED, (performance_id,)).fetchall()
    return DoorList(
        performance_id,
        at,
        row[0] if row else 0,
        {ticket: status for ticket, status, _ in changed if status in ("void", "handed_on")},
        {ticket: serial for ticket, _, serial in changed if serial > 1},
        tuple(ticket for ticket, status, _ in changed if status == "used"),
        public_keys(),
    )


def find_tickets(performance_id: int, words: str) -> list[Found]:
    """The tickets that somebody at the door means: by seat number, payment, ticket, name, or a code.

    A code of before each seat had a ticket leads to all that was paid with it. 50 at the most.

    Raises:
        NotFound: there is no such performance.
    """
    words = words.strip().rpartition("/")[2]
    asked = {
        "performance": performance_id,
        "seat": int(words) if words.isascii() and words.isdigit() and len(words) < 5 else None,
        "id": _named(words),
        "name": words[:80] if words and not words.isdigit() else None,
        "most": MOST_FOUND,
    }
    with connection() as link:
        _require_performance(link, performance_id)
        return [Found(*row) for row in link.execute(SEARCH, asked).fetchall()]


def _check(scan: Scan) -> None:
    for name in ("gate", "device", "scan_id"):
        value = getattr(scan, name)
        if not 1 <= len(value) <= LONGEST_WORD or not value.isprintable():
            raise BadRequest(f"{name} has 1 to {LONGEST_WORD} printable characters.")
    if (scan.code is None) == (scan.ticket_id is None):
        raise BadRequest("Name either a code or a ticket.")


def _read(scan: Scan) -> TicketCode | None:
    """What the code says; None where it is not one of ours. Its whole address is good as well."""
    if scan.code is None:
        return None
    try:
        return read_code(scan.code.strip().rpartition("/")[2])
    except TokenInvalid:
        return None


def _judge(link: Connection, scan: Scan, read: TicketCode | None) -> None:
    """Write down what this scan is: one of the results."""
    wanted = read.ticket_id if read else scan.ticket_id
    row = None if wanted is None else link.execute(LOCK, (wanted,)).fetchone()
    result: Result = "unknown"
    ticket = performance = first = None
    if row is not None:
        ticket, performance, _seat, _payment, _owner, status, serial, date, starts_at = row
        standing = link.execute(STANDING, (ticket,)).fetchone()
        if status in ("void", "handed_on") or (read is not None and read.serial != serial):
            result = "void"
        elif not _is_here(scan, performance, date, starts_at):
            result = "other_date"
        elif standing is not None:
            result, first = "already_in", standing[0]
        else:
            result = "in"
    added = link.execute(
        ADD,
        {
            "ticket": ticket,
            "performance": performance,
            "gate": scan.gate,
            "device": scan.device,
            "scan": scan.scan_id,
            "at": scan.at,
            "offline": scan.offline,
            "result": result,
            "first": first,
        },
    ).fetchone()
    # The same scan may have been told twice at once: whoever came first has used the ticket.
    if added is not None and result == "in":
        link.execute(USE, (ticket,))


def _is_here(scan: Scan, performance: int, date: Any, starts_at: datetime) -> bool:
    if scan.performance_id is not None:
        return performance == scan.performance_id
    today = scan.at.astimezone(part(Settings).zone).date()
    return bool(date == today or timedelta(0) <= scan.at - starts_at <= LATECOMERS)


def _answered(link: Connection, scan: Scan) -> Answered | None:
    row = link.execute(ANSWERED, (scan.device, scan.scan_id)).fetchone()
    if row is None:
        return None
    entry, result, ticket, performance, seat_no, at, gate, doubtful = row
    together: tuple[tuple[UUID, int, str], ...] = ()
    if result in ("in", "already_in"):
        others = link.execute(TOGETHER, (ticket,)).fetchall()
        together = tuple((other, seat, status) for other, seat, status in others)
    else:
        at = gate = None
    conflict = result != "in" and bool(doubtful)
    return Answered(entry, result, ticket, performance, seat_no, at, gate, conflict, together)


def _require_performance(link: Connection, performance_id: int) -> None:
    if not link.execute(PERFORMANCE, (min(performance_id, LARGEST_ID),)).fetchone():
        raise NotFound("There is no such performance.")


def _named(words: str) -> UUID | None:
    """The payment or ticket that somebody has typed or scanned."""
    try:
        return read_code(words).ticket_id
    except TokenInvalid:
        pass
    try:
        return UUID(bytes=verify_code("ticket", words))
    except (TokenInvalid, ValueError):
        pass
    try:
        return UUID(words)
    except ValueError:
        return None
