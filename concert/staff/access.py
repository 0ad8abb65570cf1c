"""Who may do what: the one place where roles are compared, for both doors.

A view says with :func:`needs` who may call it. Its door finds out who is calling, and
:func:`let_in` decides.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from concert.ground.audit import Actor
from concert.ground.errors import CsrfMissing, RoleTooSmall, TokenMissing

Role = Literal["organiser", "box-office", "door"]
ROLES: tuple[Role, ...] = ("organiser", "box-office", "door")

# The cookie of a session: it opens pages, and the calls that pages of ours make.
COOKIE = "concert_staff"

# Who has the role on the left may do what takes those on the right.
COVERS: dict[Role, frozenset[Role]] = {
    "organiser": frozenset(ROLES),
    "box-office": frozenset({"box-office"}),
    "door": frozenset({"door"}),
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling: the root key, an API key, or a person of the staff with a session."""

    kind: Literal["root", "key", "staff"]
    role: Role
    id: int | None = None
    name: str | None = None
    session_id: int | None = None

    def acting(self, request_id: str | None, origin: str | None) -> Actor:
        """The same as the audit log has it."""
        return Actor(self.kind, self.id, self.name, request_id, origin)


ROOT = Caller("root", "organiser")


@dataclass(frozen=True, slots=True)
class Need:
    """What a view takes: a role (None: any person of the staff), and whether an API key will do."""

    role: Role | None
    keys: bool


def needs(role: Role | None, *, keys: bool = True) -> Callable[[View], View]:
    """Say who may call a view: this role, or any of the staff where it is None.

    With ``keys=False`` no API key will do, whatever its scope: what makes people and keys is for
    people and the root key, so that a key that has leaked cannot make another.
    """

    def mark(view: View) -> View:
        view.__needs__ = Need(role, keys)  # type: ignore[attr-defined]
        return view

    return mark


def need_of(view: Callable[..., Any] | None) -> Need | None:
    """What a view has said with :func:`needs`; None where it is not for staff."""
    need: Need | None = getattr(view, "__needs__", None)
    return need


def let_in(caller: Caller | None, need: Need) -> Caller:
    """Let them in, or say why not.

    Raises:
        TokenMissing: nobody is known to be calling.
        RoleTooSmall: it is somebody who may not.
    """
    if caller is None:
        raise TokenMissing("This is for staff: sign in, or send a key.")
    if not need.keys and caller.kind == "key":
        raise RoleTooSmall("An API key cannot do this: a person, or the root key, has to.")
    if need.role is not None and need.role not in COVERS[caller.role]:
        raise RoleTooSmall(f"This takes the role {need.role}.")
    return caller


def csrf_token_of(session_token: str) -> str:
    """What a page sends as ``X-CSRF-Token`` beside the session's cookie: it proves to have read a page."""
    return hmac.new(session_token.encode(), b"concert staff csrf", hashlib.sha256).hexdigest()


def check_csrf(method: str, session_token: str, sent: str) -> None:
    """See that a JSON call that comes with a session's cookie comes from a page of ours.

    Raises:
        CsrfMissing: it changes something, and does not prove it.
    """
    if method in SAFE_METHODS:
        return
    expected = csrf_token_of(session_token)
    if not hmac.compare_digest(sent.encode("latin-1", "replace"), expected.encode()):
        raise CsrfMissing("Send the page's token as X-CSRF-Token.")
