"""Errors as pages, in the reader's language, with a way on.

Where htmx asked for a part of a page, the answer is a notice that goes to the page's
place for notices (``#notices``), and the rest of the page stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Response, g, request
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from concert.ground.errors import (
    BadRequest,
    DomainError,
    Fault,
    HasSales,
    InsufficientBalance,
    ReholdTooSoon,
    SeatLimit,
    SeatsInUse,
    SeatTaken,
    TicketsUndecided,
    TooManyLapsed,
    Unavailable,
    UnknownUser,
    error_of_status,
)
from concert.ground.observability import route
from concert.web.door import forget_user, is_htmx, render
from concert.web.formats import seat_list, won
from concert.web.here import came_from, safe_path

log = structlog.get_logger()

RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Explained:
    """What a page says of an error in the reader's language, and the ways on: ``back``, ``retry``, ``wallet``, ``staff``, ``home``.

    ``text_of_form`` is said instead of ``text`` where a form met the error.
    """

    title: Any
    text: Any
    ways: tuple[str, ...] = field(default=("home",))
    text_of_form: Any = None


EXPLAINED: dict[str, Explained] = {
    "bad_request": Explained(
        _("That did not work"),
        _(
            "Something in the request was not right. Go back, check what you entered, and try again."
        ),
        ("back", "home"),
    ),
    "csrf": Explained(
        _("This form is out of date"),
        _(
            "The page was open for a long time, or your browser keeps no cookies. "
            "Open the page again and send the form once more. Nothing was changed."
        ),
        ("back", "home"),
    ),
    "ambiguous_date": Explained(
        _("Which time do you mean?"),
        _("There are several performances on that day. Choose one from the list."),
        ("back", "home"),
    ),
    "sales_not_open": Explained(
        _("Not on sale at the moment"),
        _("Sales for this date have not opened yet, or have ended. The concert's page says when."),
        ("back", "home"),
    ),
    "balance_limit": Explained(
        _("Your wallet would hold too much"),
        _("A wallet has a limit. Nothing was added; try a smaller amount."),
        ("wallet",),
    ),
    "token_missing": Explained(
        _("We do not know this device yet"),
        _("Choose a concert and join its line: that is all it takes. There is no sign-up."),
    ),
    "token_invalid": Explained(
        _("This is not valid any more"),
        _(
            "You may have lined up again elsewhere, or left the line. Go to the concert and join its line."
        ),
    ),
    "token_expired": Explained(
        _("This visit is over"),
        _("Your place in line has served its purpose. To buy more, join the line again."),
    ),
    "unknown_user": Explained(
        _("We do not know this device any more"),
        _("What it remembered of you has been put aside. Open the page again to begin anew."),
        ("retry", "home"),
    ),
    "insufficient_balance": Explained(
        _("Your balance is too small"),
        _(
            "You are %(missing)s short. Top up your wallet, then pay; your seats stay held meanwhile."
        ),
        ("wallet", "back"),
    ),
    "not_admitted": Explained(
        _("It is not your turn"),
        _("Your turn has not come yet, or it is over. The waiting room shows where you stand."),
    ),
    "not_yours": Explained(
        _("This belongs to somebody else"),
        _("If it is yours, open it on the device on which you bought it."),
    ),
    "not_found": Explained(
        _("There is nothing here"),
        _("The address may be mistyped, or what was here has gone."),
    ),
    "method_not_allowed": Explained(
        _("This page cannot do that"),
        _("The address is for sending a form. Go back to the page that you came from."),
        ("back", "home"),
    ),
    "seat_taken": Explained(
        _("Somebody was faster"),
        _("Taken meanwhile: %(seats)s. Nothing was charged; choose another seat."),
        ("back",),
    ),
    "not_together": Explained(
        _("So many seats are not free side by side"),
        _("Nothing was held. Choose fewer, or choose them one by one on the map."),
        ("back",),
    ),
    "lone_seat": Explained(
        _("A single seat would be left"),
        _("Nothing was held. Choose seats that leave nobody alone, or let us choose the best."),
        ("back",),
    ),
    "seat_limit": Explained(
        _("More seats than one person may have"),
        _("One person may have at most %(limit)s seats of one date."),
        ("back",),
    ),
    "rehold_too_soon": Explained(
        _("Others come first for a moment"),
        _(
            "Your time for these seats ran out, so others may take them first. "
            "In %(seconds)s seconds you may hold them again; other seats you may hold at once."
        ),
        ("back",),
    ),
    "too_many_lapsed": Explained(
        _("Your time ran out too often"),
        _(
            "Seats were held for you %(limit)s times in this visit and not paid. Give the others a chance: "
            "leave and join the line again to hold more. Seats that you hold now can still be paid."
        ),
        ("home",),
    ),
    "sales_ended": Explained(
        _("The sale has ended"),
        _("No date is on sale any more, so the line is closed. Your tickets are where they were."),
        ("home", "tickets"),
    ),
    "ticket_void": Explained(
        _("This ticket is not good any more"),
        _("It was refunded or handed on. Your tickets show which of yours are good."),
        ("tickets",),
    ),
    "ticket_used": Explained(
        _("This ticket is used"),
        _("Somebody has entered with it, so its code stays as it is and it stays yours."),
        ("tickets",),
    ),
    "handing_on_closed": Explained(
        _("Tickets cannot be handed on now"),
        _("The organiser does not allow it for this date, or its time is over."),
        ("tickets",),
    ),
    "refund_not_possible": Explained(
        _("The money cannot be given back"),
        _("It was given back already, its time is over, or the wallet would hold too much."),
        ("back", "tickets"),
    ),
    "hold_expired": Explained(
        _("The time to pay is over"),
        _("Your seats were given back, and nothing was charged. You may choose again."),
        ("back", "home"),
    ),
    "already_paid": Explained(
        _("This is paid already"),
        _("The seats are yours. You find them under your tickets."),
        ("tickets",),
    ),
    "role_too_small": Explained(
        _("This is not part of your role"),
        _("You are signed in, but this page is for others. Ask your organiser if you need it."),
        ("staff",),
    ),
    "csrf_missing": Explained(
        _("This form is out of date"),
        _("Open the page again and send the form once more. Nothing was changed."),
        ("back", "home"),
    ),
    "name_taken": Explained(
        _("This name is in use"),
        _("Choose another name, so that everybody knows who is meant."),
        ("back",),
    ),
    "changed_meanwhile": Explained(
        _("Somebody else was quicker"),
        _(
            "It was changed meanwhile, so nothing was done now. Go back, look again, and decide anew."
        ),
        ("back",),
    ),
    "edit_conflict": Explained(
        _("Somebody else has changed this meanwhile"),
        _("Nothing of yours was saved. Open the page again: it shows how it is now."),
        ("back",),
    ),
    "tickets_undecided": Explained(
        _("What becomes of the tickets?"),
        _("%(tickets)s seats of this date are sold. Say whether the tickets may be returned."),
        ("back",),
    ),
    "seats_in_use": Explained(
        _("Somebody has these seats"),
        _("Only free seats can be taken away, and from the end. Somebody has: %(seats)s."),
        ("back",),
    ),
    "has_sales": Explained(
        _("Seats of it are somebody's"),
        _("Sold: %(sold)s, held: %(held)s. Close the sale or cancel the date instead."),
        ("back",),
    ),
    "idempotency_conflict": Explained(
        _("This form was sent before"),
        _("It was sent with other values then, so nothing was done now. Open the page again."),
        ("back", "home"),
    ),
    "too_large": Explained(
        _("That is too much"), _("What was sent is larger than we take."), ("back", "home")
    ),
    "rate_limited": Explained(
        _("Too many at once"),
        _(
            "That was a lot at once, from you or from others on your connection. "
            "Wait a moment; your place in line is safe."
        ),
        ("retry", "home"),
    ),
    "internal": Explained(
        _("Something broke on our side"),
        _("Nothing half-done was kept. Please try again in a moment."),
        ("retry", "home"),
    ),
    "unavailable": Explained(
        _("Back in a moment"),
        _(
            "A part of the service cannot be reached. Nothing was lost: your place in line, your seats "
            "and your money are safe. This page tries again by itself."
        ),
        ("retry",),
        text_of_form=_(
            "A part of the service cannot be reached, so what you sent has not been done. Nothing was lost: "
            "your place in line, your seats and your money are safe. Send it again in a moment."
        ),
    ),
}


def answer_error(error: Exception) -> Response:
    """The page for any error; what nobody expected is logged and becomes a 500."""
    if isinstance(error, HTTPException) and error.response is not None:
        return error.response  # type: ignore[return-value]  # werkzeug's type is wider than what we abort with
    if isinstance(error, UnknownUser):
        # The cookie names somebody whom the database does not know; begin anew.
        forget_user()
    kind = _kind_of(error)
    if kind is Fault:
        log.error("fault", route=route(), exc_info=error)
    code = _explained_as(error, kind)
    response = _page(code, kind.status, _variables(error), getattr(error, "retry_after", None))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _kind_of(error: Exception) -> type[DomainError]:
    if isinstance(error, DomainError):
        return type(error)
    if isinstance(error, HTTPException):
        return error_of_status(error.code or Fault.status)
    return Fault


def _explained_as(error: Exception, kind: type[DomainError]) -> str:
    if isinstance(error, UnknownUser):
        return "unknown_user"
    if isinstance(error, CSRFError):
        return "csrf"
    return kind.code if kind.code in EXPLAINED else BadRequest.code


def _variables(error: Exception) -> dict[str, str]:
    if isinstance(error, InsufficientBalance):
        return {"missing": won(error.missing)}
    if isinstance(error, SeatTaken | SeatsInUse):
        return {"seats": seat_list(error.seat_nos[:10])}
    if isinstance(error, TicketsUndecided):
        return {"tickets": str(error.tickets)}
    if isinstance(error, HasSales):
        return {"sold": str(error.sold), "held": str(error.held)}
    if isinstance(error, SeatLimit | TooManyLapsed):
        return {"limit": str(error.limit)}
    if isinstance(error, ReholdTooSoon):
        return {"seconds": str(error.retry_after)}
    return {}


def _page(code: str, status: int, variables: dict[str, str], retry_after: int | None) -> Response:
    explained = EXPLAINED[code]
    back = came_from()
    again = safe_path(request.full_path.rstrip("?"), "/")
    is_form = request.method == "POST"
    wait = max(RETRY_SECONDS, retry_after or 0) if status == Unavailable.status else retry_after
    # What was sent is sent again by a person alone: a page that went on by itself would look as if
    # it had been done.
    refresh = wait if status == Unavailable.status and not is_form else None
    text = str(explained.text_of_form if is_form and explained.text_of_form else explained.text)
    response = render(
        "errors/_notice.html" if is_htmx() else "errors/page.html",
        status,
        code=code,
        shown_status=status,
        title=str(explained.title),
        text=text % variables if variables else text,
        ways=explained.ways,
        back=back,
        again=again,
        refresh=refresh,
        sent=_sent() if is_form and "retry" in explained.ways else None,
        is_form=is_form,
        request_id=g.get("request_id") if status == Fault.status else None,
    )
    response.headers["Cache-Control"] = "no-store"
    if is_htmx():
        response.headers["HX-Retarget"] = "#notices"
        response.headers["HX-Reswap"] = "innerHTML show:top"
        response.headers["HX-Reselect"] = ".notice"
        response.headers["HX-Push-Url"] = "false"
    elif refresh:
        response.headers["Refresh"] = f"{refresh}; url={again}"
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _sent() -> list[tuple[str, str]] | None:
    """What the form held, to be offered once more; None where it may not have been this site's form.

    Whatever was to be done once has its key among the fields, so that it is done once.
    """
    if not g.get("csrf_valid"):
        return None
    return [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
