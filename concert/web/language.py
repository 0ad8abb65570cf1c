"""Which language a page speaks, and how each tells money, days and times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.support import NullTranslations, Translations
from flask import Flask, g, has_app_context, has_request_context, request
from flask_babel import Babel

import concert
from concert.ground.settings import Settings


@dataclass(frozen=True, slots=True)
class Tongue:
    """What differs between languages and is no translation of words.

    ``own_name`` is in its own words, so that whoever reads only that language finds it. ``won``
    has ``{digits}`` where the number stands, the scripts of pages use it as well; ``thousands``
    stands between thousands. ``day``,
    ``short_day``, ``day_of_moment`` and ``clock`` are patterns of CLDR.
    """

    own_name: str
    won: str
    day: str
    short_day: str
    thousands: str
    day_of_moment: str
    clock: str


# A further language is a row here, and a folder of its words under concert/translations/.
TONGUES = {
    "en": Tongue(
        own_name="English",
        won="₩{digits}",
        day="EEEE, d MMMM y",
        short_day="EEE d MMM",
        thousands=",",
        day_of_moment="EEE d MMM y, ",
        clock="h:mm a",
    ),
    "ko": Tongue(
        own_name="한국어",
        won="{digits}원",
        day="y년 M월 d일 EEEE",
        short_day="M월 d일 (E)",
        thousands=",",
        day_of_moment="M월 d일 (E) ",
        # Korean has its words for the halves of a day in CLDR's wide form only.
        clock="aaaa h:mm",
    ),
}
# What is spoken where nobody has said what they prefer, or nothing that we speak.
USUAL = "en"
LANGUAGES = {code: tongue.own_name for code, tongue in TONGUES.items()}
COOKIE = "concert_language"
KEPT_SECONDS = 400 * 86_400
TRANSLATIONS = Path(concert.__file__).resolve().parent / "translations"


def init_language(app: Flask, settings: Settings) -> None:
    """Translate templates, and tell dates and times in the venue's time zone."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(TRANSLATIONS)
    Babel(
        app,
        default_locale=USUAL,
        default_timezone=settings.timezone,
        locale_selector=language,
    )
    # Flask-Babel finds out anew for each word which language is spoken, and where its words are;
    # a page of fifty seats has two hundred.
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]  # of jinja2.ext.i18n
        lambda word: words().ugettext(word),
        lambda one, many, count: words().ungettext(one, many, count),
        newstyle=True,
    )


def language() -> str:
    """The code of a language in ``TONGUES``: asked for by ``?lang=``, else chosen before, else what the browser prefers."""
    if not has_app_context():
        return USUAL
    if "language" not in g:
        if not has_request_context():
            return USUAL
        wanted = (request.args.get("lang"), request.cookies.get(COOKIE))
        preferred = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
        g.language = next((one for one in (*wanted, *preferred) if one in TONGUES), USUAL)
    found: str = g.language
    return found


def words() -> NullTranslations:
    """The words of the page's language."""
    return _words_of(language())


@cache
def _words_of(code: str) -> NullTranslations:
    return Translations.load(TRANSLATIONS, [code])


@contextmanager
def speaking(app: Flask, code: str) -> Iterator[None]:
    """Speak a language where there is no request: a stream's, whose request is over."""
    with app.app_context():
        g.language = code
        yield


def tongue() -> Tongue:
    """How the page's language tells money, days and times."""
    return TONGUES[language()]
