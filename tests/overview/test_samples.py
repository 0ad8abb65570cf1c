"""Samples of sales: a row for each room and ten seconds in which something moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from concert.ground.database import connection
from concert.ground.parts import keep
from concert.overview.samples import (
    KEPT_DAYS,
    MOST_POINTS,
    LastNoted,
    first_sample,
    forget_old_samples,
    note_samples,
    samples_of,
)
from concert.waiting_room.rooms import list_rooms
from tests.sale import Sale

MOMENT = datetime(2026, 1, 1, 11, 0, tzinfo=UTC)
WRITE = "INSERT INTO sale_samples VALUES ('main', %s, %s, %s, %s, %s, %s, %s)"


def noted() -> int:
    with connection() as link:
        row = link.execute("SELECT count(*) FROM sale_samples").fetchone()
    assert row is not None
    return int(row[0])


def tick(sale: Sale) -> None:
    """What the clock does in the next ten seconds."""
    with connection() as link:
        link.execute("UPDATE sale_samples SET at = at - interval '10 seconds'")
    keep(sale.app, LastNoted())
    note_samples(list_rooms())


def wrote(seconds: float, admitted: int, sold: int = 0) -> None:
    at = MOMENT + timedelta(seconds=seconds)
    with connection() as link:
        link.execute(WRITE, (at, 5, 2, admitted, 50 - sold, 0, sold))


def test_a_sample_says_how_the_line_and_the_seats_stand(sale: Sale) -> None:
    concert = sale.concert()
    sale.room(capacity=1)
    inside = sale.admitted_fan(concert)
    inside.hold(concert, 1, 2)
    for _ in range(3):
        sale.fan().join(concert)
    note_samples(list_rooms())
    now = datetime.now(UTC)
    (point,) = samples_of("main", now - timedelta(minutes=1), now)
    assert (point.waiting, point.inside, point.free, point.held, point.sold) == (3, 1, 48, 2, 0)
    assert 0 <= now.timestamp() * 1000 - point.at < 11_000


def test_two_clocks_and_many_ticks_write_one_row_in_ten_seconds(sale: Sale) -> None:
    sale.concert()
    for _ in range(3):
        note_samples(list_rooms())
    before = noted()
    keep(sale.app, LastNoted())
    with connection() as link:
        # Whenever the other clock ticks: within the same ten seconds, nothing new is written.
        link.execute("UPDATE sale_samples SET waiting = 1")
        link.execute(
            "UPDATE sale_samples SET at = date_bin('10 seconds', statement_timestamp(), 'epoch')"
        )
        row = link.execute("SELECT max(at) FROM sale_samples").fetchone()
    note_samples(list_rooms())
    with connection() as link:
        found = link.execute("SELECT count(*) FROM sale_samples WHERE at = %s", row).fetchone()
    assert before == 1
    assert found == (1,)


def test_a_room_in_which_nothing_moves_is_written_down_every_five_minutes_only(sale: Sale) -> None:
    concert = sale.concert()
    for _ in range(5):
        tick(sale)
    assert noted() == 1
    sale.admitted_fan(concert)
    tick(sale)
    assert noted() == 2
    with connection() as link:
        link.execute("UPDATE sale_samples SET at = at - interval '5 minutes'")
    tick(sale)
    assert noted() == 3


def test_people_let_in_a_minute_are_those_of_the_last_step_however_long_it_was_quiet(
    sale: Sale,
) -> None:
    for seconds, admitted in ((0, 100), (10, 105), (20, 125), (200, 130), (210, 4)):
        wrote(seconds, admitted)
    points = samples_of("main", MOMENT, MOMENT + timedelta(seconds=210))
    # Redis has lost its count before the last one.
    assert [point.per_minute for point in points] == [None, 30, 120, 30, 0]


def test_a_long_time_is_told_in_few_points_and_what_stood_at_its_beginning(sale: Sale) -> None:
    for step in range(1000):
        wrote(step * 10, step)
    whole = samples_of("main", MOMENT, MOMENT + timedelta(seconds=10_000))
    assert 300 < len(whole) <= MOST_POINTS + 2
    late = samples_of("main", MOMENT + timedelta(seconds=505), MOMENT + timedelta(seconds=10_000))
    assert late[0].at == round((MOMENT + timedelta(seconds=500)).timestamp() * 1000) or (
        late[0].at < round((MOMENT + timedelta(seconds=530)).timestamp() * 1000)
    )
    assert first_sample("main", MOMENT + timedelta(seconds=15)) == MOMENT + timedelta(seconds=20)
    assert first_sample("main", MOMENT + timedelta(days=1)) is None


def test_what_is_older_than_anybody_looks_is_forgotten_in_batches(sale: Sale) -> None:
    for step in range(5):
        wrote(step * 10, step)
    now = datetime.now(UTC)
    with connection() as link:
        link.execute(WRITE, (now - timedelta(days=KEPT_DAYS - 1), 0, 0, 0, 0, 0, 0))
    assert forget_old_samples(3) == 3
    assert forget_old_samples(3) == 2
    assert forget_old_samples(3) == 0
    assert noted() == 1
