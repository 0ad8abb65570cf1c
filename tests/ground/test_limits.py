"""How much one person, and one address, may ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from werkzeug.test import TestResponse

from concert.factory import ConcertApp, create_app
from concert.ground.database import Database
from concert.ground.errors import RateLimited
from concert.ground.limits import FEW, Limits, network_of
from concert.ground.parts import part
from concert.ground.settings import Settings
from tests.sale import ORGANISER_KEY, Fan, Sale
from tests.web.browser import Browser

HERE, THERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def limited(settings: Settings, sale: Sale) -> Iterator[Callable[..., Sale]]:
    """The service with other limits, on the same servers."""
    with ExitStack() as held:

        def make(**limits: int) -> Sale:
            app: ConcertApp = create_app(settings.model_copy(update=limits))
            held.enter_context(app.app_context())
            held.callback(lambda: part(Database, app).pool.close())
            return Sale(app)

        yield make


def is_limited(answer: TestResponse) -> bool:
    if answer.status_code != 429:
        return False
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    return True


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("concert.ground.limits.time", clock)
    return clock


def times(limits: Limits, what: Any, who: str) -> int:
    """How often somebody may do it now."""
    for count in range(10_000):
        try:
            limits.count(what, who)
        except RateLimited:
            return count
    raise AssertionError("there is no end to it")


def test_a_minute_s_worth_may_be_done_at_once_and_then_as_much_as_comes_back(
    settings: Settings, clock: Clock
) -> None:
    limits = Limits(settings.model_copy(update={"holds_per_minute": 60}))
    assert times(limits, "holds", "a") == 60
    assert times(limits, "holds", "b") == 60
    clock.now += 3
    assert times(limits, "holds", "a") == 3
    clock.now += 1000
    assert times(limits, "holds", "a") == 60
    limits.check("charges", "a")


def test_whoever_is_refused_is_told_when_to_come_back_and_may_then(
    settings: Settings, clock: Clock
) -> None:
    limits = Limits(settings.model_copy(update={"holds_per_minute": 4}))
    assert times(limits, "holds", "a") == 4
    with pytest.raises(RateLimited) as refused:
        limits.check("holds", "a")
    assert refused.value.retry_after == 15
    clock.now += 15
    limits.check("holds", "a")
    assert times(limits, "holds", "a") == 1


def test_whoever_may_do_everything_again_is_forgotten(settings: Settings, clock: Clock) -> None:
    limits = Limits(settings)
    for number in range(FEW):
        limits.count("holds", number)
    clock.now += 60
    limits.count("holds", "one more")
    assert len(limits._free_at) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


def make_user(sale: Sale, address: str) -> TestResponse:
    return sale.app.test_client().post("/v1/users", environ_base={"REMOTE_ADDR": address})


def join_as_a_newcomer(sale: Sale, address: str) -> TestResponse:
    browser = Browser(sale)
    form = browser.read(f"/concerts/{sale.concert()}").form_to("/join")
    with sale.app.app_context():
        return browser.client.post(
            form.action, data=form.fields, environ_overrides={"REMOTE_ADDR": address}
        )


def test_users_made_by_pages_and_by_the_api_have_one_limit(limited: Callable[..., Sale]) -> None:
    sale = limited(new_users_per_minute=4)
    for _ in range(2):
        assert make_user(sale, HERE).status_code == 201
        assert join_as_a_newcomer(sale, HERE).status_code == 303
    assert is_limited(make_user(sale, HERE))
    refused = join_as_a_newcomer(sale, HERE)
    assert is_limited(refused)
    assert refused.mimetype == "text/html"
    assert make_user(sale, THERE).status_code == 201


def test_users_made_from_one_ipv6_network_have_one_limit(limited: Callable[..., Sale]) -> None:
    sale = limited(new_users_per_minute=2)
    assert make_user(sale, "2001:db8::1").status_code == 201
    assert join_as_a_newcomer(sale, "2001:db8::2").status_code == 303
    assert is_limited(make_user(sale, "2001:db8::3"))
    assert make_user(sale, "2001:db8:0:1::1").status_code == 201


def test_whoever_is_somebody_already_may_join_however_many_are_new(
    limited: Callable[..., Sale],
) -> None:
    sale = limited(new_users_per_minute=1)
    concert = sale.concert()
    browser = Browser(sale).become(sale.fan())
    form = browser.read(f"/concerts/{concert}").form_to("/join")
    assert [browser.send(form).status_code for _ in range(3)] == [303] * 3


def organise(sale: Sale, key: str, address: str = HERE) -> TestResponse:
    return sale.app.test_client().patch(
        "/v1/rooms/main",
        json={},
        headers={"Authorization": f"Bearer {key}"},
        environ_base={"REMOTE_ADDR": address},
    )


def test_guesses_of_the_organiser_s_key_are_limited_and_the_right_key_is_not(
    limited: Callable[..., Sale],
) -> None:
    sale = limited(key_guesses_per_minute=3)
    for _ in range(10):
        assert organise(sale, ORGANISER_KEY).status_code == 200
    assert [organise(sale, "guess").status_code for _ in range(3)] == [401] * 3
    # Whoever guesses on does not learn that they were right.
    assert is_limited(organise(sale, "guess"))
    assert is_limited(organise(sale, ORGANISER_KEY))
    assert organise(sale, ORGANISER_KEY, THERE).status_code == 200


def test_charges_of_one_user_are_limited(limited: Callable[..., Sale]) -> None:
    sale = limited(charges_per_minute=3)
    fan, other = sale.fan(), sale.fan()
    assert [fan.charge(1).status_code for _ in range(3)] == [200] * 3
    assert is_limited(fan.charge(1))
    assert fan.balance() == 3
    assert other.charge(1).status_code == 200
    browser = Browser(sale).become(fan)
    form = browser.read("/wallet").form_to("/wallet")
    assert is_limited(browser.send(form, amount="1000"))


def test_holds_of_one_user_are_limited_however_they_are_asked_for(
    limited: Callable[..., Sale],
) -> None:
    sale = limited(holds_per_minute=4)
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    other.hold(concert, 1)
    path = f"/v1/concerts/{concert}/reservations"
    for _ in range(2):
        assert fan.hold(concert, 1).status_code == 409
    assert fan.hold(concert, 1, 2).status_code == 409
    assert fan.call("POST", path, json={"best": 2}).status_code == 200
    for refused in (
        fan.hold(concert, 1),
        fan.hold(concert, 2, 3),
        fan.call("POST", path, json={"best": 1}),
    ):
        assert is_limited(refused)
    browser = Browser(sale).become(fan)
    form = browser.read(f"/concerts/{concert}/seats/2030-12-31").form_to("/hold")
    assert is_limited(browser.send(form, seats="9"))
    assert other.hold(concert, 9).status_code == 200


@contextmanager
def open_stream(sale: Sale, fan: Fan, path: str, address: str = HERE) -> Iterator[TestResponse]:
    client = Browser(sale).become(fan).client
    with sale.app.app_context():
        answer = client.get(
            path,
            headers={"Authorization": f"Bearer {fan.queue_token}"},
            environ_overrides={"REMOTE_ADDR": address},
            buffered=False,
        )
        try:
            if answer.status_code == 200:
                next(answer.iter_encoded())
            yield answer
        finally:
            answer.close()


STREAMS = ("/v1/enqueues/events", "/live/rooms/main", "/live/performances/1")


def test_one_place_has_a_few_streams_whatever_they_tell_and_one_that_ends_makes_room(
    limited: Callable[..., Sale],
) -> None:
    sale = limited(streams_per_token=3)
    concert = sale.concert()
    fan, other = sale.admitted_fan(concert), sale.admitted_fan(concert)
    with ExitStack() as held:
        for path in STREAMS:
            assert held.enter_context(open_stream(sale, fan, path)).status_code == 200
        for path in STREAMS:
            with open_stream(sale, fan, path, THERE) as refused:
                assert is_limited(refused)
        with open_stream(sale, other, STREAMS[0]) as opened:
            assert opened.status_code == 200
    for path in STREAMS:
        with open_stream(sale, fan, path) as opened:
            assert opened.status_code == 200


def test_one_address_has_many_streams_but_not_all(limited: Callable[..., Sale]) -> None:
    sale = limited(streams_per_address=3)
    sale.concert()
    with ExitStack() as held:
        for address in (HERE, HERE, HERE):
            opened = held.enter_context(open_stream(sale, sale.admitted_fan(), STREAMS[0], address))
            assert opened.status_code == 200
        for path in STREAMS:
            with open_stream(sale, sale.admitted_fan(), path) as refused:
                assert is_limited(refused)
        with open_stream(sale, sale.admitted_fan(), STREAMS[0], THERE) as opened:
            assert opened.status_code == 200


def test_one_place_opens_streams_only_so_often(limited: Callable[..., Sale]) -> None:
    sale = limited(stream_openings_per_minute=4)
    sale.concert()
    fan = sale.admitted_fan()
    for _ in range(4):
        with open_stream(sale, fan, STREAMS[1]) as opened:
            assert opened.status_code == 200
    for path in STREAMS:
        with open_stream(sale, fan, path) as refused:
            assert is_limited(refused)


def test_one_address_opens_streams_only_so_often(limited: Callable[..., Sale]) -> None:
    sale = limited(streams_per_address=2)
    sale.concert()
    for _ in range(4):
        with open_stream(sale, sale.admitted_fan(), STREAMS[0]) as opened:
            assert opened.status_code == 200
    with open_stream(sale, sale.admitted_fan(), STREAMS[0]) as refused:
        assert is_limited(refused)


def test_a_stream_that_is_refused_keeps_no_place(limited: Callable[..., Sale]) -> None:
    sale = limited(streams_per_token=1, max_streams=1)
    sale.concert()
    fan, other = sale.admitted_fan(), sale.admitted_fan()
    with open_stream(sale, fan, STREAMS[0]):
        for _ in range(3):
            with open_stream(sale, other, STREAMS[0]) as refused:
                assert refused.status_code == 503
                assert int(refused.headers["Retry-After"]) > 0
    with open_stream(sale, other, STREAMS[0]) as opened:
        assert opened.status_code == 200
