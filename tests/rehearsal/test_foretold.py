"""What the service foretells of its own sale, as the rehearsal notes and tells it."""

from __future__ import annotations

from typing import Any

from concert.rehearsal import foretold
from concert.rehearsal.foretold import Forecasts, Foretold, listening, of_the_sale
from concert.rehearsal.plan import Plan
from tests.waiting import wait_until

PLAN = Plan(hold_seconds=10)


def test_the_last_answer_before_half_time_is_compared_with_what_came() -> None:
    answers = [Foretold(40, 10, 230.0), Foretold(59, 40, 190.0), Foretold(61, 41, 200.0)]
    found = of_the_sale(PLAN, Forecasts(answers), 0.0, 120.0)
    assert found == {
        "answers": 3,
        "sold_out_after_seconds": 120.0,
        "foretold_at_half_time": 190.0,
        "off_per_cent": 58.3,
        "lasted_holds": 12.0,
    }


def test_where_nothing_was_foretold_or_not_all_was_sold_it_says_so() -> None:
    found = of_the_sale(PLAN, Forecasts([Foretold(5, 0, None)]), 0.0, 120.0)
    assert found is not None and found["off_per_cent"] is None
    assert of_the_sale(PLAN, Forecasts(), 0.0, None) is None


def test_an_answer_that_does_not_come_is_left_out_and_the_next_is_heard(monkeypatch: Any) -> None:
    monkeypatch.setattr(foretold, "EVERY_SECONDS", 0.01)
    calls: list[int] = []

    def ask() -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("no network")
        return {"sold_out_at": "2026-12-01T20:00:00+09:00", "sold": 7}

    with listening(ask) as forecasts:
        wait_until(lambda: len(forecasts.told) >= 2, seconds=20)
    assert {one.sold for one in forecasts.told} == {7}
    assert forecasts.told[0].sold_out_at == 1796122800.0
