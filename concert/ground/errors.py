"""What the doors may have to refuse: each error with its code, its HTTP status and its title, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class DomainError(Exception):
    """Something the caller has to know; the message is for people.

    ``code`` is stable, ``status`` is what HTTP says, ``title`` is the code in English words.
    """

    code: ClassVar[str] = "bad_request"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "The request is wrong"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# What was asked is wrong in itself.


class BadRequest(DomainError):
    code = "bad_request"
    status = 400
    title = "The request is wrong"


class AmbiguousDate(DomainError):
    """Several performances fit; the caller has to name one by ``performance_id``."""

    code = "ambiguous_date"
    status = 400
    title = "Several performances fit this date"


class SalesNotOpen(DomainError):
    """The performance is not on sale at this moment."""

    code = "sales_not_open"
    status = 400
    title = "Sales are not open"


class BalanceLimit(DomainError):
    """The charge would lift the balance above the most a wallet may hold."""

    code = "balance_limit"
    status = 400
    title = "The wallet would hold too much"


# Who is asking.


class TokenMissing(DomainError):
    code = "token_missing"
    status = 401
    title = "A token is needed"


class TokenInvalid(DomainError):
    code = "token_invalid"
    status = 401
    title = "The token is not valid"


class UnknownUser(TokenInvalid):
    """The token is ours, but the database does not know its user."""

    def __init__(self) -> None:
        super().__init__("The token's user does not exist.")


class TokenExpired(DomainError):
    code = "token_expired"
    status = 401
    title = "The token is over"


class NotAdmitted(DomainError):
    """The token is good, but it is not this person's turn now."""

    code = "not_admitted"
    status = 403
    title = "It is not your turn"


class NotYours(DomainError):
    code = "not_yours"
    status = 403
    title = "This is somebody else's"


class RoleTooSmall(DomainError):
    """It is known who this is, and their role does not allow it."""

    code = "role_too_small"
    status = 403
    title = "Your role does not allow this"


class CsrfMissing(DomainError):
    """A call with the cookie of a session does not prove that it comes from a page of ours."""

    code = "csrf_missing"
    status = 403
    title = "The page's token is missing"


class NotFound(DomainError):
    code = "not_found"
    status = 404
    title = "There is no such thing"


# Too late, or too little.


class TicketVoid(DomainError):
    """The ticket was refunded, handed on, or is void for another reason."""

    code = "ticket_void"
    status = 409
    title = "The ticket is void"


class TicketUsed(DomainError):
    """Somebody has entered with the ticket already."""

    code = "ticket_used"
    status = 409
    title = "The ticket is used"


class HandingOnClosed(DomainError):
    """The organiser does not let tickets of this date be handed on, or no longer."""

    code = "handing_on_closed"
    status = 409
    title = "Tickets cannot be handed on now"


class InsufficientBalance(DomainError):
    """``missing`` is how many won are lacking."""

    code = "insufficient_balance"
    status = 402
    title = "The balance is too small"

    def __init__(self, missing: int) -> None:
        super().__init__(f"The balance is {missing:,} won too small.")
        self.missing = missing


class SeatTaken(DomainError):
    """``seat_nos`` are the wanted seats that somebody else has."""

    code = "seat_taken"
    status = 409
    title = "Somebody else has the seat"

    def __init__(self, seat_nos: Sequence[int]) -> None:
        named = ", ".join(str(number) for number in seat_nos)
        one = len(seat_nos) == 1
        super().__init__(
            f"Seat {named} is already taken." if one else f"Seats {named} are already taken."
        )
        self.seat_nos = tuple(seat_nos)


class NotTogether(DomainError):
    """``count`` free seats side by side are not to be had."""

    code = "not_together"
    status = 409
    title = "So many seats are not free side by side"

    def __init__(self, count: int) -> None:
        super().__init__(f"There are no {count} free seats side by side.")
        self.count = count


class LoneSeat(DomainError):
    """``seat_nos`` are the seats that would be left alone between others, where it need not be."""

    code = "lone_seat"
    status = 409
    title = "A single seat would be left"

    def __init__(self, seat_nos: Sequence[int]) -> None:
        named = ", ".join(str(number) for number in seat_nos)
        super().__init__(f"This would leave a single seat between others: {named}.")
        self.seat_nos = tuple(seat_nos)


class SeatLimit(DomainError):
    """``limit`` is how many seats of one performance one user may have."""

    code = "seat_limit"
    status = 409
    title = "More seats than one person may have"

    def __init__(self, limit: int) -> None:
        super().__init__(f"One person may have at most {limit} seats of one performance.")
        self.limit = limit


class ReholdTooSoon(DomainError):
    """A hold of theirs on ``seat_nos`` lapsed just now: others come first for ``retry_after`` seconds."""

    code = "rehold_too_soon"
    status = 409
    title = "Others come first for a moment"

    def __init__(self, seat_nos: Sequence[int], retry_after: int) -> None:
        super().__init__(
            f"You let a hold of these seats lapse; others may take them for {retry_after} seconds first."
        )
        self.seat_nos = tuple(seat_nos)
        self.retry_after = retry_after


class TooManyLapsed(DomainError):
    """``limit`` holds of this visit have lapsed; only whoever lines up again may hold more."""

    code = "too_many_lapsed"
    status = 409
    title = "Too many holds have lapsed"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} of your holds have lapsed in this visit; leave and line up again to hold more."
        )
        self.limit = limit


class SalesEnded(DomainError):
    """No sale behind the room is open or to come; its line is closed."""

    code = "sales_ended"
    status = 409
    title = "The sale has ended"

    def __init__(self) -> None:
        super().__init__("The sale has ended, and its line is closed.")


class HoldExpired(DomainError):
    code = "hold_expired"
    status = 409
    title = "The hold is over"


class AlreadyPaid(DomainError):
    code = "already_paid"
    status = 409
    title = "This is paid already"


class RefundNotPossible(DomainError):
    """``why`` says it for programs and pages: which rule stands against giving the money back.

    ``gone`` (given back already, or never part of it), ``full`` (the wallet would hold too much),
    ``used`` (somebody has entered with the ticket), ``late`` (the time to give it back is over, or
    there is none).
    """

    code = "refund_not_possible"
    status = 409
    title = "The money cannot be given back"

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


class NameTaken(DomainError):
    code = "name_taken"
    status = 409
    title = "This name is in use"


class ChangedMeanwhile(DomainError):
    """Somebody else has changed it since the caller looked; they look again, then decide."""

    code = "changed_meanwhile"
    status = 409
    title = "Somebody else has changed this meanwhile"


class EditConflict(DomainError):
    """Somebody else has changed it since it was read; ``version`` is the newest."""

    code = "edit_conflict"
    status = 409
    title = "It was changed meanwhile"

    def __init__(self, version: int) -> None:
        super().__init__(
            f"Somebody else has changed it meanwhile; it is at version {version} now. Nothing was changed."
        )
        self.version = version


class TicketsUndecided(DomainError):
    """A date with ``tickets`` sold seats is to be moved, and nobody has said what becomes of them."""

    code = "tickets_undecided"
    status = 409
    title = "Say what becomes of the tickets"

    def __init__(self, tickets: int) -> None:
        super().__init__(
            f"{tickets} seats of this date are sold. Say with `tickets` whether they are kept, or may be "
            "returned, and then until when (`returns_until`). Nothing was changed."
        )
        self.tickets = tickets


class SeatsInUse(DomainError):
    """``seat_nos`` are seats that somebody has, among those that were to be taken away."""

    code = "seats_in_use"
    status = 409
    title = "Somebody has these seats"

    def __init__(self, seat_nos: Sequence[int]) -> None:
        named = ", ".join(str(number) for number in seat_nos[:10])
        super().__init__(
            f"Seats are taken away from the end, and only free ones; of these somebody has {named}"
            f"{' and more' if len(seat_nos) > 10 else ''}. Nothing was changed."
        )
        self.seat_nos = tuple(seat_nos)


class HasSales(DomainError):
    """``sold`` and ``held`` seats of it are somebody's, so it cannot become what was asked."""

    code = "has_sales"
    status = 409
    title = "Seats of it are sold or held"

    def __init__(self, what: str, sold: int, held: int) -> None:
        super().__init__(f"{what} {sold} seats are sold and {held} held. Nothing was changed.")
        self.sold = sold
        self.held = held


class IdempotencyConflict(DomainError):
    code = "idempotency_conflict"
    status = 409
    title = "The idempotency key was used for another request"


# Not now.


class RateLimited(DomainError):
    """``retry_after`` is in whole seconds."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"

    def __init__(self, retry_after: int, message: str = "Too many requests from here.") -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A part that is needed is down; ``retry_after`` is in whole seconds."""

    code = "unavailable"
    status = 503
    title = "A part we need is down"

    def __init__(self, part: str, retry_after: int = 2) -> None:
        super().__init__(
            f"{part} cannot be reached at the moment. Nothing is lost; please try again."
        )
        self.part = part
        self.retry_after = retry_after


# What HTTP itself refuses, and what nobody expected. Nothing of the domain raises these.


class WrongMethod(DomainError):
    code = "method_not_allowed"
    status = 405
    title = "This cannot be done here"


class TooLarge(DomainError):
    code = "too_large"
    status = 413
    title = "The body is too large"


class NotJson(DomainError):
    code = "not_json"
    status = 415
    title = "The body is not JSON"


class Fault(DomainError):
    code = "internal"
    status = 500
    title = "A fault of ours"


_OF_STATUS: dict[int, type[DomainError]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        TokenInvalid,
        NotYours,
        NotFound,
        WrongMethod,
        TooLarge,
        NotJson,
        RateLimited,
        Fault,
        Unavailable,
    )
}


def error_of_status(status: int) -> type[DomainError]:
    """The error that stands for an HTTP status which none of ours has raised."""
    return _OF_STATUS.get(status, BadRequest if status < 500 else Fault)


def every_error() -> dict[str, type[DomainError]]:
    """Every error by its code, in the order of their statuses."""
    found: dict[str, type[DomainError]] = {}
    waiting = DomainError.__subclasses__()
    while waiting:
        kind = waiting.pop(0)
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return dict(sorted(found.items(), key=lambda one: one[1].status))
