"""Every route and method, at both doors, with every kind of caller, against a table.

A new route without a line in the table fails, and so does a line without a route.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from concert.factory import ConcertApp
from concert.ground.audit import SYSTEM
from concert.ground.signing import sign
from concert.staff import keys, service
from concert.staff.access import COOKIE, ROLES, Role, csrf_token_of
from concert.web.door import QUEUE_COOKIE, USER_COOKIE
from tests.sale import ORGANISER_KEY, Sale

IN, WHO, NOT_YOU = "in", 401, 403
# A page behind the room sends whoever has no turn to its line.
SENT_ON = "sent on"
# Whoever is nobody here, or no longer anybody.
STRANGERS = ("nobody", "bad token", "expired user", "ended session", "revoked key")
FANS = ("user", "queue")
SESSIONS = tuple(f"session of {role}" for role in ROLES)
KEYS = tuple(f"key of {role}" for role in ROLES)
CALLERS = (*STRANGERS, *FANS, *SESSIONS, *KEYS, "root")

Answers = dict[str, object]


def only(*let_in: str, **told_no: tuple[str, ...]) -> Answers:
    """These are let in, those of ``not_you`` are known and told no, and all others are nobody."""
    answers: Answers = dict.fromkeys(CALLERS, WHO)
    answers |= dict.fromkeys(told_no.get("not_you", ()), NOT_YOU)
    return answers | dict.fromkeys(let_in, IN)


ANYBODY = only(*CALLERS)
USER = only("user")
PLACE = only("queue")
USER_OR_PLACE = only("user", "queue")
ORGANISER = only("session of organiser", "key of organiser", "root", not_you=(*SESSIONS, *KEYS))
TILLS = ("session of organiser", "session of box-office", "key of organiser", "key of box-office")
BOX_OFFICE = only(*TILLS, "root", not_you=(*SESSIONS, *KEYS))
ORGANISER_IN_PERSON = only("session of organiser", "root", not_you=(*SESSIONS, *KEYS))
# Pages know people by their cookies, and look at no key and no token in a header.
PERSON_PAGE = only("user", "queue")
PLACE_PAGE = only("queue")
SEATS_PAGE = dict.fromkeys(CALLERS, SENT_ON) | {"queue": IN}
DOOR = only(
    *(f"{what} of {role}" for what in ("session", "key") for role in ("organiser", "door")),
    "root",
    not_you=(*SESSIONS, *KEYS),
)
DOOR_PAGE = only("session of organiser", "session of door", not_you=SESSIONS)
STAFF_PAGE = only(*SESSIONS)
BOX_OFFICE_PAGE = only("session of organiser", "session of box-office", not_you=SESSIONS)
ORGANISER_PAGE = only("session of organiser", not_you=SESSIONS)

TABLE: dict[str, Answers] = {
    "GET /": ANYBODY,
    "GET /concerts/<int:concert_id>": ANYBODY,
    "GET /concerts/<int:concert_id>/seats": SEATS_PAGE,
    "GET /concerts/<int:concert_id>/seats/<date>": SEATS_PAGE,
    "POST /concerts/<int:concert_id>/seats/<date>/best": SEATS_PAGE,
    "POST /concerts/<int:concert_id>/seats/<date>/hold": SEATS_PAGE,
    "GET /docs": ANYBODY,
    "GET /door": DOOR_PAGE,
    "GET /door/<int:performance_id>": DOOR_PAGE,
    "POST /door/<int:performance_id>": DOOR_PAGE,
    "POST /door/<int:performance_id>/entries/<int:entry_id>/undo": DOOR_PAGE,
    "GET /door/<int:performance_id>/search": DOOR_PAGE,
    "GET /door/worker.js": ANYBODY,
    "GET /docs/swagger-ui/<path:filename>": ANYBODY,
    "GET /favicon.ico": ANYBODY,
    "GET /healthz": ANYBODY,
    "GET /images/<digest>/<int:width>.webp": ANYBODY,
    "GET /healthz/sale": ANYBODY,
    "GET /live/organiser/sales/<slug>": ORGANISER_PAGE,
    "GET /live/performances/<int:performance_id>": PLACE_PAGE,
    "GET /live/rooms/<slug>": PLACE_PAGE,
    "GET /me": ANYBODY,
    "GET /me/continue/<code>": ANYBODY,
    "POST /me/continue/<code>": ANYBODY,
    "POST /me/devices": PERSON_PAGE,
    "POST /me/language": ANYBODY,
    "POST /me/name": ANYBODY,
    "GET /openapi.json": ANYBODY,
    "GET /organiser": ORGANISER_PAGE,
    "GET /organiser/concerts": ORGANISER_PAGE,
    "GET /organiser/concerts/<int:concert_id>": ORGANISER_PAGE,
    "POST /organiser/concerts/<int:concert_id>": ORGANISER_PAGE,
    "POST /organiser/concerts/<int:concert_id>/copy": ORGANISER_PAGE,
    "POST /organiser/concerts/<int:concert_id>/dates": ORGANISER_PAGE,
    "POST /organiser/concerts/<int:concert_id>/publication": ORGANISER_PAGE,
    "GET /organiser/concerts/new": ORGANISER_PAGE,
    "POST /organiser/concerts/new": ORGANISER_PAGE,
    "GET /organiser/dates/<int:performance_id>": ORGANISER_PAGE,
    "POST /organiser/dates/<int:performance_id>": ORGANISER_PAGE,
    "POST /organiser/dates/<int:performance_id>/copy": ORGANISER_PAGE,
    "POST /organiser/dates/<int:performance_id>/publication": ORGANISER_PAGE,
    "GET /organiser/keys": ORGANISER_PAGE,
    "POST /organiser/keys": ORGANISER_PAGE,
    "POST /organiser/keys/<int:key_id>/revoke": ORGANISER_PAGE,
    "POST /organiser/keys/<int:key_id>/rotate": ORGANISER_PAGE,
    "GET /organiser/log": ORGANISER_PAGE,
    "GET /organiser/log.csv": ORGANISER_PAGE,
    "GET /organiser/log.jsonl": ORGANISER_PAGE,
    "GET /organiser/reports": ORGANISER_PAGE,
    "GET /organiser/reports/<name>.csv": ORGANISER_PAGE,
    "GET /organiser/sales/<slug>": ORGANISER_PAGE,
    "GET /organiser/sales/<slug>/lever": ORGANISER_PAGE,
    "POST /organiser/sales/<slug>/lever": ORGANISER_PAGE,
    "GET /organiser/sales/<slug>/now": ORGANISER_PAGE,
    "GET /organiser/sales/concerts/<int:concert_id>": ORGANISER_PAGE,
    "POST /organiser/sessions/<int:session_id>/end": ORGANISER_PAGE,
    "GET /organiser/payments": BOX_OFFICE_PAGE,
    "GET /organiser/payments/<uuid:payment_id>": BOX_OFFICE_PAGE,
    "POST /organiser/payments/<uuid:payment_id>/refund": BOX_OFFICE_PAGE,
    "GET /organiser/performances/<int:performance_id>/cancellation": ORGANISER_PAGE,
    "POST /organiser/performances/<int:performance_id>/cancellation": ORGANISER_PAGE,
    "POST /organiser/performances/<int:performance_id>/returns": ORGANISER_PAGE,
    "POST /organiser/users/<uuid:user_id>/payout": ORGANISER_PAGE,
    "GET /organiser/staff": ORGANISER_PAGE,
    "POST /organiser/staff": ORGANISER_PAGE,
    "POST /organiser/staff/<int:staff_id>/link": ORGANISER_PAGE,
    "POST /organiser/staff/<int:staff_id>/remove": ORGANISER_PAGE,
    "GET /readyz": ANYBODY,
    "GET /reservations/<uuid:reservation_id>": PERSON_PAGE,
    "POST /reservations/<uuid:reservation_id>/pay": PERSON_PAGE,
    "POST /reservations/<uuid:reservation_id>/release": PERSON_PAGE,
    "POST /reservations/<uuid:reservation_id>/top-up": PERSON_PAGE,
    "GET /robots.txt": ANYBODY,
    "GET /rooms/<slug>": ANYBODY,
    "POST /rooms/<slug>/here": ANYBODY,
    "POST /rooms/<slug>/join": ANYBODY,
    "POST /rooms/<slug>/leave": ANYBODY,
    "GET /rooms/<slug>/place": ANYBODY,
    "GET /rooms/<slug>/status": ANYBODY,
    "GET /staff": STAFF_PAGE,
    "GET /staff/enter/<code>": ANYBODY,
    "POST /staff/enter/<code>": ANYBODY,
    "POST /staff/leave": STAFF_PAGE,
    "POST /staff/sessions/<int:session_id>/end": STAFF_PAGE,
    "GET /static/<path:name>": ANYBODY,
    "GET /static/v/<digest>/<path:name>": ANYBODY,
    "GET /tickets": ANYBODY,
    "GET /tickets/<uuid:visit_id>": PERSON_PAGE,
    "GET /tickets/<uuid:visit_id>.ics": PERSON_PAGE,
    "POST /tickets/<uuid:ticket_id>/code": PERSON_PAGE,
    "POST /tickets/<uuid:ticket_id>/link": PERSON_PAGE,
    "POST /tickets/<uuid:ticket_id>/link/withdraw": PERSON_PAGE,
    "GET /tickets/take/<code>": ANYBODY,
    "POST /tickets/take/<code>": ANYBODY,
    "GET /tickets/verify/<code>": ANYBODY,
    "GET /tickets/<uuid:payment_id>/seats/<int:seat_no>/return": PERSON_PAGE,
    "POST /tickets/<uuid:payment_id>/seats/<int:seat_no>/return": PERSON_PAGE,
    "GET /v1/audit-log": ORGANISER,
    "GET /v1/charges": USER,
    "PATCH /v1/charges": USER,
    "GET /v1/concerts": ANYBODY,
    "POST /v1/concerts": ORGANISER,
    "GET /v1/concerts/<concert_id>": ANYBODY,
    "GET /v1/concerts/<concert_id>/dates": PLACE,
    "PATCH /v1/concerts/<concert_id>": ORGANISER,
    "POST /v1/concerts/<concert_id>/copies": ORGANISER,
    "POST /v1/concerts/<concert_id>/dates": ORGANISER,
    "POST /v1/concerts/<concert_id>/best-seats": PLACE,
    "POST /v1/concerts/<concert_id>/reservations": PLACE,
    "GET /v1/concerts/<concert_id>/seats": PLACE,
    "POST /v1/concerts/<concert_id>/seats/<seat_no>/payments": PLACE,
    "POST /v1/concerts/<concert_id>/seats/<seat_no>/reservations": PLACE,
    "DELETE /v1/enqueues": PLACE,
    "GET /v1/enqueues": PLACE,
    "POST /v1/enqueues": USER,
    "GET /v1/enqueues/events": PLACE,
    "PUT /v1/concerts/<concert_id>/image": ORGANISER,
    "DELETE /v1/concerts/<concert_id>/image": ORGANISER,
    "GET /v1/halls": ORGANISER,
    "POST /v1/halls": ORGANISER,
    "GET /v1/halls/<hall_id>": ORGANISER,
    "PUT /v1/enqueues/presence": PLACE,
    "POST /v1/entries": DOOR,
    "DELETE /v1/entries/<entry_id>": DOOR,
    "GET /v1/performances/<performance_id>/door-list": DOOR,
    "GET /v1/performances/<performance_id>/entries": DOOR,
    "GET /v1/performances/<performance_id>/tickets": DOOR,
    "GET /v1/keys": ORGANISER_IN_PERSON,
    "POST /v1/keys": ORGANISER_IN_PERSON,
    "DELETE /v1/keys/<key_id>": ORGANISER_IN_PERSON,
    "POST /v1/keys/<key_id>/rotation": ORGANISER_IN_PERSON,
    "GET /v1/payments": USER,
    "GET /v1/payments/<payment_id>": USER,
    "PATCH /v1/performances/<performance_id>": ORGANISER,
    "POST /v1/performances/<performance_id>/copies": ORGANISER,
    "GET /v1/planning": ORGANISER,
    "GET /v1/planning/<concert_id>": ORGANISER,
    "GET /v1/performances/<performance_id>/sales": BOX_OFFICE,
    "GET /v1/performances/<performance_id>/plan": ANYBODY,
    "PATCH /v1/performances/<performance_id>/seats": ORGANISER,
    "POST /v1/payments/<payment_id>/refunds": BOX_OFFICE,
    "DELETE /v1/payments/<payment_id>/seats/<seat_no>": USER,
    "GET /v1/performances/<performance_id>/cancellation": BOX_OFFICE,
    "POST /v1/performances/<performance_id>/cancellation": ORGANISER,
    "PUT /v1/performances/<performance_id>/returns": ORGANISER,
    "GET /v1/reservations": USER_OR_PLACE,
    "DELETE /v1/reservations/<reservation_id>": USER_OR_PLACE,
    "GET /v1/reservations/<reservation_id>": USER_OR_PLACE,
    "GET /v1/rooms": BOX_OFFICE,
    "GET /v1/rooms/<slug>": ANYBODY,
    "PATCH /v1/rooms/<slug>": ORGANISER,
    "PUT /v1/rooms/<slug>": ORGANISER,
    "GET /v1/staff": ORGANISER_IN_PERSON,
    "POST /v1/staff": ORGANISER_IN_PERSON,
    "DELETE /v1/staff/<staff_id>": ORGANISER_IN_PERSON,
    "POST /v1/staff/<staff_id>/links": ORGANISER_IN_PERSON,
    "GET /v1/ticket-links/<code>": USER,
    "POST /v1/ticket-links/<code>": USER,
    "GET /v1/tickets": USER,
    "GET /v1/tickets/<ticket_id>": USER,
    "POST /v1/tickets/<ticket_id>/codes": USER,
    "DELETE /v1/tickets/<ticket_id>/links": USER,
    "POST /v1/tickets/<ticket_id>/links": USER,
    "GET /v1/tickets/keys": ANYBODY,
    "POST /v1/users": ANYBODY,
    "POST /v1/users/<user_id>/payouts": ORGANISER,
    "GET /wallet": ANYBODY,
    "POST /wallet": ANYBODY,
}


@dataclass
class Caller:
    """What somebody sends with every request."""

    bearer: str = ""
    cookies: dict[str, str] = field(default_factory=dict)


def routes(app: ConcertApp) -> Iterator[str]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield f"{method} {rule.rule}"


def person(role: Role) -> str:
    """The token of a session of somebody new in this role."""
    return service.sign_in(service.add_person(f"{role} {uuid4()}", role, actor=SYSTEM).code, "")[1]


def ended_session() -> str:
    token = person("organiser")
    caller = service.caller_of_session(token)
    assert caller.session_id
    service.end_session(caller.session_id, actor=SYSTEM)
    return token


def revoked_key() -> str:
    made = keys.add_key(f"{uuid4()}", "organiser", actor=SYSTEM)
    keys.revoke_key(made.key.key_id, actor=SYSTEM)
    return made.secret


def callers(sale: Sale, concert: int) -> dict[str, Callable[[], Caller]]:
    """Makes each kind of caller; the ones who use something up are new each time."""

    def user() -> Caller:
        token = sale.fan().user_token
        return Caller(token, {USER_COOKIE: token})

    def queue() -> Caller:
        fan = sale.admitted_fan(concert)
        cookies = {USER_COOKIE: fan.user_token, QUEUE_COOKIE + "main": fan.queue_token}
        return Caller(fan.queue_token, cookies)

    def session_of(role: Role) -> Callable[[], Caller]:
        return lambda: Caller(cookies={COOKIE: person(role)})

    def key_of(role: Role) -> Callable[[], Caller]:
        token = keys.add_key(f"{role} {uuid4()}", role, actor=SYSTEM).secret
        return lambda: Caller(token)

    expired = sign("user", -10, {"sub": str(uuid4())})
    ended, revoked = ended_session(), revoked_key()
    return {
        "nobody": Caller,
        "bad token": lambda: Caller("nonsense", dict.fromkeys((USER_COOKIE, COOKIE), "nonsense")),
        "expired user": lambda: Caller(expired, {USER_COOKIE: expired}),
        "ended session": lambda: Caller(cookies={COOKIE: ended}),
        "revoked key": lambda: Caller(revoked),
        "user": user,
        "queue": queue,
        **{f"session of {role}": session_of(role) for role in ROLES},
        **{f"key of {role}": key_of(role) for role in ROLES},
        "root": lambda: Caller(ORGANISER_KEY),
    }


def ask(app: ConcertApp, route: str, concert: int, caller: Caller) -> object:
    """Whether a caller is let in, or the status of what they are told."""
    # A request borrows the context that the test runs in, and what it keeps there.
    with app.app_context():
        return _ask(app.test_client(), route, concert, caller)


def _ask(client: FlaskClient, route: str, concert: int, caller: Caller) -> object:
    method, rule = route.split(" ", 1)
    numbers = {"concert_id": str(concert), "seat_no": "1", "slug": "main", "date": "2030-12-31"}
    path = re.sub(
        r"<(?:(\w+):)?(\w+)>",
        lambda place: numbers.get(place[2], str(uuid4()) if place[1] == "uuid" else "1"),
        rule,
    )
    for name, value in caller.cookies.items():
        client.set_cookie(name, value)
    headers = {"Authorization": f"Bearer {caller.bearer}"} if caller.bearer else {}
    if rule.startswith("/v1"):
        headers["X-CSRF-Token"] = csrf_token_of(caller.cookies.get(COOKIE, ""))
        answer = client.open(
            path, method=method, headers=headers, json=None if method == "GET" else {}
        )
    else:
        form = {}
        if method == "POST":
            with client.application.app_context():
                page = client.get("/me").text
            form["csrf_token"] = page.split('name="csrf_token" value="')[1].split('"')[0]
        # A stream does not end: only its beginning is looked at.
        answer = client.open(
            path, method=method, headers=headers, data=form or None, buffered=False
        )
    answer.close()
    assert answer.status_code < 500 or rule == "/healthz/sale", (route, answer.status_code)
    if "/seats" in rule and answer.status_code == 303 and "/rooms/" in answer.headers["Location"]:
        return SENT_ON
    return answer.status_code if answer.status_code in (WHO, NOT_YOU) else IN


def test_every_route_has_a_line_and_every_line_a_route(app: ConcertApp) -> None:
    assert set(routes(app)) == set(TABLE)


@pytest.mark.parametrize("kind", CALLERS)
def test_each_kind_of_caller_is_let_in_just_where_the_table_says(sale: Sale, kind: str) -> None:
    concert = sale.concert()
    sale.room(capacity=100_000, admit_per_minute=1_000_000)
    sale.something_else()
    new_caller = callers(sale, concert)[kind]
    found = {}
    for route, answers in TABLE.items():
        got = ask(sale.app, route, concert, new_caller())
        if got != answers[kind]:
            found[route] = (got, "not", answers[kind])
    assert found == {}
