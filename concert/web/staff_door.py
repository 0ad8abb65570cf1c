"""What pages for staff share: sessions, roles, and answers that nobody keeps or lists.

A feature makes its blueprint with :func:`new_staff_pages` and says of each view who may see it
(:func:`concert.staff.access.needs`). A view that says nothing is for anybody.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, g, request

from concert.ground.audit import Actor
from concert.ground.errors import RoleTooSmall, TokenExpired, TokenInvalid, TokenMissing
from concert.ground.limits import network_of
from concert.ground.signing import pseudonym
from concert.staff.access import COOKIE, Caller, Need, Role, csrf_token_of, let_in, need_of
from concert.staff.service import caller_of_session
from concert.web.door import csrf, drop_staff_session, private, render


def new_staff_pages(name: str) -> Blueprint:
    """A blueprint for pages of staff; whatever is sent to it by POST needs the form's CSRF token."""
    pages = Blueprint(name, __name__)
    # Who is asking comes before what they ask.
    pages.before_request(_let_in)
    pages.before_request(csrf.protect)
    pages.after_request(_keep_out)
    return pages


def init_staff_door(app: Flask) -> None:
    """Tell every template who of the staff is asking, where that is known."""
    app.context_processor(_staff_context)


def is_signed_in(role: Role) -> bool:
    """Whether somebody with this role asks, on a page that is for anybody.

    A link from elsewhere brings no session along, so this is so only within our own pages.
    """
    token = request.cookies.get(COOKIE, "")
    try:
        let_in(caller_of_session(token) if token else None, Need(role, keys=False))
    except (TokenMissing, TokenInvalid, TokenExpired, RoleTooSmall):
        return False
    return True


def caller() -> Caller:
    """Who is asking, on a page that says who it ``needs``."""
    found: Caller = g.staff
    return found


def actor() -> Actor:
    """The same as the audit log has it."""
    return caller().acting(g.get("request_id"), origin())


def origin() -> str:
    """The network that the request comes from, as the audit log has it."""
    return pseudonym(network_of(request.remote_addr or ""))


def ask_to_sign_in(status: int = 401) -> Response:
    """The page for somebody without a session: how to get one."""
    again = request.full_path.rstrip("?") if request.method == "GET" else "/staff"
    return render("staff/ask.html", status, again=again)


def _let_in() -> Response | None:
    need = need_of(current_app.view_functions.get(request.endpoint or ""))
    if need is None:
        return None
    token = request.cookies.get(COOKIE, "")
    try:
        g.staff = let_in(caller_of_session(token) if token else None, need)
    except (TokenMissing, TokenInvalid, TokenExpired):
        if token:
            drop_staff_session()
        return ask_to_sign_in()
    return None


def _keep_out(response: Response) -> Response:
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return private(response)


def _staff_context() -> dict[str, object]:
    """``staff`` is who is signed in; ``page_token`` what our scripts send with calls of the API."""
    found: Caller | None = g.get("staff")
    token = request.cookies.get(COOKIE, "") if found else ""
    return {"staff": found, "page_token": csrf_token_of(token) if token else ""}
