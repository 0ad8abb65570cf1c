"""Pages about me: my name, my language, and going on with another device."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import segno
from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from concert.accounts.devices import OFFER_SECONDS, offer_device, offer_stands, take_offer
from concert.accounts.models import LONGEST_NAME
from concert.accounts.service import checked_name, issue_user_token, rename_user, user_name
from concert.ground.errors import BadRequest, NotFound
from concert.web.door import (
    current_user,
    go_to,
    keep_language,
    keep_user_token,
    new_pages,
    private,
    render,
    require_user,
    user_or_new,
)
from concert.web.language import LANGUAGES

pages = new_pages("me")


@pages.get("/me")
def show() -> Response:
    """My name and my language."""
    return _page()


@pages.post("/me/name")
def rename() -> Response:
    """Give me a name; an empty one takes it away."""
    typed = request.form.get("name", "").strip()
    try:
        name = checked_name(typed or None)
    except BadRequest:
        fault = _("A name has 1 to %(most)s letters.", most=LONGEST_NAME)
        return _page(fault, 400)
    rename_user(user_or_new(), name)
    flash(_("Saved."), "good")
    return go_to(url_for("me.show"))


@pages.post("/me/language")
def choose_language() -> Response:
    """Speak this language from now on."""
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        raise BadRequest("There is no such language here.")
    keep_language(chosen)
    return go_to(url_for("me.show"))


@pages.post("/me/devices")
def offer() -> Response:
    """A QR code with which another device becomes mine."""
    code = offer_device(require_user())
    address = url_for("me.confirm", code=code, _external=True)
    drawn = segno.make(address, error="m", micro=False).svg_inline(
        border=4, scale=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    until = datetime.now(UTC) + timedelta(seconds=OFFER_SECONDS)
    return private(render("me/offer.html", address=address, qr=drawn, until=until))


@pages.get("/me/continue/<code>")
def confirm(code: str) -> Response:
    """Ask before using the code up: whoever previews links opens them as well."""
    if not offer_stands(code):
        return private(render("me/over.html", 404))
    known = current_user()
    name = user_name(known) if known else None
    return private(render("me/confirm.html", code=code, is_known=bool(known), name=name))


@pages.post("/me/continue/<code>")
def take(code: str) -> Response:
    """This device is theirs from now on."""
    try:
        user_id = take_offer(code)
    except NotFound:
        return private(render("me/over.html", 404))
    keep_user_token(user_id, issue_user_token(user_id))
    flash(
        _("This device is yours now: your tickets, your wallet and your place in line are here."),
        "good",
    )
    return go_to(url_for("tickets.mine"))


def _page(fault: str | None = None, status: int = 200) -> Response:
    user_id = current_user()
    name = user_name(user_id) if user_id else None
    return render(
        "me/page.html",
        status,
        is_known=user_id is not None,
        name=request.form.get("name", "") if fault else name or "",
        longest_name=LONGEST_NAME,
        fault=fault,
    )
