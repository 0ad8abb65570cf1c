"""Lines about what fans have done: one event each, after the commit, found by one search."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import structlog

from concert.cli import main
from concert.factory import ConcertApp
from concert.ground import observability
from concert.ground.observability import EventLines, RequestLines, note_event, user_in_logs
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.jobs.ticks import admit_everywhere, release_expired_holds
from concert.payments.service import top_up_and_pay
from concert.waiting_room.tokens import queue_token_of
from tests.ground.test_logs import Lines, logged
from tests.sale import Fan, Sale

__all__ = ["logged"]

Logged = tuple[ConcertApp, Lines]


def there(app: ConcertApp, fan: Fan) -> Fan:
    """The same fan, at this app."""
    return Fan(Sale(app), fan.user_id, fan.user_token, fan.queue_token)


def named(app: ConcertApp, fan: Fan) -> str:
    return user_in_logs(fan.user_id, part(Settings, app).secret_keys[0])


def events(lines: Lines, user: str | None = None) -> list[dict[str, Any]]:
    """The lines about events, of one user where it is said."""
    return [
        line
        for line in lines()
        if line["event"] != "request" and "user" in line and user in (None, line["user"])
    ]


def test_i_paid_and_have_no_ticket_is_traced_by_one_search(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    concert = sale.concert(price=10)
    fan, other = (there(app, sale.fan()) for _ in range(2))
    with app.app_context():
        for one in (fan, other):
            assert one.join(concert).json["status"] == "admitted"
            one.charge(30)
            held = one.hold(concert, 1 if one is fan else 2)
        paid = fan.pay(concert, 1)
    found = events(lines, named(app, fan))
    assert [line["event"] for line in found] == ["admitted", "charged", "held", "paid", "completed"]
    place = queue_token_of_(app, fan)
    admitted, charged, held_line, paid_line, completed = found
    assert (admitted["room"], admitted["place"]) == ("main", place)
    assert charged["amount"] == 30
    assert (held_line["seats"], held_line["performance"], held_line["place"]) == ([1], 1, place)
    assert paid_line["reservation"] == held_line["reservation"]
    assert paid_line["reservation"] != held.json["reservation_id"]
    assert (paid_line["payment"], paid_line["amount"]) == (paid.json["payment_id"], 10)
    assert completed["payment"] == paid.json["payment_id"]
    assert paid_line["request_id"] == completed["request_id"] == paid.headers["X-Request-ID"]
    assert [one["request_id"] for one in lines() if one["event"] == "request"][-1] == (
        paid.headers["X-Request-ID"]
    )


def queue_token_of_(app: ConcertApp, fan: Fan) -> int:
    with app.app_context():
        return queue_token_of(fan.queue_token).sequence


def test_a_request_id_that_is_sent_is_in_the_event_s_line(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    concert = sale.concert()
    fan = there(app, sale.admitted_fan(concert))
    fan.hold(concert, 1, headers={"X-Request-ID": "from-the-proxy-1"})
    (held,) = events(lines)
    assert (held["event"], held["request_id"]) == ("held", "from-the-proxy-1")


def test_nobody_is_named_in_a_line_and_the_hash_needs_our_key(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    concert = sale.concert()
    fan = there(app, sale.admitted_fan(concert))
    fan.hold(concert, 1)
    text = json.dumps(lines())
    for secret in (str(fan.user_id), fan.user_id.hex, fan.queue_token, fan.user_token):
        assert secret not in text
    assert user_in_logs(fan.user_id, "one key") != user_in_logs(fan.user_id, "another key")
    assert len(user_in_logs(fan.user_id, "one key")) == 12


def test_what_was_refused_or_was_done_before_is_no_event(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    concert = sale.concert(price=10)
    fan, other = (there(app, sale.admitted_fan(concert)) for _ in range(2))
    key = {"Idempotency-Key": "once"}
    for _ in range(2):
        fan.charge(10, headers=key)
    fan.hold(concert, 1)
    fan.hold(concert, 1)
    other.hold(concert, 1)
    for _ in range(2):
        fan.pay(concert, 1)
    assert [line["event"] for line in events(lines)] == ["charged", "held", "paid", "completed"]


def test_what_was_undone_is_no_event(
    logged: Logged, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, lines = logged
    concert = sale.concert(price=10)
    fan = there(app, sale.admitted_fan(concert))
    held = fan.hold(concert, 1).json
    with app.app_context():
        monkeypatch.setattr("concert.payments.service._pay_once", refused)
        with pytest.raises(RuntimeError):
            token = queue_token_of(fan.queue_token)
            top_up_and_pay(token, "main", uuid.UUID(held["reservation_id"]), 10)
    assert [line["event"] for line in events(lines)] == ["held"]
    assert fan.call_as_user("GET", "/v1/charges").json["balance"] == 0


def refused(*_: object) -> None:
    raise RuntimeError("the power went out")


def test_topping_up_and_paying_are_two_events(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    concert = sale.concert(price=10)
    fan = there(app, sale.admitted_fan(concert))
    held = fan.hold(concert, 1).json
    with app.app_context():
        token = queue_token_of(fan.queue_token)
        top_up_and_pay(token, "main", uuid.UUID(held["reservation_id"]), 10)
    found = events(lines)
    assert [line["event"] for line in found] == ["held", "charged", "paid", "completed"]
    assert found[1]["amount"] == 10


def test_releasing_and_leaving_are_events(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    concert = sale.concert()
    fan = there(app, sale.admitted_fan(concert))
    first = fan.hold(concert, 1).json["reservation_id"]
    fan.call_as_user("DELETE", f"/v1/reservations/{first}")
    second = fan.hold(concert, 2).json["reservation_id"]
    assert fan.call("DELETE", "/v1/enqueues").status_code == 204
    found = events(lines)
    assert [line["event"] for line in found] == ["held", "released", "held", "left", "released"]
    assert [line["reservation"] for line in found if line["event"] == "released"] == [first, second]
    assert {line["user"] for line in found} == {named(app, fan)}


def test_a_job_s_events_carry_its_id(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    sale.room(capacity=1)
    concert = sale.concert()
    first = there(app, sale.admitted_fan(concert))
    reservation = first.hold(concert, 1).json["reservation_id"]
    behind = [sale.fan() for _ in range(2)]
    for one in behind:
        assert one.join(concert).json["status"] == "waiting"
    sale.let_time_pass(4000)
    with app.app_context(), structlog.contextvars.bound_contextvars(request_id="the-job"):
        release_expired_holds()
        admit_everywhere()
    lapsed, admitted = events(lines)[1:]
    assert (lapsed["event"], lapsed["user"]) == ("lapsed", named(app, first))
    assert (lapsed["reservation"], lapsed["seats"]) == (reservation, [1])
    assert (admitted["event"], admitted["user"]) == ("admitted", named(app, behind[0]))
    assert admitted["place"] == queue_token_of_(app, behind[0])
    assert lapsed["request_id"] == admitted["request_id"] == "the-job"
    moved = next(line for line in lines() if line["event"] == "line_moved")
    assert moved["admitted"] == 1


def test_joining_again_is_no_second_admission(logged: Logged, sale: Sale) -> None:
    app, lines = logged
    fan = there(app, sale.fan())
    for _ in range(3):
        assert fan.join().json["status"] == "admitted"
    assert [line["event"] for line in events(lines)] == ["admitted"]


def test_a_warning_from_the_express_door_has_the_request_s_id(
    logged: Logged, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, lines = logged
    concert = sale.concert()
    fan = there(app, sale.admitted_fan(concert))
    told = structlog.get_logger()
    monkeypatch.setattr(
        "concert.reservations.service.require_seats", lambda *_: (told.warning("odd"), (1,))[1]
    )
    fan.hold(concert, 1, headers={"X-Request-ID": "from-the-proxy-2"})
    warning = next(line for line in lines() if line["event"] == "odd")
    assert warning["request_id"] == "from-the-proxy-2"


def test_a_line_that_nobody_takes_undoes_nothing(sale: Sale, logged: Logged) -> None:
    app, _ = logged
    concert = sale.concert()
    fan = there(app, sale.admitted_fan(concert))
    for lines in (part(EventLines, app), part(RequestLines, app)):
        assert lines._out is not None
        lines._out.close()
    assert fan.hold(concert, 1).status_code == 200


def test_without_a_wish_for_such_lines_none_is_made(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observability, "_hashed", refused)
    note_event("held", uuid.uuid4(), room="main")


def test_a_user_s_hash_can_be_asked_for_by_everybody_who_has_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [
        "the newest key which is long enough to sign",
        "an older key which is long enough too",
    ]
    monkeypatch.setenv("CONCERT_SECRET_KEYS", ",".join(keys))
    user = uuid.uuid4()
    assert main(["hash-user", str(user)]) == 0
    assert capsys.readouterr().out.split() == [user_in_logs(user, key) for key in keys]
    assert main(["hash-user", "nobody"]) != 0
