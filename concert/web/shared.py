"""Pages that are the same for all who read one language, but for the bar: written once for a crowd.

At eight o'clock everybody opens the front page at once. What it tells was read within the last second
and is told to all of them; so it is written once, too, with a mark where each one's own bar belongs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, g, render_template, request, session
from markupsafe import Markup

from concert.ground.parts import keep, part
from concert.web.door import is_htmx, render
from concert.web.greeting import bar
from concert.web.language import language

# Nobody can write this into a page: what comes from people is escaped.
MARK = "<!-- the bar -->"


@dataclass(frozen=True, slots=True)
class Written:
    """A page as it was written: from what reading, until when it is true, and what is around the bar."""

    reading: object
    until: datetime | None
    before: str
    after: str


@dataclass(slots=True)
class SharedPages:
    """What was written last, by template and language."""

    written: dict[tuple[str, str], Written] = field(default_factory=dict)


def init_shared(app: Flask) -> None:
    """Nothing is written yet."""
    keep(app, SharedPages())


def render_shared(
    template: str,
    reading: object,
    until: Callable[[], datetime | None],
    context: Callable[[], dict[str, Any]],
) -> Response:
    """A page whose template says nothing of whoever is asking, and has no form.

    It is written anew for another ``reading`` (another object), and from the moment on that ``until``
    gives: when something on it changes with time alone, None where nothing does. An address with a
    query, and words left from the page before, are told to one person.
    """
    if request.query_string or is_htmx() or "_flashes" in session:
        return render(template, **context())
    pages, key = part(SharedPages).written, (template, language())
    page = pages.get(key)
    if (
        page is None
        or page.reading is not reading
        or (page.until is not None and page.until <= datetime.now(UTC))
    ):
        # The moment first: what changes while the page is written is written anew.
        moment = until()
        whole = render_template(template, bar=lambda: Markup(MARK), **context())
        before, after = whole.split(MARK)
        page = pages[key] = Written(reading, moment, before, after)
    g.web_status = 200
    return Response(f"{page.before}{bar()}{page.after}", mimetype="text/html")
