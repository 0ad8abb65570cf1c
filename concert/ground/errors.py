"""The errors that the domain raises. Doors map them to HTTP once, by ``code``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class DomainError(Exception):
    """Something the caller has to know. ``code`` is stable; the message is for people."""

    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# What was asked is wrong in itself.


class BadRequest(DomainError):
    code = "bad_request"


class AmbiguousDate(DomainError):
    """Several performances fit; the caller has to name one by ``performance_id``."""

    code = "ambiguous_date"


class SalesNotOpen(DomainError):
    """The performance is not on sale at this moment."""

    code = "sales_not_open"


class BalanceLimit(DomainError):
    """The charge would lift the balance above the most a wallet may hold."""

    code = "balance_limit"


# Who is asking.


class TokenMissing(DomainError):
    code = "token_missing"


class TokenInvalid(DomainError):
    code = "token_invalid"


class UnknownUser(TokenInvalid):
    """The token is ours, but the database does not know its user."""

    def __init__(self) -> None:
        super().__init__("The token's user does not exist.")


class TokenExpired(DomainError):
    code = "token_expired"


class NotAdmitted(DomainError):
    """The token is good, but it is not this person's turn now."""

    code = "not_admitted"


class NotYours(DomainError):
    code = "not_yours"


class NotFound(DomainError):
    code = "not_found"


# Too late, or too little.


class InsufficientBalance(DomainError):
    """``missing`` is how many won are lacking."""

    code = "insufficient_balance"

    def __init__(self, missing: int) -> None:
        super().__init__(f"The balance is {missing:,} won too small.")
        self.missing = missing


class SeatTaken(DomainError):
    """``seat_nos`` are the wanted seats that somebody else has."""

    code = "seat_taken"

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

    def __init__(self, count: int) -> None:
        super().__init__(f"There are no {count} free seats side by side.")
        self.count = count


class SeatLimit(DomainError):
    """``limit`` is how many seats of one performance one user may have."""

    code = "seat_limit"

    def __init__(self, limit: int) -> None:
        super().__init__(f"One person may have at most {limit} seats of one performance.")
        self.limit = limit


class ReholdTooSoon(DomainError):
    """A hold of theirs on ``seat_nos`` lapsed just now: others come first for ``retry_after`` seconds."""

    code = "rehold_too_soon"

    def __init__(self, seat_nos: Sequence[int], retry_after: int) -> None:
        super().__init__(
            f"You let a hold of these seats lapse; others may take them for {retry_after} seconds first."
        )
        self.seat_nos = tuple(seat_nos)
        self.retry_after = retry_after


class TooManyLapsed(DomainError):
    """``limit`` holds of this visit have lapsed; only whoever lines up again may hold more."""

    code = "too_many_lapsed"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} of your holds have lapsed in this visit; leave and line up again to hold more."
        )
        self.limit = limit


class HoldExpired(DomainError):
    code = "hold_expired"


class AlreadyPaid(DomainError):
    code = "already_paid"


class IdempotencyConflict(DomainError):
    code = "idempotency_conflict"


# Not now.


class RateLimited(DomainError):
    """``retry_after`` is in whole seconds."""

    code = "rate_limited"

    def __init__(self, retry_after: int, message: str = "Too many requests from here.") -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DomainError):
    """A part that is needed is down; ``retry_after`` is in whole seconds."""

    code = "unavailable"

    def __init__(self, part: str, retry_after: int = 2) -> None:
        super().__init__(
            f"{part} cannot be reached at the moment. Nothing was changed or lost; please try again."
        )
        self.part = part
        self.retry_after = retry_after
