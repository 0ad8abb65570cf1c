"""Pages of the wallet: balance, topping up, ledger."""

from __future__ import annotations

from flask import Response, flash, request
from flask_babel import gettext as _

from concert.ground.errors import BadRequest, BalanceLimit
from concert.ground.idempotency import Attempt
from concert.wallet.models import HIGHEST_CHARGE
from concert.wallet.service import balance_of, charge
from concert.web.door import (
    current_user,
    go_to,
    new_form_key,
    new_pages,
    private,
    render,
    user_or_new,
)
from concert.web.formats import won
from concert.web.here import safe_path

pages = new_pages("my_wallet")

ENTRIES_SHOWN = 50
# Offered with one tap, in won.
USUAL_AMOUNTS = (50_000, 100_000, 200_000)


@pages.get("/wallet")
def show() -> Response:
    """My balance, and every change of it."""
    return _page(request.args.get("next"))


@pages.post("/wallet")
def top_up() -> Response:
    """Add to my balance; a form that is sent twice adds once."""
    came_from = request.form.get("next")
    try:
        amount = _amount(request.form.get("usual") or request.form.get("amount", ""))
        user_id = user_or_new()
        asked = Attempt.of(user_id, request.form.get("key", ""), "top up", {"amount": amount})
        balance = charge(user_id, amount, asked)
    except BalanceLimit:
        return _page(came_from, _("Your wallet would hold too much. Nothing was added."), 400)
    except _NotAnAmount:
        fault = _(
            "Enter a whole amount from %(least)s to %(most)s.",
            least=won(1),
            most=won(HIGHEST_CHARGE),
        )
        return _page(came_from, fault, 400)
    flash(
        _(
            "Added %(amount)s. You have %(balance)s now.",
            amount=won(amount),
            balance=won(balance.balance),
        ),
        "good",
    )
    return go_to(safe_path(came_from, "/wallet"))


class _NotAnAmount(BadRequest):
    """What was typed is not an amount that can be added."""


def _amount(typed: str) -> int:
    """A number as people type it: ``50000``, ``50,000`` or ``₩50,000``."""
    digits = typed.strip().strip("₩원").strip().replace(",", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 12:
        raise _NotAnAmount("This is not an amount.")
    if not 1 <= int(digits) <= HIGHEST_CHARGE:
        raise _NotAnAmount("This is not an amount that can be added.")
    return int(digits)


def _page(came_from: str | None, fault: str | None = None, status: int = 200) -> Response:
    user_id = current_user()
    balance = balance_of(user_id, ENTRIES_SHOWN) if user_id else None
    response = render(
        "wallet/page.html",
        status,
        balance=balance.balance if balance else 0,
        entries=balance.entries if balance else (),
        usual_amounts=USUAL_AMOUNTS,
        highest=HIGHEST_CHARGE,
        key=new_form_key(),
        fault=fault,
        typed=request.form.get("amount", "") if fault else "",
        came_from=safe_path(came_from, ""),
    )
    # Going back must show the balance as it is, in a form with a key of its own.
    return private(response)
