"""What the waiting room's scripts answer, by name."""

from __future__ import annotations

from typing import NamedTuple


class PlaceAnswer(NamedTuple):
    """A place, as every verb about one place answers it; moments in ms since 1970."""

    status: bytes
    sequence: bytes
    ahead: int
    waiting: int
    deadline: bytes
    now: bytes
    opens_at: bytes
    paused: int
    pace: bytes
    pace_at: bytes
    pace_since: bytes
    resumes_at: bytes
    seats: bytes
    message: bytes


class EnterAnswer(NamedTuple):
    """A check at the door; moments in ms since 1970."""

    status: bytes
    deadline: bytes
    deadline_before: bytes


class AdmitAnswer(NamedTuple):
    """What one call of ``admit`` did and what it left; numbers of people, sequence numbers, and
    ``begins``, the number up to which places may have been lost. ``let_in``: users and numbers by turns."""

    admitted: int
    ended: int
    waiting: int
    inside: int
    newest: bytes
    sequence: bytes
    begins: bytes
    unsaved: int
    let_in: list[bytes]
