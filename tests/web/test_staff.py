"""Pages for staff: what each shows to whom, and what its forms do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from concert.factory import create_app
from concert.ground.audit import SYSTEM
from concert.ground.parts import keep
from concert.ground.settings import Settings
from concert.overview.lately import LatelyRead
from concert.staff import keys, service
from concert.staff.access import COOKIE
from concert.web.staff import device_of
from tests.sale import Sale
from tests.staff.crew import Colleague, enter, key_for, lines, signed_in
from tests.web.browser import Browser, Document

ORGANISER_PAGES = ("/organiser", "/organiser/staff", "/organiser/keys", "/organiser/log")


@pytest.fixture
def boss(sale: Sale) -> Colleague:
    return signed_in(sale, "Boss", "organiser")


@pytest.mark.parametrize("path", ["/staff", *ORGANISER_PAGES])
def test_whoever_has_no_session_is_told_to_ask_for_a_link_and_nothing_else(
    visitor: Browser, path: str
) -> None:
    answer = visitor.open(path)
    assert answer.status_code == 401
    page = Document(answer.text)
    assert "Ask your organiser" in page.text
    # A link from elsewhere brings no cookie; one from here does.
    assert path in [link["href"] for link in page.with_tag("a")]


@pytest.mark.parametrize("role", ["box-office", "door"])
def test_a_smaller_role_is_told_that_this_is_for_others(sale: Sale, role: service.Role) -> None:
    gate = signed_in(sale, "Gate", role)
    for path in ORGANISER_PAGES:
        answer = gate.browser.open(path)
        assert answer.status_code == 403
        assert "not part of your role" in answer.text and "/staff" in answer.text
    page = gate.browser.read("/staff")
    assert "/organiser" not in [link["href"] for link in page.with_tag("a")]


def test_pages_for_staff_are_kept_by_nobody_and_listed_nowhere(
    boss: Colleague, visitor: Browser
) -> None:
    made = service.add_person("Gate", "door", actor=SYSTEM)
    answers = [boss.browser.open(path) for path in ("/staff", *ORGANISER_PAGES)]
    answers += [boss.browser.open(f"/organiser/log.{kind}") for kind in ("csv", "jsonl")]
    answers += [visitor.open(path) for path in ("/staff", f"/staff/enter/{made.code}")]
    answers.append(visitor.open("/staff/enter/wrong"))
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert "noindex" in answer.headers["X-Robots-Tag"]


def test_the_overview_shows_concerts_and_rooms_with_their_state(
    sale: Sale, boss: Colleague
) -> None:
    concert = sale.concert(capacity=3)
    sale.room("side", paused=True)
    sale.admitted_fan(concert).hold(concert, 1)
    keep(sale.app, LatelyRead())
    page = boss.browser.read("/organiser")
    assert "Winter Songs" in page.text and "side Paused" in page.text
    assert "1 held" in page.text and "Signed in as Boss" in page.text


def test_the_overview_shows_the_settings_of_rooms_where_the_line_cannot_be_asked(
    sale: Sale, boss: Colleague, settings: Settings
) -> None:
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"}))
    away = Browser(Sale(app))
    away.client.set_cookie(COOKIE, boss.token)
    page = away.read("/organiser").text
    assert "The line cannot be asked" in page and "200" in page


def test_an_organiser_adds_somebody_who_signs_in_by_the_link_that_is_shown(
    boss: Colleague, new_visitor: Callable[..., Browser]
) -> None:
    form = boss.browser.read("/organiser/staff").form_to("/organiser/staff")
    answer = boss.browser.send(form, name="Gate", role="door", reason="")
    assert answer.status_code == 200
    page = Document(answer.text)
    (link,) = {a["href"] for a in page.with_tag("a") if "/staff/enter/" in a["href"]}
    assert [one for one in page.with_tag("svg") if "qr" in one.get("class", "")]
    gate = new_visitor()
    assert enter(gate, link.rpartition("/")[2]).headers["Location"] == "/door"
    assert "Gate" in gate.read("/staff").text
    told = [(one.verb, one.actor_name) for one in lines() if one.verb in ("add_staff", "sign_in")]
    assert told[-2:] == [("add_staff", "Boss"), ("sign_in", "Gate")]


@pytest.mark.parametrize(
    ("typed", "status"),
    [
        ({"name": "", "role": "door"}, 400),
        ({"name": "x" * 81, "role": "door"}, 400),
        ({"name": "Gate", "role": "king"}, 400),
        ({"name": "boss", "role": "door"}, 409),
    ],
)
def test_what_was_typed_wrong_is_said_where_it_was_typed(
    boss: Colleague, typed: dict[str, str], status: int
) -> None:
    form = boss.browser.read("/organiser/staff").form_to("/organiser/staff")
    answer = boss.browser.send(form, **typed)
    assert answer.status_code == status
    (field,) = (one for one in Document(answer.text).with_tag("input") if one.get("id") == "name")
    assert (field["value"], field["aria-invalid"]) == (typed["name"], "true")


def test_an_organiser_sees_and_ends_everybody_s_devices(sale: Sale, boss: Colleague) -> None:
    gate = signed_in(sale, "Gate")
    forms = boss.browser.read("/organiser/staff").forms
    (form,) = (form for form in forms if "/organiser/sessions/" in form.action)
    assert boss.browser.send(form).status_code == 303
    assert gate.browser.open("/staff").status_code == 401
    assert boss.browser.open("/staff").status_code == 200


def test_an_organiser_removes_somebody_and_says_why(sale: Sale, boss: Colleague) -> None:
    gate = signed_in(sale, "Gate")
    form = boss.browser.read("/organiser/staff").form_to(f"/organiser/staff/{gate.staff_id}/remove")
    assert boss.browser.send(form, reason="lost the phone").status_code == 303
    assert gate.browser.open("/staff").status_code == 401
    (line,) = lines(verb="remove_staff")
    assert (line.reason, line.actor_name, line.before) == (
        "lost the phone",
        "Boss",
        {"name": "Gate", "role": "door"},
    )


def test_an_organiser_makes_replaces_and_revokes_keys(sale: Sale, boss: Colleague) -> None:
    def secret(text: str) -> str:
        return text.split('id="secret">')[1].split("<")[0]

    form = boss.browser.read("/organiser/keys").form_to("/organiser/keys")
    first = secret(boss.browser.send(form, name="till", scope="organiser").text)
    page = boss.browser.read("/organiser/keys")
    assert first not in page.text and first[:14] in page.text
    second = secret(boss.browser.send(page.form_to("/rotate")).text)
    again = boss.browser.send(page.form_to("/rotate"), follow=True)
    assert "has a successor already" in again.text and len(keys.list_keys()) == 2
    for key in (first, second):
        assert sale.call("GET", "/v1/audit-log", token=key).status_code == 200
    revoke = boss.browser.read("/organiser/keys").form_to("/revoke")
    assert boss.browser.send(revoke, reason="leaked").status_code == 303
    assert sale.call("GET", "/v1/audit-log", token=first).status_code == 401
    assert sale.call("GET", "/v1/audit-log", token=second).status_code == 200
    assert boss.browser.send(form, name="till", scope="door").status_code == 409


def test_the_log_is_shown_with_what_changed_and_filtered(sale: Sale, boss: Colleague) -> None:
    key_for("program")
    boss.call("PATCH", "/v1/rooms/main", json={"capacity": 7, "reason": "fire inspection"})
    sale.room(capacity=8)
    page = boss.browser.read("/organiser/log").text
    assert "Boss changed a room" in page and "Root key changed a room" in page
    assert "fire inspection" in page and "capacity 200 → 7" in page
    mine = boss.browser.read(f"/organiser/log?who=staff:{boss.staff_id}&verb=change_room").text
    assert "200 → 7" in mine and "7 → 8" not in mine
    assert "Nothing of this kind" in boss.browser.read("/organiser/log?until=2020-01-01").text
    assert "7 → 8" in boss.browser.read("/organiser/log?kind=room&subject=main").text


@pytest.mark.parametrize(
    "query",
    [
        "who=staff:x",
        "who=king:1",
        "who=staff:99999999999999999999",
        "since=2020-13-01",
        "until=9999-12-31",
        "since=0001-01-01",
        "before=x",
        "before=99999999999999999999",
        "verb=%00",
        "subject=%F0%9F%8E%BB",
        "kind=" + "x" * 300,
    ],
)
def test_a_filter_that_makes_no_sense_is_no_fault(boss: Colleague, query: str) -> None:
    assert boss.browser.open(f"/organiser/log?{query}").status_code == 200
    assert boss.browser.open(f"/organiser/log.csv?{query}").status_code == 200


def test_the_log_goes_on_a_page_further(sale: Sale, boss: Colleague) -> None:
    for capacity in range(1, 61):
        sale.room(capacity=capacity)
    page = boss.browser.read("/organiser/log?kind=room")
    (older,) = (a["href"] for a in page.with_tag("a") if "before=" in a["href"])
    assert "9 → 10" not in page.text and "10 → 11" in page.text
    last = boss.browser.read(older)
    assert "9 → 10" in last.text and "10 → 11" not in last.text
    assert "Older" in page.text and "Older" not in last.text


def test_a_form_of_staff_without_its_token_changes_nothing(boss: Colleague) -> None:
    for path, typed in (
        ("/organiser/staff", {"name": "Gate", "role": "door"}),
        ("/organiser/keys", {"name": "till", "scope": "door"}),
        ("/staff/leave", {}),
    ):
        assert boss.browser.post(path, typed).status_code == 400
    assert [one.name for one in service.list_people()] == ["Boss"]
    assert keys.list_keys() == [] and boss.browser.open("/staff").status_code == 200


def test_pages_for_staff_speak_korean(sale: Sale) -> None:
    boss = signed_in(sale, "민서", "organiser", language="ko")
    key_for("program")
    for path, words in (
        ("/staff", "로그인한 기기"),
        ("/organiser", "대기실"),
        ("/organiser/staff", "함께 일하는 사람"),
        ("/organiser/keys", "유효한 키"),
        ("/organiser/log", "로그인했어요"),
    ):
        assert words in boss.browser.read(path).text


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
            "Chrome, Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari, iPhone",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/130.0 Safari/537.36 Edg/130.0", "Edge, Windows"),
        ("curl/8", ""),
    ],
)
def test_a_device_is_named_by_its_browser_and_system(user_agent: str, device: str) -> None:
    assert device_of(user_agent) == device
