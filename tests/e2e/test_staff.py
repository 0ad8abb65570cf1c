"""Staff in real browsers: signing in by a link, adding a person for the door, signing them out, the log."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from concert.ground.audit import SYSTEM
from concert.staff import service
from tests.e2e.house import Hall, HttpSale
from tests.e2e.test_pages import COLOURS, FINISH, PHONE, WIDTHS
from tests.e2e.visitor import OpenBrowser, Visitor


def sign_in(visitor: Visitor, link: str) -> None:
    """Open a link, and press its button."""
    visitor.go(link)
    visitor.button("/staff/enter/").click()


def organiser(visitor: Visitor) -> str:
    """Sign somebody new in as an organiser; returns their name."""
    name = f"Haneul {uuid4().hex[:6]}"
    made = service.add_person(name, "organiser", actor=SYSTEM)
    sign_in(visitor, f"/staff/enter/{made.code}")
    visitor.page.wait_for_url("**/organiser")
    return name


def add_for_the_door(boss: Visitor, name: str) -> str:
    """Add somebody; returns the path of the link that is shown."""
    page = boss.page
    boss.go("/organiser/staff")
    page.locator("#name").fill(name)
    page.locator('input[name="role"][value="door"]').check(force=True)
    page.locator('form[action="/organiser/staff"] button').click()
    expect(page.locator("svg.qr")).to_be_visible()
    address = page.locator(".offer-link").inner_text()
    assert address.startswith(boss.page.url.partition("/organiser")[0])
    return "/staff/enter/" + address.rpartition("/")[2]


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_an_organiser_adds_somebody_signs_them_out_and_finds_it_in_the_log(
    sale: HttpSale, open_browser: OpenBrowser, language: str, scripts: bool
) -> None:
    boss = open_browser(language, java_script_enabled=scripts)
    gate = open_browser(language, java_script_enabled=scripts)
    gate.complaints.expect_status(401, 403, 404)
    boss_name, name = organiser(boss), f"Minseo {uuid4().hex[:6]}"
    link, reason = add_for_the_door(boss, name), f"the shift of {name} is over"

    sign_in(gate, link)
    gate.page.wait_for_url("**/door")
    gate.go("/staff")
    expect(gate.page.locator("h1")).to_have_text(name)
    gate.go("/organiser")
    expect(gate.page.locator("h1")).to_have_text(gate.words("This is not part of your role"))
    gate.go(link)
    expect(gate.page.locator("h1")).to_have_text(gate.words("This link is over"))

    boss.go("/organiser/staff")
    card = boss.page.locator("li.card", has_text=name)
    card.locator("details > summary").click()
    card.locator("input[name=reason]").fill(reason)
    card.locator("form[action$='/remove'] button").click()
    expect(boss.page.locator(".notice-good")).to_contain_text(name)
    gate.go("/staff")
    expect(gate.page.locator("h1")).to_have_text(gate.words("This page is for staff"))

    boss.page.locator('.nav a[href="/organiser/log"]').click()
    line = boss.page.locator(".log-row", has_text=reason)
    expect(line).to_contain_text(boss_name)
    expect(line).to_contain_text(boss.words("removed somebody from the staff"))
    boss.go("/staff")
    boss.button("/staff/leave").click()
    expect(boss.page.locator("h1")).to_have_text(boss.words("Signed out"))


def every_page(visitor: Visitor) -> Iterator[str]:
    """Lead an organiser through all there is to see."""
    page = visitor.page
    visitor.go("/staff")
    yield "without a session"
    made = service.add_person(f"Haneul {uuid4().hex[:6]}", "organiser", actor=SYSTEM)
    visitor.go(f"/staff/enter/{made.code}")
    yield "a sign-in link"
    visitor.button("/staff/enter/").click()
    page.wait_for_url("**/organiser")
    yield "overview"
    add_for_the_door(visitor, f"Minseo {uuid4().hex[:6]}")
    yield "a new link"
    visitor.go("/organiser/staff")
    page.locator("details > summary").first.click()
    yield "staff"
    visitor.go("/organiser/keys")
    page.locator("#name").fill(f"till {uuid4().hex[:6]}")
    page.locator('input[name="scope"][value="door"]').check(force=True)
    page.locator('form[action="/organiser/keys"] button').click()
    expect(page.locator("#secret")).to_be_visible()
    yield "a new key"
    visitor.go("/organiser/keys")
    yield "keys"
    visitor.go("/organiser/log")
    page.locator("details.card > summary").click()
    page.locator(".log-row details > summary").first.click()
    yield "log"
    visitor.go("/staff")
    yield "my devices"
    visitor.button("/staff/leave").click()
    yield "signed out"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_page_for_staff_keeps_anybody_out_or_is_wider_than_its_window(
    hall: Hall, open_browser: OpenBrowser, language: str
) -> None:
    visitor = open_browser(language, color_scheme="light", reduced_motion="reduce")
    visitor.complaints.expect_status(401)
    axe = Axe()
    found = {}
    too_wide = []
    for name in every_page(visitor):
        page = visitor.page
        assert page.locator("html").get_attribute("lang") == language
        for scheme, rules in (("light", None), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(FINISH)
            violations = axe.run(page, options=rules).response["violations"]
            if violations:
                found[f"{name}, {scheme}"] = [
                    (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
                ]
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                too_wide.append((name, width))
        page.set_viewport_size(PHONE)
    assert found == {}
    assert too_wide == []
