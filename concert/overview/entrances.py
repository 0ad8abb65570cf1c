"""Who is in: every phone at every gate asks all the time, so it is read once a second."""

from __future__ import annotations

from concert.ground.parts import part
from concert.overview.lately import LatelyRead
from concert.tickets.entries import Attendance, attendance


def attendance_lately(performance_id: int) -> Attendance:
    """Who was in within the last second.

    Raises:
        NotFound: there is no such performance.
        Unavailable: PostgreSQL cannot be reached.
    """
    return part(LatelyRead).read(("attendance", performance_id), lambda: attendance(performance_id))
