"""The parts of an app: each is made once, where the app is built, and found by its class."""

from __future__ import annotations

from typing import TypeVar

from flask import Flask, current_app

Part = TypeVar("Part")


def keep(app: Flask, part: Part, kind: type | None = None) -> Part:
    """Make ``part`` the app's one part of its class, or of ``kind``, in place of any before it."""
    app.extensions[_name(kind or type(part))] = part
    return part


def part(kind: type[Part], app: Flask | None = None) -> Part:
    """The app's part of this class; the current app's where none is named.

    Raises:
        KeyError: the app was built without it.
    """
    # A dozen times a request: asking the proxy for the app once is a third of going through it.
    here = current_app._get_current_object() if app is None else app  # type: ignore[attr-defined]
    found: Part = here.extensions[_name(kind)]
    return found


def _name(kind: type) -> str:
    return f"concert.{kind.__name__}"
