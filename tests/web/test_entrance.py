"""The door's pages without a script: choosing, typing, searching, undoing; and what else they need."""

from __future__ import annotations

import pytest

from concert.ground.audit import SYSTEM, read_log
from concert.staff import service
from concert.staff.access import COOKIE
from tests.sale import Sale
from tests.tickets.buying import Owner, owner_of
from tests.web.browser import Browser


@pytest.fixture
def owner(sale: Sale) -> Owner:
    """Somebody with the seats 1 and 12."""
    return owner_of(sale, 1, 12)


@pytest.fixture
def door(visitor: Browser) -> Browser:
    """Somebody who is signed in for the door."""
    made = service.add_person("Minseo", "door", actor=SYSTEM)
    visitor.client.set_cookie(COOKIE, service.sign_in(made.code, "")[1])
    return visitor


def test_the_door_is_chosen_once_and_a_code_is_typed(owner: Owner, door: Browser) -> None:
    chosen = door.read("/door")
    (button,) = [one for one in chosen.with_tag("button") if "formaction" in one]
    assert button["formaction"] == f"/door/{owner.performance}"
    page = door.read(f"{button['formaction']}?gate=North")
    assert "North" in [one.get("value") for one in door.read("/door").with_tag("input")]
    assert "Gate North" in page.text and "0 / 2 are in" in page.text

    said = door.send(page.form_to(f"/door/{owner.performance}"), code=owner.code())

    assert 'data-kind="in"' in said.text
    again = door.send(page.form_to(f"/door/{owner.performance}"), code=owner.code(), key="another")
    assert 'data-kind="already_in"' in again.text and "at gate North" in again.text
    unknown = door.send(page.form_to(f"/door/{owner.performance}"), code="nonsense", key="third")
    assert 'data-kind="unknown"' in unknown.text and "Not ours" in unknown.text


def test_a_form_that_is_sent_twice_is_one_scan(owner: Owner, door: Browser) -> None:
    form = door.read(f"/door/{owner.performance}?gate=A").form_to(f"/door/{owner.performance}")

    for _ in range(2):
        assert 'data-kind="in"' in door.send(form, code=owner.code()).text


def test_somebody_without_a_code_is_found_let_in_and_the_entry_undone(
    owner: Owner, door: Browser
) -> None:
    search = f"/door/{owner.performance}/search?gate=A&search=12"
    found = door.read(search)
    assert "Row B, seat 2 (no. 12)" in found.text and "without a name" in found.text

    (let_in,) = [form for form in found.forms if form.method == "POST"]
    said = door.send(let_in)
    assert 'data-kind="in"' in said.text
    undone = door.send(door.read(search).form_to("/undo"), reason="a mistake", follow=True)

    assert "The entry is undone" in undone.text
    assert owner.ticket(1)["status"] == "valid"
    assert read_log()[0][0].reason == "a mistake"
    assert "Nothing was found" in door.read(search.replace("=12", "=nobody")).text


def test_only_the_page_that_scans_may_use_the_camera_and_a_code_reader(
    owner: Owner, door: Browser
) -> None:
    scan = door.open(f"/door/{owner.performance}?gate=A").headers
    other = door.open("/door").headers

    assert "'wasm-unsafe-eval'" in scan["Content-Security-Policy"]
    assert "worker-src 'self'" in scan["Content-Security-Policy"]
    assert scan["Permissions-Policy"].startswith("camera=(self)")
    assert "wasm" not in other["Content-Security-Policy"]
    assert "camera=()" in other["Permissions-Policy"]
    for headers in (scan, other):
        assert headers["Cache-Control"] == "no-store"
        assert "unsafe-inline" not in headers["Content-Security-Policy"]
        assert "'unsafe-eval'" not in headers["Content-Security-Policy"]


def test_the_worker_stands_above_what_it_keeps(visitor: Browser) -> None:
    answer = visitor.open("/door/worker.js")

    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_without_a_gate_one_is_asked_for_it_first(owner: Owner, door: Browser) -> None:
    answer = door.open(f"/door/{owner.performance}")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/door")
    assert door.open("/door/999?gate=A").status_code == 404
