"""Planning in real browsers: a draft is made, shown to everybody, and its date is moved."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.house import Hall
from tests.e2e.test_pages import COLOURS, FINISH
from tests.e2e.test_staff import organiser
from tests.e2e.visitor import OpenBrowser, Visitor
from tests.waiting import wait_until

NARROW = {"width": 360, "height": 740}


def faults_of(page: Page) -> list[object]:
    """What keeps somebody out of this page in either scheme, and whether it is wider than its window."""
    found: list[object] = []
    for scheme, rules in (("light", None), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        page.evaluate(FINISH)
        violations = Axe().run(page, options=rules).response["violations"]
        found += [
            (scheme, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
        ]
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than its window")
    return found


def shows(fan: Visitor, path: str, words: str) -> bool:
    """Whether a page says so; a process may believe for a second what it has read before."""
    fan.go(path)
    return words in fan.page.locator("main").inner_text()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_concert_is_planned_shown_and_moved_on_a_narrow_phone(
    hall: Hall, open_browser: OpenBrowser, language: str
) -> None:
    boss, fan = open_browser(language, viewport=NARROW), open_browser(language)
    fan.complaints.expect_status(404)
    organiser(boss)
    page, title = boss.page, f"봄밤 Spring Night {hall.slug}"
    faults = {}

    boss.go("/organiser/concerts/new")
    faults["new"] = faults_of(page)
    for name, value in {
        "title": title,
        "venue": "Blue Hall",
        "starts_at": "2031-05-01T19:00",
        "price": "77000",
        "capacity": "60",
    }.items():
        page.locator(f"#{name}").fill(value)
    page.locator("#room").select_option(hall.slug)
    boss.button("/organiser/concerts/new").click()
    expect(page.locator("h1")).to_have_text(title)
    page.locator("details.card > summary").first.click()
    faults["concert"] = faults_of(page)

    # A draft is not seen by others; what is shown is.
    plan = page.url
    path = f"/concerts/{plan.rpartition('/')[2]}"
    fan.go(path)
    expect(fan.page.locator("h1")).not_to_have_text(title)
    boss.button("/publication").first.click()
    expect(page.locator(".badge", has_text=boss.words("Shown to everybody"))).to_be_visible()
    wait_until(lambda: shows(fan, path, title), seconds=20, what="the concert's page")

    # Its date is moved to another day, and costs less.
    page.locator(".tiles a.button").click()
    faults["date"] = faults_of(page)
    page.locator("#starts_at").fill("2031-05-08T18:30")
    page.locator("#price").fill("66000")
    page.locator("#reason-date").fill("the hall is taken")
    boss.button("/organiser/dates/").first.click()
    expect(page.locator(".notice").first).to_contain_text(boss.words("Saved."))
    assert page.url == plan
    expect(page.locator(".tiles h3")).to_contain_text({"en": "8 May", "ko": "5월 8일"}[language])
    wait_until(lambda: shows(fan, path, "66,000"), seconds=20, what="the new price")

    boss.go("/organiser/concerts")
    expect(page.locator(".rows a", has_text=title)).to_be_visible()
    faults["list"] = faults_of(page)
    assert faults == {name: [] for name in faults}
