"""Errors as pages, and the one place that chooses between a page and a problem document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from flask import abort

from concert.factory import ConcertApp, create_app
from concert.ground.errors import InsufficientBalance, SeatTaken, Unavailable, every_error
from concert.ground.settings import Settings
from concert.web.errors import EXPLAINED
from tests.sale import Sale
from tests.web.browser import Browser, Document

RAISED: dict[str, Exception] = {
    "taken": SeatTaken([12, 13]),
    "short": InsufficientBalance(30_000),
    "down": Unavailable("The database", retry_after=7),
    "broken": ZeroDivisionError("<script>secret</script>"),
}

# What an error is made of, where it is not a message.
KNOWN: dict[str, tuple[Any, ...]] = {
    "insufficient_balance": (30_000,),
    "seat_taken": ([12, 13],),
    "not_together": (2,),
    "seat_limit": (4,),
    "rehold_too_soon": ([12], 10),
    "too_many_lapsed": (3,),
    "sales_ended": (),
    "edit_conflict": (2,),
    "tickets_undecided": (3,),
    "seats_in_use": ([12],),
    "has_sales": ("It cannot become a draft:", 1, 2),
    "refund_not_possible": ("gone", "It went wrong."),
    "rate_limited": (1,),
    "unavailable": ("The database",),
}


@pytest.fixture
def failing(settings: Settings) -> Iterator[Browser]:
    """The browser of somebody for whom things go wrong, at ``/fails/<how>``."""
    app: ConcertApp = create_app(settings)

    def fail(how: str) -> str:
        if how.isdigit():
            abort(int(how))
        raise RAISED[how]

    app.add_url_rule("/fails/<how>", "fails", fail, methods=["GET", "POST"])
    app.add_url_rule("/v1/fails/<how>", "fails_in_json", fail)
    with app.app_context():
        yield Browser(Sale(app))


@contextmanager
def served_without(visitor: Browser, settings: Settings, **addresses: str) -> Iterator[None]:
    """The visitor meets a process of the same service which cannot reach a part of it."""
    served_by = visitor.client.application
    visitor.client.application = create_app(settings.model_copy(update=addresses))
    try:
        yield
    finally:
        visitor.client.application = served_by


def redis_is_away(visitor: Browser, settings: Settings) -> AbstractContextManager[None]:
    return served_without(visitor, settings, redis_url="redis://127.0.0.1:1/0")


def database_is_away(visitor: Browser, settings: Settings) -> AbstractContextManager[None]:
    return served_without(visitor, settings, database_url="postgresql://127.0.0.1:1/nothing")


def test_an_unknown_page_is_a_page_with_a_way_on(visitor: Browser) -> None:
    answer = visitor.open("/no-such-page")

    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "/" in [link.get("href") for link in Document(answer.text).with_tag("a")]


@pytest.mark.parametrize("path", ["/v1/no-such-call", "/v1", "/v1/concerts/999999"])
def test_an_unknown_call_of_the_api_is_a_problem_document(visitor: Browser, path: str) -> None:
    answer = visitor.open(path)

    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"


def test_a_page_that_takes_no_form_says_so(visitor: Browser) -> None:
    answer = visitor.post("/", {})

    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert answer.mimetype == "text/html"


def test_a_form_that_is_too_large_is_a_page(visitor: Browser) -> None:
    assert visitor.post("/me/name", {"name": "x" * 70_000}).status_code == 413


@pytest.mark.parametrize("status", ["400", "401", "403", "404", "405", "409", "429", "500", "503"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_error_is_a_page_in_both_languages(
    failing: Browser, status: str, language: str
) -> None:
    failing.language = language
    answer = failing.open(f"/fails/{status}")

    assert answer.status_code == (400 if status == "409" else int(status))
    document = Document(answer.text)
    assert document.with_tag("html")[0]["lang"] == language
    assert len(document.with_tag("h1")) == 1


def test_an_error_of_the_domain_says_what_it_knows(failing: Browser) -> None:
    taken = failing.open("/fails/taken")
    short = failing.open("/fails/short")

    assert taken.status_code == 409 and "12, 13" in taken.text
    assert short.status_code == 402 and "₩30,000" in short.text and "/wallet" in short.text


def test_a_service_that_is_down_is_asked_again_by_itself(failing: Browser) -> None:
    answer = failing.open("/fails/down?concert=1")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["Refresh"] == "7; url=/fails/down?concert=1"
    metas = Document(answer.text).with_tag("meta")
    assert {"http-equiv": "refresh", "content": "7; url=/fails/down?concert=1"} in metas


def test_a_form_that_met_a_service_that_is_down_is_not_left_by_itself(failing: Browser) -> None:
    answer = failing.client.post("/fails/down", headers={"Referer": "http://localhost/wallet?a=1"})
    elsewhere = failing.client.post(
        "/fails/down", headers={"Referer": "http://evil.example/wallet"}
    )

    assert "Refresh" not in answer.headers and 'http-equiv="refresh"' not in answer.text
    assert answer.headers["Retry-After"] == "7"
    assert "/wallet?a=1" in [link["href"] for link in Document(answer.text).with_tag("a")]
    assert "evil.example" not in elsewhere.text
    # Nothing says that this form was ours, so it is not offered again with a token of ours.
    assert Document(answer.text).forms == []


@pytest.mark.parametrize(("language", "again"), [("en", "Send it again"), ("ko", "다시 보내기")])
def test_a_join_that_met_a_service_that_is_down_can_be_sent_again_from_the_page_that_says_so(
    sale: Sale,
    settings: Settings,
    new_visitor: Callable[..., Browser],
    language: str,
    again: str,
) -> None:
    visitor = new_visitor(language)
    sale.room(capacity=1)
    concert = sale.concert()
    sale.admitted_fan(concert)
    form = visitor.read(f"/concerts/{concert}").form_to("/join")
    with redis_is_away(visitor, settings):
        refused = visitor.send(form)
    assert refused.status_code == 503
    assert "Refresh" not in refused.headers
    page = Document(refused.text)
    assert again in page.text
    offered = page.form_to("/rooms/main/join")
    assert offered.method == "POST"
    assert offered.fields["concert"] == str(concert)
    assert offered.fields["csrf_token"]

    joined = visitor.send(offered)
    assert joined.headers["Location"] == f"/rooms/main?concert={concert}"
    place = visitor.read(joined.headers["Location"])
    assert [one["data-position"] for one in place.with_tag("div") if "data-position" in one] == [
        "1"
    ]


def test_every_value_of_a_form_is_offered_again_as_it_was_and_escaped(
    sale: Sale, settings: Settings, visitor: Browser
) -> None:
    token = visitor.read("/me").form_to("/me/name").fields["csrf_token"]
    visitor.become(sale.fan())
    name = '"><script>alert(1)</script>'
    with database_is_away(visitor, settings):
        refused = visitor.post("/me/name?a=1&b=2", {"csrf_token": token, "name": name})
    assert refused.status_code == 503
    assert "<script>alert" not in refused.text
    offered = Document(refused.text).form_to("/me/name")
    assert (offered.action, offered.fields["name"]) == ("/me/name?a=1&b=2", name)
    assert visitor.send(offered).status_code == 303
    assert visitor.read("/me").form_to("/me/name").fields["name"] == name


def test_a_form_without_its_token_is_never_offered_with_one(
    sale: Sale, settings: Settings, visitor: Browser
) -> None:
    visitor.become(sale.fan())
    with database_is_away(visitor, settings):
        refused = visitor.post("/me/name", {"name": "Mallory"})
    assert refused.status_code == 400
    assert "Mallory" not in refused.text
    assert Document(refused.text).forms == []


def test_a_fault_of_ours_tells_nothing_but_its_number(failing: Browser) -> None:
    answer = failing.open("/fails/broken", headers={"X-Request-ID": "request-1234"})

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "request-1234" in answer.text
    assert failing.open("/v1/fails/broken").json["code"] == "internal"


def test_an_address_in_an_error_page_is_escaped(failing: Browser) -> None:
    answer = failing.open('/fails/down?"><script>alert(1)</script>')

    assert "<script>alert" not in answer.text


def test_where_htmx_asked_the_error_is_a_notice_in_the_page(failing: Browser) -> None:
    answer = failing.open("/fails/taken", headers={"HX-Request": "true"})

    assert answer.status_code == 409
    assert answer.headers["HX-Retarget"] == "#notices"
    assert "<html" not in answer.text
    assert "notice" in answer.text


def test_both_doors_answer_every_error_with_the_status_that_the_error_has(
    failing: Browser,
) -> None:
    for code, kind in every_error().items():
        RAISED[code] = kind(*KNOWN.get(code, ("It went wrong.",)))
        page, document = failing.open(f"/fails/{code}"), failing.open(f"/v1/fails/{code}")

        assert page.status_code == document.status_code == kind.status, code
        assert (document.json["code"], document.json["title"]) == (code, kind.title)


def test_every_error_that_a_page_may_meet_is_explained_on_it() -> None:
    # Pages take forms, not JSON.
    assert set(every_error()) - {"not_json"} == set(EXPLAINED) - {"csrf", "unknown_user"}


def test_a_page_of_an_error_is_kept_by_nobody(
    visitor: Browser, new_visitor: Callable[..., Browser]
) -> None:
    assert visitor.open("/no-such-page").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Others come first", "seconds you may hold them again")),
        ("ko", ("잠시 다른 분께", "초 뒤에 다시")),
    ],
)
def test_whoever_let_seats_lapse_is_told_when_they_may_have_them_again(
    sale: Sale, language: str, words: tuple[str, ...]
) -> None:
    concert = sale.concert()
    visitor = Browser(sale, language).become(sale.admitted_fan(concert))
    form = visitor.read(f"/concerts/{concert}/seats/2030-12-31").form_to("/hold")
    assert visitor.send(form, seats="7").status_code == 303
    sale.let_time_pass(301)

    refused = visitor.send(form, seats="7")

    assert refused.status_code == 409
    assert int(refused.headers["Retry-After"]) > 0
    for part in words:
        assert part in Document(refused.text).text


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "ran out too often"), ("ko", "결제 시간이 여러 번")],
)
def test_whoever_let_too_many_holds_lapse_is_told_to_line_up_again(
    sale: Sale, language: str, words: str
) -> None:
    sale.room(visit_seconds=86_400)
    concert = sale.concert()
    visitor = Browser(sale, language).become(sale.admitted_fan(concert))
    form = visitor.read(f"/concerts/{concert}/seats/2030-12-31").form_to("/hold")
    for seat_no in ("1", "2", "3"):
        assert visitor.send(form, seats=seat_no).status_code == 303
        sale.let_time_pass(301)

    refused = visitor.send(form, seats="4")

    assert refused.status_code == 409
    assert words in refused.text
