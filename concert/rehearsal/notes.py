"""What the fans noted: facts with the moments at which they were asked for and seen.

Moments are seconds of this machine's clock (``time.time``); ``sent`` is before a request left
and ``seen`` after its answer was read, so what the answer tells was true in between.
``at`` is a moment on the service's clock, out of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answered:
    """Any call: which, with what status (0: no answer), and how long its fan waited for it."""

    call: str
    status: int
    sent: float
    seen: float


@dataclass(frozen=True, slots=True)
class Joined:
    """A place was given: its number orders it."""

    fan: int
    sequence: int
    sent: float
    seen: float


@dataclass(frozen=True, slots=True)
class Stood:
    """Where a waiting fan stood; ``sent`` is None where a stream told it.

    With it came how many seats were free, held and sold, their ``state`` ('' where nothing was
    said of them), how it looked for the fan, and whether there was an estimate of the wait.
    """

    fan: int
    position: int
    waiting: int
    sent: float | None
    seen: float
    free: int = 0
    held: int = 0
    sold: int = 0
    state: str = ""
    chance: str | None = None
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """A fan watched the stream from its first event until it ended, or the fan went away."""

    fan: int
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Lagged:
    """The crew itself was late by so many seconds; what fans saw then, had come before."""

    seen: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Admitted:
    """A fan was told that it is their turn; ``at`` is when they were let in."""

    fan: int
    sequence: int
    at: float
    seen: float


@dataclass(frozen=True, slots=True)
class Inside:
    """A call behind the room was answered, at ``seen``; ``last`` where it is to end the visit."""

    fan: int
    sent: float
    last: bool = False
    seen: float | None = None


@dataclass(frozen=True, slots=True)
class Out:
    """The service has said that a place is over: its fan has left, or paid."""

    fan: int
    seen: float


@dataclass(frozen=True, slots=True)
class Held:
    """Seats were held for ``lasting`` seconds."""

    fan: int
    performance: int
    seats: tuple[int, ...]
    lasting: float
    sent: float
    seen: float


@dataclass(frozen=True, slots=True)
class Released:
    """Seats are being given back: from now on nobody can say that they are still held."""

    fan: int
    performance: int
    seats: tuple[int, ...]
    sent: float


@dataclass(frozen=True, slots=True)
class Returned:
    """Seats were given back: the service has said so."""

    fan: int
    performance: int
    seats: tuple[int, ...]
    seen: float


@dataclass(frozen=True, slots=True)
class Walked:
    """A fan has walked away from held seats, which come back when the hold lapses."""

    fan: int
    seen: float


@dataclass(frozen=True, slots=True)
class Unsure:
    """Whether seats were held, nobody can say: no answer came."""

    fan: int
    seats: tuple[int, ...]
    sent: float


@dataclass(frozen=True, slots=True)
class Missed:
    """Somebody else was quicker, or nothing was left."""

    fan: int
    seen: float


@dataclass(frozen=True, slots=True)
class Charged:
    """Money was added to the wallet."""

    fan: int
    amount: int
    seen: float


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment was answered."""

    fan: int
    payment: str
    performance: int
    seats: tuple[int, ...]
    amount: int
    sent: float
    seen: float


@dataclass(frozen=True, slots=True)
class Audited:
    """What the service says of a fan when all is over: payments, balance, and the ledger's entries."""

    fan: int
    payments: tuple[tuple[str, int, tuple[int, ...], int], ...]
    balance: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Gone:
    """A fan's evening is over, and how."""

    fan: int
    how: str
    seen: float


Note = (
    Answered
    | Joined
    | Stood
    | Watched
    | Lagged
    | Admitted
    | Inside
    | Out
    | Held
    | Released
    | Returned
    | Walked
    | Unsure
    | Missed
    | Charged
    | Paid
    | Audited
    | Gone
)


@dataclass(slots=True)
class Notes:
    """All notes of a rehearsal, by kind."""

    answered: list[Answered] = field(default_factory=list)
    joined: list[Joined] = field(default_factory=list)
    stood: list[Stood] = field(default_factory=list)
    watched: list[Watched] = field(default_factory=list)
    lagged: list[Lagged] = field(default_factory=list)
    admitted: list[Admitted] = field(default_factory=list)
    inside: list[Inside] = field(default_factory=list)
    out: list[Out] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    released: list[Released] = field(default_factory=list)
    returned: list[Returned] = field(default_factory=list)
    walked: list[Walked] = field(default_factory=list)
    unsure: list[Unsure] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    charged: list[Charged] = field(default_factory=list)
    paid: list[Paid] = field(default_factory=list)
    audited: list[Audited] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)

    def add(self, note: Note) -> None:
        """File a note under its kind."""
        kept: list[Note] = getattr(self, type(note).__name__.lower())
        kept.append(note)
