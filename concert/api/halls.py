"""JSON calls about halls: keeping plans, giving a performance's plan to everybody, blocking seats."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import orjson
from flask import Response, request

from concert.api.door import (
    Written,
    actor,
    answer,
    answers,
    attempt,
    for_staff,
    large,
    new_door,
    queue_token,
    security,
    takes,
    written,
)
from concert.api.hall_schemas import (
    HallAnswer,
    HallPath,
    HallsAnswer,
    HallWithPlanAnswer,
    NewHall,
    PerformancePath,
    PlanAnswer,
    SeatsForSaleChanges,
    SeatsNotForSaleAnswer,
    WhichBest,
    WhichForm,
    WhichPlan,
)
from concert.api.reservations import reservation_document
from concert.api.schemas import ConcertPath, ReservationAnswer, Retry
from concert.catalogue.labels import plan_of_performance
from concert.catalogue.service import (
    Performance,
    concert_of,
    find_performance,
    performance_lately,
)
from concert.ground.errors import NotFound
from concert.ground.idempotency import or_first_answer
from concert.ground.parts import part
from concert.halls.document import Form, document_of
from concert.halls.reading import read_document, read_file
from concert.halls.service import Hall, hall_of, keep_hall, list_halls, plan_of
from concert.reservations.offer import change_offer
from concert.reservations.service import Reservation, hold_best_seats
from concert.staff.access import needs

door = new_door(
    "halls", "Hall plans: where seats are, what they are called, and which are not sold."
)

LARGEST_BODY = 4 * 1024 * 1024
FOR_A_YEAR = "public, max-age=31536000, immutable"
FOR_A_MINUTE = "public, max-age=60"
# Plans as they are sent; one of 5,000 seats is 80 KB compact and half a megabyte plain.
MOST_WRITTEN = 32
COMPRESSION = 9


@dataclass(frozen=True, slots=True)
class WrittenPlan:
    """A performance's plan as it is sent, and compressed."""

    body: bytes
    compressed: bytes


@dataclass(slots=True)
class WrittenPlans:
    """The plans that this process has written, by version and form: each is written once."""

    plans: OrderedDict[tuple[str, Form], WrittenPlan] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)


@door.post(
    "/halls",
    summary="Keep a hall plan",
    security=for_staff(),
    responses=answers({200: HallAnswer, 201: HallAnswer}, 400, 401, 403, 413, 415, 429),
)
@needs("organiser")
@large(LARGEST_BODY)
def post_hall(body: NewHall) -> Response:
    """The same plan is kept once: then it is a 200, and the hall that is there."""
    if body.table is not None:
        plan = read_file(f"{body.name}.csv", body.table.encode(), body.name)
    else:
        plan = read_document(body.plan, body.name)
    hall, is_new = keep_hall(plan, actor=actor(), reason=body.reason)
    return answer(hall_document(hall), 201 if is_new else 200)


@door.get(
    "/halls",
    summary="The halls that are kept, newest first",
    security=for_staff(),
    responses=answers({200: HallsAnswer}, 401, 403, 429),
)
@needs("organiser")
def get_halls() -> Response:
    """500 at the most."""
    return answer({"halls": [hall_document(one) for one in list_halls()]})


@door.get(
    "/halls/<hall_id>",
    summary="One hall with its plan",
    security=for_staff(),
    responses=answers({200: HallWithPlanAnswer}, 400, 401, 403, 404, 429),
)
@needs("organiser")
def get_hall(path: HallPath, query: WhichForm) -> Response:
    """The plan can be sent to `POST /v1/halls` again as it is."""
    hall = hall_of(path.hall_id)
    plan = document_of(plan_of(path.hall_id), query.form)
    return answer({**hall_document(hall), "plan": plan})


@door.get(
    "/performances/<performance_id>/plan",
    summary="The hall plan of a performance, with its prices",
    responses=answers({200: PlanAnswer}, 400, 404),
)
def get_plan(path: PerformancePath, query: WhichPlan) -> Response:
    """Good for a year under its own `v`, and for a minute without. 404 where there is no plan."""
    performance = performance_lately(path.performance_id)
    version = performance.plan_version
    if version is None:
        raise NotFound("This performance has no hall plan.")
    written_plan = _written_plan(performance, version, query.form)
    # Who would compress it on the way gets it compressed once for all.
    compress = request.accept_encodings.quality("gzip") > 0
    body = written_plan.compressed if compress else written_plan.body
    response = Response(body, mimetype="application/json")
    if compress:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = FOR_A_YEAR if query.v == version else FOR_A_MINUTE
    response.set_etag(f"{version}-{query.form}", weak=True)
    response.make_conditional(request)
    return response


@door.patch(
    "/performances/<performance_id>/seats",
    summary="Block seats of a performance, or release them",
    security=for_staff(),
    responses=answers({200: SeatsNotForSaleAnswer}, 400, 401, 403, 404, 409, 413, 415, 429),
)
@needs("organiser")
@large(LARGEST_BODY)
def patch_seats(path: PerformancePath, body: SeatsForSaleChanges) -> Response:
    """All of it or nothing; live maps show it at once. With an empty body: how it is."""
    offer = change_offer(
        path.performance_id,
        block=body.block,
        release=body.release,
        lone_seats=body.lone_seats,
        actor=actor(),
        reason=body.reason,
    )
    return answer(
        {
            "performance_id": offer.performance.performance_id,
            "blocked": offer.blocked,
            "released": offer.released,
            "lone_seats": offer.lone_seats,
        }
    )


@door.post(
    "/concerts/<concert_id>/best-seats",
    summary="Hold the best seats side by side",
    security=security("queue"),
    responses=answers({200: ReservationAnswer}, 400, 401, 403, 404, 409, 413, 415, 429),
)
@takes("queue", admitted=True)
def post_best_seats(path: ConcertPath, body: WhichBest, header: Retry) -> Written:
    """All or nothing. Where others are quicker, the next best are held."""
    key = attempt("hold best", concert=path.concert_id, **body.model_dump(exclude_none=True))

    def hold() -> Reservation:
        concert = concert_of(path.concert_id)
        performance = find_performance(concert, date=body.date, performance_id=body.performance_id)
        return hold_best_seats(
            *(queue_token(), concert.room, performance, body.count, key),
            category=body.category,
            near=body.near,
            wheelchair=body.wheelchair,
        )

    return written(reservation_document(or_first_answer(key, Reservation, hold)))


def hall_document(hall: Hall) -> dict[str, Any]:
    """A hall as JSON shows it, but for its plan."""
    return {
        "hall_id": hall.hall_id,
        "name": hall.name,
        "capacity": hall.capacity,
        "hash": hall.hash,
        "created_at": hall.created_at,
    }


def _written_plan(performance: Performance, version: str, form: Form) -> WrittenPlan:
    """The plan as it is sent; one writes it, and a crowd that comes at once waits for that."""
    kept = part(WrittenPlans)
    with kept.lock:
        found = kept.plans.get((version, form))
        if found is None:
            found = kept.plans[version, form] = _write(performance, version, form)
            while len(kept.plans) > MOST_WRITTEN:
                kept.plans.popitem(last=False)
        kept.plans.move_to_end((version, form))
        return found


def _write(performance: Performance, version: str, form: Form) -> WrittenPlan:
    plan = plan_of_performance(performance)
    assert plan is not None
    about = {"performance_id": performance.performance_id, "version": version}
    body = orjson.dumps({**about, **document_of(plan, form, performance.prices)})
    return WrittenPlan(body, gzip.compress(body, COMPRESSION, mtime=0))
