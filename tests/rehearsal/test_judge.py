"""The verdicts: each promise is kept by a good evening, and broken by the notes that contradict it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from concert.rehearsal.judge import Verdict, judge
from concert.rehearsal.notes import (
    Admitted,
    Answered,
    Audited,
    Charged,
    Gone,
    Held,
    Inside,
    Joined,
    Note,
    Notes,
    Paid,
    Released,
    Stood,
)
from concert.rehearsal.plan import Plan, PlanError

PLAN = Plan(fans=2, seats=2, capacity=1, admit_per_minute=60, entry_seconds=20)
ORDER, PLACES, CAPACITY, RATE, OWNERS, MONEY, TRUE, FAULTS = range(8)


def good_evening() -> dict[str, Note]:
    """Two fans, one after the other, each with a ticket."""
    return {
        "joined 0": Joined(0, 1000, 10.0, 10.1),
        "joined 1": Joined(1, 2000, 10.2, 10.3),
        "stood 1": Stood(1, 1, 1, 10.2, 10.3),
        "in 0": Admitted(0, 1000, 10.05, 10.1),
        "inside 0": Inside(0, 11.0),
        "held 0": Held(0, 1, (1,), 300.0, 11.0, 11.1),
        "charged 0": Charged(0, 500, 11.3),
        "pays 0": Inside(0, 12.0, last=True),
        "paid 0": Paid(0, "a", 1, (1,), 500, 12.0, 12.2),
        "in 1": Admitted(1, 2000, 12.1, 12.4),
        "inside 1": Inside(1, 13.0),
        "held 1": Held(1, 1, (2,), 300.0, 13.0, 13.1),
        "charged 1": Charged(1, 700, 13.3),
        "pays 1": Inside(1, 14.0, last=True),
        "paid 1": Paid(1, "b", 1, (2,), 500, 14.0, 14.2),
        "answer": Answered("pay", 200, 14.0, 14.2),
        "home 0": Gone(0, "has tickets", 12.2),
        "home 1": Gone(1, "has tickets", 14.2),
        "audited 0": Audited(0, (("a", 1, (1,), 500),), 0, ((-500, 0), (500, 500))),
        "audited 1": Audited(1, (("b", 1, (2,), 500),), 200, ((-500, 200), (700, 700))),
    }


def judged(evening: dict[str, Note], *, same_clock: bool = True, **plan: Any) -> list[Verdict]:
    """The verdicts on these notes."""
    notes = Notes()
    for note in evening.values():
        notes.add(note)
    return judge(replace(PLAN, **plan), notes, same_clock=same_clock)


def broken(verdicts: list[Verdict]) -> list[int]:
    """Which promises were broken, by their number."""
    return [index for index, verdict in enumerate(verdicts) if verdict.word == "FAIL"]


def test_a_good_evening_keeps_every_promise() -> None:
    assert [verdict.word for verdict in judged(good_evening())] == ["PASS"] * 8


def test_an_evening_without_fans_proves_nothing() -> None:
    words = {verdict.word for verdict in judge(replace(PLAN, fans=0), Notes(), same_clock=True)}
    assert words == {"NOT SEEN"}


@pytest.mark.parametrize(
    ("promise", "changed"),
    [
        pytest.param(
            ORDER, {"in 0": Admitted(0, 1000, 12.2, 12.3)}, id="somebody behind was let in first"
        ),
        pytest.param(
            ORDER,
            {
                "joined 1": Joined(1, 900, 10.2, 10.3),
                "stood 1": Stood(1, 1, 1, None, 10.3),
                "in 1": Admitted(1, 900, 10.01, 12.4),
            },
            id="somebody who asked later stands before",
        ),
        pytest.param(
            ORDER,
            {"stood 0": Stood(0, 1, 2, 12.2, 12.3), "in 0": Admitted(9, 500, 10.05, 10.1)},
            id="somebody still waits when somebody behind is in",
        ),
        pytest.param(
            PLACES, {"again": Joined(1, 3000, 10.5, 10.6)}, id="joining again gave another place"
        ),
        pytest.param(PLACES, {"later": Stood(1, 2, 2, 10.8, 10.9)}, id="somebody fell back"),
        pytest.param(
            CAPACITY, {"in 1": Admitted(1, 2000, 11.9, 12.4)}, id="two inside where one may be"
        ),
        pytest.param(
            OWNERS, {"held 1": Held(1, 1, (1,), 300.0, 11.5, 11.6)}, id="one seat, two holders"
        ),
        pytest.param(
            OWNERS,
            {"audited 1": Audited(1, (("b", 1, (1,), 500),), 200, ((-500, 200), (700, 700)))},
            id="one seat, two owners",
        ),
        pytest.param(MONEY, {"charged 1": Charged(1, 900, 13.3)}, id="won were lost"),
        pytest.param(
            MONEY,
            {"audited 1": Audited(1, (("b", 1, (2,), 500),), 200, ((-400, 200), (700, 700)))},
            id="the ledger does not add up",
        ),
        pytest.param(
            TRUE, {"audited 1": Audited(1, (), 700, ((700, 700),))}, id="a payment is not there"
        ),
        pytest.param(
            TRUE,
            {"audited 1": Audited(1, (("b", 1, (3,), 500),), 200, ((-500, 200), (700, 700)))},
            id="a payment is for another seat",
        ),
        pytest.param(FAULTS, {"answer": Answered("pay", 500, 14.0, 14.2)}, id="a fault"),
        pytest.param(
            FAULTS,
            {"home 1": Gone(1, "lost the place: 401 token_invalid", 14.2)},
            id="a lost place",
        ),
    ],
)
def test_notes_that_contradict_a_promise_break_it(promise: int, changed: dict[str, Note]) -> None:
    assert promise in broken(judged({**good_evening(), **changed}))


def test_more_than_the_rate_within_a_minute_breaks_it() -> None:
    assert broken(judged(good_evening(), admit_per_minute=1)) == [RATE]


def test_people_a_minute_apart_are_within_the_rate() -> None:
    late = {"in 1": Admitted(1, 2000, 70.05, 70.1), "inside 1": Inside(1, 70.2)}
    assert RATE not in broken(judged({**good_evening(), **late}, admit_per_minute=1))


def test_a_fan_who_is_not_heard_of_at_the_end_breaks_a_promise() -> None:
    evening = good_evening()
    del evening["home 1"]
    assert broken(judged(evening)) == [FAULTS]


def test_a_fan_whose_wallet_cannot_be_asked_for_breaks_a_promise() -> None:
    evening = good_evening()
    del evening["audited 1"]
    assert FAULTS in broken(judged(evening))


def test_a_seat_that_was_given_back_may_be_held_by_another() -> None:
    given_back = {
        "released 0": Released(0, 1, (2,), 12.5),
        "held more": Held(0, 1, (2,), 300.0, 11.2, 11.3),
    }
    assert broken(judged({**good_evening(), **given_back})) == []


def test_a_hold_that_has_lapsed_may_be_anothers() -> None:
    lapsed = {"held more": Held(0, 1, (2,), 1.0, 11.2, 11.3)}
    assert broken(judged({**good_evening(), **lapsed})) == []


def test_another_machines_clock_is_not_compared_with_ours() -> None:
    ahead = {"in 1": Admitted(1, 2000, 11.9, 12.4)}
    assert CAPACITY not in broken(judged({**good_evening(), **ahead}, same_clock=False))


def test_the_same_seed_brings_the_same_fans() -> None:
    plan = Plan(fans=200, processes=2)
    told = [
        [(guest.number, guest.arrives, guest.temper, guest.party) for guest in plan.guests(process)]
        for process in (0, 1)
    ]
    again = [plan.guest(number) for number in range(200)]
    assert sorted(told[0] + told[1]) == [
        (guest.number, guest.arrives, guest.temper, guest.party) for guest in again
    ]
    assert {guest.temper for guest in again} > {"calm", "absent", "vanisher", "double_clicker"}


@pytest.mark.parametrize("arrival", ["spike", "ramp", "wave"])
def test_everybody_comes_within_the_time(arrival: Any) -> None:
    moments = [
        Plan(arrival=arrival, arrive_within=8).guest(number).arrives for number in range(500)
    ]
    assert min(moments) >= 0 and max(moments) <= 8
    early = sum(moment < 2 for moment in moments)
    assert early > 300 if arrival == "spike" else early < 250


@pytest.mark.parametrize(
    "wrong",
    [{"fans": 0}, {"seats": 0}, {"processes": 0}, {"arrival": "all at once"}, {"longest": 1}],
)
def test_a_plan_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match=next(iter(wrong))):
        Plan(**wrong).check()
