"""The names of a room's keys in Redis; ``lua/_room.lua`` says what each holds."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


class RoomKeys(NamedTuple):
    """A room's keys, in the order in which every script gets them."""

    waiting: str
    admitted: str
    sequences: str
    visits: str
    ended: str
    settings: str
    state: str
    unsaved: str
    aliases: str
    holders: str
    here: str
    expected: str


@lru_cache(maxsize=1024)
def room_keys(slug: str) -> RoomKeys:
    """The keys of the room with this name; one hash tag keeps them together in a cluster."""
    return RoomKeys(*(f"{{room:{slug}}}:{name}" for name in RoomKeys._fields))
