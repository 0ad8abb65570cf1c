"""Two languages, both whole."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask_babel import force_locale

from concert.overview.sales import sale_of
from concert.web import formats
from concert.web.language import TONGUES, TRANSLATIONS, USUAL
from tests.sale import Sale
from tests.web.browser import Browser, Document

PROJECT = Path(__file__).parent.parent.parent
CATALOGUE = TRANSLATIONS / "ko" / "LC_MESSAGES" / "messages.po"
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}")


def words_of_the_pages() -> set[object]:
    options = {"templates/**.html": {"trimmed": "true", "newstyle_gettext": "true"}}
    found = extract_from_dir(
        str(PROJECT),
        [("concert/web/**.py", "python"), ("templates/**.html", "jinja2")],
        options,
        keywords=KEYWORDS,
        directory_filter=lambda path: not Path(path).name.startswith((".", "node_modules")),
    )
    return {key_of(message) for _, _, message, _, _ in found if message}


def key_of(words: object) -> object:
    """The catalogue finds words in the plural by their singular."""
    return words[0] if isinstance(words, (tuple, list)) else words


def translated() -> dict[object, object]:
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="ko")
    assert not [message.id for message in catalogue if message.fuzzy and message.id]
    return {message.id: message.string for message in catalogue if message.id}


def test_every_word_of_the_pages_is_there_in_korean() -> None:
    korean = translated()
    spoken = words_of_the_pages()

    assert len(spoken) > 150
    assert spoken - {key_of(words) for words in korean} == set()
    assert [
        words
        for words, said in korean.items()
        if not (said if isinstance(said, str) else all(said))
    ] == []


def test_no_translation_is_left_of_words_that_no_page_says() -> None:
    assert {key_of(words) for words in translated()} - words_of_the_pages() == set()


def test_translations_keep_the_places_for_names_and_numbers() -> None:
    for words, said in translated().items():
        # Where the singular says "one" in words, the plural names the number.
        source = words if isinstance(words, str) else words[-1]
        korean = said if isinstance(said, str) else said[0]
        assert set(PLACEHOLDER.findall(korean)) == set(PLACEHOLDER.findall(source)), words


def test_the_compiled_catalogue_is_that_of_the_words() -> None:
    compiled = io.BytesIO()
    with CATALOGUE.open("rb") as file:
        write_mo(compiled, read_po(file, locale="ko"))

    assert CATALOGUE.with_suffix(".mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ("ko", "ko"),
        ("ko-KR,en;q=0.8", "ko"),
        ("en-GB", "en"),
        ("fr,ko;q=0.5", "ko"),
        ("fr", "en"),
        ("", "en"),
    ],
)
def test_a_page_speaks_the_language_that_the_browser_prefers(
    new_visitor: Callable[..., Browser], wanted: str, spoken: str
) -> None:
    document = new_visitor(wanted).read("/")

    assert document.with_tag("html")[0]["lang"] == spoken


def test_a_language_that_was_chosen_stays(visitor: Browser) -> None:
    form = visitor.read("/me").form_to("/me/language")

    assert visitor.send(form, language="ko").status_code == 303
    assert visitor.read("/wallet").with_tag("html")[0]["lang"] == "ko"


def test_a_link_to_the_other_language_changes_it_for_good(visitor: Browser) -> None:
    visitor.read("/?lang=ko")

    assert "지갑" in visitor.read("/wallet").text


def test_a_language_that_is_asked_for_wins_over_the_one_chosen_before(visitor: Browser) -> None:
    visitor.read("/?lang=ko")

    assert visitor.read("/wallet?lang=en").with_tag("html")[0]["lang"] == "en"


def test_a_language_that_was_chosen_wins_over_the_one_that_the_browser_prefers(
    new_visitor: Callable[..., Browser],
) -> None:
    visitor = new_visitor("ko")
    visitor.read("/?lang=en")

    assert visitor.read("/wallet").with_tag("html")[0]["lang"] == "en"


def test_an_unknown_language_is_refused(visitor: Browser) -> None:
    form = visitor.read("/me").form_to("/me/language")

    assert visitor.send(form, language="xx").status_code == 400
    assert visitor.read("/?lang=xx").with_tag("html")[0]["lang"] == "en"


@pytest.mark.parametrize("path", ["/", "/wallet", "/tickets", "/me"])
def test_a_page_in_korean_has_no_english_left(
    new_visitor: Callable[..., Browser], sale: Sale, path: str
) -> None:
    words = new_visitor("ko").read(path).text
    left = set(re.findall(r"[A-Za-z]{3,}", words)) - {
        "Concert",
        "English",
        "API",
        "Asia",
        "Seoul",
    }

    assert left == set()


EVENING = datetime(2030, 12, 31, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("en", ("₩50,000", "−₩50,000", "Tuesday, 31 December 2030", "Tue 31 Dec", "7:05 PM")),
        ("ko", ("50,000원", "−50,000원", "2030년 12월 31일 화요일", "12월 31일 (화)", "오후 7:05")),
    ],
)
def test_money_days_and_times_are_told_as_people_tell_them(
    sale: Sale, language: str, shown: tuple[str, ...]
) -> None:
    with (
        sale.app.test_request_context(headers={"Accept-Language": language}),
        force_locale(language),
    ):
        found = (
            formats.won(50_000),
            formats.won(-50_000),
            formats.day(EVENING),
            formats.short_day(EVENING),
            formats.clock(EVENING),
        )

    assert found == shown


@pytest.mark.parametrize(
    ("seconds", "shown", "said"),
    [
        (-5, "0:00", "less than a minute"),
        (59.6, "1:00", "about 1 minute"),
        (299, "4:59", "about 5 minutes"),
        (3_723, "1:02:03", "about 1 hour"),
        (90_061, "1 day 1:01:01", "about 1 day"),
        (200_000, "2 days 7:33:20", "about 2 days"),
    ],
)
def test_time_left_is_told_exactly_and_roughly(
    sale: Sale, seconds: float, shown: str, said: str
) -> None:
    with sale.app.test_request_context():
        assert formats.timer(seconds) == shown
        assert formats.roughly(seconds) == said


def test_a_language_is_a_row_and_a_folder_and_nothing_else() -> None:
    folders = {path.name for path in TRANSLATIONS.iterdir() if path.is_dir()}
    assert folders == set(TONGUES) - {USUAL}

    named = re.compile("|".join(rf"""["']{code}["']""" for code in TONGUES))
    sources = [
        *(PROJECT / "concert" / "web").rglob("*.py"),
        *(PROJECT / "static" / "js").rglob("*.js"),
        *(PROJECT / "templates").rglob("*.html"),
    ]
    # The documents of the API are in English alone.
    elsewhere = [
        path.name
        for path in sources
        if named.search(re.sub(r'(hreflang|html lang)="en"', "", path.read_text(encoding="utf-8")))
    ]
    assert elsewhere == ["language.py"]


@pytest.mark.parametrize(
    ("language", "spans", "prices", "names"),
    [
        (
            "en",
            ("5 minutes", "1 minute 30 seconds", "45 seconds", "0 seconds"),
            ("from ₩1,000", "₩1,000", "Free", "free, or up to ₩1,000"),
            ("Row A, seat 9", "Row B, seat 2 (no. 12)", "Row A, seat 9; Row B, seats 2, 3"),
        ),
        (
            "ko",
            ("5분", "1분 30초", "45초", "0초"),
            ("1,000원부터", "1,000원", "무료", "무료 ~ 1,000원"),
            ("A열 9번", "B열 2번 (좌석 번호 12)", "A열 9번; B열 2, 3번"),
        ),
    ],
)
def test_spans_prices_and_seats_are_told_as_people_tell_them(
    sale: Sale,
    language: str,
    spans: tuple[str, ...],
    prices: tuple[str, ...],
    names: tuple[str, ...],
) -> None:
    with (
        sale.app.test_request_context(headers={"Accept-Language": language}),
        force_locale(language),
    ):
        assert tuple(formats.span(seconds) for seconds in (300, 90, 45, 0)) == spans
        some = ([1000, 2000], [1000], [0, 0], [1000, 0])
        assert tuple(formats.lowest_price(each) for each in some) == prices
        performance = sale_of(sale.concert()).concert.performances[0]
        assert (
            formats.seat_name(9, performance),
            formats.seat_name(12, performance),
            formats.seat_names([9, 12, 13], performance),
        ) == names


def test_documents_name_their_language_for_search_engines(visitor: Browser) -> None:
    links = [link for link in Document(visitor.open("/").text).with_tag("a") if "hreflang" in link]

    assert {"/?lang=ko", "/docs"} <= {link["href"] for link in links}
