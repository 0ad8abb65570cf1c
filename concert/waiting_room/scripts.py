"""The waiting room's Lua scripts, one for each verb."""

from __future__ import annotations

from pathlib import Path

from concert.ground.redis_client import Script

FOLDER = Path(__file__).parent / "lua"


def _script(verb: str, *more: str) -> Script:
    shared = [FOLDER / f"{name}.lua" for name in ("_room", *more)]
    return Script(FOLDER / f"{verb}.lua", shared=shared)


JOIN = _script("join", "_slots")
STATUS = _script("status")
LOOK = _script("look")
PRESENT = _script("present")
ENTER = _script("enter")
END_HOLD = _script("end_hold", "_seats")
LEAVE = _script("leave")
SETTLE = _script("settle")
RESTORE = _script("restore")
READMIT = _script("readmit")
ADMIT = _script("admit", "_slots", "_seats")
COUNTED = _script("counted", "_seats")
MOVED = _script("moved", "_seats")
MIRROR = _script("mirror")
NUMBER = _script("number")
SAVED = _script("saved")
FORGET = _script("forget")
