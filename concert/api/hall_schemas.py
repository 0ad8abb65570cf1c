"""What requests and answers about halls look like."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from concert.api.schemas import Asked, Decimal, Reasoned, Which

EXAMPLE_HASH = "9c1f0b7a2d44e6f8"


class HallPath(Asked):
    hall_id: Decimal = Field(ge=1, le=2**63 - 1, json_schema_extra={"example": 1})


class PerformancePath(Asked):
    performance_id: Decimal = Field(ge=1, le=2**63 - 1, json_schema_extra={"example": 1})


class NewHall(Reasoned):
    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["plan"]}, {"required": ["table", "name"]}]}
    )

    name: StrictStr | None = Field(
        None, min_length=1, max_length=80, description="Left out: as the plan is called."
    )
    plan: dict[str, Any] | None = Field(
        None, description="A plan as docs/halls.md has it, or a seating plan of pretix."
    )
    table: StrictStr | None = Field(
        None, description="Instead of `plan`: CSV with a line for each seat; it needs a `name`."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> NewHall:
        if (self.plan is None) == (self.table is None):
            raise ValueError("give either plan or table")
        if self.table is not None and self.name is None:
            raise ValueError("a table needs a name")
        return self


class WhichForm(Asked):
    form: Literal["plain", "compact"] = Field(
        "plain", description="`compact`: columns instead of an object for each seat."
    )


class WhichPlan(WhichForm):
    v: str | None = Field(
        None,
        max_length=64,
        description="The plan's `version`: with the one that it has now, the answer is good for a year.",
        json_schema_extra={"example": EXAMPLE_HASH},
    )


class SeatsForSaleChanges(Reasoned):
    block: list[StrictInt] = Field(
        [], max_length=20_000, description="Seats that are not for sale from now on."
    )
    release: list[StrictInt] = Field(
        [],
        max_length=20_000,
        description="Seats that are for sale again; a place for a wheelchair, or a companion's, is for all.",
    )
    lone_seats: Literal["off", "advise", "refuse"] | None = Field(
        None,
        description="Where a choice would leave a single seat between others, and another would not: "
        "nothing; the best seats avoid it and pages say so; or it is refused.",
    )


class WhichBest(Which):
    count: StrictInt = Field(ge=1, le=100, json_schema_extra={"example": 2})
    category: StrictStr | None = Field(
        None, max_length=80, description="Only seats of this category of the hall."
    )
    near: list[StrictInt] = Field(
        [], max_length=100, description="As near to these seats as can be; left out: to the stage."
    )
    wheelchair: StrictBool = Field(
        False, description="One is a place for a wheelchair, and the others are beside it."
    )


class HallAnswer(BaseModel):
    hall_id: int
    name: str
    capacity: int
    hash: str
    created_at: dt.datetime


class HallsAnswer(BaseModel):
    halls: list[HallAnswer]


class HallWithPlanAnswer(HallAnswer):
    plan: dict[str, Any]


class PlanAnswer(BaseModel):
    performance_id: int
    version: str
    name: str
    capacity: int
    size: tuple[float, float]
    seat_size: float
    stage: dict[str, Any] | None
    categories: list[dict[str, Any]]
    flags: list[str] | None = Field(None, description="In the compact form only.")
    sections: list[dict[str, Any]]


class SeatsNotForSaleAnswer(BaseModel):
    performance_id: int
    blocked: list[int]
    released: list[int]
    lone_seats: Literal["off", "advise", "refuse"]
