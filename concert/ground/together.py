"""Work that several requests of a process do together, in one go.

While a go is under way, whoever asks for the same kind of work waits. When it is over, the first of
those who have come meanwhile does the work of all of them. So nobody waits for others to come, and
the more ask at once, the less each of them costs: one round trip, one commit and one wait on the disk
are shared, and fewer threads take turns.

What is done in one go is done in one transaction. So the work must never wait for locks that others
have: it leaves what is locked undone, for whoever asked to do it alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from concert.ground.budget import budget
from concert.ground.errors import Unavailable

Asked = TypeVar("Asked")

# Enough that what is shared costs each of them next to nothing.
MOST_AT_ONCE = 32


class NotDone(Exception):
    """The work of several has failed in a way that nobody expected; its cause says which."""


class _Waiting(Generic[Asked]):
    """Somebody who has asked, until their work is done or has failed."""

    __slots__ = ("asked", "bell", "failure", "leads")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.leads = False
        self.failure: BaseException | None = None
        # Taken until somebody has something to say; it is lighter than an event.
        self.bell = threading.Lock()
        self.bell.acquire()


class Together(Generic[Asked]):
    """One kind of work.

    ``work`` gets what was asked, in the order in which it was, and notes in each what was found.
    It runs in the thread of one of those who have asked, within that one's budget of time.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], None], most: int = MOST_AT_ONCE) -> None:
        self._work = work
        self._most = most
        self._lock = threading.Lock()
        self._queue: deque[_Waiting[Asked]] = deque()
        self._is_under_way = False

    def do(self, asked: Asked) -> None:
        """Have it done, with what others ask at the same time.

        Raises:
            Unavailable: a part that is needed cannot be reached, or the time was over; where it was
                over before the work began, nothing was done, else nobody knows.
            NotDone: the work of others has failed with it.
            And what the work raises, in the thread that did it.
        """
        mine = _Waiting(asked)
        with self._lock:
            self._queue.append(mine)
            leads = not self._is_under_way
            self._is_under_way = True
        if not leads:
            if not mine.bell.acquire(timeout=max(0.0, budget().left())):
                self._give_up(mine)
            if not mine.leads:
                if isinstance(mine.failure, Unavailable):
                    raise Unavailable(mine.failure.part, mine.failure.retry_after) from mine.failure
                if mine.failure is not None:
                    raise NotDone from mine.failure
                return
        self._lead(mine)

    def __len__(self) -> int:
        """How many wait for the next go."""
        return len(self._queue)

    @property
    def is_under_way(self) -> bool:
        """Whether somebody is doing the work."""
        return self._is_under_way

    def _lead(self, mine: _Waiting[Asked]) -> None:
        """Do the work of all who wait; whoever leads is the first of them."""
        with self._lock:
            now = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
        failure: BaseException | None = None
        try:
            self._work([one.asked for one in now])
        except BaseException as error:
            failure = error
            raise
        finally:
            # First the next go, so that the servers have something to do meanwhile.
            with self._lock:
                self._hand_on()
            for one in now:
                if one is not mine:
                    one.failure = failure
                    one.bell.release()

    def _hand_on(self) -> None:
        """Let the first of those who wait lead; the lock is held."""
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].bell.release()
        else:
            self._is_under_way = False

    def _give_up(self, mine: _Waiting[Asked]) -> None:
        """Wait no more: the time is over."""
        with self._lock:
            if mine in self._queue:
                self._queue.remove(mine)
                if mine.leads:
                    self._hand_on()
        raise Unavailable("The database")
