"""Retries: the same key and the same request give the first answer; another request is refused."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from concert.factory import create_app
from concert.ground.database import Database, connection
from concert.ground.errors import BadRequest
from concert.ground.idempotency import FORGET, Attempt
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.jobs.upkeep import clean_idempotency_keys
from tests.sale import Fan, Sale

KEY = {"Idempotency-Key": "order-2030-0001"}


def keys() -> int:
    with connection() as link:
        row = link.execute("SELECT count(*) FROM idempotency_keys").fetchone()
    assert row is not None
    return int(row[0])


def admitted(sale: Sale, *, balance: int = 5000) -> tuple[int, Fan]:
    concert = sale.concert(price=1000)
    return concert, sale.admitted_fan(concert, balance=balance)


def test_charging_again_with_the_same_key_gives_the_first_answer_and_charges_once(
    sale: Sale,
) -> None:
    fan = sale.fan()
    first = fan.charge(700, headers=KEY)
    fan.charge(50)
    again = fan.charge(700, headers=KEY)
    assert (again.status_code, again.json) == (200, first.json)
    assert fan.balance() == 750


def test_without_a_key_every_request_counts(sale: Sale) -> None:
    fan = sale.fan()
    fan.charge(700)
    fan.charge(700)
    assert fan.balance() == 1400


def test_holding_again_with_the_same_key_gives_the_first_answer(sale: Sale) -> None:
    concert, fan = admitted(sale)
    first = fan.hold(concert, 7, headers=KEY)
    assert first.status_code == 200
    again = fan.hold(concert, 7, headers=KEY)
    assert (again.status_code, again.json) == (200, first.json)
    fan.call("DELETE", f"/v1/reservations/{first.json['reservation_id']}")
    assert fan.hold(concert, 7, headers=KEY).json == first.json
    assert len(fan.call("GET", "/v1/reservations").json["reservations"]) == 1


def test_holding_several_again_with_the_same_key_gives_the_first_answer_in_any_order(
    sale: Sale,
) -> None:
    concert, fan = admitted(sale)
    first = fan.hold(concert, 7, 8, headers=KEY)
    again = fan.hold(concert, 8, 7, headers=KEY)
    assert (again.status_code, again.json) == (200, first.json)


def test_paying_again_with_the_same_key_gives_the_first_answer(sale: Sale) -> None:
    concert, fan = admitted(sale)
    fan.hold(concert, 7)
    fan.hold(concert, 9)
    first = fan.pay(concert, 7, headers=KEY)
    assert first.status_code == 200
    again = fan.pay(concert, 7, headers=KEY)
    assert (again.status_code, again.json) == (200, first.json)
    assert fan.balance() == 4000


def test_paying_again_after_the_queue_token_is_completed_gives_the_first_answer(
    sale: Sale,
) -> None:
    concert, fan = admitted(sale)
    fan.hold(concert, 7)
    first = fan.pay(concert, 7, headers=KEY)
    assert fan.place().json["code"] == "token_expired"
    again = fan.pay(concert, 7, headers=KEY)
    assert (again.status_code, again.json) == (200, first.json)
    assert fan.balance() == 4000


def hold_best(fan: Fan, concert: int) -> TestResponse:
    path = f"/v1/concerts/{concert}/reservations"
    return fan.call("POST", path, json={"best": 2}, headers=KEY)


HOLDS: dict[str, Callable[[Fan, int], TestResponse]] = {
    "a seat": lambda fan, concert: fan.hold(concert, 7, headers=KEY),
    "several": lambda fan, concert: fan.hold(concert, 7, 8, headers=KEY),
    "the best": hold_best,
}


def paid(sale: Sale, fan: Fan, concert: int) -> None:
    (held,) = fan.call_as_user("GET", "/v1/reservations").json["reservations"]
    assert fan.pay(concert, held["seats"][0]["seat_no"]).status_code == 200


def left(sale: Sale, fan: Fan, concert: int) -> None:
    assert fan.call("DELETE", "/v1/enqueues").status_code == 204


def lined_up_again(sale: Sale, fan: Fan, concert: int) -> None:
    older = fan.queue_token
    left(sale, fan, concert)
    fan.join(concert)
    fan.queue_token = older


def missed(sale: Sale, fan: Fan, concert: int) -> None:
    sale.let_time_pass(1000)


def another_date_was_added(sale: Sale, fan: Fan, concert: int) -> None:
    date = {"starts_at": "2031-01-01T19:00:00+09:00", "price": 1000}
    made = sale.organise("POST", f"/v1/concerts/{concert}/dates", json={"dates": [date]})
    assert made.status_code == 201


def the_concert_is_over(sale: Sale, fan: Fan, concert: int) -> None:
    another_date_was_added(sale, fan, concert)
    sale.let_time_pass(10 * 365 * 86_400)


AFTERWARDS = [paid, left, lined_up_again, missed, another_date_was_added, the_concert_is_over]


@pytest.mark.parametrize("since", AFTERWARDS, ids=lambda since: str(since.__name__))
@pytest.mark.parametrize("what", HOLDS)
def test_a_hold_sent_again_gives_the_first_answer_whatever_has_become_of_the_place(
    sale: Sale, what: str, since: Callable[[Sale, Fan, int], None]
) -> None:
    concert, fan = admitted(sale)
    first = HOLDS[what](fan, concert)
    assert first.status_code == 200
    since(sale, fan, concert)
    again = HOLDS[what](fan, concert)
    assert (again.status_code, again.json) == (200, first.json)


@pytest.mark.parametrize("since", AFTERWARDS[1:], ids=lambda since: str(since.__name__))
def test_a_payment_sent_again_gives_the_first_answer_whatever_has_become_of_the_place(
    sale: Sale, since: Callable[[Sale, Fan, int], None]
) -> None:
    concert, fan = admitted(sale)
    fan.hold(concert, 7)
    fan.hold(concert, 9)
    first = fan.pay(concert, 7, headers=KEY)
    assert first.status_code == 200
    since(sale, fan, concert)
    again = fan.pay(concert, 7, headers=KEY)
    assert (again.status_code, again.json) == (200, first.json)


def test_a_key_opens_nothing_but_the_first_answer(sale: Sale) -> None:
    concert, fan = admitted(sale)
    fan.hold(concert, 7, headers=KEY)
    fan.pay(concert, 7)
    for refused in (
        fan.hold(concert, 8, headers=KEY),
        fan.hold(concert, 7, headers={"Idempotency-Key": "another"}),
        fan.hold(concert, 7),
    ):
        assert (refused.status_code, refused.json["code"]) == (401, "token_expired")
    stranger = sale.fan()
    stranger.join(concert)
    stranger.call("DELETE", "/v1/enqueues")
    assert stranger.hold(concert, 7, headers=KEY).json["code"] == "token_invalid"


def test_a_hold_sent_again_while_redis_is_away_gives_the_first_answer(
    sale: Sale, settings: Settings
) -> None:
    concert, fan = admitted(sale)
    first = fan.hold(concert, 7, headers=KEY)
    away = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with away.app_context():
        again = Fan(Sale(away), fan.user_id, fan.user_token, fan.queue_token)
        answer = again.hold(concert, 7, headers=KEY)
        assert (answer.status_code, answer.json) == (200, first.json)
        assert again.hold(concert, 8, headers=KEY).status_code == 503
    part(Database, away).pool.close()


def test_the_same_key_with_another_request_is_409_and_does_nothing(sale: Sale) -> None:
    concert, fan = admitted(sale)
    assert fan.charge(700, headers=KEY).status_code == 200
    fan.hold(concert, 9)
    for refused in (
        fan.charge(701, headers=KEY),
        fan.hold(concert, 7, headers=KEY),
        fan.hold(concert, 7, 8, headers=KEY),
        fan.pay(concert, 9, headers=KEY),
    ):
        assert (refused.status_code, refused.json["code"]) == (409, "idempotency_conflict")
    assert fan.balance() == 5700
    reservations = fan.call("GET", "/v1/reservations").json["reservations"]
    assert [one["status"] for one in reservations] == ["held"]


def test_a_key_is_for_one_operation(sale: Sale) -> None:
    concert, fan = admitted(sale)
    assert fan.hold(concert, 1, headers=KEY).status_code == 200
    best = fan.call("POST", f"/v1/concerts/{concert}/reservations", json={"best": 1}, headers=KEY)
    assert (best.status_code, best.json["code"]) == (409, "idempotency_conflict")
    asked = {"performance": 1, "seat": 1}
    hold, pay = (Attempt.of(fan.user_id, "k", one, asked) for one in ("hold", "pay"))
    assert hold.fingerprint != pay.fingerprint


def test_the_same_seat_of_another_date_is_another_request(sale: Sale) -> None:
    concert = sale.concert(dates=2)
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 7, date="2030-12-31", headers=KEY)
    refused = fan.hold(concert, 7, date="2031-01-01", headers=KEY)
    assert refused.json["code"] == "idempotency_conflict"


def test_a_request_that_failed_may_be_sent_again_with_the_same_key(sale: Sale) -> None:
    concert, fan = admitted(sale, balance=1)
    other = sale.admitted_fan(concert)
    other.hold(concert, 7)
    assert fan.hold(concert, 7, headers=KEY).json["code"] == "seat_taken"
    sale.let_time_pass(301)
    assert fan.hold(concert, 7, headers=KEY).status_code == 200
    pay = {"Idempotency-Key": "payment-1"}
    assert fan.pay(concert, 7, headers=pay).status_code == 402
    fan.charge(999)
    assert fan.pay(concert, 7, headers=pay).status_code == 200
    assert fan.balance() == 0


def test_two_at_once_with_one_key_do_the_work_once(sale: Sale) -> None:
    fan = sale.fan()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: fan.charge(700, headers=KEY), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json["balance"] for answer in answers} == {700}
    assert fan.balance() == 700


def test_two_holds_at_once_with_one_key_make_one_reservation(sale: Sale) -> None:
    concert, fan = admitted(sale)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: fan.hold(concert, 1, 2, headers=KEY), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json["reservation_id"] for answer in answers}) == 1


def test_two_payments_at_once_with_one_key_take_the_money_once(sale: Sale) -> None:
    concert, fan = admitted(sale)
    fan.hold(concert, 7)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: fan.pay(concert, 7, headers=KEY), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json["payment_id"] for answer in answers}) == 1
    assert fan.balance() == 4000


def test_keys_are_each_users_own(sale: Sale) -> None:
    one, two = sale.fan(), sale.fan()
    for _ in range(2):
        assert one.charge(700, headers=KEY).json["balance"] == 700
        assert two.charge(5, headers=KEY).json["balance"] == 5


@pytest.mark.parametrize("key", ["", "a" * 201, "schlüssel".encode().decode("latin-1"), "a\tb"])
def test_a_key_that_cannot_be_is_400_and_does_nothing(sale: Sale, key: str) -> None:
    concert, fan = admitted(sale)
    headers = {"Idempotency-Key": key}
    for refused in (
        fan.charge(1, headers=headers),
        fan.hold(concert, 1, headers=headers),
        fan.hold(concert, 1, 2, headers=headers),
        fan.pay(concert, 1, headers=headers),
    ):
        assert (refused.status_code, refused.json["code"]) == (400, "bad_request")
    assert (fan.balance(), keys()) == (5000, 0)


@pytest.mark.parametrize("key", ["", "a" * 201, "schlüssel", "a\tb"])
def test_no_door_can_use_a_key_that_cannot_be(key: str) -> None:
    with pytest.raises(BadRequest):
        Attempt.of(uuid4(), key, "charge", {})


def test_the_longest_key_and_any_printable_one_are_taken(sale: Sale) -> None:
    fan = sale.fan()
    for number, key in enumerate(("a" * 200, "~!@#$%^&*()_+ {}|:\"<>?`-=[]\\;',./", "1"), 1):
        assert fan.charge(1, headers={"Idempotency-Key": key}).json["balance"] == number


def test_old_keys_are_dropped_and_young_ones_kept(sale: Sale) -> None:
    fan = sale.fan()
    fan.charge(1, headers=KEY)
    sale.let_time_pass(48 * 3600 - 60)
    fan.charge(1, headers={"Idempotency-Key": "young"})
    clean_idempotency_keys()
    assert keys() == 2
    sale.let_time_pass(61)
    clean_idempotency_keys()
    assert keys() == 1
    assert fan.charge(1, headers={"Idempotency-Key": "young"}).json["balance"] == 2


def test_no_more_keys_are_dropped_at_once_than_a_batch_whatever_plan_is_taken(sale: Sale) -> None:
    fan = sale.fan()
    for number in range(6):
        fan.charge(1, headers={"Idempotency-Key": f"key-{number}"})
    sale.let_time_pass(49 * 3600)
    with connection() as link, link.transaction():
        # As for a small table of which PostgreSQL knows nothing yet.
        for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "memoize"):
            link.execute(f"SET LOCAL enable_{way} = off")
        assert link.execute(FORGET, (48, 2)).rowcount == 2
    assert keys() == 4


def test_a_retried_hold_does_not_stretch_the_visit(sale: Sale) -> None:
    sale.room(visit_seconds=400)
    concert, fan = admitted(sale)
    fan.hold(concert, 7, headers=KEY)
    sale.let_time_pass(250)
    ends = fan.place().json["admitted_until"]
    fan.hold(concert, 7, headers=KEY)
    assert fan.place().json["admitted_until"] == ends
    fan.hold(concert, 7)
    assert fan.place().json["admitted_until"] == ends
