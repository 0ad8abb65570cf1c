"""What requests and answers at the door look like."""

from __future__ import annotations

import datetime as dt
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from concert.api.schemas import Asked, Decimal, Moment
from concert.api.ticket_schemas import EXAMPLE_TICKET, TicketKeyAnswer

Result = Literal["in", "already_in", "void", "other_date", "unknown"]
EXAMPLE_CODE = "AVHfAaIQq-9Peg6MMF6I6ODsMgAAAAAAAAABAAwAAe5y9hqJULyI"


class EntryPath(Asked):
    entry_id: Decimal = Field(json_schema_extra={"example": 1})


class PerformancePath(Asked):
    performance_id: Decimal = Field(json_schema_extra={"example": 1})


class Words(Asked):
    search: str = Field(
        min_length=1,
        max_length=300,
        description="A seat's number, a name, a payment, a ticket, or a code.",
        json_schema_extra={"example": "12"},
    )


class NewEntry(Asked):
    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["code"]}, {"required": ["ticket_id"]}]}
    )

    code: StrictStr | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="What was read: a code, or the whole address that it stands in.",
        json_schema_extra={"example": EXAMPLE_CODE},
    )
    ticket_id: UUID | None = Field(
        None,
        description="Instead of `code`: a ticket that was found by name or number.",
        json_schema_extra={"example": EXAMPLE_TICKET},
    )
    gate: StrictStr = Field(min_length=1, max_length=40, json_schema_extra={"example": "B"})
    device: StrictStr = Field(
        min_length=1,
        max_length=40,
        description="The scanner, by a name that no other has.",
        json_schema_extra={"example": "phone-7"},
    )
    scan_id: StrictStr = Field(
        min_length=1,
        max_length=40,
        description="This scan, by the device's own counting; the same again gets the first answer.",
        json_schema_extra={"example": "0042"},
    )
    at: Moment = Field(
        description="When it was shown, by the scanner's clock.",
        json_schema_extra={"example": "2026-12-24T18:42:00+09:00"},
    )
    performance_id: StrictInt | None = Field(
        None,
        ge=1,
        le=2**63 - 1,
        description="What is entered here; left out: whatever is played on the day of `at`.",
        json_schema_extra={"example": 1},
    )
    offline: StrictBool = Field(
        False, description="Whether they were let in before this was asked."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> NewEntry:
        if (self.code is None) == (self.ticket_id is None):
            raise ValueError("give either code or ticket_id")
        return self


class TogetherAnswer(BaseModel):
    ticket_id: UUID
    seat_no: int
    status: Literal["valid", "used"]


class EnteredAnswer(BaseModel):
    result: Result
    first_at: dt.datetime | None = Field(
        description="When the entry that stands was made; null where none does."
    )
    gate: str | None = Field(description="Where that was.")
    entry_id: int
    ticket_id: UUID | None = Field(description="Null where the code is not one of ours.")
    performance_id: int | None
    seat_no: int | None
    label: dict[str, str] | None = Field(
        description="What the seat is called, in `ko` and `en`; null where there is no plan."
    )
    conflict: bool = Field(description="Somebody was let in who should not have been.")
    together: list[TogetherAnswer] = Field(
        description="The other good tickets of the same owner and payment."
    )


class MinuteAnswer(BaseModel):
    gate: str
    minute: dt.datetime
    count: int


class ConflictAnswer(BaseModel):
    entry_id: int
    ticket_id: UUID
    seat_no: int
    result: Result
    gate: str
    device: str
    at: dt.datetime
    received_at: dt.datetime
    first_at: dt.datetime | None
    first_gate: str | None


class AttendanceAnswer(BaseModel):
    performance_id: int
    expected: int = Field(description="Tickets that are good.")
    entered: int
    by_gate: dict[str, int]
    by_minute: list[MinuteAnswer]
    refused: dict[str, int] = Field(description="Scans that did not enter, by result.")
    conflicts: list[ConflictAnswer] = Field(description="Newest first, 200 at the most.")


class DoorListAnswer(BaseModel):
    performance_id: int
    at: dt.datetime = Field(description="How old the list is.")
    expected: int
    ended: dict[str, Literal["void", "handed_on"]] = Field(
        description="Tickets that do not enter any more."
    )
    serials: dict[str, int] = Field(
        description="Tickets with a newer code than their first: only this serial number enters."
    )
    entered: list[UUID] = Field(description="Tickets that are in.")
    keys: list[TicketKeyAnswer]


class FoundTicketAnswer(BaseModel):
    ticket_id: UUID
    payment_id: UUID
    seat_no: int
    label: dict[str, str] | None = Field(
        description="What the seat is called, in `ko` and `en`; null where there is no plan."
    )
    status: Literal["valid", "used", "void", "handed_on"]
    name: str | None
    entry_id: int | None
    first_at: dt.datetime | None
    gate: str | None


class FoundTicketsAnswer(BaseModel):
    tickets: list[FoundTicketAnswer]
