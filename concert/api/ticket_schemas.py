"""What requests and answers about tickets look like."""

from __future__ import annotations

import datetime as dt
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool

from concert.api.schemas import EXAMPLE_PAYMENT, Asked

EXAMPLE_TICKET = "01936b2c-7a40-7c3e-9f51-5a0c2d9e8b17"
EXAMPLE_LINK = "Zk3vQm0yT8uJt1b2hXc5nW7pRd9sLa4e"


class TicketPath(Asked):
    ticket_id: UUID = Field(json_schema_extra={"example": EXAMPLE_TICKET})


class LinkPath(Asked):
    code: str = Field(min_length=1, max_length=100, json_schema_extra={"example": EXAMPLE_LINK})


class NewTicketLink(Asked):
    gift: StrictBool = Field(
        False, description="Whoever takes it over pays nothing; else what the seat cost."
    )


class TicketAnswer(BaseModel):
    ticket_id: UUID = Field(json_schema_extra={"example": EXAMPLE_TICKET})
    payment_id: UUID = Field(json_schema_extra={"example": EXAMPLE_PAYMENT})
    concert_id: int
    performance_id: int
    seat_no: int
    section: str | None = Field(description="Of the hall's plan; null where there is none.")
    row: str | None
    seat: str | None
    label: dict[str, str] | None = Field(
        description="What the seat is called, in `ko` and `en`; null where there is no plan."
    )
    status: Literal["valid", "used", "void", "handed_on"]
    code: str | None = Field(
        description="What the QR code says after `/tickets/verify/`; null where it opens no door."
    )
    price: int = Field(description="What the seat cost, in won.")
    reason: str | None = Field(description="Why it is void.")
    ended_at: dt.datetime | None = Field(description="When it became void or was handed on.")
    offered_for: int | None = Field(
        description="What somebody may take it over for (won); null where there is no such link."
    )


class TicketsAnswer(BaseModel):
    tickets: list[TicketAnswer]


class TicketLinkAnswer(BaseModel):
    code: str = Field(description="Opens `/tickets/take/<code>`, once.")
    link: str = Field(description="The same as an address.")
    price: int = Field(description="What it costs whoever takes it over, in won.")
    until: dt.datetime = Field(description="Until when it works.")


class OfferAnswer(BaseModel):
    concert_id: int
    performance_id: int
    seat_no: int
    price: int = Field(description="What it costs, in won.")
    until: dt.datetime


class TicketKeyAnswer(BaseModel):
    kty: Literal["EC"]
    crv: Literal["P-256"]
    alg: Literal["ES256"]
    use: Literal["sig"]
    kid: str = Field(description="Bytes 1 and 2 of a code, in hexadecimal.")
    x: str
    y: str


class TicketKeysAnswer(BaseModel):
    keys: list[TicketKeyAnswer]
