"""What a ticket's QR code says: which ticket it is, signed, in as few letters as that takes.

The content is fixed: a version, the name of the key, the ticket, its performance, its seat and the
serial number of the code, and the signature after it. ``static/js/door/code.js`` reads the same.
"""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

from concert.ground.errors import TokenInvalid
from concert.tickets.keys import KEY_ID_BYTES, SIGNATURE_BYTES, is_signed, sign, signing_key

VERSION = 1
CONTENT = struct.Struct(f">B{KEY_ID_BYTES}s16sQHH")
# A code as text: 95 bytes, six bits a letter.
LETTERS = 127


@dataclass(frozen=True, slots=True)
class TicketCode:
    """What a good code says. Whether the ticket may enter is another question."""

    ticket_id: UUID
    performance_id: int
    seat_no: int
    serial: int


def write_code(code: TicketCode) -> str:
    """The signed code as text, for an address or a QR code."""
    key = signing_key()
    content = CONTENT.pack(
        VERSION, key.key_id, code.ticket_id.bytes, code.performance_id, code.seat_no, code.serial
    )
    return urlsafe_b64encode(content + sign(key, content)).rstrip(b"=").decode()


def read_code(text: str) -> TicketCode:
    """What a code of ours says. It has one spelling.

    Raises:
        TokenInvalid: it is not one of ours.
    """
    if len(text) != LETTERS or not text.isascii():
        raise TokenInvalid("This is no ticket of ours.")
    try:
        written = urlsafe_b64decode(text + "=")
    except ValueError as error:
        raise TokenInvalid("This is no ticket of ours.") from error
    content, signature = written[: CONTENT.size], written[CONTENT.size :]
    if (
        len(signature) != SIGNATURE_BYTES
        or urlsafe_b64encode(written).rstrip(b"=") != text.encode()
    ):
        raise TokenInvalid("This is no ticket of ours.")
    version, key_id, ticket, performance_id, seat_no, serial = CONTENT.unpack(content)
    if version != VERSION or not is_signed(key_id, content, signature):
        raise TokenInvalid("This is no ticket of ours.")
    return TicketCode(UUID(bytes=ticket), performance_id, seat_no, serial)
