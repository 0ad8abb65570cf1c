"""Template filters: money, numbers, days, times and durations, in the page's language.

Days and times are told in the venue's time zone (``CONCERT_TIMEZONE``), which is Babel's
default time zone here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from flask import Flask
from flask_babel import format_date, format_datetime, format_decimal, format_time, ngettext
from flask_babel import gettext as _

from concert.web.language import tongue

MINUTE, HOUR, DAY = 60, 3600, 86_400


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


def won(amount: int) -> str:
    """Money: ``₩50,000``, or ``50,000원``."""
    sign = "\N{MINUS SIGN}" if amount < 0 else ""
    return sign + tongue().won.format(digits=number(abs(amount)))


def number(value: int) -> str:
    """A whole number with its thousands apart."""
    return str(format_decimal(value))


def day(value: datetime) -> str:
    """A day in full: ``Tuesday, 31 December 2030``, or ``2030년 12월 31일 화요일``."""
    return str(format_date(value, tongue().day))


def short_day(value: datetime) -> str:
    """A day in short: ``Tue 31 Dec``, or ``12월 31일 (화)``."""
    return str(format_date(value, tongue().short_day))


def clock(value: datetime) -> str:
    """A time of day: ``7:00 PM``, or ``오후 7:00``."""
    return str(format_time(value, tongue().clock))


def moment(value: datetime) -> str:
    """A day and a time, with the seconds left out."""
    return str(format_datetime(value, tongue().day_of_moment + tongue().clock))


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


def roughly(seconds: float) -> str:
    """A span in words that promise no more than they can keep: ``about 3 minutes``."""
    if seconds < 50:
        return str(_("less than a minute"))
    if seconds < 55 * MINUTE:
        return str(
            ngettext("about %(num)s minute", "about %(num)s minutes", round(seconds / MINUTE))
        )
    if seconds < DAY:
        return str(ngettext("about %(num)s hour", "about %(num)s hours", round(seconds / HOUR)))
    return str(ngettext("about %(num)s day", "about %(num)s days", round(seconds / DAY)))


def millis(value: datetime) -> int:
    """Milliseconds since 1970, for the scripts."""
    return round(value.timestamp() * 1000)


def seat_list(seat_nos: Iterable[int]) -> str:
    """Seat numbers one after the other: ``12, 13``."""
    return ", ".join(str(seat_no) for seat_no in seat_nos)
