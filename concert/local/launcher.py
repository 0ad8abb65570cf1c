"""Becomes a server's process: gives up root, arranges to end with its parent, then execs.

It is run as a file, on its own, by ``python -I -S``; it imports the standard library only.
A separate program does this because code between fork and exec deadlocks in a process
that has threads.

Arguments: a JSON object, then the command. The object has ``parent`` (the pid that must
still be our parent), ``death_signal`` (sent to us by the kernel when that parent dies),
and, when root is to be given up, ``user`` and ``group`` (ids) and ``keep_file_access``.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    options: dict[str, Any] = json.loads(arguments[0])
    command = arguments[1:]
    try:
        if "user" in options:
            give_up_root(options["user"], options["group"], options["keep_file_access"])
        if sys.platform == "linux":
            # After the change of user, which clears it.
            _linux_call("prctl", PR_SET_PDEATHSIG, int(options["death_signal"]), 0, 0, 0)
        if os.getppid() != options["parent"]:
            sys.exit("the process that asked for this one is gone")
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"cannot start {command[0]}: {error}")


def give_up_root(user: int, group: int, keep_file_access: bool) -> None:
    """Become ``user``, for good.

    With ``keep_file_access`` the process may still pass through folders that are closed to
    that user, such as a checkout below ``/root``: the only alternative there would be to
    open the folders themselves to everyone.

    Raises:
        OSError: this process may not do so.
    """
    if keep_file_access:
        # Keeps the capabilities while the user changes, and lets access(2), with which
        # PostgreSQL looks for its own programs, count them for a user that is not root.
        _linux_call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    if keep_file_access:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        mask = 1 << CAP_DAC_OVERRIDE
        # Effective, permitted and inheritable, for capabilities 0 to 31 and then 32 to 63.
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        _linux_call("capset", header, sets)
        _linux_call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _linux_call(name: str, *arguments: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if getattr(libc, name)(*converted) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
