"""The rows of a house without a plan."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from concert.catalogue.seating import row_label, row_of, rows_of

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
