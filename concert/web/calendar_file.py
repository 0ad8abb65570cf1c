"""Calendar files (RFC 5545): lines that end in CRLF and have 75 bytes at the most; a space continues one."""

from __future__ import annotations

from datetime import UTC, datetime

from flask_babel import ngettext

from concert.catalogue.service import Concert, Performance

# Nobody tells us how long a concert lasts, and a calendar wants to know; the entry says that it is
# assumed. So long before it begins, the calendar reminds.
ASSUMED_HOURS = 2
REMINDED_HOURS = 3


def calendar_file(
    uid: str,
    concert: Concert,
    performance: Performance,
    seats: str,
    made_at: datetime,
    address: str,
) -> str:
    """One visit to a concert as a calendar takes it. ``uid`` names it for good, ``seats`` says where one sits."""
    starts_at = performance.starts_at.astimezone(UTC)
    length = ngettext(
        "The end is not announced; %(num)s hour is assumed.",
        "The end is not announced; %(num)s hours are assumed.",
        ASSUMED_HOURS,
    )
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Concert//Tickets//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTAMP:{made_at.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"DTSTART:{starts_at:%Y%m%dT%H%M%SZ}",
        f"DURATION:PT{ASSUMED_HOURS}H",
        f"SUMMARY:{_escaped(concert.title)}",
        f"LOCATION:{_escaped(concert.venue)}",
        f"DESCRIPTION:{_escaped(seats)}\\n{_escaped(length)}",
        f"URL:{address}",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"TRIGGER:-PT{REMINDED_HOURS}H",
        f"DESCRIPTION:{_escaped(concert.title)}\\, {_escaped(concert.venue)}",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _escaped(text: str) -> str:
    for special in ("\\", ";", ","):
        text = text.replace(special, f"\\{special}")
    return text.replace("\n", "\\n")


def _folded(line: str) -> str:
    folded, length = "", 0
    for letter in line:
        size = len(letter.encode())
        if length + size > 75:
            folded, length = f"{folded}\r\n ", 1
        folded, length = folded + letter, length + size
    return folded
