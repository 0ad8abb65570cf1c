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
    Lagged,
    Note,
    Notes,
    Out,
    Paid,
    Released,
    Returned,
    Stood,
    Unsure,
    Walked,
    Watched,
)
from concert.rehearsal.plan import Plan, PlanError

PLAN = Plan(fans=3, seats=2, capacity=1, admit_per_minute=60, entry_seconds=20)
PROMISES = 13
ORDER, PLACES, CAPACITY, RATE, OWNERS, MONEY, TRUE, FAULTS = range(8)
FOR_NOTHING, TOLD, IDLE, SOLD_OUT, TOLD_TRUTH = range(8, PROMISES)


def good_evening() -> dict[str, Note]:
    """Two fans, one after the other, each with a ticket; a third hears that all is sold."""
    return {
        "joined 0": Joined(0, 1000, 10.0, 10.1),
        "joined 1": Joined(1, 2000, 10.2, 10.3),
        "stood 1": Stood(1, 1, 1, 10.2, 10.3, 2, 0, 0, "open", "likely", True),
        "in 0": Admitted(0, 1000, 10.05, 10.1),
        "comes 0": Inside(0, 10.2, seen=10.25),
        "held first 0": Held(0, 1, (2,), 300.0, 10.3, 10.4),
        "gives back 0": Released(0, 1, (2,), 10.5),
        "back 0": Returned(0, 1, (2,), 10.6),
        "inside 0": Inside(0, 11.0, seen=11.1),
        "held 0": Held(0, 1, (1,), 300.0, 11.0, 11.1),
        "charged 0": Charged(0, 500, 11.3),
        "pays 0": Inside(0, 12.0, last=True),
        "paid 0": Paid(0, "a", 1, (1,), 500, 12.0, 12.2),
        "out 0": Out(0, 12.2),
        "in 1": Admitted(1, 2000, 12.1, 12.4),
        "inside 1": Inside(1, 13.0, seen=13.1),
        "held 1": Held(1, 1, (2,), 300.0, 13.0, 13.1),
        "charged 1": Charged(1, 700, 13.3),
        "pays 1": Inside(1, 14.0, last=True),
        "paid 1": Paid(1, "b", 1, (2,), 500, 14.0, 14.2),
        "out 1": Out(1, 14.2),
        "joined 2": Joined(2, 3000, 14.5, 14.6),
        "stood 2": Stood(2, 1, 1, 14.5, 14.6, 0, 0, 2, "sold_out", "none", False),
        "out 2": Out(2, 14.8),
        "answer": Answered("pay", 200, 14.0, 14.2),
        "home 0": Gone(0, "has tickets", 12.2),
        "home 1": Gone(1, "has tickets", 14.2),
        "home 2": Gone(2, "left, since all is sold", 14.8),
        "audited 0": Audited(0, (("a", 1, (1,), 500),), 0, ((-500, 0), (500, 500))),
        "audited 1": Audited(1, (("b", 1, (2,), 500),), 200, ((-500, 200), (700, 700))),
        "audited 2": Audited(2, (), 0, ()),
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
    assert [verdict.word for verdict in judged(good_evening())] == ["PASS"] * PROMISES


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
            CAPACITY,
            {"in 1": Admitted(1, 2000, 11.5, 11.6), "comes 1": Inside(1, 11.7, seen=11.8)},
            id="two inside where one may be",
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
    late = {"in 1": Admitted(1, 2000, 70.05, 70.1), "inside 1": Inside(1, 70.2, seen=70.3)}
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
        "released 0": Released(0, 1, (2,), 12.0),
        "held more": Held(0, 1, (2,), 300.0, 11.2, 11.3),
    }
    assert broken(judged({**good_evening(), **given_back})) == []


def test_a_hold_that_has_lapsed_may_be_anothers() -> None:
    lapsed = {"held more": Held(0, 1, (2,), 0.5, 11.2, 11.3)}
    assert broken(judged({**good_evening(), **lapsed})) == []


def test_another_machines_clock_is_not_compared_with_ours() -> None:
    # By that clock everybody was let in an hour before.
    ahead = {
        "in 0": Admitted(0, 1000, -3589.95, 10.1),
        "in 1": Admitted(1, 2000, -3587.9, 12.4),
    }
    assert broken(judged({**good_evening(), **ahead}, same_clock=False)) == []


def told(seen: float, free: int, held: int, sold: int, **other: Any) -> Stood:
    """What the third fan was told a moment after asking."""
    state = "open" if free else "all_held" if held else "sold_out"
    said = {"chance": None if state != "sold_out" else "none", "sent": seen - 0.1, **other}
    said.setdefault("state", state)
    return Stood(2, 1, 1, seen=seen, free=free, held=held, sold=sold, **said)


LATE_ENTRY: dict[str, Note] = {
    "in 1": Admitted(1, 2000, 15.0, 15.1),
    "inside 1": Inside(1, 16.0, seen=16.1),
    "held 1": Held(1, 1, (2,), 300.0, 16.0, 16.1),
    "charged 1": Charged(1, 700, 16.3),
    "pays 1": Inside(1, 17.0, last=True),
    "paid 1": Paid(1, "b", 1, (2,), 500, 17.0, 17.2),
    "out 1": Out(1, 17.2),
    "joined 2": Joined(2, 3000, 17.5, 17.6),
    "stood 2": told(17.6, 0, 0, 2),
    "out 2": Out(2, 17.8),
    "home 1": Gone(1, "has tickets", 17.2),
    "home 2": Gone(2, "left, since all is sold", 17.8),
}


@pytest.mark.parametrize(
    ("promise", "changed"),
    [
        pytest.param(
            FOR_NOTHING,
            {"held more": Held(0, 1, (2,), 300.0, 11.2, 11.3)},
            id="somebody is let in when all seats are held",
        ),
        pytest.param(
            FOR_NOTHING,
            {
                "joined 3": Joined(3, 1500, 10.15, 10.18),
                "in 3": Admitted(3, 1500, 12.1, 12.15),
                "comes 3": Inside(3, 12.3, seen=12.4),
            },
            id="two are let in for one seat",
        ),
        pytest.param(TOLD, {"asks": told(21.0, 1, 0, 1)}, id="a line is told late of its sell-out"),
        pytest.param(
            TOLD, {"asks": told(21.0, 0, 1, 1)}, id="a line is told late that nothing is held"
        ),
        pytest.param(
            TOLD,
            {
                "first": told(13.5, 1, 0, 1, sent=None),
                "watched": Watched(2, 13.4, 25.0),
                "stood 2": told(22.0, 0, 0, 2, sent=None),
            },
            id="a stream tells late of a sell-out",
        ),
        pytest.param(
            TOLD,
            {
                "held 1": Held(1, 1, (2,), 300.0, 13.0, 13.1),
                "paid 1": Paid(1, "b", 1, (2,), 500, 30.0, 30.2),
                "first": told(13.05, 1, 0, 1, sent=None),
                "watched": Watched(2, 13.0, 25.0),
                "stood 2": told(30.3, 0, 0, 2, sent=None),
            },
            id="a stream tells late that the last seat is held",
        ),
        pytest.param(IDLE, LATE_ENTRY, id="a seat is idle while somebody waits"),
        pytest.param(
            SOLD_OUT,
            {"in 2": Admitted(2, 3000, 14.9, 15.0)},
            id="somebody is let in when all is sold",
        ),
        pytest.param(
            SOLD_OUT,
            {"heard": told(12.0, 0, 0, 2)},
            id="somebody is let in after all is said to be sold",
        ),
        pytest.param(
            SOLD_OUT,
            {"stood 2": told(14.6, 0, 0, 2, estimated=True)},
            id="an estimate in a line that is sold out",
        ),
        pytest.param(
            SOLD_OUT,
            {"heard": told(14.0, 0, 1, 1, estimated=True)},
            id="an estimate while nothing is free",
        ),
        pytest.param(
            SOLD_OUT,
            {"stood 2": told(14.6, 0, 0, 2, chance="maybe")},
            id="hope in a line that is sold out",
        ),
        pytest.param(
            TOLD_TRUTH, {"heard": told(14.0, 1, 1, 1)}, id="more seats than the house has"
        ),
        pytest.param(
            TOLD_TRUTH, {"heard": told(14.1, 1, 0, 1, state="all_held")}, id="another state"
        ),
        pytest.param(TOLD_TRUTH, {"heard": told(13.9, 0, 0, 2)}, id="sold before anybody paid"),
        pytest.param(
            TOLD_TRUTH, {"heard": told(19.5, 0, 1, 1)}, id="not sold long after it was paid"
        ),
        pytest.param(
            TOLD_TRUTH,
            {**LATE_ENTRY, "heard": told(15.8, 0, 1, 1)},
            id="held long after it was free",
        ),
    ],
)
def test_notes_that_contradict_a_promise_about_seats_break_it(
    promise: int, changed: dict[str, Note]
) -> None:
    assert promise in broken(judged({**good_evening(), **changed}))


@pytest.mark.parametrize(
    ("promise", "changed"),
    [
        pytest.param(
            FOR_NOTHING,
            {
                "held more": Held(0, 1, (2,), 300.0, 11.2, 11.3),
                "gives more back": Released(0, 1, (2,), 12.0),
            },
            id="a seat that is being given back may be free",
        ),
        pytest.param(
            FOR_NOTHING,
            {"held more": Held(0, 1, (2,), 300.0, 11.2, 12.15)},
            id="a seat may be held only when its answer comes",
        ),
        pytest.param(
            FOR_NOTHING,
            {"unsure": Unsure(0, (2,), 11.0)},
            id="a hold without an answer may have failed",
        ),
        pytest.param(TOLD, {"asks": told(18.0, 1, 0, 1)}, id="within five seconds"),
        pytest.param(
            TOLD,
            {
                "first": told(13.5, 1, 0, 1, sent=None),
                "watched": Watched(2, 13.4, 25.0),
                "stood 2": told(22.0, 0, 0, 2, sent=None),
                "late": Lagged(20.0, 4.0),
            },
            id="the crew itself was late",
        ),
        pytest.param(
            IDLE,
            {**LATE_ENTRY, "out 0": Out(0, 14.0)},
            id="the room may have been full",
        ),
        pytest.param(
            IDLE,
            {**LATE_ENTRY, "unsure": Unsure(0, (2,), 11.0)},
            id="the seat may have been held",
        ),
        pytest.param(
            IDLE,
            {**LATE_ENTRY, "joined 3": Joined(3, 1500, 10.15, 10.18)},
            id="the seat may have been kept for somebody who never looked again",
        ),
        pytest.param(
            IDLE,
            {
                "held more": Held(0, 1, (2,), 2.0, 11.2, 11.3),
                **LATE_ENTRY,
                "walks": Walked(0, 12.2),
            },
            id="whoever let it lapse may still be inside",
        ),
        pytest.param(
            TOLD_TRUTH,
            {"heard": told(11.1, 0, 2, 0)},
            id="one seat was taken as another came back, and news of the two crossed",
        ),
    ],
)
def test_what_may_have_been_breaks_no_promise(promise: int, changed: dict[str, Note]) -> None:
    # Two may be inside, so that seats alone decide, unless the room is what may have been full.
    capacity = 1 if "out 0" in changed else 2
    assert promise not in broken(judged({**good_evening(), **changed}, capacity=capacity))


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
