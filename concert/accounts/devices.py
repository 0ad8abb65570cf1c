"""Continuing on another device: a link that works once, for two minutes."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID

from concert.ground.errors import NotFound
from concert.ground.keys import device_key
from concert.ground.redis_client import redis, unavailable_on_failure

OFFER_SECONDS = 120


def offer_device(user_id: UUID) -> str:
    """A code with which another device becomes this user's, once, within ``OFFER_SECONDS``.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    code = secrets.token_urlsafe(24)
    with unavailable_on_failure():
        redis().set(_key(code), user_id.bytes, ex=OFFER_SECONDS)
    return code


def offer_stands(code: str) -> bool:
    """Whether the code still works. Asking does not use it up: link previews ask, too.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    with unavailable_on_failure():
        return bool(redis().exists(_key(code)))


def take_offer(code: str) -> UUID:
    """Use the code up; returns whose device this is from now on.

    Raises:
        NotFound: it was used, or its time is over.
        Unavailable: Redis cannot be reached.
    """
    with unavailable_on_failure():
        found = redis().getdel(_key(code))
    if not isinstance(found, bytes):
        raise NotFound("This link was used before, or its two minutes are over.")
    return UUID(bytes=found)


def _key(code: str) -> str:
    """Redis keeps a digest, so that whoever reads it there cannot use it."""
    return device_key(hashlib.sha256(code.encode()).hexdigest())
