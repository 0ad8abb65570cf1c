"""Changing the language keeps the place: on every page, in every state, and in answer to a form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.test import TestResponse

from concert.web.here import PAGE_OF_FORM, came_from
from tests.sale import NEW_YEARS_EVE, Sale
from tests.web.browser import Browser, Document, Form

DAY = NEW_YEARS_EVE.date().isoformat()

# What leads to a page: an address that is opened, or the answer to a form with the address of
# the page that holds the form.
Look = tuple[str, TestResponse, str]


def link_to(answer: TestResponse, language: str) -> str:
    """The footer's link to a language, of a page."""
    page = Document(answer.text)
    links = [one["href"] for one in page.with_tag("a") if one.get("lang") == language]
    assert len(links) == 1, page.text[:300]
    return links[0]


def parts_of(address: str) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(address)
    assert not parts.scheme and not parts.netloc, address
    return parts.path, parse_qsl(parts.query, keep_blank_values=True)


def every_look(sale: Sale, visitor: Browser, new_visitor: Callable[..., Browser]) -> Iterator[Look]:
    """Lead a visitor through everything that there is to see."""

    def look(path: str) -> Look:
        return path, visitor.open(path), path

    def send(form: Form, page: str, **filled: str) -> Look:
        return form.action, visitor.send(form, **filled), page

    sale.room(capacity=1, entry_seconds=60)
    concert = sale.concert(price=50_000)
    # Two shows on one day, which the date alone does not tell apart.
    evening = sale.organise(
        "POST",
        f"/v1/concerts/{concert}/dates",
        json={"dates": [{"starts_at": f"{DAY}T21:00:00+09:00", "price": 50_000}]},
    )
    assert evening.status_code == 201, evening.text
    show = sale.call("GET", f"/v1/concerts/{concert}").json
    assert show["id"] == concert
    performance = 2
    room = f"/rooms/main?concert={concert}"
    seats = f"/concerts/{concert}/seats/{DAY}?performance={performance}"

    for path in ("/", "/?after=99", f"/concerts/{concert}", f"{room}&left=1", room):
        yield look(path)
    for path in ("/wallet", f"/wallet?next=/concerts/{concert}", "/tickets", "/me"):
        yield look(path)
    yield look(f"/concerts/{concert}?ref=a%20b&ref=c&lang=en&empty=")
    yield look("/no-such-page?q=1")
    yield look("/%EA%B3%B5%EC%97%B0/%22%3E?q=%26")
    yield look("/me/continue/nothing")
    yield look("/tickets/verify/nothing")
    yield look("/reservations/00000000-0000-0000-0000-000000000000")

    # In line, let in, missed.
    inside = sale.admitted_fan(concert)
    visitor.send(visitor.read(room).form_to("/join"))
    yield look(room)
    yield look(f"/concerts/{concert}")
    sale.room(paused=True)
    yield look(room)
    sale.room(paused=False)
    inside.call("DELETE", "/v1/enqueues")
    sale.admit()
    yield look(f"/concerts/{concert}")
    sale.let_time_pass(61)
    yield look(room)
    sale.room(capacity=10)
    visitor.send(visitor.read(room).form_to("/join"))

    # The dates, the map, and what it answers to a form that cannot be.
    yield look(f"/concerts/{concert}/seats")
    yield look(seats)
    page = visitor.read(seats)
    form = page.form_to("/hold")
    yield send(Form(form.action, "POST", {"csrf_token": form.fields["csrf_token"]}), seats)
    yield send(page.form_to("/best"), seats, count="9")
    other = sale.admitted_fan(concert)
    assert other.hold(concert, 1, performance_id=performance).status_code == 200
    yield send(form, seats, seats="1")

    # The checkout, too poor, and too late.
    held = visitor.send(form, seats="2").headers["Location"]
    yield look(held)
    yield look(room.replace("/rooms/main", f"/concerts/{concert}"))
    pay = Form(f"{held}/pay", "POST", {"csrf_token": form.fields["csrf_token"]})
    yield send(pay, held)
    sale.let_time_pass(301)
    yield send(pay, held)
    yield look(held)

    # Money, tickets, me.
    wallet = visitor.read("/wallet?next=/tickets").form_to("/wallet")
    yield send(wallet, "/wallet?next=%2Ftickets", amount="nothing")
    visitor.send(wallet, amount="50,000")
    again = visitor.send(form, seats="3").headers["Location"]
    ticket = visitor.send(Form(f"{again}/pay", "POST", pay.fields)).headers["Location"]
    yield look(ticket)
    yield look("/tickets")
    me = visitor.read("/me")
    yield send(me.form_to("/me/name"), "/me", name="x" * 99)
    yield send(me.form_to("/me/language"), "/me", language="xx")
    offered = visitor.send(me.form_to("/me/devices"))
    yield "/me/devices", offered, "/me"
    code = offered.text.partition("/me/continue/")[2].partition('"')[0]
    yield look(f"/me/continue/{code}")
    visitor.open("/me")

    # Forms that are refused before anything is done.
    for action, page_of_it in (
        ("/rooms/main/join", "/rooms/main"),
        ("/rooms/main/leave", "/rooms/main"),
        (f"/me/continue/{code}", f"/me/continue/{code}"),
        (f"{held}/release", held),
    ):
        yield action, visitor.post(action, {}), page_of_it
    yield "/rooms/main/join", visitor.post("/rooms/main/join", {"concert": str(concert)}), room
    yield "/no-such-page", visitor.post("/no-such-page", {}), "/"


def test_changing_the_language_keeps_the_place_on_every_page_in_every_state(
    sale: Sale, visitor: Browser, new_visitor: Callable[..., Browser]
) -> None:
    seen = 0
    for name, answer, page in every_look(sale, visitor, new_visitor):
        if answer.status_code in (302, 303):
            continue
        link = link_to(answer, "ko")
        path, query = parts_of(link)
        wanted_path, wanted_query = parts_of(page)
        wanted = [one for one in wanted_query if one[0] != "lang"]
        assert (path, query) == (wanted_path, [*wanted, ("lang", "ko")]), name
        # In a browser of its own, so that the walk goes on in English.
        reader = new_visitor()
        for cookie in ("concert_user", "concert_queue_main", "concert_session"):
            kept = visitor.cookie(cookie)
            if kept:
                reader.client.set_cookie(cookie, kept.value)
        there, before = reader.open(link), visitor.open(page)
        assert there.status_code == before.status_code, name
        if there.status_code in (200, 404):
            assert '<html lang="ko"' in there.text, name
            assert parts_of(link_to(there, "en"))[1] == [*wanted, ("lang", "en")], name
        seen += 1
    assert seen > 35


def test_every_form_has_a_page_of_its_own(sale: Sale) -> None:
    posts = {
        rule.endpoint
        for rule in sale.app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and not rule.rule.startswith("/v1/")
    }
    assert posts == set(PAGE_OF_FORM)


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "//%2Fevil.example"])
def test_the_link_never_leads_to_another_site(visitor: Browser, path: str) -> None:
    answer = visitor.client.get(
        "/", base_url="http://localhost", environ_overrides={"PATH_INFO": path}
    )
    links = [one["href"] for one in Document(answer.text).with_tag("a") if one.get("lang") == "ko"]
    assert links and all(not link.startswith(("//", "/\\")) for link in links), links


@pytest.mark.parametrize(
    ("referrer", "page"),
    [
        ("http://localhost/tickets?a=b", "/tickets?a=b"),
        ("https://elsewhere.example/tickets", "/"),
        ("http://[broken", "/"),
        ("", "/"),
    ],
)
def test_only_a_page_of_ours_is_the_one_before(sale: Sale, referrer: str, page: str) -> None:
    with sale.app.test_request_context("/nothing", method="POST", headers={"Referer": referrer}):
        assert came_from() == page


def test_a_form_too_large_to_be_read_has_a_page_all_the_same(sale: Sale, visitor: Browser) -> None:
    answer = visitor.post("/wallet", {"amount": "1" * (sale.app.config["MAX_CONTENT_LENGTH"] + 1)})
    assert answer.status_code == 413
    assert link_to(answer, "ko").startswith("/")
