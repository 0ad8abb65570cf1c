"""Signed tokens: JWT with HS256; the first key signs, every key verifies."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jwt
import orjson
from flask import Flask

from concert.ground.errors import TokenExpired, TokenInvalid
from concert.ground.parts import keep, part
from concert.ground.settings import Settings

ALGORITHM = "HS256"
# About 6 MB; a line that is longer is forgotten and begun anew.
MOST_UNDERSTOOD = 10_000
Made = TypeVar("Made")
CODE_SIGNATURE_BYTES = 16
# How every token that we sign begins.
HEADER = jwt.encode({}, "k" * 32, algorithm=ALGORITHM).partition(".")[0]


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets; the first signs."""

    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Understood:
    """What was made of good tokens that came lately: until when each is good (s since 1970), and what it says.

    Whoever waits asks with the same token again and again, and has its signature checked once.
    """

    tokens: dict[tuple[str, str], tuple[int, Any]]


def init_signing(app: Flask, settings: Settings) -> None:
    """Keep the keys beside the app.

    Raises:
        RuntimeError: there is no key to sign with.
    """
    if not settings.secret_keys:
        raise RuntimeError("CONCERT_SECRET_KEYS: at least one key is needed")
    keep(app, Keys(settings.secret_keys))
    keep(app, Understood({}))


def sign(kind: str, lifetime_seconds: int, claims: dict[str, Any]) -> str:
    """A token of this ``typ`` that ends after ``lifetime_seconds``."""
    now = int(time.time())
    payload = {"typ": kind, "iat": now, "exp": now + lifetime_seconds, **claims}
    claimed = _text_of(orjson.dumps(payload))
    signed = f"{HEADER}.{claimed}"
    return f"{signed}.{_signature(signed, _keys()[0])}"


def verify(token: str, kind: str, required: Sequence[str]) -> dict[str, Any]:
    """The claims of a token that is ours, of this ``typ``, and not over.

    A token has one spelling: what decodes to the same bytes but is written otherwise is not ours.

    Raises:
        TokenExpired: its time is over.
        TokenInvalid: anything else is wrong with it.
    """
    names = ["exp", "iat", "typ", *required]
    claims = _decoded_at_once(token, names) or _decoded(token, names)
    if claims["typ"] != kind:
        raise TokenInvalid(f"This call takes a {kind} token; this is another kind.")
    return claims


def understood(
    token: str, kind: str, required: Sequence[str], make: Callable[[dict[str, Any]], Made]
) -> Made:
    """What ``make`` makes of the claims of a good token; remembered as long as the token is good.

    Raises:
        TokenExpired, TokenInvalid: as :func:`verify`; and what ``make`` raises.
    """
    tokens = part(Understood).tokens
    found = tokens.get((kind, token))
    if found is not None and found[0] > time.time():
        made: Made = found[1]
        return made
    claims = verify(token, kind, required)
    made = make(claims)
    if len(tokens) >= MOST_UNDERSTOOD:
        tokens.clear()
    # PyJWT takes other spellings of a time; we write whole seconds.
    if type(claims["exp"]) is int:
        tokens[kind, token] = (claims["exp"], made)
    return made


def _decoded_at_once(token: str, required: list[str]) -> dict[str, Any] | None:
    """The claims of a token just as we sign them; None for any other, which PyJWT judges.

    Reading a token by PyJWT takes sixty microseconds, more than all else that happens
    before a service is called, and every request of a sale brings one.
    """
    signed, _, signature = token.rpartition(".")
    header, _, claimed = signed.partition(".")
    if header != HEADER or not token.isascii():
        return None
    for key in _keys():
        if hmac.compare_digest(signature, _signature(signed, key)):
            claims: dict[str, Any] = orjson.loads(urlsafe_b64decode(claimed + "=="))
            live = all(name in claims for name in required) and claims["exp"] > time.time()
            return claims if live else None
    return None


def _signature(signed: str, key: str) -> str:
    digest = hmac.digest(key.encode(), signed.encode(), "sha256")
    return _text_of(digest)


def sign_code(kind: str, content: bytes) -> str:
    """A short signed code, for what must fit into a small QR code; it has no end."""
    signature = _code_signature(_keys()[0], kind, content)
    return _text_of(content + signature)


def verify_code(kind: str, code: str) -> bytes:
    """The content of a code that is ours, of this kind.

    Raises:
        TokenInvalid: it is not.
    """
    decoded = _bytes_of(code)
    if decoded is None:
        raise TokenInvalid("The code is not valid.")
    content, signature = decoded[:-CODE_SIGNATURE_BYTES], decoded[-CODE_SIGNATURE_BYTES:]
    if not any(
        hmac.compare_digest(signature, _code_signature(key, kind, content)) for key in _keys()
    ):
        raise TokenInvalid("The code is not valid.")
    return content


def pseudonym(value: str) -> str:
    """A short keyed digest: equal values can be seen to be equal, as long as the key is the same."""
    content = b"concert pseudonym\0" + value.encode()
    return hmac.digest(_keys()[0].encode(), content, hashlib.sha256)[:8].hex()


def _code_signature(key: str, kind: str, content: bytes) -> bytes:
    signed = f"concert code {kind}\0".encode() + content
    return hmac.digest(key.encode(), signed, hashlib.sha256)[:CODE_SIGNATURE_BYTES]


def _decoded(token: str, required: list[str]) -> dict[str, Any]:
    # PyJWT reads base64 as leniently as Python does: padded, with bits that nobody uses, or with
    # letters between that belong to no alphabet.
    if not all(_is_plain(piece) for piece in token.split(".")):
        raise TokenInvalid("The token is not valid.")
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


def _text_of(content: bytes) -> str:
    """Bytes as base64 for addresses, without padding: the one way in which we write them."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes_of(text: str) -> bytes | None:
    """What :func:`_text_of` has written; None for anything else, whatever a decoder makes of it."""
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None
    return content if _text_of(content) == text else None


def _is_plain(text: str) -> bool:
    return _bytes_of(text) is not None


def _keys() -> tuple[str, ...]:
    return part(Keys).secrets
