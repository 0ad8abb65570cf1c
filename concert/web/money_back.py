"""Pages of money back, for staff: finding a payment, refunding it, paying out, and cancelling a date."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from concert.catalogue.service import (
    Concert,
    Performance,
    concert_and_performance,
    concert_of,
    list_concerts,
)
from concert.ground.errors import (
    BadRequest,
    IdempotencyConflict,
    InsufficientBalance,
    NotFound,
    RefundNotPossible,
)
from concert.ground.idempotency import Attempt
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.payments.service import Payment, payment_by_id
from concert.refunds.cancelling import at_stake, cancel_performance, progress_of
from concert.refunds.search import Found, find_by_id, find_by_seat, owners_of, preview_refund
from concert.refunds.service import refund_payment, set_returns_until
from concert.staff.access import needs
from concert.wallet.payouts import pay_out
from concert.web.door import go_to, new_form_key, render
from concert.web.formats import won
from concert.web.staff_door import actor, caller, new_staff_pages

pages = new_staff_pages("money_pages")

CONCERTS = 50


@pages.get("/organiser/payments")
@needs("box-office")
def payments() -> Response:
    """Find a payment by its number, by its owner, or by a seat; and the dates, for whoever may cancel one."""
    typed = {name: request.args.get(name, "").strip()[:80] for name in ("q", "date", "seat")}
    found, fault = _found(typed)
    concerts, _more = list_concerts(limit=CONCERTS)
    dates = [(one.concert, date) for one in concerts for date in one.concert.performances]
    return render(
        "refunds/payments.html",
        200 if fault is None else 400,
        typed=typed,
        found=found,
        fault=fault,
        dates=dates,
        about={one.payment_id: _what(one) for one in (found.payments if found else ())},
        key=new_form_key(),
    )


@pages.get("/organiser/payments/<uuid:payment_id>")
@needs("box-office")
def payment(payment_id: UUID) -> Response:
    """One payment; with seats and a reason chosen, what refunding them would do, before it is done."""
    return _payment(payment_by_id(payment_id))


@pages.post("/organiser/payments/<uuid:payment_id>/refund")
@needs("box-office")
def refund(payment_id: UUID) -> Response:
    """Refund the chosen seats; a form that is sent twice does it once."""
    seat_nos = sorted(set(request.form.getlist("seats", type=int)))
    reason = request.form.get("reason", "")
    key = request.form.get("key", "")
    asked = {"payment": payment_id, "seats": seat_nos, "reason": reason}
    try:
        done = refund_payment(
            payment_id,
            seat_nos,
            reason=reason,
            actor=actor(),
            attempt=Attempt.of(_whose_keys(), key, "refund", asked),
        )
    except (BadRequest, RefundNotPossible, IdempotencyConflict) as error:
        return _payment(payment_by_id(payment_id), error)
    flash(_("%(amount)s went back. The seats are free again.", amount=won(done.amount)), "good")
    return go_to(url_for("money_pages.payment", payment_id=payment_id))


@pages.post("/organiser/users/<uuid:user_id>/payout")
@needs("organiser")
def payout(user_id: UUID) -> Response:
    """Write down that some of a balance was paid out; a form that is sent twice does it once."""
    amount = request.form.get("amount", 0, type=int)
    note = request.form.get("note", "")
    key = request.form.get("key", "")
    asked = {"user": user_id, "amount": amount, "note": note}
    try:
        done = pay_out(
            user_id,
            amount,
            note=note,
            actor=actor(),
            attempt=Attempt.of(_whose_keys(), key, "pay out", asked),
        )
    except InsufficientBalance:
        flash(_("The wallet has less than that. Nothing was changed."), "bad")
    except (BadRequest, IdempotencyConflict):
        flash(_("Enter a whole amount in won, and where the money went."), "bad")
    else:
        flash(
            _(
                "%(amount)s are paid out; %(balance)s are left.",
                amount=won(done.amount),
                balance=won(done.balance),
            ),
            "good",
        )
    return go_to(url_for("money_pages.payments", q=user_id))


@pages.get("/organiser/performances/<int:performance_id>/cancellation")
@needs("organiser")
def cancellation(performance_id: int) -> Response:
    """Cancel a date, or see how far giving the money back has come; ``?part=progress`` gives that alone."""
    return _cancellation(performance_id)


@pages.post("/organiser/performances/<int:performance_id>/cancellation")
@needs("organiser")
def cancel(performance_id: int) -> Response:
    """Cancel the date, where its day was typed and a reason is given."""
    _concert, performance = concert_and_performance(performance_id)
    if request.form.get("day", "").strip() != performance.date.isoformat():
        fault = _("Type the day of this date, as it stands there, to cancel it.")
        return _cancellation(performance_id, day_fault=fault)
    try:
        cancel_performance(performance_id, reason=request.form.get("reason", ""), actor=actor())
    except BadRequest:
        return _cancellation(performance_id, reason_fault=_("Say why, in 1 to 500 letters."))
    return go_to(url_for("money_pages.cancellation", performance_id=performance_id))


@pages.post("/organiser/performances/<int:performance_id>/returns")
@needs("organiser")
def returns(performance_id: int) -> Response:
    """Say until when tickets of this date may be given back; left empty, they may not."""
    typed = request.form.get("until", "").strip()
    try:
        until = datetime.fromisoformat(typed).replace(tzinfo=part(Settings).zone) if typed else None
        set_returns_until(performance_id, until, actor=actor())
    except (ValueError, BadRequest):
        fault = _("Choose a time before the date begins.")
        return _cancellation(performance_id, until_fault=fault)
    flash(_("It is changed."), "good")
    return go_to(url_for("money_pages.cancellation", performance_id=performance_id))


def _found(typed: dict[str, str]) -> tuple[Found | None, str | None]:
    """What was searched for, and what is wrong with what was typed; nothing where nothing was."""
    if typed["q"]:
        try:
            return find_by_id(UUID(typed["q"])), None
        except ValueError:
            return None, _("A number of a payment or user has 32 digits and letters from a to f.")
    if typed["date"] or typed["seat"]:
        if not (_is_number(typed["date"]) and _is_number(typed["seat"])):
            return None, _("Choose a date, and type the number of a seat.")
        return find_by_seat(int(typed["date"]), int(typed["seat"])), None
    return None, None


def _is_number(typed: str) -> bool:
    return typed.isascii() and typed.isdecimal() and len(typed) < 10


def _payment(found: Payment, error: Exception | None = None) -> Response:
    values = request.form if request.method == "POST" else request.args
    chosen = sorted(set(values.getlist("seats", type=int)))
    reason = values.get("reason", "").strip()
    preview = None
    if chosen and error is None:
        try:
            preview = preview_refund(found.payment_id, chosen)
        except (BadRequest, RefundNotPossible) as refused:
            error = refused
    concert, performance = _what(found)
    status = 200 if error is None else 409 if isinstance(error, RefundNotPossible) else 400
    return render(
        "refunds/payment.html",
        status,
        payment=found,
        concert=concert,
        performance=performance,
        owners=owners_of(found),
        chosen=chosen,
        reason=reason,
        preview=preview,
        refused=_refused(error) if error is not None else None,
        key=new_form_key(),
    )


def _refused(error: Exception) -> str:
    words: str = _("Choose at least one seat, and say why in 1 to 500 letters.")
    if isinstance(error, RefundNotPossible):
        words = _("It was given back already, or is not part of this payment.")
        if error.why == "full":
            words = _("The wallet would hold too much. Pay some of its balance out first.")
    return words


def _cancellation(performance_id: int, **faults: str) -> Response:
    concert, performance = concert_and_performance(performance_id)
    try:
        progress = progress_of(performance_id)
    except NotFound:
        progress = None
    if request.args.get("part") == "progress" and progress is not None:
        return render("refunds/_progress.html", progress=progress, performance=performance)
    return render(
        "refunds/cancellation.html",
        400 if faults else 200,
        concert=concert,
        performance=performance,
        progress=progress,
        stake=at_stake(performance_id) if progress is None else None,
        typed=request.form,
        faults=faults,
        zone=part(Settings).zone,
    )


def _what(found: Payment) -> tuple[Concert, Performance]:
    concert = concert_of(found.concert_id)
    dates = {one.performance_id: one for one in concert.performances}
    return concert, dates[found.performance_id]


def _whose_keys() -> UUID:
    """Whose idempotency keys a form's is among: the person's who sent it."""
    return uuid4() if caller().id is None else UUID(int=caller().id or 0)
