"""Which page the reader is on, as an address that can be opened again: for links that keep the place.

A page that is shown in answer to a form (a seat that was lost, a balance too small, an error)
stands at an address that takes only forms. What it belongs to is the page that holds the form.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from flask import request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BuildError

LONGEST = 500

# The page to which each form belongs, and what of the form or its address that page asks for.
PAGE_OF_FORM: dict[str, tuple[str, tuple[str, ...]]] = {
    "waiting_room.join": ("waiting_room.room", ("concert",)),
    "waiting_room.here": ("waiting_room.room", ("concert",)),
    "waiting_room.leave": ("waiting_room.room", ("concert",)),
    "seats.hold": ("seats.choose", ("performance",)),
    "seats.best": ("seats.choose", ("performance",)),
    "checkout.pay": ("checkout.show", ()),
    "checkout.top_up": ("checkout.show", ()),
    "checkout.release": ("checkout.show", ()),
    "my_wallet.top_up": ("my_wallet.show", ("next",)),
    # Their own pages are named by the payment, which the forms do not know.
    "tickets.renew": ("tickets.mine", ()),
    "tickets.offer": ("tickets.mine", ()),
    "tickets.withdraw": ("tickets.mine", ()),
    "tickets.take": ("tickets.offered", ()),
    "me.rename": ("me.show", ()),
    "me.choose_language": ("me.show", ()),
    "me.offer": ("me.show", ()),
    "me.take": ("me.confirm", ()),
    "staff_pages.enter": ("staff_pages.confirm", ()),
    "staff_pages.leave": ("staff_pages.show", ()),
    "staff_pages.end_session": ("staff_pages.show", ()),
    "entrance.enter": ("entrance.scan", ("gate",)),
    "entrance.undo": ("entrance.scan", ("gate",)),
    "organiser_pages.add_person": ("organiser_pages.people", ()),
    "organiser_pages.new_link": ("organiser_pages.people", ()),
    "organiser_pages.remove_person": ("organiser_pages.people", ()),
    "organiser_pages.end_session": ("organiser_pages.people", ()),
    "organiser_pages.add_key": ("organiser_pages.keys", ()),
    "organiser_pages.rotate_key": ("organiser_pages.keys", ()),
    "organiser_pages.revoke_key": ("organiser_pages.keys", ()),
}


def here() -> str:
    """The path and query of the page that the reader is on; a form's own page where one was sent.

    Where a form belongs to no page that we know, it is the page that the browser names, or the
    front page.
    """
    if request.method in ("GET", "HEAD"):
        # One slash at the start: two would make a host of what follows.
        path = "/" + quote(request.path.lstrip("/"), safe="/:@!$&'()*+,;=~-._")
        return _with_query(
            path, [one for one in request.args.items(multi=True) if one[0] != "lang"]
        )
    return _page_of_form() or came_from()


def in_language(code: str) -> str:
    """The address of this page in another language."""
    address = here()
    return f"{address}{'&' if '?' in address else '?'}lang={code}"


def came_from() -> str:
    """The page before this one where it was ours, else the front page."""
    try:
        parts = urlsplit(request.referrer or "")
    except ValueError:
        return "/"
    if parts.netloc != request.host:
        return "/"
    return safe_path(parts.path + (f"?{parts.query}" if parts.query else ""), "/")


def safe_path(wanted: str | None, otherwise: str) -> str:
    """``wanted`` where it is a path on this site, else ``otherwise``: no redirect leads elsewhere."""
    if not wanted or len(wanted) > LONGEST or not wanted.isprintable() or "\\" in wanted:
        return otherwise
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return otherwise
    if parts.scheme or parts.netloc or not wanted.startswith("/") or wanted.startswith("//"):
        return otherwise
    return wanted


def _page_of_form() -> str | None:
    page, asked = PAGE_OF_FORM.get(request.endpoint or "", (None, ()))
    if page is None:
        return None
    try:
        path = url_for(page, **(request.view_args or {}))
        query = [(name, request.values[name]) for name in asked if name in request.values]
    except (BuildError, HTTPException):
        # What was sent may be too large to be read at all.
        return None
    return _with_query(path, [(name, value) for name, value in query if len(value) <= LONGEST])


def _with_query(path: str, query: list[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
