"""The plan of a house, and which seats are the best in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from concert.catalogue.seating import best_together, nearest_free, row_label, row_of, rows_of

CAPACITIES = st.integers(min_value=1, max_value=20_000)


@given(CAPACITIES)
def test_every_seat_stands_in_just_one_row(capacity: int) -> None:
    standing = [seat for row in rows_of(capacity) for seat in row.seat_nos]
    assert standing == list(range(1, capacity + 1))


@given(CAPACITIES, st.data())
def test_a_seat_is_found_in_its_row(capacity: int, data: st.DataObject) -> None:
    seat = data.draw(st.integers(min_value=1, max_value=capacity))
    assert seat in row_of(seat, capacity).seat_nos


def test_fifty_seats_are_five_rows_of_ten() -> None:
    assert [(row.label, len(row.seat_nos)) for row in rows_of(50)] == [
        (name, 10) for name in "ABCDE"
    ]


def test_rows_have_letters_like_the_columns_of_a_sheet() -> None:
    assert [row_label(index) for index in (0, 25, 26, 27, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AB",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


def test_the_best_seats_are_in_the_middle_of_the_first_row() -> None:
    assert best_together(range(1, 51), 2, 50) == [(5, 6)]
    assert best_together(range(1, 51), 4, 50) == [(4, 5, 6, 7)]


def test_the_next_best_seats_are_behind_them_or_beside_them() -> None:
    assert best_together(range(1, 51), 2, 50, most=3) == [(5, 6), (15, 16), (4, 5)]
    assert len(best_together(range(1, 51), 2, 50, most=100)) == 5 * 9


def test_seats_together_never_span_two_rows() -> None:
    assert best_together([10, 11], 2, 50) == []
    assert best_together([10, 11, 12], 2, 50) == [(11, 12)]


@given(st.sets(st.integers(min_value=1, max_value=50)), st.integers(min_value=1, max_value=4))
def test_the_best_seats_are_free_and_side_by_side(free: set[int], count: int) -> None:
    for best in best_together(free, count, 50, most=50):
        assert set(best) <= free
        assert best == tuple(range(best[0], best[0] + count))
        assert row_of(best[0], 50) == row_of(best[-1], 50)


def test_the_nearest_free_seats_are_together_where_they_can_be() -> None:
    assert nearest_free([1, 14, 15, 16, 40], [25, 26], 50) == (15, 16)
    assert nearest_free([1, 15, 40], [25, 26], 50) == (15, 40)


def test_there_may_be_fewer_free_seats_than_were_wanted() -> None:
    assert nearest_free([7], [1, 2], 50) == (7,)
    assert nearest_free([], [1], 50) == ()
