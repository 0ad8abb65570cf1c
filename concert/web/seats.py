"""Pages of the seat map: looking, choosing, holding, and the live stream of it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Flask, Response, render_template, request, url_for
from markupsafe import Markup

from concert.catalogue.labels import layout_of_performance, plan_of_performance
from concert.catalogue.seating import rows_of
from concert.catalogue.service import (
    Concert,
    Performance,
    concert_of,
    find_performance,
    require_on_sale,
)
from concert.ground.errors import (
    BadRequest,
    LoneSeat,
    NotAdmitted,
    NotFound,
    NotTogether,
    SalesNotOpen,
    SeatLimit,
    SeatTaken,
    TokenExpired,
    TokenInvalid,
)
from concert.ground.fanout import Fact
from concert.ground.parts import part
from concert.ground.streams import encoded
from concert.halls.best import nearest_free
from concert.halls.plan import Plan
from concert.overview.sales import sale_of
from concert.reservations.service import (
    SEAT_STATES,
    STATES,
    Reservation,
    SeatState,
    hold_best_seats,
    hold_seats,
    lone_seats_of,
    reservations_of,
    seat_limit_of,
    seat_prices,
)
from concert.reservations.snapshots import Reading, SeatSnapshots, seats_lately
from concert.waiting_room import service as waiting_room
from concert.waiting_room.service import Visit
from concert.waiting_room.tokens import QueueToken
from concert.web.door import go_to, new_pages, private, queue_token, render, tells_of
from concert.web.hall import hall_list, hall_shown, own_letters
from concert.web.language import language, speaking
from concert.web.waiting_room import room_url

pages = new_pages("seats")


@pages.get("/concerts/<int:concert_id>/seats")
def dates(concert_id: int) -> Response:
    """The way in: the seat map where there is one date to book, else the choice of dates."""
    concert = concert_of(concert_id)
    visit = _visit(concert)
    if visit is None:
        return go_to(room_url(concert.room, concert))
    bookable = concert.bookable(datetime.now(UTC))
    if len(bookable) == 1:
        return go_to(map_url(concert, bookable[0]))
    return private(
        render(
            "seats/dates.html",
            concert=concert,
            bookable=bookable,
            sale=sale_of(concert_id),
            visit=visit,
            map_url=map_url,
        )
    )


@pages.get("/concerts/<int:concert_id>/seats/<date>")
def choose(concert_id: int, date: str) -> Response:
    """The seat map; ``?part=map`` gives the map alone, ``?part=states`` a letter for each seat.

    In a hall with a plan ``?section=`` and ``?row=`` (counted from 0) say how far its list goes, and
    ``?part=list`` gives the list alone.

    Once the sale has ended the page says so, and ``?part=states`` is the word ``ended``.
    """
    concert = concert_of(concert_id)
    performance = _performance(concert, date)
    visit = _visit(concert)
    if visit is None:
        return go_to(room_url(concert.room, concert))
    asked = request.args.get("part")
    if performance.sales_close_at <= datetime.now(UTC):
        if asked == "states":
            return private(Response("ended", mimetype="text/plain"))
        here = map_url(concert, performance)
        return go_to(here) if asked == "map" else _ended(concert, performance, visit)
    require_on_sale(performance)
    if asked == "states":
        return private(Response(_states(performance, visit.token.user_id), mimetype="text/plain"))
    return _page(concert, performance, visit)


@pages.post("/concerts/<int:concert_id>/seats/<date>/hold")
def hold(concert_id: int, date: str) -> Response:
    """Hold the chosen seats and go to the checkout."""
    concert = concert_of(concert_id)
    performance = _performance(concert, date)
    wanted = request.form.getlist("seats", type=int)
    visit = _visit(concert)
    if visit is None:
        return go_to(room_url(concert.room, concert))
    alone = [] if request.form.get("anyway") else _left_alone(performance, wanted)
    if alone:
        return _page(concert, performance, visit, wanted=wanted, alone=alone, status=409)
    try:
        held = hold_seats(visit.token, concert.room, performance, wanted)
    except SalesNotOpen:
        return _ended(concert, performance, visit, 400)
    except LoneSeat as lone:
        more: dict[str, Any] = {"alone": lone.seat_nos, "refused": lone.code}
        return _page(concert, performance, visit, wanted=wanted, status=409, **more)
    except SeatTaken as taken:
        return _page(concert, performance, visit, wanted=wanted, lost=taken.seat_nos, status=409)
    except (SeatLimit, BadRequest) as refused:
        status = 409 if isinstance(refused, SeatLimit) else 400
        return _page(
            concert, performance, visit, wanted=wanted, refused=refused.code, status=status
        )
    return _to_checkout(held)


@pages.post("/concerts/<int:concert_id>/seats/<date>/best")
def best(concert_id: int, date: str) -> Response:
    """Hold the best free seats together and go to the checkout."""
    concert = concert_of(concert_id)
    performance = _performance(concert, date)
    count = request.form.get("count", 0, type=int)
    visit = _visit(concert)
    if visit is None:
        return go_to(room_url(concert.room, concert))
    try:
        held = hold_best_seats(visit.token, concert.room, performance, count, **_wish())
    except SalesNotOpen:
        return _ended(concert, performance, visit, 400)
    except (NotTogether, SeatLimit) as refused:
        return _page(concert, performance, visit, refused=refused.code, status=409)
    return _to_checkout(held)


def map_url(concert: Concert, performance: Performance, **more: Any) -> str:
    """Where a performance's seat map is; names the performance where its date does not."""
    same_day = [one for one in concert.performances if one.date == performance.date]
    if len(same_day) > 1:
        more["performance"] = performance.performance_id
    return url_for(
        "seats.choose", concert_id=concert.concert_id, date=performance.date.isoformat(), **more
    )


def seats_told(app: Flask, code: str, performance: Performance, user_id: str, fact: Fact) -> bytes:
    """Changed seats as a stream tells them: the same for all of one language, but for the holder."""
    mine = fact.data.get("holder") == user_id
    shown = fact.shown.get((code, mine))
    if shown is None:
        seats = [
            SeatState(seat_no, performance.price, fact.data["state"], mine)
            for seat_no in fact.data["seats"]
        ]
        with speaking(app, code):
            template = app.jinja_env.get_template("seats/_changed.html")
            shown = encoded(("", template.render(seats=seats, performance=performance)))
        fact.shown[code, mine] = shown
    return shown


def _page(
    concert: Concert,
    performance: Performance,
    visit: Visit,
    *,
    wanted: Sequence[int] = (),
    lost: Sequence[int] = (),
    alone: Sequence[int] = (),
    refused: str = "",
    status: int = 200,
) -> Response:
    if status != 200:
        # Whoever was refused has shown that what was read lately is not how it is.
        part(SeatSnapshots).drop(performance.performance_id)
    [reading] = seats_lately([performance.performance_id])
    user_id = visit.token.user_id
    free = [seat_no for seat_no, letter in enumerate(reading.letters, 1) if letter == "a"]
    kept = [seat_no for seat_no in wanted if seat_no in free]
    offered = _instead(performance, reading, lost, kept) if lost else []
    plan = plan_of_performance(performance)
    marks: dict[str, Any] = {"chosen": kept + offered, "lost": list(lost), "offered": offered}
    shown: dict[str, Any] = {
        "concert": concert,
        "performance": performance,
        # What can be done here, in a word; seat-map.js keeps it true.
        "state": "open" if free else "all_held" if "h" in reading.letters else "sold_out",
        "others": [one for one in concert.bookable(datetime.now(UTC)) if one != performance],
        "refused": refused,
        "alone": list(alone),
        "best_of": _best_of(performance, reading),
        "limit": seat_limit_of(performance),
        "visit": visit,
        "map_url": map_url(concert, performance),
        **marks,
    }
    asked = request.args.get("part")
    if plan is not None:
        return _hall(performance, plan, reading, visit, asked, status, shown)
    seat_map = _map(performance, reading, user_id, **marks)
    if asked == "map":
        return private(Response(seat_map, mimetype="text/html"))
    return private(render("seats/page.html", status, seat_map=seat_map, **shown))


def _hall(
    performance: Performance,
    plan: Plan,
    reading: Reading,
    visit: Visit,
    asked: str | None,
    status: int,
    shown: dict[str, Any],
) -> Response:
    """The page of a hall with a plan, or its list alone."""
    user_id = visit.token.user_id
    marks = {"chosen": shown["chosen"], "lost": shown["lost"]}
    if asked == "list":
        drawn = hall_list(performance, plan, reading, user_id, **marks)
        return private(Response(drawn, mimetype="text/html"))
    about = {name: shown[name] for name in ("offered", "limit", "map_url")}
    about["look_url"] = url_for(
        "seats.choose",
        concert_id=performance.concert_id,
        date=performance.date.isoformat(),
        performance=performance.performance_id,
        part="states",
    )
    shown |= hall_shown(performance, plan, reading, user_id, **marks, **about)
    return private(render("hall/page.html", status, **shown))


def _wish() -> dict[str, Any]:
    """What the form says of the best seats, beside how many."""
    return {
        "category": request.form.get("category") or None,
        "wheelchair": bool(request.form.get("wheelchair")),
    }


def _left_alone(performance: Performance, wanted: Sequence[int]) -> list[int]:
    """The single seats that a choice would leave, where pages only say so (``advise``)."""
    in_range = wanted and all(1 <= seat_no <= performance.capacity for seat_no in wanted)
    if performance.lone_seats != "advise" or not in_range:
        return []
    [reading] = seats_lately([performance.performance_id])
    return lone_seats_of(performance, wanted, reading.letters)


def _best_of(performance: Performance, reading: Reading) -> dict[str, Any] | None:
    """What the best seats can be asked for in a hall with a plan: its categories, wheelchairs' places."""
    plan = plan_of_performance(performance)
    if plan is None or performance.prices is None:
        return None
    free = reading.shown.get("free by category")
    if free is None:
        each = zip(plan.categories_of_seats, reading.letters, strict=True)
        free = reading.shown["free by category"] = Counter(
            category for category, letter in each if letter == "a"
        )
    return {
        "categories": [
            {"name": category.name, "price": price, "free": free[index]}
            for index, (category, price) in enumerate(
                zip(plan.categories, performance.prices, strict=True)
            )
        ],
        "wheelchairs": plan.has_wheelchairs,
        "asked": request.values.get("category", ""),
    }


def _instead(
    performance: Performance, reading: Reading, lost: Sequence[int], kept: Sequence[int]
) -> list[int]:
    """The free seats that are nearest to those that were lost, beside those that are kept."""
    letters = list(reading.letters)
    for seat_no in kept:
        letters[seat_no - 1] = "k"
    layout = layout_of_performance(performance, len(letters))
    # A seat may have been taken away altogether.
    here = [seat_no for seat_no in lost if seat_no <= len(letters)]
    return list(nearest_free(layout, "".join(letters), here)) if here else []


def _map(performance: Performance, reading: Reading, user_id: UUID, **marks: Any) -> Markup:
    """The seat map; as nobody's own and without marks it is drawn once for each reading and language."""
    is_anybodys = not reading.own_seats(user_id) and not any(marks.values())
    drawn: Markup | None = reading.shown.get(("map", language())) if is_anybodys else None
    if drawn is None:
        letters = reading.letters_for(user_id)
        prices = seat_prices(performance.performance_id, len(letters))
        seats = {
            number: SeatState(number, price, SEAT_STATES[letter.lower()], letter.isupper())
            for number, (letter, price) in enumerate(zip(letters, prices, strict=False), 1)
        }
        drawn = Markup(
            render_template(
                "seats/_map.html",
                performance=performance,
                # As many as there were when they were read: the house may have been enlarged since.
                rows=rows_of(len(seats), performance.row_seats),
                seats=seats,
                counts={state: reading.letters.count(letter) for letter, state in STATES.items()},
                **marks,
            )
        )
        if is_anybodys:
            reading.shown["map", language()] = drawn
    return drawn


def _ended(concert: Concert, performance: Performance, visit: Visit, status: int = 200) -> Response:
    """That the sale is over; what is held can still be paid, and other dates may be on sale."""
    if performance.sales_open_at > datetime.now(UTC):
        raise SalesNotOpen("The sale of this performance has not opened yet.")
    return private(
        render(
            "seats/ended.html",
            status,
            concert=concert,
            performance=performance,
            holds=_live_holds(visit.token.user_id, performance),
            others=concert.bookable(datetime.now(UTC)),
        )
    )


def _states(performance: Performance, user_id: UUID) -> str:
    """Every seat's state by its first letter, in number order; ``m`` where it is the visitor's own."""
    return own_letters(seats_lately([performance.performance_id])[0], user_id)


def _live_holds(user_id: UUID, performance: Performance) -> list[Reservation]:
    return [
        one
        for one in reservations_of(user_id)
        if one.status == "held" and one.performance_id == performance.performance_id
    ]


def _performance(concert: Concert, date: str) -> Performance:
    try:
        day = dt.date.fromisoformat(date)
        return find_performance(
            concert, date=day, performance_id=request.values.get("performance", type=int)
        )
    except (ValueError, BadRequest) as error:
        raise NotFound("This concert has no performance on that date.") from error


def _visit(concert: Concert) -> Visit | None:
    """The visitor's visit, or None for somebody whose turn it is not."""
    tells_of(concert.room)
    token: QueueToken | None = queue_token(concert.room)
    if token is None:
        return None
    try:
        return waiting_room.enter(token, concert.room)
    except (NotAdmitted, TokenExpired, TokenInvalid):
        return None


def _to_checkout(held: Reservation) -> Response:
    return go_to(url_for("checkout.show", reservation_id=held.reservation_id))
