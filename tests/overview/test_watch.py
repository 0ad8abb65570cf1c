"""Watching a sale: one look a second for all who look, told only when something has moved."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from concert.factory import create_app
from concert.ground.mailbox import Mailbox
from concert.ground.parts import keep
from concert.ground.settings import Settings
from concert.overview import watch
from concert.overview.watch import SaleWatch
from tests.sale import Sale
from tests.waiting import wait_until


@pytest.fixture
def watching(sale: Sale) -> Iterator[SaleWatch]:
    """A watch that looks twenty times a second."""
    found = keep(sale.app, SaleWatch(sale.app, tick_seconds=0.05))
    yield found
    found.stop()


def is_told(box: Mailbox[str]) -> bool:
    return bool(box.take_all())


def settled(box: Mailbox[str]) -> None:
    """Let it see how things stand."""
    next(box.contents(0.5), None)
    box.take_all()


def test_whoever_looks_is_told_of_people_seats_settings_and_not_of_other_rooms(
    sale: Sale, watching: SaleWatch
) -> None:
    sale.room("aside")
    concert = sale.concert()
    with watching.viewer("main") as box, watching.viewer("aside") as other:
        settled(box)
        fan = sale.admitted_fan(concert)
        wait_until(lambda: is_told(box), seconds=20)
        settled(box)
        fan.hold(concert, 1)
        wait_until(lambda: is_told(box), seconds=20)
        settled(box)
        sale.room(paused=True)
        wait_until(lambda: is_told(box), seconds=20)
        assert not is_told(other)
        sale.room("aside", message={"ko": "안녕하세요", "en": "Hello"})
        wait_until(lambda: is_told(other), seconds=20)


def test_a_sale_in_which_nothing_moves_is_quiet_and_looks_are_shared(
    sale: Sale, watching: SaleWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale.concert()
    looks: list[list[str]] = []
    looked = threading.Event()
    real = watch._look

    def counted(slugs: list[str]) -> object:
        looks.append(slugs)
        if len(looks) >= 5:
            looked.set()
        return real(slugs)

    monkeypatch.setattr(watch, "_look", counted)
    with watching.viewer("main") as one, watching.viewer("main") as other:
        assert looked.wait(20)
        assert not is_told(one) and not is_told(other)
    assert all(slugs == ["main"] for slugs in looks)


def test_a_redis_that_cannot_be_asked_looks_the_same_for_every_room(
    sale: Sale, settings: Settings
) -> None:
    elsewhere = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with elsewhere.app_context():
        assert watch._look(["main", "aside"]) == {"main": watch.DOWN, "aside": watch.DOWN}
    assert watch._look(["main"]) != {"main": watch.DOWN}
