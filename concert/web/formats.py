"""Template filters: money, numbers, days, times and durations, in the page's language.

Days and times are told in the venue's time zone (``CONCERT_TIMEZONE``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from flask import Flask
from flask_babel import gettext as _
from flask_babel import ngettext

from concert.catalogue.labels import seat_label, seat_labels
from concert.catalogue.seating import row_of
from concert.catalogue.service import Concert, Performance, hall_of_performance
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.web.language import TONGUES, language, tongue

MINUTE, HOUR, DAY = 60, 3600, 86_400
# How a wait is rounded: up to so many seconds, in which unit, to how many of it.
ROUNDED = (
    (30 * MINUTE, MINUTE, 1),
    (HOUR, MINUTE, 5),
    (2 * HOUR, MINUTE, 10),
    (2 * DAY, HOUR, 1),
)


def init_formats(app: Flask) -> None:
    """Give the filters to templates, under their own names."""
    for one in (
        won,
        number,
        day,
        short_day,
        clock,
        moment,
        when,
        timer,
        roughly,
        millis,
        seat_list,
    ):
        app.jinja_env.filters[one.__name__] = one
    app.jinja_env.filters["from_iso"] = datetime.fromisoformat
    for other in (
        exactly,
        price,
        lowest_price,
        span,
        seat_name,
        seat_names,
        hall_names,
        show_number,
    ):
        app.jinja_env.filters[other.__name__] = other


def won(amount: int) -> str:
    """Money: ``₩50,000``, or ``50,000원``."""
    sign = "\N{MINUS SIGN}" if amount < 0 else ""
    return sign + tongue().won.format(digits=number(abs(amount)))


def price(amount: int) -> str:
    """What a seat costs: money, or ``Free``."""
    return won(amount) if amount else str(_("Free"))


def lowest_price(prices: Iterable[int]) -> str:
    """What seats cost, from the cheapest: ``from ₩50,000``, one price, or free beside dearer ones."""
    low, *_between, high = sorted([*prices] * 2)
    if low == high:
        return price(low)
    if low:
        return str(_("from %(price)s", price=won(low)))
    return str(_("free, or up to %(price)s", price=won(high)))


def number(value: int) -> str:
    """A whole number with its thousands apart."""
    return number_in(language(), value)


def number_in(code: str, value: int) -> str:
    """The same in the language of this code. Babel's way takes forty times as long."""
    return f"{value:,}".replace(",", TONGUES[code].thousands)


def day(value: datetime) -> str:
    """A day in full: ``Tuesday, 31 December 2030``, or ``2030년 12월 31일 화요일``."""
    return _told(value, tongue().day, language(), _zone())


def short_day(value: datetime) -> str:
    """A day in short: ``Tue 31 Dec``, or ``12월 31일 (화)``."""
    return _told(value, tongue().short_day, language(), _zone())


def clock(value: datetime) -> str:
    """A time of day: ``7:00 PM``, or ``오후 7:00``."""
    return _told(value, tongue().clock, language(), _zone())


def moment(value: datetime) -> str:
    """A day and a time, with the seconds left out."""
    return _told(value, tongue().day_of_moment + tongue().clock, language(), _zone())


@lru_cache(maxsize=4096)
def _told(value: datetime, pattern: str, code: str, zone: ZoneInfo) -> str:
    """A moment by a pattern of CLDR; pages tell the same few again and again."""
    return str(format_datetime(value, pattern, tzinfo=zone, locale=code))


def _zone() -> ZoneInfo:
    return part(Settings).zone


def when(value: datetime) -> str:
    """A moment as people say it: the time alone where it is today, else the day as well."""
    return clock(value) if day(value) == day(datetime.now(UTC)) else moment(value)


def timer(seconds: float) -> str:
    """Time left as a clock shows it: ``4:59``, ``1:02:03``; days are counted in words."""
    left = max(0, round(seconds))
    days, left = divmod(left, DAY)
    hours, left = divmod(left, HOUR)
    minutes, left = divmod(left, MINUTE)
    digits = f"{hours}:{minutes:02}:{left:02}" if hours or days else f"{minutes}:{left:02}"
    if not days:
        return digits
    counted = ngettext("%(num)s day", "%(num)s days", days)
    return f"{counted} {digits}"


def exactly(value: datetime) -> str:
    """A day and a time with its seconds, as a log tells it."""
    return _told(value, f"{tongue().day_of_moment} HH:mm:ss", language(), _zone())


def span(seconds: float) -> str:
    """A length of time in words: ``5 minutes``, ``1 minute 30 seconds``."""
    minutes, left = divmod(max(0, round(seconds)), MINUTE)
    words = []
    if minutes:
        words.append(ngettext("%(num)s minute", "%(num)s minutes", minutes))
    if left or not minutes:
        words.append(ngettext("%(num)s second", "%(num)s seconds", left))
    return " ".join(words)


def roughly(seconds: float) -> str:
    """A span in words that promise no more than they can keep: ``about 3 minutes``."""
    unit, count = rough(seconds)
    if not count:
        return str(_("less than a minute"))
    if unit == MINUTE:
        return str(ngettext("about %(num)s minute", "about %(num)s minutes", count))
    if unit == HOUR:
        return str(ngettext("about %(num)s hour", "about %(num)s hours", count))
    return str(ngettext("about %(num)s day", "about %(num)s days", count))


def rough(seconds: float) -> tuple[int, int]:
    """A span as people count it: the seconds of the unit, and how many; 0 for less than a minute."""
    if seconds < 50:
        return MINUTE, 0
    unit = MINUTE if seconds < 55 * MINUTE else HOUR if seconds < DAY else DAY
    return unit, round(seconds / unit)


def between(seconds: tuple[float, float]) -> str:
    """A wait from the least to the most: ``10 to 14 minutes``; rounded outwards, so that it holds."""
    unit, least, most = spread(seconds)
    if not most:
        return str(_("less than a minute"))
    return str(_least_to_most(unit, least, most) if least else _up_to(unit, most))


def spread(seconds: tuple[float, float]) -> tuple[int, int, int]:
    """The seconds of the unit that such a wait is told in, the least and the most of it; 0 for less than a minute."""
    low, high = seconds
    if high < 50:
        return MINUTE, 0, 0
    unit, step = next(((unit, step) for upto, unit, step in ROUNDED if high <= upto), (DAY, 1))
    least = math.floor(low / unit / step) * step
    return unit, least, math.ceil(high / unit / step) * step


def _least_to_most(unit: int, least: int, most: int) -> Any:
    if unit == MINUTE:
        return ngettext(
            "%(least)s to %(num)s minute", "%(least)s to %(num)s minutes", most, least=least
        )
    if unit == HOUR:
        return ngettext(
            "%(least)s to %(num)s hour", "%(least)s to %(num)s hours", most, least=least
        )
    return ngettext("%(least)s to %(num)s day", "%(least)s to %(num)s days", most, least=least)


def _up_to(unit: int, most: int) -> Any:
    if unit == MINUTE:
        return ngettext("up to %(num)s minute", "up to %(num)s minutes", most)
    if unit == HOUR:
        return ngettext("up to %(num)s hour", "up to %(num)s hours", most)
    return ngettext("up to %(num)s day", "up to %(num)s days", most)


def clock_in(seconds: float) -> str:
    """About when a wait of so many seconds is over: ``about 8:41 PM``; nothing for a wait below two minutes."""
    over = moment_in(seconds)
    return "" if over is None else str(_("about %(time)s", time=when(over)))


def moment_in(seconds: float) -> datetime | None:
    """When a wait of so many seconds is over; None for one below two minutes.

    The further off, the rounder: to a minute within half an hour, to five within two hours.
    """
    if seconds < 2 * MINUTE:
        return None
    step = MINUTE if seconds <= 30 * MINUTE else 5 * MINUTE if seconds <= 2 * HOUR else 15 * MINUTE
    moment_of_it = datetime.now(UTC) + timedelta(seconds=seconds)
    return datetime.fromtimestamp(round(moment_of_it.timestamp() / step) * step, UTC)


def millis(value: datetime) -> int:
    """Milliseconds since 1970, for the scripts."""
    return round(value.timestamp() * 1000)


def seat_list(seat_nos: Iterable[int]) -> str:
    """Seat numbers one after the other: ``12, 13``."""
    return ", ".join(str(seat_no) for seat_no in seat_nos)


def seat_name(seat_no: int, performance: Performance) -> str:
    """Where a seat stands: by the hall plan, where there is one; else by its row and its place there.

    ``Row B, seat 2 (no. 12)``: on the map it is number 12, in the hall it is the second of row B.
    """
    if performance.hall_id is not None:
        return seat_label(performance.hall_id, seat_no, language())
    row = row_of(seat_no, performance.capacity, performance.row_seats)
    place = seat_no - row.seat_nos.start + 1
    if place == seat_no:
        return str(_("Row %(row)s, seat %(seat)s", row=row.label, seat=place))
    return str(
        _("Row %(row)s, seat %(seat)s (no. %(number)s)", row=row.label, seat=place, number=seat_no)
    )


def seat_names(seat_nos: Iterable[int], performance: Performance) -> str:
    """Where several seats stand, each row named once: ``Row B, seats 2, 3; Row C, seat 1``."""
    if performance.hall_id is not None:
        return seat_labels(performance.hall_id, seat_nos, language())
    rows: dict[str, list[str]] = {}
    for seat_no in seat_nos:
        row = row_of(seat_no, performance.capacity, performance.row_seats)
        rows.setdefault(row.label, []).append(str(seat_no - row.seat_nos.start + 1))
    return "; ".join(
        ngettext(
            "Row %(row)s, seat %(seats)s",
            "Row %(row)s, seats %(seats)s",
            len(places),
            row=label,
            seats=", ".join(places),
        )
        for label, places in rows.items()
    )


def hall_names(seat_nos: Iterable[int], performance_id: int) -> str:
    """What seats are called in their hall; nothing where it has no plan, and numbers are all there is."""
    hall_id = hall_of_performance(performance_id)
    return "" if hall_id is None else seat_labels(hall_id, seat_nos, language())


def show_number(performance: Performance, concert: Concert) -> str:
    """Which show of its day a performance is; nothing where it is the only one."""
    same_day = [one for one in concert.performances if one.date == performance.date]
    if len(same_day) < 2:
        return ""
    return str(_("show %(number)s", number=same_day.index(performance) + 1))
