"""The keys that sign tickets: ECDSA on P-256, so that a phone can verify a ticket and cannot make one."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import randbelow
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask

from concert.ground.parts import keep, part
from concert.ground.settings import Settings

CURVE = ec.SECP256R1()
# How many keys there are on the curve, less one.
KEYS = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632550
# The same ticket has the same code, however often it is drawn.
SCHEME = ec.ECDSA(SHA256(), deterministic_signing=True)
KEY_ID_BYTES = 2
HALF = 32
SIGNATURE_BYTES = 2 * HALF


@dataclass(frozen=True, slots=True)
class TicketKey:
    """One key, and how codes name it: the beginning of a digest of its public half."""

    key_id: bytes
    private: ec.EllipticCurvePrivateKey
    point: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class TicketKeys:
    """All keys; the first signs, each verifies."""

    keys: tuple[TicketKey, ...]


def init_ticket_keys(app: Flask, settings: Settings) -> None:
    """Keep the keys beside the app.

    Where the settings name none, they come from the keys that sign tokens. Those go on verifying
    when some are named, so that tickets which were drawn before stay good.
    """
    named = [_scalar_of_text(text) for text in settings.ticket_keys]
    derived = [_scalar_of_secret(secret) for secret in settings.secret_keys]
    keep(app, TicketKeys(tuple(_key(scalar) for scalar in (*named, *derived))))


def new_key() -> str:
    """A new key, as the settings take it."""
    return _text_of((randbelow(KEYS) + 1).to_bytes(HALF, "big"))


def signing_key() -> TicketKey:
    """The key that signs now."""
    return _keys()[0]


def sign(key: TicketKey, content: bytes) -> bytes:
    """The signature: both halves as numbers of 32 bytes, as WebCrypto reads them."""
    r, s = decode_dss_signature(key.private.sign(content, SCHEME))
    return r.to_bytes(HALF, "big") + s.to_bytes(HALF, "big")


def is_signed(key_id: bytes, content: bytes, signature: bytes) -> bool:
    """Whether one of our keys of this name has signed it."""
    r, s = (int.from_bytes(half, "big") for half in (signature[:HALF], signature[HALF:]))
    written = encode_dss_signature(r, s)
    for key in _keys():
        if key.key_id == key_id:
            try:
                key.private.public_key().verify(written, content, SCHEME)
                return True
            except InvalidSignature:
                continue
    return False


def public_keys() -> list[dict[str, Any]]:
    """The public halves as JSON Web Keys (RFC 7517), the one that signs now first."""
    return [
        {
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "kid": key.key_id.hex(),
            "x": _text_of(key.point[0]),
            "y": _text_of(key.point[1]),
        }
        for key in _keys()
    ]


def _scalar_of_text(text: str) -> int:
    scalar = int.from_bytes(urlsafe_b64decode(text + "="), "big")
    if not 1 <= scalar <= KEYS:
        raise RuntimeError("CONCERT_TICKET_KEYS: a key is out of range (try: concert key ticket)")
    return scalar


def _scalar_of_secret(secret: str) -> int:
    # Twice as long as the key, so that every key is as likely as any other.
    digest = hmac.digest(secret.encode(), b"concert ticket key\0", "sha512")
    return int.from_bytes(digest, "big") % KEYS + 1


def _key(scalar: int) -> TicketKey:
    private = ec.derive_private_key(scalar, CURVE)
    numbers = private.public_key().public_numbers()
    point = numbers.x.to_bytes(HALF, "big"), numbers.y.to_bytes(HALF, "big")
    return TicketKey(hashlib.sha256(b"".join(point)).digest()[:KEY_ID_BYTES], private, point)


def _text_of(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _keys() -> Sequence[TicketKey]:
    return part(TicketKeys).keys
