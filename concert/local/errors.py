"""What can go wrong on one machine."""

from __future__ import annotations


class LocalError(Exception):
    """Something on this machine stands in the way; the message is one line and says what to do."""
