"""The names of a room's keys in Redis; ``lua/_room.lua`` says what each holds."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=1024)
def room_keys(slug: str) -> tuple[str, ...]:
    """A room's keys, in the order in which every script gets them."""
    names = ("waiting", "admitted", "sequences", "visits", "ended", "settings", "state")
    return tuple(f"{{room:{slug}}}:{name}" for name in names)
