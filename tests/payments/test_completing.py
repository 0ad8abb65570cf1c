"""What a payment does after its commit, in its order."""

from __future__ import annotations

import threading

from concert.ground.redis_client import redis
from tests.sale import Sale


def test_the_place_is_completed_before_the_pages_are_told(sale: Sale) -> None:
    concert = sale.concert(price=10)
    fan = sale.admitted_fan(balance=10)
    fan.hold(concert, 1)
    sent: list[str] = []
    ready = threading.Event()

    def listen() -> None:
        with redis_of.monitor() as monitor:
            ready.set()
            for command in monitor.listen():
                sent.append(command["command"].partition(" ")[0].upper())
                if sent[-1] == "PUBLISH":
                    return

    redis_of = redis()
    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    ready.wait(5)
    assert fan.pay(concert, 1).status_code == 200
    listening.join(5)
    # Entering and completing are scripts; so were the commands that a script sends.
    assert sent[-1] == "PUBLISH"
    assert sent.count("EVALSHA") + sent.count("EVAL") >= 2, sent
