"""The ``concert`` command."""

from __future__ import annotations

import csv
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import flask_migrate
import orjson
import segno
from flask import current_app, url_for

from concert.catalogue.service import (
    LONE_SEATS,
    NewDate,
    add_dates,
    create_concert,
    is_empty,
)
from concert.commands.sale import add_sale_commands
from concert.covers.hues import HUES
from concert.covers.service import remove_cover, set_cover
from concert.factory import create_app
from concert.ground import audit
from concert.ground.audit import COMMAND
from concert.ground.bouncer import directly, give_options_to_role
from concert.ground.database import unavailable_on_failure
from concert.ground.errors import DomainError
from concert.ground.observability import user_in_logs
from concert.ground.settings import Settings, SettingsError, load_settings
from concert.halls import service as hall_service
from concert.halls.document import document_of
from concert.halls.reading import read_file
from concert.halls.table import table_of
from concert.local.errors import LocalError
from concert.refunds import books
from concert.staff import keys as key_service
from concert.staff import service as staff_service
from concert.staff.access import ROLES
from concert.tickets.keys import new_key as new_ticket_key
from concert.waiting_room import rooms as room_service
from concert.waiting_room.records import Room

LISTED = ("capacity", "admit_per_minute", "entry_seconds", "visit_seconds", "opens_at", "paused")

# The demo concerts in halls with a plan: the example, which also names the room, and its prices.
DEMO_HALLS = (
    (
        *("theatre", "An Evening of Strings", "Lantern Theatre, Seoul"),
        {"Premium": 120_000, "Stalls": 90_000, "Balcony": 60_000},
    ),
    (
        *("arena", "Everyone Sing", "Riverside Arena, Seoul"),
        {
            "Standing": 132_000,
            "Lower tier, front": 154_000,
            "Lower tier, side": 121_000,
            "Upper tier": 88_000,
        },
    ),
)


class Moment(click.ParamType[datetime]):
    """A time with an offset, such as 2026-12-24T19:00:00+09:00."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the time, or fail with a usage message."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-12-24T19:00:00+09:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no offset; add one, such as +09:00", param, ctx)
        return moment


MOMENT = Moment()

REASON = click.option("--reason", help="Why; kept in the audit log.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    try:
        code = commands.main(
            args=None if arguments is None else list(arguments),
            prog_name="concert",
            standalone_mode=False,
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (SettingsError, DomainError, LocalError) as error:
        reason = "; ".join(str(error).splitlines())
        click.echo(f"concert: {reason}", err=True)
        return 1
    return code if isinstance(code, int) else 0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="concert")
def commands() -> None:
    """A fair waiting room and a concert sale."""


@commands.command()
def up() -> int:
    """Start everything on this machine, and stop it on Ctrl-C."""
    try:
        from concert.local import run  # not at the top: a container goes without its packages
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is missing. Install the packages of the local servers: concert[local]"
        ) from error
    return run.up(load_settings(), _prepare)


@commands.group()
def cluster() -> None:
    """What a service on several machines is made of, on this one."""


@cluster.command("up")
def cluster_up() -> int:
    """Start PgBouncer, a Redis Cluster, two of each process and the proxy; stop them on Ctrl-C."""
    try:
        from concert.local import cluster as local_cluster  # as above
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is missing. Install the packages of the local servers: concert[local]"
        ) from error
    return local_cluster.up(load_settings(), _prepare, click.echo)


@commands.command()
@click.option("--url", help="A service that runs already; left out: one is started for this.")
@click.option("--organiser-key", envvar="CONCERT_ORGANISER_KEY", help="Its organiser key.")
@click.option(
    "--i-own-this-server", is_flag=True, help="Needed where the address is not this machine's."
)
@click.option("--fans", type=int, default=500, show_default=True, help="How many come.")
@click.option("--seats", type=int, default=100, show_default=True, help="How many seats there are.")
@click.option(
    "--arrival",
    type=click.Choice(["spike", "ramp", "wave"]),
    default="spike",
    show_default=True,
    help="How they come.",
)
@click.option(
    "--arrive-within",
    type=float,
    default=10.0,
    show_default=True,
    help="Seconds until all are in line.",
)
@click.option("--capacity", type=int, default=50, show_default=True, help="Most people inside.")
@click.option("--admit-per-minute", type=int, default=600, show_default=True, help="The rate.")
@click.option(
    "--stream-share",
    type=float,
    default=5.0,
    show_default=True,
    help="Per cent who watch the stream.",
)
@click.option(
    "--returns",
    type=float,
    default=10.0,
    show_default=True,
    help="Per cent of those who hold seats who give them back, leave, or let the hold lapse.",
)
@click.option(
    "--hold-seconds",
    type=int,
    default=30,
    show_default=True,
    help="How long a hold lasts on a service that is started for this.",
)
@click.option(
    "--entry-seconds", type=int, default=20, show_default=True, help="Time to show up when let in."
)
@click.option("--visit-seconds", type=int, default=120, show_default=True, help="Time for a visit.")
@click.option(
    "--told-within",
    type=float,
    default=5.0,
    show_default=True,
    help="Seconds within which everybody in line has to be told that all is held or sold.",
)
@click.option(
    "--idle-at-most",
    type=float,
    default=2.0,
    show_default=True,
    help="Seconds for which a seat may be free while somebody waits for it.",
)
@click.option(
    "--longest",
    type=float,
    default=900.0,
    show_default=True,
    help="Seconds after which all go home.",
)
@click.option("--processes", type=int, default=1, show_default=True, help="Processes of the crew.")
@click.option("--on-a-cluster", is_flag=True, help="Start `concert cluster up` for it.")
@click.option(
    "--seed", "chance", type=int, default=1, show_default=True, help="Same seed, same fans."
)
@click.option("--report", type=click.Path(path_type=Path), help="Write a JSON report here.")
@click.option("--picture", type=click.Path(path_type=Path), help="Write an SVG picture here.")
def rehearse(
    url: str | None,
    organiser_key: str | None,
    i_own_this_server: bool,
    report: Path | None,
    picture: Path | None,
    chance: int,
    on_a_cluster: bool,
    **numbers: Any,
) -> int:
    """Play a whole sale with many fans over HTTP, and judge every promise; exit code 0 or 1."""
    try:
        from concert.rehearsal import run  # not at the top: a container goes without its packages
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is missing. Install the packages of the rehearsal: concert[rehearsal]"
        ) from error
    plan = run.Plan(seed=chance, **numbers)
    try:
        plan.check()
        if url is None:
            service: AbstractContextManager[run.Service] = run.local_service(
                plan, click.echo, on_a_cluster=on_a_cluster
            )
        else:
            named = run.Service(url, organiser_key or "")
            if not named.is_here and not i_own_this_server:
                raise click.UsageError(
                    "A rehearsal is a heavy load. Say --i-own-this-server where the address is yours."
                )
            if not organiser_key:
                raise click.UsageError("Give the service's --organiser-key.")
            service = nullcontext(named)
        with service as found:
            outcome = run.rehearse(plan, found, click.echo)
    except (run.PlanError, run.RehearsalError) as error:
        raise click.ClickException(str(error)) from error
    run.write(outcome, report, picture)
    click.echo(run.in_words(outcome.found))
    return 0 if outcome.found["passed"] else 1


@commands.command()
def migrate() -> None:
    """Bring the database to the newest migration."""
    with _servers_environment(load_settings()) as environment:
        os.environ.update(environment)
        _migrate(load_settings())


@commands.command()
def seed() -> None:
    """Make the demo concerts, where there is no concert yet."""
    with _attached_app():
        click.echo(
            "Made the demo concerts."
            if _seed_demo()
            else "There are concerts already; nothing was made."
        )


def date_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe dates; every ``--starts-at`` is one."""
    options = (
        click.option(
            "--starts-at",
            type=MOMENT,
            multiple=True,
            required=True,
            help="When it starts; may be repeated.",
        ),
        click.option("--price", type=click.IntRange(0, 10_000_000), help="Won for each seat."),
        click.option(
            "--capacity",
            type=click.IntRange(1, 20_000),
            help="Seats; left out: as many as the hall has, or 50.",
        ),
        click.option("--hall", type=int, help="The number of a hall whose plan it has."),
        click.option(
            "--category-price",
            "category_prices",
            type=(str, click.IntRange(0, 10_000_000)),
            multiple=True,
            help="With --hall, instead of --price: a category and its price in won; for each of them.",
        ),
        click.option(
            "--lone-seats",
            type=click.Choice(LONE_SEATS),
            default="off",
            show_default=True,
            help="Where a choice would leave a single seat, and another would not.",
        ),
        click.option("--sales-open-at", type=MOMENT, help="When sales open; left out: now."),
        click.option(
            "--sales-close-at", type=MOMENT, help="When sales close; left out: when it starts."
        ),
    )

    @wraps(command)
    def with_dates(*arguments: Any, **given: Any) -> Any:
        shared = [
            given.pop(name) for name in ("price", "capacity", "sales_open_at", "sales_close_at")
        ]
        of_plan = given.pop("hall"), dict(given.pop("category_prices")) or None
        shared += [*of_plan, given.pop("lone_seats")]
        dates = [NewDate(starts_at, *shared) for starts_at in given.pop("starts_at")]
        return command(*arguments, dates=dates, **given)

    for option in reversed(options):
        with_dates = option(with_dates)
    return with_dates


@commands.command("create-concert")
@click.argument("title")
@click.argument("venue")
@click.option("--room", default="main", show_default=True, help="The waiting room in front of it.")
@date_options
def create_concert_command(title: str, venue: str, room: str, dates: list[NewDate]) -> None:
    """Create a concert called TITLE at VENUE."""
    with _attached_app():
        concert = create_concert(title, venue, room, dates, actor=COMMAND)
    click.echo(
        f"Concert {concert.concert_id}: {concert.title}, {len(concert.performances)} date(s)."
    )


@commands.command("add-date")
@click.argument("concert_id", type=int)
@date_options
def add_date_command(concert_id: int, dates: list[NewDate]) -> None:
    """Add dates to the concert with the number CONCERT_ID."""
    with _attached_app():
        concert = add_dates(concert_id, dates, actor=COMMAND)
    click.echo(
        f"Concert {concert.concert_id}: {concert.title}, {len(concert.performances)} date(s)."
    )


@commands.command("hash-user")
@click.argument("user_id", type=click.UUID)
def hash_user(user_id: UUID) -> None:
    """Print what lines call the user USER_ID: one name for each signing key, the newest first."""
    for key in _secret_keys(load_settings()):
        click.echo(user_in_logs(user_id, key))


@commands.command()
def rooms() -> None:
    """List the waiting rooms, their settings and how many people are in each."""
    with _attached_app():
        for room in room_service.list_rooms():
            state = room_service.room_state(room.slug)
            click.echo(_described(room))
            click.echo(
                f"  now: {state.waiting} waiting, {state.inside} inside; so far: {state.joined} joined, "
                f"{state.admitted} admitted, {state.completed} completed, {state.expired} expired, {state.left} left"
            )


@commands.group()
def room() -> None:
    """Set a waiting room."""


@room.command("set")
@click.argument("slug")
@click.option("--capacity", type=int, help="Most people inside at once.")
@click.option("--admit-per-minute", type=int, help="Most people let in in any minute.")
@click.option("--entry-seconds", type=int, help="How long an admitted person may take to show up.")
@click.option("--visit-seconds", type=int, help="How long a visit may last.")
@click.option("--opens-at", type=MOMENT, help="When it opens.")
@click.option("--open-now", is_flag=True, help="It is open from now on, whatever --opens-at was.")
@click.option("--paused/--resumed", default=None, help="Let nobody in; or let people in again.")
@REASON
def set_room(slug: str, open_now: bool, reason: str | None, **options: Any) -> None:
    """Change the room SLUG, or make it where there is none."""
    changes = {name: value for name, value in options.items() if value is not None}
    if open_now:
        changes["opens_at"] = None
    with _attached_app():
        changed, made = room_service.create_room(slug, changes, actor=COMMAND, reason=reason)
    click.echo(f"{'Made' if made else 'Changed'} {_described(changed)}")


@commands.command("image")
@click.argument("concert_id", type=int)
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option("--remove", is_flag=True, help="Take it away; its cover is drawn then.")
@REASON
def set_image(concert_id: int, file: Path | None, remove: bool, reason: str | None) -> None:
    """Give the concert CONCERT_ID the image in FILE (JPEG, PNG or WebP), or take it away."""
    if (file is None) != remove:
        raise click.UsageError("Give a FILE, or --remove.")
    with _attached_app():
        if file is None:
            remove_cover(concert_id, actor=COMMAND, reason=reason)
            click.echo(f"Concert {concert_id}: no image.")
            return
        look = set_cover(concert_id, file.read_bytes(), actor=COMMAND, reason=reason)
    sizes = ", ".join(str(width) for width in look.cover.widths) if look.cover else ""
    click.echo(f"Concert {concert_id}: widths {sizes}; accent colour {look.hue} of {HUES}.")


@commands.group()
def hall() -> None:
    """Hall plans: where seats are, what they are called, and their categories."""


@hall.command("import")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option("--name", help="What to call it; left out: as the plan is called.")
@click.option("--example", help="Instead of FILE, a hall that comes with us; `list` names them.")
@REASON
def import_hall(
    file: Path | None, name: str | None, example: str | None, reason: str | None
) -> None:
    """Keep the plan in FILE: JSON of ours or of pretix, or a CSV table (docs/halls.md)."""
    if (file is None) == (example is None):
        raise click.UsageError("Give a FILE, or --example.")
    if example is not None:
        plan = hall_service.example(example, name)
    elif file is not None:
        plan = read_file(file.name, file.read_bytes(), name)
    with _attached_app():
        kept, is_new = hall_service.keep_hall(plan, actor=COMMAND, reason=reason)
    was = "" if is_new else " It was kept already."
    click.echo(f"Hall {kept.hall_id}: {kept.name}, {kept.capacity:,} seats.{was}")


@hall.command("list")
def list_halls() -> None:
    """List the halls that are kept, and those that come with us."""
    with _attached_app():
        for kept in hall_service.list_halls():
            click.echo(f"{kept.hall_id}: {kept.name}, {kept.capacity:,} seats")
    click.echo(f"Examples: {', '.join(hall_service.example_names())}")


@hall.command("show")
@click.argument("hall_id", type=int)
def show_hall(hall_id: int) -> None:
    """Say what is in the hall with the number HALL_ID."""
    with _attached_app():
        kept, plan = hall_service.hall_of(hall_id), hall_service.plan_of(hall_id)
    click.echo(f"{kept.name}, {kept.capacity:,} seats, {kept.hash[:16]}")
    seats = plan.categories_of_seats
    for index, category in enumerate(plan.categories):
        click.echo(f"  {category.name}: {seats.count(index):,} seats, {category.color}")
    for section in plan.sections:
        count = sum(len(row.seats) for row in section.rows)
        what = "to stand" if section.standing else f"{len(section.rows)} rows"
        click.echo(f"  section {section.name or '-'}: {count:,} seats, {what}")


@hall.command("export")
@click.argument("hall_id", type=int)
@click.option(
    "--form",
    type=click.Choice(["plain", "compact", "csv"]),
    default="plain",
    show_default=True,
    help="JSON with a seat an object, JSON with columns, or the seats as a table.",
)
def export_hall(hall_id: int, form: Any) -> None:
    """Print the plan of the hall with the number HALL_ID; `import` takes it as it is."""
    with _attached_app():
        plan = hall_service.plan_of(hall_id)
    if form == "csv":
        click.echo(table_of(plan).decode(), nl=False)
    else:
        click.echo(orjson.dumps(document_of(plan, form), option=orjson.OPT_INDENT_2))


@commands.group()
def staff() -> None:
    """Who works here: add and remove people, and give them links to sign in with."""


ROLE = click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do.")


@staff.command("add")
@click.argument("name")
@ROLE
@REASON
def add_staff(name: str, role: Any, reason: str | None) -> None:
    """Let NAME work here, and print the link with which they sign in."""
    with _attached_app() as settings:
        _print_link(staff_service.add_person(name, role, actor=COMMAND, reason=reason), settings)


@staff.command("link")
@click.argument("name")
def link_staff(name: str) -> None:
    """Print a new sign-in link for NAME; one that they had before works no more."""
    with _attached_app() as settings:
        person = staff_service.person_named(name)
        _print_link(staff_service.make_link(person.staff_id, actor=COMMAND), settings)


@staff.command("list")
def list_staff() -> None:
    """List everybody who works here, and on how many devices they are signed in."""
    with _attached_app():
        people = staff_service.list_people()
        signed_in = [one.staff_id for one in staff_service.list_sessions()]
    for person in people:
        click.echo(f"{person.name}: {person.role}, {signed_in.count(person.staff_id)} device(s)")


@staff.command("remove")
@click.argument("name")
@REASON
def remove_staff(name: str, reason: str | None) -> None:
    """Let NAME work here no more: they are signed out everywhere."""
    with _attached_app():
        person = staff_service.person_named(name)
        staff_service.remove_person(person.staff_id, actor=COMMAND, reason=reason)
    click.echo(f"{person.name} works here no more.")


@commands.group()
def key() -> None:
    """API keys: make, replace and revoke them."""


SCOPE = click.option("--scope", type=click.Choice(ROLES), required=True, help="What it may do.")


@key.command("add")
@click.argument("name")
@SCOPE
@click.option("--expires-at", type=MOMENT, help="Until when it is good; left out: until revoked.")
@REASON
def add_key(name: str, scope: Any, expires_at: datetime | None, reason: str | None) -> None:
    """Make a key called NAME, and print it, once."""
    with _attached_app():
        made = key_service.add_key(name, scope, actor=COMMAND, expires_at=expires_at, reason=reason)
    click.echo(made.secret)
    click.echo("This is shown once; no copy is kept.", err=True)


@key.command("rotate")
@click.argument("name")
@click.option(
    "--overlap-hours",
    type=int,
    default=key_service.USUAL_OVERLAP_HOURS,
    show_default=True,
    help="How long the key before it is still good.",
)
@REASON
def rotate_key(name: str, overlap_hours: int, reason: str | None) -> None:
    """Make the next key called NAME, and print it, once; the one before is good for a while."""
    with _attached_app():
        newest = key_service.keys_named(name)[-1]
        made = key_service.rotate_key(
            newest.key_id, actor=COMMAND, overlap_hours=overlap_hours, reason=reason
        )
    click.echo(made.secret)
    click.echo("This is shown once; no copy is kept.", err=True)


@key.command("list")
def list_keys() -> None:
    """List the keys that are good, by how they begin."""
    with _attached_app():
        found = key_service.list_keys()
    for one in found:
        until = f", until {one.expires_at.isoformat()}" if one.expires_at else ""
        used = one.last_used_at.isoformat() if one.last_used_at else "never"
        click.echo(f"{one.name}: {one.prefix}…, {one.scope}, last used {used}{until}")


@key.command("revoke")
@click.argument("name")
@click.option("--prefix", help="Only the key that begins so.")
@REASON
def revoke_key(name: str, prefix: str | None, reason: str | None) -> None:
    """End every key called NAME at once."""
    with _attached_app():
        found = [
            one
            for one in key_service.keys_named(name)
            if prefix is None or one.prefix == prefix.rstrip("…")
        ]
        if not found:
            raise click.ClickException(f"No key called {name!r} begins with {prefix}.")
        for one in found:
            key_service.revoke_key(one.key_id, actor=COMMAND, reason=reason)
            click.echo(f"{one.prefix}… is good no more.")


@key.command("ticket")
def ticket_key() -> None:
    """Print a new key that signs tickets: put it first in CONCERT_TICKET_KEYS."""
    click.echo(new_ticket_key())


@commands.command("audit-log")
@click.option("--csv", "as_csv", is_flag=True, help="As a table; left out: a JSON document a line.")
@click.option("--who", "actor_kind", type=click.Choice(audit.KINDS), help="Only of this kind.")
@click.option("--verb", help="Only this, such as change_room.")
@click.option("--subject", help="Only of this, such as room:main.")
@click.option("--since", type=MOMENT, help="From this time on.")
@click.option("--until", type=MOMENT, help="Before this time.")
def audit_log(as_csv: bool, subject: str | None, **wanted: Any) -> None:
    """Write what staff, keys and commands have changed, newest first."""
    kind, _, name = (subject or "").partition(":")
    with _attached_app():
        entries = audit.read_whole_log(
            audit.Wanted(subject_kind=kind or None, subject_id=name or None, **wanted)
        )
        if as_csv:
            table = csv.writer(sys.stdout)
            table.writerow(audit.CSV_HEAD)
            table.writerows(audit.as_cells(one) for one in entries)
        else:
            for one in entries:
                click.echo(orjson.dumps(audit.as_document(one)))


@commands.command("audit")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def audit_books(as_json: bool) -> int:
    """Compare wallets, ledger, payments, refunds, payouts, seats and tickets; exit code 1 where anything differs."""
    with _attached_app():
        found = books.audit()
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        for one in found.differences:
            click.echo(f"{one.about} {one.number}: {one.difference}")
        sums = found.sums
        click.echo(
            f"{sums.payments:,} payments and {sums.seats_sold:,} sold seats. Won: {sums.charged:,} charged, "
            f"{sums.paid:,} paid, {sums.refunded:,} refunded, {sums.paid_out:,} paid out, "
            f"{sums.in_wallets:,} in wallets."
        )
        count = len(found.differences)
        click.echo(f"{count:,} difference(s)." if count else "No difference.")
    return 1 if found.differences else 0


def _print_link(made: staff_service.SignInLink, settings: Settings) -> None:
    """The link, and the same to be scanned."""
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    with current_app.test_request_context():
        address = base + url_for("staff_pages.confirm", code=made.code)
    drawn = io.StringIO()
    segno.make(address, error="l", micro=False).terminal(drawn, compact=True, border=2)
    click.echo(f"{made.person.name} ({made.person.role}) signs in here, once:\n\n{address}\n")
    click.echo(drawn.getvalue())
    click.echo(f"It works for {settings.staff_link_minutes} minutes. Give it to nobody else.")
    if not settings.public_url:
        click.echo("Set CONCERT_PUBLIC_URL where people reach this service elsewhere.", err=True)


def _described(room: Room) -> str:
    settings = ", ".join(f"{name}={_shown(getattr(room, name))}" for name in LISTED)
    return f"{room.slug}: {settings}"


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return (
        {None: "none", True: "yes", False: "no"}.get(value, str(value))
        if not isinstance(value, int) or isinstance(value, bool)
        else str(value)
    )


@contextmanager
def _attached_app() -> Iterator[Settings]:
    """The app's context, on the servers that are configured, running, or started for this command."""
    with _servers_environment(load_settings()) as environment:
        os.environ.update(environment)
        settings = load_settings()
        with create_app(settings).app_context():
            # One line says what is wrong; the pool would say more.
            logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
            yield settings


def _secret_keys(settings: Settings) -> Sequence[str]:
    if settings.secret_keys:
        return settings.secret_keys
    from concert.local import instance

    return instance.keys_environment(settings)["CONCERT_SECRET_KEYS"].split(",")


def _servers_environment(settings: Settings) -> AbstractContextManager[Mapping[str, str]]:
    if settings.env == "production":
        # It names its servers and keys itself, and has no packages to start any.
        return nullcontext({})
    from concert.local import instance

    return instance.attach_environment(settings)


def _prepare() -> None:
    """What ``up`` does before it starts the processes: migrate, and seed an empty catalogue."""
    settings = load_settings()
    _migrate(settings)
    if settings.env == "local":
        with create_app(settings).app_context():
            _seed_demo()


def _migrate(settings: Settings) -> None:
    """Migrate past any bouncer, and tell the role what the bouncer's connections begin with."""
    with create_app(directly(settings)).app_context(), unavailable_on_failure():
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        flask_migrate.upgrade()
        if settings.session_options == "role":
            give_options_to_role(settings)


def _seed_demo() -> bool:
    if not is_empty():
        return False
    now = datetime.now(UTC).replace(microsecond=0)
    evening = now.replace(hour=10, minute=0, second=0)
    for room_slug, title, venue, prices in DEMO_HALLS:
        plan, _ = hall_service.keep_hall(hall_service.example(room_slug))
        room_service.create_room(room_slug, {})
        night = NewDate(
            evening + timedelta(days=45), hall_id=plan.hall_id, prices=prices, lone_seats="advise"
        )
        create_concert(title, venue, room_slug, [night])
    opens_at = now + timedelta(minutes=10)
    soon = [NewDate(evening + timedelta(days=60), 80_000, sales_open_at=opens_at)]
    room_service.create_room("first-light", {"opens_at": opens_at})
    create_concert("First Light", "Harbour Stage, Busan", "first-light", soon)
    # The newest is listed first, which is the one that the README's walk finds.
    nights = [NewDate(evening + timedelta(days=days), 50_000) for days in (30, 31)]
    create_concert("Winter Songs", "Blue Hall, Seoul", "main", nights)
    return True


add_sale_commands(commands, room, _attached_app, MOMENT)

if __name__ == "__main__":
    sys.exit(main())
