"""What every page shares: cookies, forms that cannot be forged, headers, ways that stay here."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from concert.factory import create_app
from concert.ground.settings import Settings
from concert.ground.signing import sign
from concert.web.door import USER_COOKIE
from concert.web.here import safe_path
from tests.sale import Sale
from tests.web.browser import Browser, Document, set_cookies

PAGES = ("/", "/wallet", "/tickets", "/me", "/no-such-page", "/tickets/verify/nothing")


def directives(policy: str) -> dict[str, list[str]]:
    """A content security policy, read: the sources of each directive."""
    words = [directive.split() for directive in policy.split(";")]
    assert len({name for name, *_ in words}) == len(words), "a browser heeds the first of two only"
    return {name: sources for name, *sources in words}


@pytest.mark.parametrize("path", PAGES)
def test_every_page_forbids_what_it_does_not_need(visitor: Browser, path: str) -> None:
    headers = visitor.open(path).headers

    policy = directives(headers["Content-Security-Policy"])
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["form-action"] == ["'self'"]
    assert policy["base-uri"] == policy["frame-ancestors"] == ["'none'"]
    # Nothing comes from elsewhere, whatever it is; and nothing is left to the browser's defaults.
    assert {one for sources in policy.values() for one in sources} == {"'self'", "'none'"}
    assert "object-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_no_page_needs_inline_script_or_style(visitor: Browser, path: str) -> None:
    document = Document(visitor.open(path).text)

    for tag, attributes in document.elements:
        assert "style" not in attributes, (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert tag != "style"
        if tag == "script":
            assert attributes["src"].startswith("/static/")


def test_only_the_api_s_own_page_may_style_its_elements(visitor: Browser) -> None:
    policy = visitor.open("/docs").headers["Content-Security-Policy"]

    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in policy


def test_looking_makes_nobody_a_user(visitor: Browser) -> None:
    for path in (*PAGES, f"/tickets/{uuid4()}", f"/reservations/{uuid4()}", "/me/continue/x"):
        visitor.open(path)

    assert visitor.cookie(USER_COOKIE) is None


def test_the_first_action_makes_a_user_whose_cookie_no_script_can_read(visitor: Browser) -> None:
    form = visitor.read("/wallet").form_to("/wallet")

    cookie = set_cookies(visitor.send(form, amount="1000"))[USER_COOKIE]

    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie
    assert "Secure" not in cookie


def test_the_session_cookie_is_no_script_s_business_either(visitor: Browser) -> None:
    cookie = set_cookies(visitor.open("/wallet"))["concert_session"]

    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


def test_in_production_every_cookie_is_secure(settings: Settings, sale: Sale) -> None:
    app = create_app(settings.model_copy(update={"env": "production"}))
    with app.app_context():
        visitor = Browser(Sale(app))
        form = visitor.read("/wallet").form_to("/wallet")
        answer = visitor.client.post(
            "/wallet",
            data={**form.fields, "amount": "1000"},
            base_url="https://localhost",
            headers={"Referer": "https://localhost/wallet"},
        )
        cookies = {**set_cookies(visitor.open("/wallet")), **set_cookies(answer)}

    assert cookies
    assert all("Secure" in cookie for cookie in cookies.values())


@pytest.mark.parametrize("path", ["/wallet", "/me/name", "/me/language", "/me/devices"])
def test_a_form_without_its_token_changes_nothing(visitor: Browser, path: str) -> None:
    answer = visitor.post(path, {"amount": "1000", "name": "Mallory", "language": "ko", "key": "k"})

    assert answer.status_code == 400
    assert "out of date" in answer.text
    assert visitor.cookie(USER_COOKIE) is None


def test_a_token_of_somebody_else_s_form_is_refused(
    visitor: Browser, new_visitor: Callable[..., Browser]
) -> None:
    theirs = new_visitor().read("/wallet").form_to("/wallet")
    visitor.open("/wallet")

    assert visitor.send(theirs, amount="1000").status_code == 400


def test_the_json_door_needs_no_form_token(sale: Sale) -> None:
    assert sale.fan().charge(1000).status_code == 200


def test_a_form_is_good_after_the_keys_have_changed(settings: Settings, sale: Sale) -> None:
    before = Browser(sale)
    form = before.read("/wallet").form_to("/wallet")
    keys = ("the next key, just as long as the one before it", *settings.secret_keys)
    app = create_app(settings.model_copy(update={"secret_keys": keys}))
    with app.app_context():
        after = Browser(Sale(app))
        session = before.cookie("concert_session")
        after.client.set_cookie("concert_session", session.value)

        assert after.send(form, amount="1000").status_code == 303


def test_a_user_token_that_is_not_ours_is_nobody(visitor: Browser) -> None:
    visitor.client.set_cookie(USER_COOKIE, "no.such.token")

    assert visitor.open("/wallet").status_code == 200
    assert visitor.open(f"/tickets/{'0' * 8}-0000-4000-8000-{'0' * 12}").status_code == 401


def test_a_user_whom_the_database_has_forgotten_may_begin_anew(
    visitor: Browser, sale: Sale
) -> None:
    stranger = sign("user", 3600, {"sub": "00000000-0000-4000-8000-000000000000"})
    visitor.client.set_cookie(USER_COOKIE, stranger)

    first = visitor.open("/wallet")

    assert first.status_code == 401
    assert "Max-Age=0" in set_cookies(first)[USER_COOKIE]
    assert visitor.open("/wallet").status_code == 200


def test_an_older_user_token_is_renewed_by_the_next_page(
    visitor: Browser, sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    fan = sale.fan()
    visitor.become(fan)
    assert USER_COOKIE not in set_cookies(visitor.open("/wallet"))
    yesterday = time.time() - 90_000
    with monkeypatch.context() as patch:
        patch.setattr("concert.ground.signing.time.time", lambda: yesterday)
        visitor.client.set_cookie(USER_COOKIE, sign("user", 10**6, {"sub": str(fan.user_id)}))

    assert USER_COOKIE in set_cookies(visitor.open("/"))


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "evil",
        "/a\nb",
        "/" + "x" * 600,
        "",
        None,
    ],
)
def test_no_redirect_leads_elsewhere(wanted: str | None) -> None:
    assert safe_path(wanted, "/wallet") == "/wallet"


def test_a_redirect_may_lead_to_our_own_pages() -> None:
    assert safe_path("/reservations/1?part=2", "/") == "/reservations/1?part=2"


def test_pages_are_compressed_and_kept_by_nobody_else(visitor: Browser) -> None:
    answer = visitor.open("/", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"</html>" in gzip.decompress(answer.data)
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert {"Cookie", "Accept-Language"} <= set(answer.headers["Vary"].split(", "))


def test_htmx_adds_no_style_and_does_not_sleep_in_the_background(visitor: Browser) -> None:
    metas = visitor.read("/").with_tag("meta")
    config = next(meta["content"] for meta in metas if meta.get("name") == "htmx-config")

    assert '"includeIndicatorCSS":false' in config
    assert '"pauseOnBackground":false' in config


def test_a_place_in_line_of_somebody_else_is_not_mine(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert()
    me, they = sale.fan(), sale.admitted_fan(concert)
    me.queue_token = they.queue_token

    assert visitor.become(me).read(f"/concerts/{concert}").form_to("/join")


def test_a_place_in_another_line_is_not_one_in_this(visitor: Browser, sale: Sale) -> None:
    sale.room("small")
    concert = sale.concert(room="small")
    fan = sale.admitted_fan()

    page = visitor.become(fan, "small").read(f"/concerts/{concert}")

    assert page.form_to("/join")


def test_after_a_form_sent_by_htmx_the_whole_page_goes_on(visitor: Browser, sale: Sale) -> None:
    form = visitor.read("/wallet").form_to("/wallet")
    with sale.app.app_context():
        answer = visitor.client.post(
            "/wallet", data={**form.fields, "amount": "1000"}, headers={"HX-Request": "true"}
        )

    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == "/wallet"


def test_htmx_may_send_the_form_token_as_a_header(visitor: Browser, sale: Sale) -> None:
    form = visitor.read("/wallet").form_to("/wallet")
    token = form.fields.pop("csrf_token")
    with sale.app.app_context():
        answer = visitor.client.post(
            "/wallet", data={**form.fields, "amount": "1000"}, headers={"X-CSRFToken": token}
        )

    assert answer.status_code == 303


def test_one_address_cannot_make_users_without_end_through_a_page(
    settings: Settings, sale: Sale
) -> None:
    app = create_app(settings.model_copy(update={"new_users_per_minute": 2}))
    with app.app_context():
        everybody = [Browser(Sale(app)) for _ in range(4)]
        forms = [visitor.read("/wallet").form_to("/wallet") for visitor in everybody]
        answers = [v.send(f, amount="1000") for v, f in zip(everybody, forms, strict=True)]
        again = everybody[0].send(everybody[0].read("/wallet").form_to("/wallet"), amount="1000")

    assert [answer.status_code for answer in answers] == [303, 303, 429, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
    assert again.status_code == 303


@pytest.mark.parametrize("path", ["/", "/v1/concerts", "/v1/nothing", "/openapi.json", "/healthz"])
def test_no_browser_guesses_what_an_answer_is(visitor: Browser, path: str) -> None:
    assert visitor.open(path).headers["X-Content-Type-Options"] == "nosniff"


def test_no_other_site_reaches_into_a_window_of_ours(visitor: Browser) -> None:
    assert visitor.open("/").headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_what_changes_behind_a_page_is_kept_by_nobody(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert()
    fan = sale.admitted_fan(concert)
    reservation = fan.hold(concert, 1).json["reservation_id"]
    visitor.become(fan)
    date = "2030-12-31"
    for path in (f"/concerts/{concert}/seats/{date}", f"/reservations/{reservation}", "/wallet"):
        answer = visitor.open(path)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store"), path
    # A page that says what is held is kept by nobody anyway; the map is not, whoever looks.
    visitor.become(sale.admitted_fan(concert))
    answer = visitor.open(f"/concerts/{concert}/seats/{date}")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
