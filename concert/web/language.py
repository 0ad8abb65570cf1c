"""Which language a page speaks: Korean or English."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, g, has_request_context, request
from flask_babel import Babel

import concert
from concert.ground.settings import Settings

# In its own words, so that whoever reads only that language finds it.
LANGUAGES = {"en": "English", "ko": "한국어"}
COOKIE = "concert_language"
KEPT_SECONDS = 400 * 86_400
TRANSLATIONS = Path(concert.__file__).resolve().parent / "translations"


def init_language(app: Flask, settings: Settings) -> None:
    """Translate templates, and tell dates and times in the venue's time zone."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(TRANSLATIONS)
    Babel(
        app,
        default_locale="en",
        default_timezone=settings.timezone,
        locale_selector=language,
    )


def language() -> str:
    """``ko`` or ``en``: asked for by ``?lang=``, else chosen before, else what the browser prefers."""
    if not has_request_context():
        return "en"
    if "language" not in g:
        wanted = (request.args.get("lang"), request.cookies.get(COOKIE))
        preferred = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
        g.language = next((one for one in (*wanted, *preferred) if one in LANGUAGES), "en")
    found: str = g.language
    return found
