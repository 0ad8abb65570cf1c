"""Work that several ask for at the same moment is done in one go, and nobody gets another's answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from concert.ground.budget import within
from concert.ground.errors import Unavailable
from concert.ground.together import NotDone, Together
from tests.waiting import wait_until

# Longer than anything here takes, however busy the machine is.
LONG = 60.0


@dataclass
class Sum:
    """Something to be doubled."""

    number: int
    doubled: int | None = None


class Workshop:
    """Doubles numbers, when it is let; writes down what it was given in one go."""

    def __init__(self, most: int = 32) -> None:
        self.together = Together(self._double, most)
        self.gate = threading.Semaphore(0)
        self.goes: list[list[int]] = []
        self.failure: BaseException | None = None

    def _double(self, asked: Sequence[Sum]) -> None:
        self.goes.append([one.number for one in asked])
        assert self.gate.acquire(timeout=LONG)
        if self.failure is not None:
            raise self.failure
        for one in asked:
            one.doubled = 2 * one.number

    def doubled(self, number: int, seconds: float = LONG) -> int | None:
        """What a caller gets who has so much time."""
        mine = Sum(number)
        with within(seconds, each=seconds):
            self.together.do(mine)
        return mine.doubled


@pytest.fixture
def people() -> ThreadPoolExecutor:
    """Threads for those who ask."""
    return ThreadPoolExecutor(40)


def queue_up(
    workshop: Workshop, people: ThreadPoolExecutor, count: int
) -> list[Future[int | None]]:
    """Somebody whose go is under way, and ``count`` who came meanwhile, in order."""
    asked = [people.submit(workshop.doubled, 0)]
    wait_until(lambda: workshop.goes, seconds=LONG)
    for number in range(1, count + 1):
        asked.append(people.submit(workshop.doubled, number))
        wait_until(lambda number=number: len(workshop.together) == number, seconds=LONG)
    return asked


def test_somebody_alone_waits_for_nobody() -> None:
    workshop = Workshop()
    workshop.gate.release()
    assert workshop.doubled(21) == 42
    assert workshop.goes == [[21]]


def test_all_who_come_while_a_go_is_under_way_are_the_next_one_and_each_gets_their_own(
    people: ThreadPoolExecutor,
) -> None:
    workshop = Workshop()
    asked = queue_up(workshop, people, 9)
    workshop.gate.release(2)
    assert [one.result(LONG) for one in asked] == [2 * number for number in range(10)]
    assert workshop.goes == [[0], list(range(1, 10))]


def test_no_go_is_larger_than_it_may_be_and_all_are_done(people: ThreadPoolExecutor) -> None:
    workshop = Workshop(most=4)
    asked = queue_up(workshop, people, 9)
    workshop.gate.release(LONG_ENOUGH := 4)
    assert [one.result(LONG) for one in asked] == [2 * number for number in range(10)]
    assert [len(go) for go in workshop.goes] == [1, 4, 4, 1]
    assert len(workshop.goes) == LONG_ENOUGH


def test_a_failure_is_everybodys_of_that_go_and_of_no_other(people: ThreadPoolExecutor) -> None:
    workshop = Workshop()
    asked = queue_up(workshop, people, 3)
    workshop.failure = Unavailable("The database", 7)
    workshop.gate.release()
    with pytest.raises(Unavailable):
        asked[0].result(LONG)
    wait_until(lambda: len(workshop.goes) == 2, seconds=LONG)
    late = people.submit(workshop.doubled, 4)
    wait_until(lambda: len(workshop.together) == 1, seconds=LONG)
    workshop.gate.release()
    for one in asked[1:]:
        with pytest.raises(Unavailable) as failed:
            one.result(LONG)
        assert failed.value.retry_after == 7
    wait_until(lambda: len(workshop.goes) == 3, seconds=LONG)
    workshop.failure = None
    workshop.gate.release()
    assert late.result(LONG) == 8


def test_a_fault_is_raised_where_it_was_and_named_to_the_others(people: ThreadPoolExecutor) -> None:
    workshop = Workshop()
    asked = queue_up(workshop, people, 2)
    workshop.gate.release()
    assert asked[0].result(LONG) == 0
    wait_until(lambda: len(workshop.goes) == 2, seconds=LONG)
    workshop.failure = ZeroDivisionError("a fault of ours")
    workshop.gate.release()
    with pytest.raises(ZeroDivisionError):
        asked[1].result(LONG)
    with pytest.raises(NotDone) as failed:
        asked[2].result(LONG)
    assert failed.value.__cause__ is workshop.failure


def test_nothing_is_done_for_somebody_whose_time_was_over_before_it_began(
    people: ThreadPoolExecutor,
) -> None:
    workshop = Workshop()
    asked = queue_up(workshop, people, 0)
    impatient = people.submit(workshop.doubled, 1, 0.05)
    with pytest.raises(Unavailable):
        impatient.result(LONG)
    asked.append(people.submit(workshop.doubled, 2))
    wait_until(lambda: len(workshop.together) == 1, seconds=LONG)
    workshop.gate.release(2)
    assert [one.result(LONG) for one in asked] == [0, 4]
    assert workshop.goes == [[0], [2]]


def test_others_go_on_where_the_first_who_waits_gives_up(people: ThreadPoolExecutor) -> None:
    workshop = Workshop()
    asked = queue_up(workshop, people, 0)
    impatient = [people.submit(workshop.doubled, number, 0.05) for number in (1, 2, 3)]
    patient = people.submit(workshop.doubled, 4)
    wait_until(lambda: len(workshop.together) >= 1, seconds=LONG)
    for one in impatient:
        with pytest.raises(Unavailable):
            one.result(LONG)
    workshop.gate.release(2)
    assert (asked[0].result(LONG), patient.result(LONG)) == (0, 8)
    # And whoever comes later finds the way free.
    workshop.gate.release()
    assert workshop.doubled(5) == 10
