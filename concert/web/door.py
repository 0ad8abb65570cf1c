"""What every page shares: who is asking, forms that cannot be forged, cookies, rendering, headers.

A feature makes its blueprint with :func:`new_pages`, calls services, and answers with
:func:`render` or :func:`go_to`. A ``DomainError`` that a service raises becomes a page, or
a notice within the page where htmx asked, in :mod:`concert.web.errors`.
"""

from __future__ import annotations

import gzip
import secrets
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Blueprint, Flask, Response, g, render_template, request
from flask_wtf.csrf import CSRFProtect

from concert.accounts.service import create_user, issue_user_token
from concert.ground.errors import TokenExpired, TokenInvalid, TokenMissing, Unavailable
from concert.ground.limits import limit, network_of
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.ground.signing import verify
from concert.reservations.service import Reservation, next_to_lapse
from concert.staff.access import COOKIE as STAFF_COOKIE
from concert.waiting_room.service import find_token
from concert.waiting_room.tokens import QueueToken, queue_token_of
from concert.web.here import in_language
from concert.web.language import COOKIE as LANGUAGE_COOKIE
from concert.web.language import KEPT_SECONDS as LANGUAGE_SECONDS
from concert.web.language import LANGUAGES, language, tongue

USER_COOKIE = "concert_user"
QUEUE_COOKIE = "concert_queue_"
SESSION_COOKIE = "concert_session"

# htmx must obey this too: it is told in base.html to add no style sheet, and evaluates nothing
# as long as no template uses hx-on, js: values or trigger filters.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Flask-WTF compares the referrer on HTTPS, so our own pages get it, and nobody else.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(), payment=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
}
SMALLEST_COMPRESSED = 1000
# In so many lines somebody is looked for, whatever the cookies say.
MOST_ROOMS = 5
# A token that is older than this is renewed by the next page, so that whoever comes back
# now and then stays who they are.
RENEWED_AFTER_SECONDS = 86_400

csrf = CSRFProtect()


def init_door(app: Flask, settings: Settings) -> None:
    """Session, forms and headers for all pages. The JSON door has tokens, and no cookies."""
    keys = settings.secret_keys
    secure = settings.env == "production"
    app.config.update(
        SECRET_KEY=keys[0],
        SECRET_KEY_FALLBACKS=list(keys[1:]),
        SESSION_COOKIE_NAME=SESSION_COOKIE,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        # A form that waited in a line for hours is still this person's form.
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_CHECK_DEFAULT=False,
        # The last one signs, here; all of them are believed.
        WTF_CSRF_SECRET_KEY=list(reversed(keys)),
    )
    csrf.init_app(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_shared_context)
    app.after_request(_finish)


def new_pages(name: str) -> Blueprint:
    """A blueprint for one feature's pages; whatever is sent to it by POST needs the form's CSRF token.

    The names of the JSON door's blueprints are taken (``catalogue``, ``wallet``, ``payments``,
    ``reservations``, ``users``, ``waiting room``, ``organiser``).
    """
    pages = Blueprint(name, __name__)
    pages.before_request(csrf.protect)
    return pages


def current_user() -> UUID | None:
    """Who is asking, by the cookie; None where there is none, or it is not a good one.

    The database may not know the user any more; the service that is asked next says so.
    """
    if "web_user" not in g:
        g.web_user = _user_of_cookie(request.cookies.get(USER_COOKIE, ""))
    found: UUID | None = g.web_user
    return found


def require_user() -> UUID:
    """Who is asking, for pages that make no sense without a person.

    Raises:
        TokenMissing: nobody is known on this device yet.
    """
    user_id = current_user()
    if user_id is None:
        raise TokenMissing("Nobody is known on this device yet.")
    return user_id


def user_or_new() -> UUID:
    """Who is asking; somebody who was nobody yet becomes a user, and the answer sets the cookie.

    Raises:
        RateLimited: too many new users come from this address.
        Unavailable: PostgreSQL cannot be reached.
    """
    user_id = current_user()
    if user_id is None:
        limit("new users", network_of(request.remote_addr or ""))
        account = create_user()
        user_id = account.user_id
        keep_user_token(user_id, account.user_token)
    return user_id


def keep_user_token(user_id: UUID, token: str) -> None:
    """From this answer on, this device is this user's."""
    g.web_user = user_id
    _keep_cookie(USER_COOKIE, token, _settings().user_token_days * 86_400)


def forget_user() -> None:
    """Drop the user cookie with this answer."""
    g.web_user = None
    _keep_cookie(USER_COOKIE, "", 0)


def queue_token(room: str) -> QueueToken | None:
    """The place of whoever is asking in this room, by the cookie; None where there is none.

    A device that has no cookie of it, because its user lined up with another one, is given the
    place that its user has. Whether it is this place's turn is for ``waiting_room.enter`` to say.

    Raises:
        Unavailable: this device has no cookie of a place, and Redis cannot be reached.
    """
    return kept_queue_token(room) or newer_queue_token(room)


def kept_queue_token(room: str) -> QueueToken | None:
    """The place of whoever is asking in this room as the cookie has it, which costs nothing to look at."""
    try:
        token = queue_token_of(request.cookies.get(QUEUE_COOKIE + room, ""))
    except (TokenInvalid, TokenExpired):
        return None
    return token if token.room == room and token.user_id == current_user() else None


def newer_queue_token(room: str) -> QueueToken | None:
    """The place that the user has in this room, whichever device lined up; this one keeps it.

    Raises:
        Unavailable: Redis cannot be reached.
    """
    user_id = current_user()
    token = find_token(room, user_id) if user_id else None
    if token is not None:
        keep_queue_token(token)
    return token


def require_queue_token(room: str) -> QueueToken:
    """The same, for pages behind the waiting room.

    Raises:
        TokenMissing: this device has no place in this line.
    """
    token = queue_token(room)
    if token is None:
        raise TokenMissing("This device has no place in this line.")
    return token


def keep_queue_token(token: QueueToken) -> None:
    """Set the cookie of a place with this answer; one cookie for each room."""
    _keep_cookie(QUEUE_COOKIE + token.room, token.encoded(), _settings().queue_token_hours * 3600)


def keep_for_a_day(name: str, value: str) -> None:
    """Set a small cookie that nothing hangs on; no script reads it."""
    _keep_cookie(name, value, 86_400)


def drop_queue_token(room: str) -> None:
    """Take the cookie of a place away with this answer."""
    _keep_cookie(QUEUE_COOKIE + room, "", 0)


def keep_language(chosen: str) -> None:
    """Speak this language from this answer on."""
    g.language = chosen
    _keep_cookie(LANGUAGE_COOKIE, chosen, LANGUAGE_SECONDS)


def render(template: str, status: int = 200, **context: Any) -> Response:
    """A page (or a partial) from a template.

    Beside ``context`` every template has ``asset_url``, ``csrf_token``, ``now`` (an aware
    datetime), ``language``, ``languages``, ``tongue``, ``in_language``, ``settings``, ``is_htmx``,
    ``bar`` and the filters of :mod:`concert.web.formats`.
    """
    g.web_status = status
    return Response(render_template(template, **context), status=status, mimetype="text/html")


def private(response: Response) -> Response:
    """The answer, to be kept by nobody: not even going back may show it as it was."""
    response.headers["Cache-Control"] = "no-store"
    return response


def go_to(address: str) -> Response:
    """Send the browser on to another page with a GET, after a POST; htmx loads it as a whole page."""
    if is_htmx():
        return Response(status=200, headers={"HX-Redirect": address})
    return Response(status=303, headers={"Location": address})


def is_htmx() -> bool:
    """Whether htmx is asking, for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def live_hold() -> Reservation | None:
    """What whoever is asking holds at this moment; of several, what ends first.

    A whole page asks once (:mod:`concert.web.greeting`): one small query for somebody who is known here,
    and none for strangers. None on the page that tells of this hold itself, and where it cannot
    be known: a page that says what is broken must not wait for what is broken.
    """
    user_id = current_user()
    if user_id is None or g.get("web_status", 200) >= 500:
        return None
    try:
        held = next_to_lapse(user_id)
    except Unavailable:
        return None
    shown = (request.view_args or {}).get("reservation_id")
    if held is None or held.reservation_id == shown:
        return None
    shows_a_clock()
    return held


def tells_of(room: str) -> None:
    """This page says itself how its reader stands in this room: no bar needs to."""
    g.web_tells_of = room


def kept_queue_tokens() -> list[QueueToken]:
    """The places in line that this device knows, but for those that the page itself tells of."""
    rooms = sorted(
        name.removeprefix(QUEUE_COOKIE)
        for name in request.cookies
        if name.startswith(QUEUE_COOKIE)
        and name.removeprefix(QUEUE_COOKIE) != g.get("web_tells_of")
    )
    tokens = (kept_queue_token(room) for room in rooms[:MOST_ROOMS])
    return [token for token in tokens if token is not None]


def shows_a_clock() -> None:
    """What this page shows runs out: going back must not show it as it was."""
    g.web_holds = True


def new_form_key() -> str:
    """A key for a hidden field: however often this form is sent, its work is done once."""
    return secrets.token_urlsafe(16)


def _settings() -> Settings:
    settings = part(Settings)
    return settings


def _user_of_cookie(token: str) -> UUID | None:
    try:
        claims = verify(token, "user", ["sub"])
        user_id = UUID(claims["sub"])
    except (TokenInvalid, TokenExpired, ValueError):
        return None
    if time.time() - claims["iat"] > RENEWED_AFTER_SECONDS:
        _keep_cookie(USER_COOKIE, issue_user_token(user_id), _settings().user_token_days * 86_400)
    return user_id


def keep_staff_session(token: str) -> None:
    """Sign somebody of the staff in with this answer. No link from elsewhere brings this cookie along."""
    _keep_cookie(STAFF_COOKIE, token, _settings().staff_session_hours * 3600, "Strict")


def drop_staff_session() -> None:
    """Take the cookie of a session of staff away with this answer."""
    _keep_cookie(STAFF_COOKIE, "", 0, "Strict")


def _keep_cookie(name: str, value: str, seconds: int, same_site: str = "Lax") -> None:
    """Set a cookie with this answer; 0 seconds take it away."""
    g.setdefault("web_cookies", {})[name] = (value, seconds, same_site)


def _shared_context() -> dict[str, Any]:
    return {
        "now": datetime.now(UTC),
        "language": language(),
        "languages": LANGUAGES,
        "tongue": tongue(),
        "in_language": in_language,
        "settings": _settings(),
        "is_htmx": is_htmx(),
    }


def _finish(response: Response) -> Response:
    if response.mimetype != "text/html":
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return _with_cookies(response)
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # What a page shows is one person's; going back to it is still quick, but for one with a clock
    # of what is held, which would run from when it was written.
    kept = "no-store" if g.get("web_holds") else "private, no-cache"
    response.headers.setdefault("Cache-Control", kept)
    response.vary.update(("Accept-Encoding", "Accept-Language", "Cookie"))
    if request.args.get("lang") in LANGUAGES and request.method == "GET":
        keep_language(request.args["lang"])
    # Whatever page they look at, they stay who they are.
    current_user()
    return _compressed(_with_cookies(response))


def _with_cookies(response: Response) -> Response:
    cookies: dict[str, tuple[str, int, str]] = g.get("web_cookies", {})
    for name, (value, seconds, same_site) in cookies.items():
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            httponly=True,
            samesite=same_site,
            secure=_settings().env == "production",
        )
    return response


def _compressed(response: Response) -> Response:
    """Compress a page. Other sites cannot make a browser fetch one with our cookies (SameSite),
    so its size tells them nothing of the CSRF token in it."""
    if (
        response.is_streamed
        or response.direct_passthrough
        or "Content-Encoding" in response.headers
        or not request.accept_encodings.quality("gzip")
    ):
        return response
    body = response.get_data()
    if len(body) >= SMALLEST_COMPRESSED:
        response.set_data(gzip.compress(body, 5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
