"""What requests and answers look like; strict, since a guess about money or seats is a mistake."""

from __future__ import annotations

import datetime as dt
import re
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaMode

EXAMPLE_USER = "5f0c6f2e-6f1b-4a43-9d7c-2a4f1f0b7c11"
EXAMPLE_RESERVATION = "0b9f6f5e-57a3-4a0e-8a44-53a1d2c8a3de"
EXAMPLE_PAYMENT = "7f8e4cbe-10a4-4b8e-9f0b-4a9b6c1e2d3f"
SLUG = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
NO_NUL = r"^[^\x00]*$"
EXAMPLE_TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.c2lnbmF0dXJl"


def _decimal(value: Any) -> Any:
    """A whole number in a path or query: digits and nothing else."""
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,100}", value, re.ASCII):
            raise ValueError("must be a whole number")
        return int(value)
    return value


def _day(value: Any) -> Any:
    if not isinstance(value, str) or not re.fullmatch(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII
    ):
        raise ValueError("must be a date such as 2026-12-24")
    return value


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T", value, re.ASCII):
        raise ValueError("must be a time with an offset, such as 2026-12-24T19:00:00+09:00")
    return value


Decimal = Annotated[int, BeforeValidator(_decimal)]
Day = Annotated[dt.date, BeforeValidator(_day)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class Asked(BaseModel):
    """A request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    @cache
    def model_json_schema(  # type: ignore[override]  # flask-openapi3 asks for it at every request
        cls,
        by_alias: bool = True,
        ref_template: str = DEFAULT_REF_TEMPLATE,
        schema_generator: type[GenerateJsonSchema] = GenerateJsonSchema,
        mode: JsonSchemaMode = "validation",
        **more: Any,
    ) -> dict[str, Any]:
        """The schema, made once."""
        return super().model_json_schema(by_alias, ref_template, schema_generator, mode, **more)


class Headers(Asked):
    """Headers that a call reads; others are let be."""

    model_config = ConfigDict(extra="ignore")


# Requests.


class Retry(Headers):
    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="Any text of your choice. The same key with the same request gives the first answer again; "
        "with another request it is a 409.",
        json_schema_extra={"example": "order-2026-0001"},
    )


class NewUser(Asked):
    name: StrictStr | None = Field(None, max_length=80, json_schema_extra={"example": "Mina"})


class NewPlace(Asked):
    concert_id: StrictInt | None = Field(
        None,
        ge=1,
        le=2**63 - 1,
        description="The concert whose room to join; left out: the room `main`.",
        json_schema_extra={"example": 1},
    )


class ConcertPath(Asked):
    concert_id: Decimal = Field(
        description="The concert's number.", json_schema_extra={"example": 1}
    )


class SeatPath(ConcertPath):
    seat_no: Decimal = Field(
        description="The seat's number, from 1.", json_schema_extra={"example": 12}
    )


class ReservationPath(Asked):
    reservation_id: UUID = Field(json_schema_extra={"example": EXAMPLE_RESERVATION})


class PaymentPath(Asked):
    payment_id: UUID = Field(json_schema_extra={"example": EXAMPLE_PAYMENT})


class RoomPath(Asked):
    slug: str = Field(
        min_length=1, max_length=40, pattern=SLUG, json_schema_extra={"example": "main"}
    )


class Page(Asked):
    limit: Decimal = Field(20, ge=1, le=100, description="How many at the most.")
    cursor: Decimal | None = Field(None, ge=1, description="`next` of the page before.")


class WhichDate(Asked):
    date: Day | None = Field(
        None,
        description="The performance's date; may be left out where there is one.",
        json_schema_extra={"example": "2026-12-24"},
    )
    performance_id: Decimal | None = Field(
        None, ge=1, description="Names a performance where a date does not."
    )


class Which(Asked):
    date: Day | None = Field(
        None,
        description="The performance's date; may be left out where there is one.",
        json_schema_extra={"example": "2026-12-24"},
    )
    performance_id: StrictInt | None = Field(
        None, ge=1, le=2**63 - 1, description="Names a performance where a date does not."
    )


class WhichSeats(Which):
    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["seats"]}, {"required": ["best"]}]}
    )

    seats: list[StrictInt] | None = Field(
        None, min_length=1, max_length=100, json_schema_extra={"example": [12, 13]}
    )
    best: StrictInt | None = Field(
        None,
        ge=1,
        le=100,
        description="Instead of `seats`: how many of the best free seats side by side.",
        json_schema_extra={"example": 2},
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> WhichSeats:
        if (self.seats is None) == (self.best is None):
            raise ValueError("give either seats or best")
        return self


class Charge(Asked):
    amount: StrictInt = Field(
        ge=1, le=10_000_000, description="Whole won to add.", json_schema_extra={"example": 100000}
    )


class Entries(Asked):
    entries: Decimal = Field(
        0, ge=0, le=100, description="How many of the newest ledger entries to give."
    )


class Reasoned(Asked):
    """A change that is kept in the audit log."""

    reason: StrictStr | None = Field(
        None, max_length=500, description="Why; kept in the audit log with the change."
    )


class NewDate(Asked):
    starts_at: Moment = Field(json_schema_extra={"example": "2026-12-24T19:00:00+09:00"})
    capacity: StrictInt | None = Field(
        None, ge=1, le=20_000, description="Left out: as many as the hall has, or 50."
    )
    price: StrictInt | None = Field(
        None, ge=0, le=10_000_000, description="Whole won for each seat."
    )
    sales_open_at: Moment | None = Field(None, description="Left out: now.")
    sales_close_at: Moment | None = Field(None, description="Left out: when it starts.")
    hall: StrictInt | None = Field(
        None, ge=1, le=2**63 - 1, description="The number of a hall whose plan it has."
    )
    prices: dict[str, StrictInt] | None = Field(
        None,
        max_length=50,
        description="With `hall`, instead of `price`: whole won for each of its categories.",
    )
    lone_seats: Literal["off", "advise", "refuse"] = Field(
        "off",
        description="Where a choice would leave a single seat between others, and another would not.",
    )
    seat_limit: StrictInt | None = Field(
        None, ge=1, le=100, description="Seats that one user may have of it; left out: as of any."
    )
    draft: StrictBool = Field(False, description="For staff to see only.")


class ConcertTexts(Asked):
    """What is told of a concert beside its title."""

    description: StrictStr | None = Field(None, max_length=5_000)
    artist: StrictStr | None = Field(None, max_length=200)
    age_limit: StrictInt | None = Field(None, ge=0, le=99, description="From this age on, years.")
    running_minutes: StrictInt | None = Field(None, ge=0, le=1_440, description="How long it is.")
    entry_minutes: StrictInt | None = Field(
        None, ge=0, le=720, description="How long before each date people are let into the house."
    )

    def texts(self) -> dict[str, Any]:
        """Those that are named; what is null is taken away."""
        named = self.model_dump(include=set(ConcertTexts.model_fields), exclude_unset=True)
        return {
            name: "" if value is None and name in ("description", "artist") else value
            for name, value in named.items()
        }


class NewConcert(ConcertTexts, Reasoned):
    title: StrictStr = Field(
        min_length=1, max_length=200, json_schema_extra={"example": "Winter Songs"}
    )
    venue: StrictStr = Field(
        min_length=1, max_length=200, json_schema_extra={"example": "Blue Hall, Seoul"}
    )
    room: StrictStr = Field("main", min_length=1, max_length=40, pattern=SLUG)
    draft: StrictBool = Field(False, description="For staff to see only, until it is published.")
    dates: list[NewDate] = Field(min_length=1, max_length=100)


class NewDates(Reasoned):
    dates: list[NewDate] = Field(min_length=1, max_length=100)


class LineMessage(Asked):
    ko: StrictStr = Field(
        min_length=1,
        max_length=500,
        json_schema_extra={"example": "곧 열려요. 조금만 기다려 주세요."},
    )
    en: StrictStr = Field(
        min_length=1, max_length=500, json_schema_extra={"example": "We open soon. Bear with us."}
    )


class RoomChanges(Reasoned):
    capacity: StrictInt | None = Field(
        None, ge=1, le=1_000_000, description="Most people inside at once."
    )
    admit_per_minute: StrictInt | None = Field(None, ge=1, le=1_000_000)
    entry_seconds: StrictInt | None = Field(
        None, ge=1, le=86_400, description="Time to show up when admitted."
    )
    visit_seconds: StrictInt | None = Field(None, ge=1, le=86_400, description="Time for a visit.")
    opens_at: Moment | None = Field(None, description="Nobody enters before it; null: it is open.")
    paused: StrictBool | None = Field(None, description="Nobody enters while it is true.")
    message: LineMessage | None = Field(
        None, description="What everybody in line is told, in both languages; null: nothing."
    )


Role = Literal["organiser", "box-office", "door"]
EXAMPLE_KEY = "ck_live_T3Zk9a"


class KeyPath(Asked):
    key_id: Decimal = Field(ge=1, le=2**63 - 1, json_schema_extra={"example": 1})


class StaffPath(Asked):
    staff_id: Decimal = Field(ge=1, le=2**63 - 1, json_schema_extra={"example": 1})


class Why(Asked):
    reason: str | None = Field(
        None, max_length=500, pattern=NO_NUL, description="Why; kept in the audit log."
    )


class NewKey(Reasoned):
    name: StrictStr = Field(
        min_length=1, max_length=80, json_schema_extra={"example": "till at the north gate"}
    )
    scope: Role = Field(description="The role that the key may act in.")
    expires_at: Moment | None = Field(None, description="Left out: until it is revoked.")


class Rotation(Reasoned):
    overlap_hours: StrictInt = Field(
        24, ge=0, le=2160, description="How many hours the key before it is still good."
    )


class NewPerson(Reasoned):
    name: StrictStr = Field(min_length=1, max_length=80, json_schema_extra={"example": "Mina"})
    role: Role


class WhichEntries(Asked):
    """Which lines of the audit log; what is left out leaves all."""

    actor_kind: Literal["root", "key", "staff", "command", "system"] | None = None
    actor_id: Decimal | None = Field(None, ge=1, le=2**63 - 1)
    verb: str | None = Field(None, max_length=40, pattern=NO_NUL)
    subject_kind: str | None = Field(None, max_length=20, pattern=NO_NUL)
    subject_id: str | None = Field(None, max_length=80, pattern=NO_NUL)
    since: Moment | None = None
    until: Moment | None = Field(None, description="The first moment after them.")
    limit: Decimal = Field(50, ge=1, le=200)
    cursor: Decimal | None = Field(
        None, ge=1, le=2**63 - 1, description="`next` of the page before."
    )


# Answers.


class Problem(BaseModel):
    type: str = Field(json_schema_extra={"example": "urn:concert:problem:seat_taken"})
    title: str = Field(json_schema_extra={"example": "Somebody else has the seat"})
    status: int = Field(json_schema_extra={"example": 409})
    detail: str = Field(json_schema_extra={"example": "Seat 12 is already taken."})
    code: str = Field(
        description="Stable; programs go by it.", json_schema_extra={"example": "seat_taken"}
    )


class UserAnswer(BaseModel):
    user_id: UUID = Field(json_schema_extra={"example": EXAMPLE_USER})
    name: str | None = Field(json_schema_extra={"example": "Mina"})
    user_token: str = Field(json_schema_extra={"example": EXAMPLE_TOKEN})


class SeatsBehindAnswer(BaseModel):
    free: int = Field(description="Of every date whose sale is open or to come.")
    held: int = Field(description="Being paid for; they may come back.")
    sold: int
    state: Literal["open", "all_held", "sold_out", "ended"] = Field(
        description="`open`: something is free; `all_held`: all are being paid for, some may come back; "
        "`sold_out`: whoever waits stands by for returned seats; `ended`: no sale is open or to come."
    )


class MessageAnswer(BaseModel):
    ko: str
    en: str


class PlaceAnswer(BaseModel):
    room: str = Field(json_schema_extra={"example": "main"})
    status: Literal["waiting", "admitted", "completed", "expired", "left"]
    position: int | None = Field(
        description="1 is next; null unless waiting.", json_schema_extra={"example": 42}
    )
    waiting: int = Field(description="People in line.")
    estimated_wait_seconds: int | None = Field(
        description="From the measured pace; null until there is one, and unless `seats.state` is `open`."
    )
    poll_after_seconds: float = Field(description="When to ask again.")
    admitted_until: dt.datetime | None = Field(description="Null unless admitted.")
    opens_at: dt.datetime | None = Field(description="When the room opens; null: it is open.")
    paused: bool
    resumes_at: dt.datetime | None = Field(
        description="When people are let in again after a loss of the line's data; null where there was none."
    )
    seats: SeatsBehindAnswer
    chance: Literal["likely", "maybe", "unlikely", "none"] | None = Field(
        description="How it looks for a seat, from the people ahead, the seats left and the seats that a visit "
        "takes; null unless waiting, and where the room is in front of no date."
    )
    estimated_wait_range: tuple[int, int] | None = Field(
        description="The estimated wait in seconds, at the least and at the most; null where there is no estimate."
    )
    message: MessageAnswer | None = Field(description="What the organiser says to the line.")


class JoinAnswer(PlaceAnswer):
    queue_token: str = Field(json_schema_extra={"example": EXAMPLE_TOKEN})


class PerformanceAnswer(BaseModel):
    performance_id: int
    date: dt.date
    starts_at: dt.datetime
    price: int
    capacity: int
    sales_open_at: dt.datetime
    sales_close_at: dt.datetime
    seat_limit: int = Field(description="Seats of it that one user may have.")
    returns_until: dt.datetime | None = Field(
        description="Until when its tickets may be given back; null: they may not."
    )
    hall: int | None = Field(description="The hall whose plan it has; null: the usual one.")
    prices: dict[str, int] | None = Field(
        description="Of each category of the hall; `price` is the lowest."
    )
    plan: PlanLinks | None = Field(description="Where its plan is; null where it has none.")
    lone_seats: Literal["off", "advise", "refuse"]
    cancelled_at: dt.datetime | None = Field(
        None, description="When it was cancelled: nothing of it is sold, and the money comes back."
    )


class PlanLinks(BaseModel):
    version: str
    url: str
    compact_url: str


class ConcertAnswer(BaseModel):
    id: int
    title: str
    venue: str
    room: str
    description: str
    artist: str
    age_limit: int | None
    running_minutes: int | None
    entry_minutes: int | None
    sales: Literal["upcoming", "on_sale", "sold_out", "ended"]
    dates: list[PerformanceAnswer]


class ConcertsAnswer(BaseModel):
    concerts: list[ConcertAnswer]
    next: int | None


class DateAnswer(PerformanceAnswer):
    available: int
    held: int
    sold: int


class DatesAnswer(BaseModel):
    dates: list[DateAnswer]


class SeatAnswer(BaseModel):
    seat_no: int
    price: int
    state: Literal["available", "held", "sold", "blocked"]
    mine: bool


class SeatsOfDateAnswer(BaseModel):
    performance_id: int
    date: dt.date
    seats: list[SeatAnswer]


class SeatsAnswer(BaseModel):
    dates: list[SeatsOfDateAnswer]


class BothLanguages(BaseModel):
    ko: str
    en: str


class PricedSeat(BaseModel):
    seat_no: int
    price: int
    section: str | None = Field(None, description="Of the hall plan; left out where there is none.")
    row: str | None = None
    seat: str | None = None
    label: BothLanguages | None = Field(None, description="The three in one.")


class ReservationAnswer(BaseModel):
    reservation_id: UUID
    concert_id: int
    performance_id: int
    date: dt.date
    seats: list[PricedSeat]
    amount: int
    status: Literal["held", "paid", "expired", "cancelled", "refunded"]
    created_at: dt.datetime
    held_until: dt.datetime


class ReservationsAnswer(BaseModel):
    reservations: list[ReservationAnswer]


class EntryAnswer(BaseModel):
    amount: int
    balance_after: int
    kind: Literal["charge", "payment", "handed_on", "refund", "payout"]
    created_at: dt.datetime
    note: str | None = Field(
        None, description="Why, of a refund; or where the money went, of a payout."
    )


class BalanceAnswer(BaseModel):
    user_id: UUID
    balance: int


class LedgerAnswer(BalanceAnswer):
    entries: list[EntryAnswer] | None = Field(
        None, description="Newest first; only where asked for."
    )


class ChangeAnswer(BaseModel):
    kind: Literal["moved", "venue"]
    before: str = Field(description="The start that it had, or the venue.")
    after: str
    returns_until: dt.datetime | None = Field(
        description="Until when the tickets may be given back for it; null: they may not."
    )
    changed_at: dt.datetime


class RefundOfPayment(BaseModel):
    refund_id: UUID
    seats: list[int] = Field(description="The numbers of the seats that were given back.")
    amount: int
    cause: Literal["staff", "returned", "cancelled"] = Field(
        description="Staff decided it, the owner gave the seats back, or the date was cancelled."
    )
    reason: str | None
    refunded_at: dt.datetime


class PaymentAnswer(BaseModel):
    payment_id: UUID
    reservation_id: UUID
    concert_id: int
    performance_id: int
    date: dt.date
    seats: list[PricedSeat]
    amount: int
    balance: int
    paid_at: dt.datetime
    refunded: int = Field(0, description="How much of the amount was given back since, in won.")
    refunds: list[RefundOfPayment] = Field([], description="The oldest first.")
    changes: list[ChangeAnswer] | None = Field(
        None,
        description="What of the date was changed after it was paid, the oldest first; only where something was.",
    )


class PaymentsAnswer(BaseModel):
    payments: list[PaymentAnswer]


class PublicRoomAnswer(BaseModel):
    room: str = Field(json_schema_extra={"example": "main"})
    waiting: int = Field(description="People in line.")
    inside: int = Field(description="People whose turn it is.")
    admissions_per_minute: float | None = Field(
        description="As measured over the last minute; null until there is a measure."
    )
    newest_admitted_sequence: int | None = Field(
        description="The greatest number of a place that was let in. A queue token carries its own as `seq`."
    )
    opens_at: dt.datetime | None
    paused: bool
    resumes_at: dt.datetime | None
    seats: SeatsBehindAnswer
    message: MessageAnswer | None


class RoomAnswer(BaseModel):
    slug: str
    capacity: int
    admit_per_minute: int
    entry_seconds: int
    visit_seconds: int
    opens_at: dt.datetime | None
    paused: bool
    message: MessageAnswer | None


class KeyAnswer(BaseModel):
    key_id: int
    name: str
    scope: Role
    prefix: str = Field(description="How it begins.", json_schema_extra={"example": EXAMPLE_KEY})
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None = Field(description="To the minute.")


class NewKeyAnswer(KeyAnswer):
    key: str = Field(description="The key itself, told this once.")


class KeysAnswer(BaseModel):
    keys: list[KeyAnswer]


class PersonAnswer(BaseModel):
    staff_id: int
    name: str
    role: Role
    created_at: dt.datetime


class LinkAnswer(PersonAnswer):
    code: str = Field(description="Opens `/staff/enter/<code>`, once.")
    link: str = Field(description="The same as an address.")
    expires_at: dt.datetime


class PeopleAnswer(BaseModel):
    staff: list[PersonAnswer]


class AuditActorAnswer(BaseModel):
    kind: Literal["root", "key", "staff", "command", "system"]
    id: int | None
    name: str | None = Field(description="As it was called then.")


class AuditSubjectAnswer(BaseModel):
    kind: str
    id: str


class AuditEntryAnswer(BaseModel):
    id: int
    at: dt.datetime
    actor: AuditActorAnswer
    verb: str
    subject: AuditSubjectAnswer
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    request_id: str | None
    origin: str | None = Field(description="A keyed digest of the network that it came from.")


class AuditLogAnswer(BaseModel):
    entries: list[AuditEntryAnswer]
    next: int | None = Field(description="Give it as `cursor` for the page after; null: no more.")
