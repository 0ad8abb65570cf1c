"""JSON calls for whoever plans: correcting, copying, hiding and showing concerts and dates."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Literal

from flask import Response, request
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from concert.api.catalogue import concert_document, performance_document
from concert.api.door import actor, answer, answers, for_staff, new_door
from concert.api.schemas import (
    SLUG,
    Asked,
    ConcertPath,
    ConcertTexts,
    Decimal,
    Headers,
    Moment,
    Page,
    Reasoned,
)
from concert.catalogue.service import Performance
from concert.ground.errors import BadRequest
from concert.planning import service
from concert.planning.service import Changed, Effect, Plan
from concert.planning.warnings import Warning
from concert.reservations.service import SeatCounts
from concert.staff.access import needs

door = new_door("planning", "Correcting, copying, hiding and showing; for organisers.")

# In these cases, and with what everybody may send.
REFUSED = (400, 401, 403, 404, 409, 413, 415, 429)
NO_SEATS = SeatCounts(0, 0, 0)


class PerformancePath(Asked):
    performance_id: Decimal = Field(ge=1, le=2**63 - 1, json_schema_extra={"example": 1})


class IfMatch(Headers):
    if_match: str | None = Field(
        None,
        alias="If-Match",
        max_length=40,
        description="The `version` that you have read, as in `ETag`; where it is another one now, nothing is "
        "changed (409 `edit_conflict`).",
    )


class Versioned(Reasoned):
    version: StrictInt | None = Field(
        None, ge=1, description="The same as `If-Match`; left out, whatever there is is changed."
    )


class ConcertChanges(ConcertTexts, Versioned):
    title: StrictStr | None = Field(None, min_length=1, max_length=200)
    venue: StrictStr | None = Field(None, min_length=1, max_length=200)
    room: StrictStr | None = Field(
        None, min_length=1, max_length=40, pattern=SLUG, description="Not while it is on sale."
    )
    draft: StrictBool | None = Field(
        None, description="For staff to see only; not where a seat is sold or held."
    )


class PerformanceChanges(Versioned):
    starts_at: Moment | None = Field(
        None, description="Where seats are sold, say what becomes of their `tickets`."
    )
    tickets: Literal["keep", "return"] | None = Field(
        None,
        description="`keep`: they are good for the new time; `return`: they may be given back until "
        "`returns_until`. Their owners are told in either case.",
    )
    returns_until: Moment | None = Field(
        None, description="Until when tickets may be given back; null: they may not."
    )
    price: StrictInt | None = Field(
        None, ge=0, le=10_000_000, description="Of every seat that is not sold or held."
    )
    prices: dict[str, StrictInt] | None = Field(
        None, max_length=50, description="The same for each category of its hall."
    )
    capacity: StrictInt | None = Field(
        None, ge=1, description="Grows and shrinks at the end, by free seats; a hall's stays."
    )
    lone_seats: Literal["off", "advise", "refuse"] | None = None
    sales_open_at: Moment | None = None
    sales_close_at: Moment | None = Field(None, description="Null: when it starts.")
    seat_limit: StrictInt | None = Field(
        None, ge=1, le=100, description="Seats that one user may have of it; null: as of any."
    )
    draft: StrictBool | None = Field(
        None, description="For staff to see only; not where a seat is sold or held."
    )


class ConcertCopy(Reasoned):
    title: StrictStr | None = Field(None, min_length=1, max_length=200)
    days: StrictInt = Field(
        0, ge=-3_660, le=3_660, description="How many days later its dates and their sales are."
    )


class DateCopy(Reasoned):
    starts_at: Moment = Field(json_schema_extra={"example": "2026-12-25T19:00:00+09:00"})


class WarningAnswer(BaseModel):
    code: str = Field(json_schema_extra={"example": "rate_above_seats"})
    performance_id: int | None = Field(description="Null: of the whole concert.")
    message: str
    numbers: dict[str, int] = Field(description="Those of the message.")


class EffectAnswer(BaseModel):
    code: str = Field(
        description="`price_kept`: so many sold seats keep the old price; `price_of_holds`: so many that are held "
        "cost their holders the old one; `seats_added`, `seats_removed`; `told`: the owners of so many tickets "
        "are told; `sale_follows`: the sale ends with the new start."
    )
    count: int
    until: dt.datetime | None


class PlannedDateAnswer(BaseModel):
    performance_id: int
    date: dt.date
    starts_at: dt.datetime
    price: int
    capacity: int
    sales_open_at: dt.datetime
    sales_close_at: dt.datetime
    hall: int | None
    prices: dict[str, int] | None
    lone_seats: Literal["off", "advise", "refuse"]
    seat_limit: int | None
    returns_until: dt.datetime | None
    draft: bool
    version: int
    available: int
    held: int
    sold: int


class PlanAnswer(BaseModel):
    id: int
    title: str
    venue: str
    room: str
    description: str
    artist: str
    age_limit: int | None
    running_minutes: int | None
    entry_minutes: int | None
    draft: bool
    version: int
    dates: list[PlannedDateAnswer]
    warnings: list[WarningAnswer]


class ChangedPlanAnswer(PlanAnswer):
    effects: list[EffectAnswer]


class ChangedDateAnswer(PlannedDateAnswer):
    concert_id: int
    warnings: list[WarningAnswer]
    effects: list[EffectAnswer]


class ListedPlanAnswer(BaseModel):
    id: int
    title: str
    venue: str
    room: str
    draft: bool
    version: int
    dates: list[dict[str, Any]]


class PlansAnswer(BaseModel):
    concerts: list[ListedPlanAnswer]
    next: int | None


@door.get(
    "/planning",
    summary="All concerts, drafts included",
    security=for_staff(),
    responses=answers({200: PlansAnswer}, 400, 401, 403, 429),
)
@needs("organiser")
def get_plans(query: Page) -> Response:
    """Newest first. Everybody else sees only what is no draft."""
    concerts, cursor = service.list_plans(query.cursor, query.limit)
    listed = [
        {
            **concert_document(one),
            "draft": one.draft,
            "version": one.version,
            "dates": [
                {**performance_document(date), **_planned(date)} for date in one.performances
            ],
        }
        for one in concerts
    ]
    return answer({"concerts": listed, "next": cursor})


@door.get(
    "/planning/<concert_id>",
    summary="A concert as its organiser sees it",
    security=for_staff(),
    responses=answers({200: PlanAnswer}, 400, 401, 403, 404, 429),
)
@needs("organiser")
def get_plan(path: ConcertPath) -> Response:
    """With drafts, versions, seats by date, and `warnings` where it cannot work as it is planned."""
    plan = service.plan_of(path.concert_id)
    return answer(plan_document(plan), ETag=f'"{plan.concert.version}"')


@door.patch(
    "/concerts/<concert_id>",
    summary="Correct a concert; hide it, or show it",
    security=for_staff(),
    responses=answers({200: ChangedPlanAnswer}, *REFUSED),
)
@needs("organiser")
def patch_concert(path: ConcertPath, body: ConcertChanges, header: IfMatch) -> Response:
    """What is named is changed, everywhere within a second. Owners of tickets are told of another venue."""
    changed = service.change_concert(
        path.concert_id,
        body.model_dump(include={"title", "venue", "room", "draft"}, exclude_unset=True)
        | body.texts(),
        version=_version(body, header),
        actor=actor(),
        reason=body.reason,
    )
    document = {**plan_document(changed.plan), "effects": _effects(changed)}
    return answer(document, ETag=f'"{changed.plan.concert.version}"')


@door.patch(
    "/performances/<performance_id>",
    summary="Correct a date; hide it, or show it",
    security=for_staff(),
    responses=answers({200: ChangedDateAnswer}, *REFUSED),
)
@needs("organiser")
def patch_performance(path: PerformancePath, body: PerformanceChanges, header: IfMatch) -> Response:
    """What is named is changed, everywhere within a second; what is sold stays as it was sold."""
    changed = service.change_performance(
        path.performance_id,
        body.model_dump(exclude={"tickets", "version", "reason"}, exclude_unset=True),
        tickets=body.tickets,
        version=_version(body, header),
        actor=actor(),
        reason=body.reason,
    )
    date = changed.plan.date(path.performance_id)
    document = {
        "concert_id": date.concert_id,
        **date_document(changed.plan, date),
        "warnings": [
            _warning(one)
            for one in changed.plan.warnings
            if one.performance_id in (None, path.performance_id)
        ],
        "effects": _effects(changed),
    }
    return answer(document, ETag=f'"{date.version}"')


@door.post(
    "/concerts/<concert_id>/copies",
    summary="Make a draft like a concert",
    security=for_staff(),
    responses=answers({201: PlanAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser")
def post_concert_copy(path: ConcertPath, body: ConcertCopy) -> Response:
    """With its texts, its dates and their sales, `days` later."""
    made = service.copy_concert(
        path.concert_id, title=body.title, days=body.days, actor=actor(), reason=body.reason
    )
    return answer(plan_document(service.plan_of(made.concert_id)), 201)


@door.post(
    "/performances/<performance_id>/copies",
    summary="Give the concert a draft date like this one",
    security=for_staff(),
    responses=answers({201: PlanAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser")
def post_date_copy(path: PerformancePath, body: DateCopy) -> Response:
    """Its sale begins and ends as long before it. Returns the concert with all its dates."""
    plan = service.copy_date(path.performance_id, body.starts_at, actor=actor(), reason=body.reason)
    return answer(plan_document(plan), 201)


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan as JSON shows it."""
    return {
        **concert_document(plan.concert),
        "draft": plan.concert.draft,
        "version": plan.concert.version,
        "dates": [date_document(plan, one) for one in plan.concert.performances],
        "warnings": [_warning(one) for one in plan.warnings],
    }


def date_document(plan: Plan, date: Performance) -> dict[str, Any]:
    """One of its dates."""
    counts = plan.counts.get(date.performance_id, NO_SEATS)
    seats = {"available": counts.available, "held": counts.held, "sold": counts.sold}
    return {**performance_document(date), **_planned(date), **seats}


def _planned(date: Performance) -> dict[str, Any]:
    return {"seat_limit": date.seat_limit, "draft": date.draft, "version": date.version}


def _warning(one: Warning) -> dict[str, Any]:
    return {
        "code": one.code,
        "performance_id": one.performance_id,
        "message": one.message,
        "numbers": dict(one.numbers),
    }


def _effects(changed: Changed) -> list[dict[str, Any]]:
    def shown(one: Effect) -> dict[str, Any]:
        return {"code": one.code, "count": one.count, "until": one.until}

    return [shown(one) for one in changed.effects]


def _version(body: Versioned, header: IfMatch) -> int | None:
    """Which version the caller has read."""
    if body.version is not None or header.if_match in (None, "*"):
        return body.version
    found = re.fullmatch(r'(?:W/)?"?([0-9]{1,9})"?', request.headers["If-Match"].strip(), re.ASCII)
    if found is None:
        raise BadRequest('If-Match is one version, such as "3".')
    return int(found[1])
