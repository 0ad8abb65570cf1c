"""A lock file: at most one owner, and none after the owner has died, however it died."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """A lock on a file, held by one open file of one process.

    The kernel lets go of it when the process ends, so a left-over file means nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, note: str = "") -> bool:
        """Take the lock if it is free, and leave ``note`` for whoever finds it taken."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note.encode())
        self._descriptor = descriptor
        return True

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def note(self) -> str:
        """What the owner wrote when it took the lock."""
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return ""

    def release(self) -> None:
        """Let go. Does nothing when the lock is not held by this object."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
