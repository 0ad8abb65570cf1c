"""Signing in: a link that works once, and sessions that end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from concert.factory import create_app
from concert.ground.audit import SYSTEM
from concert.ground.database import connection
from concert.ground.errors import BadRequest, NameTaken, NotFound, TokenExpired, TokenInvalid
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.staff import service
from concert.staff.access import COOKIE
from tests.sale import Sale
from tests.staff.crew import enter, link_for, signed_in
from tests.web.browser import Browser, Document, set_cookies

MINUTE, HOUR = 60, 3600


def test_looking_at_a_link_does_not_use_it_up(sale: Sale, visitor: Browser) -> None:
    code = link_for("Mina").code
    for _ in range(3):
        page = visitor.read(f"/staff/enter/{code}")
        assert "Mina" in page.text and visitor.cookie(COOKIE) is None
    assert enter(visitor, code).status_code == 303
    assert "Mina" in visitor.read("/staff").text


def test_a_link_works_once(sale: Sale, new_visitor: Callable[..., Browser]) -> None:
    code = link_for("Mina").code
    first, second = new_visitor(), new_visitor()
    form = second.read(f"/staff/enter/{code}").form_to("/staff/enter/")
    assert enter(first, code).status_code == 303
    assert second.send(form).status_code == 404
    assert second.open(f"/staff/enter/{code}").status_code == 404
    assert second.cookie(COOKIE) is None


def test_of_many_who_use_a_link_at_once_one_is_signed_in(sale: Sale) -> None:
    code = link_for("Mina").code

    def use(_: int) -> bool:
        with sale.app.app_context():
            try:
                return bool(service.sign_in(code, ""))
            except NotFound:
                return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(use, range(8))) == 1


def test_a_link_ends_after_its_minutes(sale: Sale, visitor: Browser) -> None:
    code = link_for("Mina").code
    sale.let_time_pass(14 * MINUTE)
    form = visitor.read(f"/staff/enter/{code}").form_to("/staff/enter/")
    sale.let_time_pass(2 * MINUTE)
    assert visitor.open(f"/staff/enter/{code}").status_code == 404
    assert visitor.send(form).status_code == 404


def test_a_new_link_ends_the_one_before(sale: Sale, visitor: Browser) -> None:
    old = link_for("Mina")
    new = service.make_link(old.person.staff_id, actor=SYSTEM)
    assert visitor.open(f"/staff/enter/{old.code}").status_code == 404
    assert enter(visitor, new.code).status_code == 303


def test_nobody_signs_in_without_the_form_s_token(sale: Sale, visitor: Browser) -> None:
    code = link_for("Mina").code
    assert visitor.post(f"/staff/enter/{code}", {}).status_code == 400
    assert enter(visitor, code).status_code == 303


def test_the_cookie_of_a_session_is_no_script_s_business_and_no_other_site_s(
    sale: Sale, visitor: Browser
) -> None:
    line = set_cookies(enter(visitor, link_for("Mina").code))[COOKIE]
    assert "HttpOnly" in line and "SameSite=Strict" in line and "Path=/" in line
    assert "Max-Age=43200" in line and "Secure" not in line


def test_in_production_the_cookie_of_a_session_is_secure(sale: Sale, settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"env": "production"})).test_client()
    path, address = f"/staff/enter/{link_for('Mina').code}", "https://tickets.example"
    form = Document(client.get(path, base_url=address).text).form_to(path)
    answer = client.post(path, data=form.fields, base_url=address, headers={"Referer": address})
    assert answer.status_code == 303, answer.text
    assert "Secure" in set_cookies(answer)[COOKIE]


def test_only_digests_of_links_and_sessions_are_kept(sale: Sale) -> None:
    made = link_for("Mina")
    mina = signed_in(sale, "Jisu")
    with connection() as link:
        for table in ("staff_links", "staff_sessions", "audit_log", "staff"):
            kept = str(link.execute(f"SELECT {table}::text FROM {table}").fetchall())
            for secret in (made.code, mina.token):
                assert secret not in kept
                assert secret.encode().hex() not in kept


def test_a_session_ends_when_nobody_uses_it(sale: Sale) -> None:
    mina = signed_in(sale, "Mina")
    for _ in range(3):
        sale.let_time_pass(119 * MINUTE)
        assert mina.browser.open("/staff").status_code == 200
    sale.let_time_pass(121 * MINUTE)
    assert mina.browser.open("/staff").status_code == 401
    assert mina.browser.cookie(COOKIE) is None


def test_a_session_ends_after_a_night_however_busy_it_was(sale: Sale) -> None:
    mina = signed_in(sale, "Mina")
    for _ in range(11):
        sale.let_time_pass(HOUR)
        assert mina.browser.open("/staff").status_code == 200
    sale.let_time_pass(HOUR)
    assert mina.browser.open("/staff").status_code == 401


def test_whoever_signs_out_is_out_at_once_and_nobody_else(sale: Sale) -> None:
    mina, jisu = signed_in(sale, "Mina"), signed_in(sale, "Jisu")
    token = mina.token
    left = mina.browser.send(mina.browser.read("/staff").form_to("/staff/leave"))
    assert left.status_code == 200 and mina.browser.cookie(COOKIE) is None
    with pytest.raises(TokenExpired):
        service.caller_of_session(token)
    assert jisu.browser.open("/staff").status_code == 200


def test_somebody_sees_and_ends_their_own_devices_only(sale: Sale) -> None:
    mina, jisu = signed_in(sale, "Mina"), signed_in(sale, "Jisu")
    other = Browser(sale)
    enter(other, service.make_link(mina.staff_id, actor=SYSTEM).code)
    (form,) = (
        form for form in mina.browser.read("/staff").forms if "/staff/sessions/" in form.action
    )
    # Of Jisu, with the right token of her own form, as if she had guessed the number.
    hers = jisu.browser.read("/staff").form_to("/staff/leave").fields
    assert jisu.browser.post(form.action, hers).status_code == 404
    assert other.open("/staff").status_code == 200
    assert mina.browser.send(form).status_code == 303
    assert other.open("/staff").status_code == 401
    assert mina.browser.open("/staff").status_code == 200


def test_whoever_is_removed_is_out_everywhere_and_cannot_come_back(
    sale: Sale, visitor: Browser
) -> None:
    mina = signed_in(sale, "Mina")
    again = service.make_link(mina.staff_id, actor=SYSTEM)
    service.remove_person(mina.staff_id, actor=SYSTEM)
    assert mina.browser.open("/staff").status_code == 401
    assert visitor.open(f"/staff/enter/{again.code}").status_code == 404
    with pytest.raises(NotFound):
        service.make_link(mina.staff_id, actor=SYSTEM)
    with pytest.raises(NotFound):
        service.sign_in(again.code, "")
    assert service.list_sessions() == [] and service.list_people() == []


def test_a_name_is_one_person_s_until_they_are_removed(sale: Sale) -> None:
    mina = link_for("Mina").person
    with pytest.raises(NameTaken):
        link_for("mina ")
    service.remove_person(mina.staff_id, actor=SYSTEM)
    assert link_for("MINA").person.staff_id != mina.staff_id


def test_signing_in_while_one_is_removed_waits_for_nobody_in_a_circle(sale: Sale) -> None:
    """Whichever comes first, nobody who was removed is signed in, and no two wait for each other."""
    links = [link_for(f"Mina {number}") for number in range(12)]

    def come(made: service.SignInLink) -> None:
        with sale.app.app_context(), suppress(NotFound):
            service.sign_in(made.code, "")

    def go(made: service.SignInLink) -> None:
        with sale.app.app_context():
            service.remove_person(made.person.staff_id, actor=SYSTEM)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(act, made) for made in links for act in (come, go)]
        for one in asked:
            one.result(30)
    assert service.list_sessions() == [] and service.list_people() == []


@pytest.mark.parametrize("name", ["", "  ", "a" * 81, "a\nb", "\x00"])
def test_a_name_has_letters_that_can_be_seen(sale: Sale, name: str) -> None:
    with pytest.raises(BadRequest):
        link_for(name)


@pytest.mark.parametrize("token", ["", "x", "\x00", "\udc00", "a" * 10_000])
def test_a_session_that_never_was_is_refused(sale: Sale, token: str) -> None:
    with pytest.raises(TokenInvalid):
        service.caller_of_session(token)


def test_wrong_links_are_limited_as_wrong_keys_are(sale: Sale, settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"key_guesses_per_minute": 3}))
    browser = Browser(Sale(app))
    code = link_for("Mina").code
    found = [browser.open(f"/staff/enter/wrong-{n}").status_code for n in range(5)]
    assert found == [404, 404, 404, 429, 429]
    # Nor is the right one looked at; and keys are counted with them.
    assert browser.open(f"/staff/enter/{code}").status_code == 429
    assert Sale(app).call("GET", "/v1/keys", token="wrong").status_code == 429
    assert part(Settings, app).key_guesses_per_minute == 3
