"""Levers and reports on the command line: the same functions as the cockpit's, in English."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from concert.catalogue.closing import end_sales
from concert.ground.audit import COMMAND
from concert.overview.cockpit import sale_behind
from concert.overview.levers import Effect, effects_of_change, effects_of_ending
from concert.overview.reports import REPORTS, ReportName, as_csv, scope_of
from concert.waiting_room.levers import last_change, undo_last_change
from concert.waiting_room.rooms import change_room

Attached = Callable[[], AbstractContextManager[Any]]

REASON = click.option("--reason", help="Why; kept in the audit log.")
YES = click.option("--yes", is_flag=True, help="Do it without asking.")


def add_sale_commands(
    commands: click.Group, room: click.Group, attached: Attached, moment: click.ParamType[datetime]
) -> None:
    """Hang the levers into ``concert room`` and the reports into ``concert``.

    ``attached`` gives the app's context, and ``moment`` reads a time.
    """

    def pull(slug: str, changes: Mapping[str, Any], reason: str | None, yes: bool) -> None:
        with attached():
            sale = sale_behind(slug)
            version = sale.room.version
            if _confirmed(effects_of_change(sale, changes), yes):
                change_room(slug, changes, actor=COMMAND, reason=reason, version=version)
                click.echo("Done.")

    @room.command("pause")
    @click.argument("slug")
    @REASON
    @YES
    def pause(slug: str, reason: str | None, yes: bool) -> None:
        """Let nobody more into the room SLUG; everybody keeps their place."""
        pull(slug, {"paused": True}, reason, yes)

    @room.command("resume")
    @click.argument("slug")
    @REASON
    @YES
    def resume(slug: str, reason: str | None, yes: bool) -> None:
        """Let people into the room SLUG again."""
        pull(slug, {"paused": False}, reason, yes)

    @room.command("open")
    @click.argument("slug")
    @click.option("--at", type=moment, help="When it opens; left out: now.")
    @REASON
    @YES
    def open_room(slug: str, at: datetime | None, reason: str | None, yes: bool) -> None:
        """Open the room SLUG now, or later."""
        pull(slug, {"opens_at": at}, reason, yes)

    @room.command("pace")
    @click.argument("slug")
    @click.option("--capacity", type=int, help="Most people inside at once.")
    @click.option("--admit-per-minute", type=int, help="Most people let in in any minute.")
    @REASON
    @YES
    def pace(slug: str, reason: str | None, yes: bool, **wanted: int | None) -> None:
        """Change the capacity or the rate of the room SLUG."""
        changes = {name: value for name, value in wanted.items() if value is not None}
        if not changes:
            raise click.UsageError("Say --capacity or --admit-per-minute.")
        pull(slug, changes, reason, yes)

    @room.command("say")
    @click.argument("slug")
    @click.option("--ko", help="What is said, in Korean.")
    @click.option("--en", help="What is said, in English.")
    @click.option("--nothing", is_flag=True, help="Take the message away.")
    @REASON
    @YES
    def say(
        slug: str, ko: str | None, en: str | None, nothing: bool, reason: str | None, yes: bool
    ) -> None:
        """Say something to everybody in the line of the room SLUG."""
        if nothing == bool(ko or en):
            raise click.UsageError("Say --ko and --en, or --nothing.")
        message = None if nothing else {"ko": ko or "", "en": en or ""}
        pull(slug, {"message": message}, reason, yes)

    @room.command("undo")
    @click.argument("slug")
    @REASON
    @YES
    def undo(slug: str, reason: str | None, yes: bool) -> None:
        """Take the last change of capacity or rate of the room SLUG back."""
        with attached():
            sale = sale_behind(slug)
            change = last_change(sale.room)
            if change is None or not change.before:
                raise click.ClickException("There is no change of capacity or rate to take back.")
            for name, value in change.before.items():
                click.echo(f"{name}: {change.after[name]:,} -> {value:,}")
            if _confirmed(effects_of_change(sale, change.before), yes):
                undo_last_change(slug, actor=COMMAND, reason=reason, version=sale.room.version)
                click.echo("Done.")

    @room.command("end-sale")
    @click.argument("slug")
    @click.option(
        "--performance",
        "dates",
        type=int,
        multiple=True,
        help="Only of this date; may be repeated.",
    )
    @REASON
    @YES
    def end_sale(slug: str, dates: tuple[int, ...], reason: str | None, yes: bool) -> None:
        """End the sale of what is sold behind the room SLUG now."""
        with attached():
            sale = sale_behind(slug)
            on_sale = [one.performance.performance_id for one in sale.on_sale]
            ending = [one for one in on_sale if not dates or one in dates]
            for one in sale.on_sale:
                if one.performance.performance_id in ending:
                    number, starts = one.performance.performance_id, one.performance.starts_at
                    click.echo(f"{one.concert.title}, {starts.isoformat()} (performance {number})")
            if _confirmed(effects_of_ending(sale, ending), yes):
                end_sales(ending, actor=COMMAND, reason=reason)
                click.echo("Done.")

    @commands.command("report")
    @click.argument("name", type=click.Choice(list(REPORTS)))
    @click.option("--room", "slug", help="Of all that is sold behind this room.")
    @click.option("--concert", type=int, help="Of this concert.")
    @click.option("--bom", is_flag=True, help="Begin with the mark by which Excel knows UTF-8.")
    @click.option(
        "--output", type=click.Path(path_type=Path), help="Write it here; left out: print."
    )
    def report(
        name: ReportName, slug: str | None, concert: int | None, bom: bool, output: Path | None
    ) -> None:
        """Write the report NAME as a table (CSV)."""
        if (slug is None) == (concert is None):
            raise click.UsageError("Say --room or --concert.")
        with attached():
            lines = as_csv(name, scope_of(room=slug, concert=concert), bom=bom)
            if output is None:
                sys.stdout.writelines(lines)
            else:
                # newline: a table has its own ends of lines.
                with output.open("w", encoding="utf-8", newline="") as file:
                    file.writelines(lines)


def _confirmed(effects: list[Effect], yes: bool) -> bool:
    """Say what would happen, and ask; a change that would do nothing is not done."""
    for effect in effects:
        click.echo(in_english(effect))
    if effects[0].kind == "no_change":
        return False
    if not yes:
        click.confirm("Do it?", abort=True)
    return True


def in_english(effect: Effect) -> str:
    """An effect in words."""
    n = {
        name: f"{value:,}" if isinstance(value, int) else value
        for name, value in effect.numbers.items()
    }
    for name in ("seconds", "seconds_before"):
        if name in effect.numbers:
            n[name] = _time(effect.numbers[name])
    return WORDS[effect.kind].format(**n)


def _time(seconds: int) -> str:
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes:,} min"


WORDS = {
    "stops": "Nobody more is let in; {waiting} people in line keep their places, {inside} inside go on.",
    "comes_in": "{waiting} people wait; at {per_minute} a minute the last comes in after {seconds}.",
    "nobody_waits": "Nobody is in line at the moment.",
    "faster": "The last one in line waits {seconds} instead of {seconds_before}.",
    "more_inside": "Up to {people} people more come in as fast as the rate allows.",
    "fewer_inside": "Nobody is sent out; {people} people have to go before the next comes in.",
    "few_seats": "{waiting} people wait for {free} free seats; at {per_minute} a minute these are taken after "
    "{seconds}. Nobody is let in without a free seat.",
    "no_seats": "No seat is free, so nobody is let in until one comes back. {waiting} people wait.",
    "opens_later": "Nobody is let in until then; {waiting} people in line keep their places and see the new time.",
    "is_said": "{waiting} people in line read it within seconds, and everybody who joins.",
    "is_said_no_more": "The message disappears for everybody in line.",
    "unsold": "{free} free seats stay unsold; nobody can take one any more.",
    "held_can_be_paid": "{held} seats that are held can still be paid until their time is over.",
    "line_ends": "The line closes: {waiting} people are told that the sale is over.",
    "others_go_on": "{dates} other date(s) behind this line go on.",
    "no_change": "It is so already: nothing would change.",
    "line_unknown": "The line cannot be asked at the moment, so what it does there is not known.",
}
