"""The waiting room's Lua scripts, one for each verb."""

from __future__ import annotations

from pathlib import Path

from concert.ground.redis_client import Script

FOLDER = Path(__file__).parent / "lua"


def _script(verb: str) -> Script:
    return Script(FOLDER / f"{verb}.lua", shared=FOLDER / "_room.lua")


JOIN = _script("join")
STATUS = _script("status")
LOOK = _script("look")
ENTER = _script("enter")
END_HOLD = _script("end_hold")
LEAVE = _script("leave")
SETTLE = _script("settle")
RESTORE = _script("restore")
READMIT = _script("readmit")
ADMIT = _script("admit")
MIRROR = _script("mirror")
NUMBER = _script("number")
SAVED = _script("saved")
FORGET = _script("forget")
