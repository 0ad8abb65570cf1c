"""A room as PostgreSQL keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

COLUMNS = """slug, capacity, admit_per_minute, entry_seconds, visit_seconds, opens_at, paused, version, epoch,
admitted_sequence, last_sequence, losses, longest_poll_seconds,
coalesce(short_since < statement_timestamp() - longest_poll_seconds * interval '1 second', false), short_since,
message"""
READ = f"SELECT {COLUMNS} FROM rooms WHERE slug = %s"
LOCK = f"{READ} FOR UPDATE"
LIST = f"SELECT {COLUMNS} FROM rooms ORDER BY slug"

# The pause after a loss: as long as anybody may have been told to wait before asking again, and a
# moment more; and long enough for a page that was cut off to have found back.
LEAST_RECOVERY_SECONDS, RECOVERY_MARGIN_SECONDS = 10, 5


@dataclass(frozen=True, slots=True)
class Room:
    """A room's settings: people, people a minute, seconds, and when it opens (None: it is open).

    And what its line has come to, as far as PostgreSQL has been told: the greatest numbers that
    were let in and given, the numbers at which Redis lost something, the longest time that
    somebody in line may have been told to wait before asking again, and since when
    the line has been too short for that (``short_long_enough``: for that long).

    ``message`` is what the organiser says to the line, by language; None where nothing.
    """

    slug: str
    capacity: int
    admit_per_minute: int
    entry_seconds: int
    visit_seconds: int
    opens_at: datetime | None
    paused: bool
    version: int
    epoch: int
    admitted_sequence: int
    last_sequence: int
    losses: list[int]
    longest_poll_seconds: int
    short_long_enough: bool
    short_since: datetime | None
    message: dict[str, str] | None

    @property
    def near_front(self) -> int:
        """So many people from the front may be called within a minute or two, and may say that they are there (present.lua)."""
        return 2 * max(self.capacity, self.admit_per_minute)

    @property
    def recovery_seconds(self) -> int:
        """How long nobody is let in after Redis has lost something."""
        return max(LEAST_RECOVERY_SECONDS, self.longest_poll_seconds + RECOVERY_MARGIN_SECONDS)
