"""Every key in Redis that is no room's; ``waiting_room/keys.py`` has those, and rq its own.

Each has a hash tag of its own, or shares one with what is read together, as a cluster wants it.
"""

from __future__ import annotations

# In the Redis of the jobs, beside rq's. They have no address to be asked at, so what they count is kept here.
TICKED_AT = "{concert:jobs}:ticked_at"
LAPSED_HOLDS = "{concert:jobs}:lapsed_holds"

# In the Redis of the rooms.
WRITTEN_AT = "{concert:health}:written_at"


def device_key(digest: str) -> str:
    """Where an offer to continue on another device is kept."""
    return f"{{concert:device:{digest}}}"
