"""Signed tokens: JWT with HS256; the first key signs, every key verifies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jwt
from flask import Flask, current_app

from concert.errors import TokenExpired, TokenInvalid
from concert.settings import Settings

ALGORITHM = "HS256"


def init_signing(app: Flask, settings: Settings) -> None:
    """Keep the keys beside the app.

    Raises:
        RuntimeError: there is no key to sign with.
    """
    if not settings.secret_keys:
        raise RuntimeError("CONCERT_SECRET_KEYS: at least one key is needed")
    app.extensions["concert.keys"] = settings.secret_keys


def sign(kind: str, lifetime_seconds: int, claims: dict[str, Any]) -> str:
    """A token of this ``typ`` that ends after ``lifetime_seconds``."""
    now = int(time.time())
    payload = {"typ": kind, "iat": now, "exp": now + lifetime_seconds, **claims}
    return jwt.encode(payload, _keys()[0], algorithm=ALGORITHM)


def verify(token: str, kind: str, required: Sequence[str]) -> dict[str, Any]:
    """The claims of a token that is ours, of this ``typ``, and not over.

    Raises:
        TokenExpired: its time is over.
        TokenInvalid: anything else is wrong with it.
    """
    claims = _decoded(token, ["exp", "iat", "typ", *required])
    if claims["typ"] != kind:
        raise TokenInvalid(f"This call takes a {kind} token; this is another kind.")
    return claims


def _decoded(token: str, required: list[str]) -> dict[str, Any]:
    # A token may come from an instance whose clock is a moment ahead of ours, so a time of
    # issue in the future is no fault.
    options: Any = {"require": required, "verify_iat": False}
    for key in _keys():
        try:
            return jwt.decode(token, key, algorithms=[ALGORITHM], options=options)
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError as error:
            raise TokenExpired("The token's time is over.") from error
        # A header may be nested too deep to be read at all.
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise TokenInvalid("The token is not valid.") from error
    raise TokenInvalid("The token is not valid.")


def _keys() -> tuple[str, ...]:
    keys: tuple[str, ...] = current_app.extensions["concert.keys"]
    return keys
