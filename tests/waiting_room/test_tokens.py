"""What every wrong queue token is answered, at the door of everything behind the waiting room."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from concert.ground import signing
from concert.ground.parts import part
from concert.ground.redis_client import redis
from concert.ground.settings import Settings
from concert.ground.signing import sign
from concert.waiting_room.keys import room_keys
from tests.sale import Fan, Sale
from tests.waiting import wait_until

KEY = "another key that is long enough to sign with"


@pytest.fixture
def concert(sale: Sale) -> int:
    return sale.concert(price=1000)


def refused(fan: Fan, concert: int, token: str | None = None) -> set[tuple[int, str]]:
    """What each call that needs a turn answers: one status and code where all agree."""
    path = f"/v1/concerts/{concert}"
    calls = (
        ("GET", f"{path}/dates", None),
        ("GET", f"{path}/seats", None),
        ("POST", f"{path}/seats/1/reservations", {}),
        ("POST", f"{path}/reservations", {"seats": [1, 2]}),
        ("POST", f"{path}/seats/1/payments", {}),
    )
    answers = [fan.call(method, way, token=token, json=body) for method, way, body in calls]
    return {(answer.status_code, answer.json.get("code", "")) for answer in answers}


def nothing_happened(fan: Fan) -> bool:
    return not fan.call_as_user("GET", "/v1/reservations").json["reservations"]


def claims_of(token: str, **changes: Any) -> dict[str, Any]:
    return {**jwt.decode(token, options={"verify_signature": False}), **changes}


def test_a_token_that_is_good_opens_what_the_others_do_not(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan()
    assert fan.seats(concert).status_code == 200
    assert fan.hold(concert, 1).status_code == 200


def test_a_token_with_a_wrong_signature_is_401(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan()
    forged = jwt.encode(claims_of(fan.queue_token), KEY, algorithm="HS256")
    assert refused(fan, concert, forged) == {(401, "token_invalid")}
    assert fan.call("GET", "/v1/enqueues", token=forged).status_code == 401
    assert nothing_happened(fan)


def test_a_token_that_is_not_signed_at_all_is_401(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan()
    unsigned = jwt.encode(claims_of(fan.queue_token), None, algorithm="none")
    assert refused(fan, concert, unsigned) == {(401, "token_invalid")}
    assert nothing_happened(fan)


def test_a_token_whose_claims_were_changed_is_401(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan()
    header, _, signature = fan.queue_token.split(".")
    other = jwt.encode(claims_of(fan.queue_token, seq=1), KEY, algorithm="HS256").split(".")[1]
    assert refused(fan, concert, f"{header}.{other}.{signature}") == {(401, "token_invalid")}


def test_a_token_that_is_over_is_401(sale: Sale, concert: int, settings: Settings) -> None:
    fan = sale.admitted_fan()
    long_ago = int(time.time()) - 3600
    over = claims_of(fan.queue_token, iat=long_ago - 60, exp=long_ago)
    token = jwt.encode(over, settings.secret_keys[0], algorithm="HS256")
    assert refused(fan, concert, token) == {(401, "token_expired")}


def test_a_token_is_over_in_whichever_way_it_is_read(sale: Sale, concert: int) -> None:
    # Tokens just as we sign them are read by us, all others by PyJWT.
    fan = sale.admitted_fan()
    claims = {name: claims_of(fan.queue_token)[name] for name in ("sub", "room", "seq")}
    assert fan.seats(concert).status_code == 200
    assert refused(fan, concert, sign("queue", -1, claims)) == {(401, "token_expired")}
    del claims["seq"]
    assert refused(fan, concert, sign("queue", 60, claims)) == {(401, "token_invalid")}


def test_a_queue_token_lasts_as_long_as_the_setting_says(sale: Sale, settings: Settings) -> None:
    claims = claims_of(sale.admitted_fan().queue_token)
    assert claims["exp"] - claims["iat"] == settings.queue_token_hours * 3600


@pytest.mark.parametrize("claim", ["sub", "room", "seq", "exp", "iat", "typ"])
def test_a_token_that_lacks_a_claim_is_401(
    sale: Sale, concert: int, settings: Settings, claim: str
) -> None:
    fan = sale.admitted_fan()
    claims = claims_of(fan.queue_token)
    del claims[claim]
    token = jwt.encode(claims, settings.secret_keys[0], algorithm="HS256")
    assert refused(fan, concert, token) == {(401, "token_invalid")}


@pytest.mark.parametrize(
    "changes",
    [{"sub": "nobody"}, {"seq": "front"}, {"seq": None}, {"seq": [1]}, {"sub": {}}, {"typ": 1}],
    ids=str,
)
def test_a_token_with_a_claim_that_makes_no_sense_is_401(
    sale: Sale, concert: int, settings: Settings, changes: dict[str, Any]
) -> None:
    fan = sale.admitted_fan()
    token = jwt.encode(
        claims_of(fan.queue_token, **changes), settings.secret_keys[0], algorithm="HS256"
    )
    assert refused(fan, concert, token) == {(401, "token_invalid")}


def test_a_user_token_does_not_open_what_a_queue_token_opens(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan()
    assert refused(fan, concert, fan.user_token) == {(401, "token_invalid")}
    assert fan.call("GET", "/v1/enqueues", token=fan.user_token).status_code == 401


def test_a_queue_token_does_not_open_what_a_user_token_opens(sale: Sale) -> None:
    fan = sale.admitted_fan()
    assert fan.call("POST", "/v1/enqueues", json={}).json["code"] == "token_invalid"
    assert fan.call("GET", "/v1/charges").status_code == 401


def test_no_token_is_401(sale: Sale, concert: int) -> None:
    fan = sale.fan()
    assert refused(fan, concert, "") == {(401, "token_missing")}


def test_the_token_of_another_room_is_403(sale: Sale, concert: int) -> None:
    sale.room("hall")
    elsewhere = sale.concert(room="hall")
    fan = sale.admitted_fan(elsewhere)
    assert refused(fan, concert) == {(403, "not_admitted")}
    assert fan.seats(elsewhere).status_code == 200


def test_the_token_of_another_room_is_403_for_somebody_who_is_in_both(
    sale: Sale, concert: int
) -> None:
    sale.room("hall")
    fan = sale.admitted_fan(sale.concert(room="hall"))
    elsewhere = fan.queue_token
    assert fan.join(concert).json["status"] == "admitted"
    assert refused(fan, concert, elsewhere) == {(403, "not_admitted")}
    assert nothing_happened(fan)


def test_a_token_that_is_not_admitted_yet_is_403(sale: Sale, concert: int) -> None:
    sale.room(capacity=1)
    sale.admitted_fan()
    fan = sale.fan()
    fan.join()
    assert refused(fan, concert) == {(403, "not_admitted")}
    assert fan.place().json["status"] == "waiting"


def test_a_token_whose_turn_was_missed_is_403(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan()
    sale.let_time_pass(121)
    assert refused(fan, concert) == {(403, "not_admitted")}
    assert fan.place().json["status"] == "expired"


def test_a_token_whose_place_was_left_is_401(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan()
    assert fan.call("DELETE", "/v1/enqueues").status_code == 204
    assert refused(fan, concert) == {(401, "token_invalid")}
    assert fan.call("DELETE", "/v1/enqueues").status_code == 204


def test_a_token_whose_place_is_completed_is_401(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan(balance=1000)
    fan.hold(concert, 3)
    assert fan.pay(concert, 3).status_code == 200
    assert refused(fan, concert) == {(401, "token_expired")}
    assert fan.place().json["code"] == "token_expired"
    assert fan.call("DELETE", "/v1/enqueues").json["code"] == "token_expired"


@pytest.mark.parametrize("ending", ["left", "missed", "completed"])
def test_an_older_token_of_somebody_who_lined_up_again_is_401(
    sale: Sale, concert: int, ending: str
) -> None:
    fan = sale.admitted_fan(balance=1000)
    older = fan.queue_token
    if ending == "left":
        fan.call("DELETE", "/v1/enqueues")
    elif ending == "missed":
        sale.let_time_pass(121)
    else:
        fan.hold(concert, 3)
        assert fan.pay(concert, 3).status_code == 200
    assert fan.join().json["status"] == "admitted"
    assert {status for status, _ in refused(fan, concert, older)} == {401}
    assert fan.call("GET", "/v1/enqueues", token=older).status_code == 401
    assert fan.call("DELETE", "/v1/enqueues", token=older).status_code == 401
    assert fan.seats(concert).status_code == 200


def test_an_older_token_of_somebody_who_waits_again_is_401(sale: Sale, concert: int) -> None:
    sale.room(capacity=1)
    sale.admitted_fan()
    fan = sale.fan()
    fan.join()
    older = fan.queue_token
    fan.call("DELETE", "/v1/enqueues")
    assert fan.join().json["status"] == "waiting"
    assert refused(fan, concert, older) == {(401, "token_invalid")}
    assert fan.call("GET", "/v1/enqueues", token=older).json["code"] == "token_invalid"
    assert fan.call("DELETE", "/v1/enqueues", token=older).json["code"] == "token_invalid"
    assert fan.place().json["position"] == 1


def test_an_older_token_is_401_though_the_newer_place_has_ended_too(
    sale: Sale, concert: int
) -> None:
    fan = sale.admitted_fan()
    older = fan.queue_token
    fan.call("DELETE", "/v1/enqueues")
    fan.join()
    fan.call("DELETE", "/v1/enqueues")
    assert refused(fan, concert, older) == {(401, "token_invalid")}
    assert fan.call("GET", "/v1/enqueues", token=older).json["code"] == "token_invalid"


def test_an_older_token_is_401_though_both_places_were_missed_and_nothing_is_written_down_yet(
    sale: Sale, concert: int
) -> None:
    fan = sale.admitted_fan()
    older = fan.queue_token
    sale.let_time_pass(121)
    fan.join()
    sale.let_time_pass(121)
    assert fan.place().json["status"] == "expired"
    assert fan.call("GET", "/v1/enqueues", token=older).json["code"] == "token_invalid"
    assert redis().zcard(room_keys("main").waiting) == 0


def test_a_token_that_was_never_handed_out_for_a_place_gets_nobody_in(
    sale: Sale, concert: int
) -> None:
    fan = sale.admitted_fan()
    redis().flushall()
    assert refused(fan, concert) == {(403, "not_admitted")}


def test_a_token_that_was_read_before_ends_all_the_same(sale: Sale, concert: int) -> None:
    fan = sale.admitted_fan(concert)
    claims = jwt.decode(fan.queue_token, options={"verify_signature": False})
    place = {name: claims[name] for name in ("sub", "room", "seq")}
    fan.queue_token = sign("queue", 4, place)
    assert fan.place().status_code == 200
    over = wait_until(lambda: (answer := fan.place()).status_code != 200 and answer)
    assert (over.status_code, over.json["code"]) == (401, "token_expired")


def test_a_token_that_was_read_before_as_one_kind_is_not_read_as_another(
    sale: Sale, concert: int
) -> None:
    fan = sale.admitted_fan(concert)
    assert fan.call_as_user("GET", "/v1/charges").status_code == 200
    assert fan.place().status_code == 200
    assert fan.call_as_user("GET", "/v1/enqueues").status_code == 401
    assert fan.call("GET", "/v1/charges").status_code == 401


def test_only_so_many_tokens_are_remembered(
    sale: Sale, concert: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "MOST_UNDERSTOOD", 5)
    for _ in range(8):
        assert sale.admitted_fan(concert).place().status_code == 200
    assert len(part(signing.Understood, sale.app).tokens) <= 5
