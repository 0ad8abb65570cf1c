"""Mailboxes: what is put in is read in order, and nobody waits for the slow or the gone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from concert.ground.mailbox import Mailbox, Post
from tests.waiting import wait_until

SILENCE_SECONDS = 0.01
FOREVER_SECONDS = 20.0


class Numbers(Post[Mailbox[int]]):
    """Tells 1, 2, 3 … to everybody, and fails where it is asked to."""

    def __init__(self) -> None:
        super().__init__("numbers", retry_seconds=0.001)
        self.fails = 0

    def _serve(self) -> None:
        number = 0
        while boxes := [box for about in list(self._boxes.values()) for box in list(about)]:
            if self.fails:
                self.fails -= 1
                raise ZeroDivisionError
            number += 1
            for box in boxes:
                if not box.put(number):
                    self.remove(box)
            time.sleep(0.001)


@pytest.fixture
def numbers() -> Numbers:
    return Numbers()


def box_of(most: int = 3) -> Mailbox[int]:
    return Mailbox(Numbers(), "numbers", most)


def test_a_box_gives_what_was_put_in_in_order_and_none_in_silence() -> None:
    box = box_of()
    contents = box.contents(SILENCE_SECONDS)
    assert [box.put(1), box.put(2)] == [True, True]
    assert [next(contents), next(contents), next(contents)] == [1, 2, None]
    box.put(3)
    box.close()
    assert list(contents) == [3]


def test_a_reader_is_woken_at_once_by_what_is_put_in_and_by_the_end() -> None:
    box = box_of()
    read: list[int | None] = []
    reader = threading.Thread(target=lambda: read.extend(box.contents(FOREVER_SECONDS)))
    reader.start()
    for number in (1, 2, 3):
        box.put(number)
        wait_until(lambda: len(read) == number)  # noqa: B023  # it is called before the loop goes on
    box.close()
    reader.join(5)
    assert not reader.is_alive()
    assert read == [1, 2, 3]


def test_a_box_that_is_full_is_closed_and_its_rest_is_not_read() -> None:
    box = box_of(most=2)
    assert [box.put(number) for number in (1, 2, 3, 4)] == [True, True, False, False]
    assert list(box.contents(SILENCE_SECONDS)) == []


class Hearing:
    """A reader who hears two things, and then no more."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.is_over = False

    def hear(self, item: int) -> bool:
        self.heard.append(item)
        return len(self.heard) < 3

    def hear_no_more(self) -> None:
        self.is_over = True


def test_whoever_a_box_is_handed_to_hears_what_lay_there_and_all_else_at_once() -> None:
    box, reader = box_of(), Hearing()
    box.put(1)
    box.hand_to(reader)
    assert (box.put(2), reader.heard) == (True, [1, 2])
    assert (box.put(3), reader.is_over) == (False, False)
    box.close()
    box.close()
    assert (box.put(4), reader.heard, reader.is_over) == (False, [1, 2, 3], True)
    late = Hearing()
    box.hand_to(late)
    assert late.is_over


def test_a_post_serves_while_there_is_anybody_and_its_thread_ends_with_the_last(
    numbers: Numbers,
) -> None:
    for _ in range(2):
        with Mailbox(numbers, "numbers", 1000) as box:
            contents = box.contents(FOREVER_SECONDS)
            assert [next(contents), next(contents)] == [1, 2]
        wait_until(lambda: all(one.name != "numbers" for one in threading.enumerate()))


def test_whatever_a_post_fails_of_it_serves_on(numbers: Numbers) -> None:
    numbers.fails = 3
    with Mailbox(numbers, "numbers", 1000) as box:
        assert next(box.contents(FOREVER_SECONDS)) == 1
    assert numbers.fails == 0


def test_a_post_that_is_stopped_ends_everybodys_reading_now_and_from_now_on(
    numbers: Numbers,
) -> None:
    with Mailbox(numbers, "numbers", 1000) as box:
        contents = box.contents(FOREVER_SECONDS)
        next(contents)
        numbers.stop()
        for _ in contents:
            pass
        with Mailbox(numbers, "numbers", 1000) as late:
            assert list(late.contents(FOREVER_SECONDS)) == []


def test_all_of_it_works_between_greenlets_as_between_threads() -> None:
    # The live process runs under gevent, which replaces locks and threads.
    program = (
        "from gevent import monkey; monkey.patch_all(); import sys, pytest; "
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, __file__, "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        + ["-k", "not greenlets", "--noconftest"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "7 passed" in ran.stdout
