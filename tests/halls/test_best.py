"""Which seats are the best, and who would be left sitting alone."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from concert.catalogue.labels import usual_layout
from concert.catalogue.seating import row_of
from concert.halls.best import (
    Layout,
    Wish,
    best_choices,
    could_spare_singles,
    layout_of,
    left_alone,
    nearest_free,
)
from concert.halls.plan import COMPANION, RESTRICTED_VIEW, WHEELCHAIR, Plan
from concert.halls.service import example


def letters(free: Collection[int], capacity: int) -> str:
    return "".join("a" if number in free else "h" for number in range(1, capacity + 1))


def best(free: Collection[int], count: int, most: int = 1) -> list[tuple[int, ...]]:
    """The best of a house of fifty: five rows of ten."""
    return best_choices(usual_layout(50), letters(free, 50), Wish(count), most=most)


def row(flags: list[int], categories: list[int] | None = None) -> Layout:
    """One row in front of the stage."""
    count = len(flags)
    xs = tuple(index - (count - 1) / 2 for index in range(count))
    every = tuple(categories or [0] * count)
    return Layout((range(1, count + 1),), xs, (0.0,) * count, tuple(flags), every)


def test_the_best_seats_are_in_the_middle_of_the_first_row() -> None:
    assert best(range(1, 51), 2) == [(5, 6)]
    assert best(range(1, 51), 4) == [(4, 5, 6, 7)]


def test_the_next_best_seats_are_behind_them_or_beside_them() -> None:
    assert best(range(1, 51), 2, most=3) == [(5, 6), (15, 16), (4, 5)]
    assert len(best(range(1, 51), 2, most=100)) == 5 * 9


def test_seats_together_never_span_two_rows() -> None:
    assert best([10, 11], 2) == []
    assert best([10, 11, 12], 2) == [(11, 12)]


@given(st.sets(st.integers(min_value=1, max_value=50)), st.integers(min_value=1, max_value=4))
def test_the_best_seats_are_free_and_side_by_side(free: set[int], count: int) -> None:
    for found in best(free, count, most=50):
        assert set(found) <= free
        assert found == tuple(range(found[0], found[0] + count))
        assert row_of(found[0], 50) == row_of(found[-1], 50)


@given(st.sets(st.integers(min_value=1, max_value=50)), st.integers(min_value=1, max_value=4))
def test_whatever_is_side_by_side_is_found(free: set[int], count: int) -> None:
    groups = {
        tuple(range(first, first + count))
        for first in free
        if (first - 1) % 10 + count <= 10 and free >= set(range(first, first + count))
    }
    assert set(best(free, count, most=50)) == groups


def test_the_nearest_free_seats_are_together_where_they_can_be() -> None:
    layout = usual_layout(50)
    assert nearest_free(layout, letters([1, 14, 15, 16, 40], 50), [25, 26]) == (15, 16)
    assert nearest_free(layout, letters([1, 15, 40], 50), [25, 26]) == (15, 40)


def test_there_may_be_fewer_free_seats_than_were_wanted() -> None:
    layout = usual_layout(50)
    assert nearest_free(layout, letters([7], 50), [1, 2]) == (7,)
    assert nearest_free(layout, letters([], 50), [1]) == ()


def test_what_is_nearest_is_of_the_same_category_as_long_as_one_of_it_is_free() -> None:
    layout = row([0] * 6, [0, 0, 1, 1, 1, 1])
    assert nearest_free(layout, "aahaaa", [3]) == (4,)
    assert nearest_free(layout, "aahhhh", [3]) == (2,)


def test_seats_beyond_an_aisle_are_not_beside_each_other() -> None:
    plan = example("club")
    choices = best_choices(layout_of(plan), "a" * 50, Wish(2), most=50)
    assert (4, 5) in choices
    assert (5, 6) not in choices


def test_only_seats_of_the_wanted_category_are_chosen() -> None:
    layout = row([0] * 6, [0, 0, 0, 1, 1, 1])
    assert best_choices(layout, "aaaaaa", Wish(2, category=1)) == [(4, 5)]
    assert best_choices(layout, "aaahah", Wish(2, category=1)) == []


def test_near_somebody_is_nearer_than_in_the_middle() -> None:
    assert best_choices(usual_layout(50), "a" * 50, Wish(2)) == [(5, 6)]
    assert best_choices(usual_layout(50), letters(set(range(1, 51)) - {41}, 50), Wish(2, near=(41,))) == [(42, 43)]  # fmt: skip


def test_a_restricted_view_is_chosen_last() -> None:
    layout = row([0, 0, RESTRICTED_VIEW, RESTRICTED_VIEW, 0, 0])
    assert best_choices(layout, "aaaaaa", Wish(2))[0] in ((1, 2), (5, 6))
    assert best_choices(layout, "haaaah", Wish(2), most=9)[-1] == (3, 4)


WHEELCHAIRS = [0, 0, COMPANION, WHEELCHAIR, WHEELCHAIR, COMPANION, 0, 0]


def test_places_for_wheelchairs_are_left_to_those_who_need_one() -> None:
    layout = row(WHEELCHAIRS)
    assert best_choices(layout, "a" * 8, Wish(2), most=9) == [(1, 2), (7, 8)]
    assert best_choices(layout, "a" * 8, Wish(3), most=9) == []


def test_companions_sit_beside_the_wheelchair() -> None:
    layout = row(WHEELCHAIRS)
    found = best_choices(layout, "a" * 8, Wish(2, wheelchair=True), most=9)
    assert found == [(3, 4), (5, 6)]
    assert best_choices(layout, "a" * 8, Wish(1, wheelchair=True), most=9) == [(4,), (5,)]
    for four in best_choices(layout, "a" * 8, Wish(4, wheelchair=True), most=9):
        assert len({4, 5} & set(four)) == 1


def test_what_is_released_is_for_all() -> None:
    layout = row(WHEELCHAIRS)
    assert best_choices(layout, "a" * 8, Wish(4), released=[3, 4, 5, 6]) == [(3, 4, 5, 6)]


def test_no_single_seat_is_left_where_another_choice_exists() -> None:
    layout = row([0] * 5)
    assert best_choices(layout, "aaaaa", Wish(3))[0] == (2, 3, 4)
    assert best_choices(layout, "aaaaa", Wish(3), spare_singles=True)[0] in ((1, 2, 3), (3, 4, 5))


def test_where_every_choice_leaves_a_single_seat_one_is_made_all_the_same() -> None:
    assert best_choices(row([0] * 3), "aaa", Wish(2), spare_singles=True) == [(1, 2)]


def test_who_is_left_alone_had_somebody_to_sit_with_before() -> None:
    layout = row([0] * 7)
    assert left_alone(layout, "aaaaaaa", [2, 3]) == [1]
    assert left_alone(layout, "aaaaaaa", [3, 4]) == []
    assert left_alone(layout, "aaaaaaa", [2, 4]) == [1, 3]
    assert left_alone(layout, "ahaaaaa", [6, 7]) == []
    assert left_alone(layout, "aaaaaaa", [1, 3]) == [2]


def test_a_place_for_a_wheelchair_may_be_alone() -> None:
    layout = row([WHEELCHAIR, 0, 0, 0])
    assert left_alone(layout, "aaaa", [2]) == []
    assert left_alone(layout, "aaaa", [2], released=[1]) == [1]


FREE_ROWS = st.text(alphabet="ah", min_size=12, max_size=12)


@given(FREE_ROWS, st.integers(min_value=1, max_value=4))
def test_the_best_leave_nobody_alone_if_anything_does(free: str, count: int) -> None:
    layout = row([0] * 12)
    found = best_choices(layout, free, Wish(count), most=20, spare_singles=True)
    alone = [bool(left_alone(layout, free, choice)) for choice in found]
    assert alone == sorted(alone)
    if found:
        assert could_spare_singles(layout, free, found[0]) == (not alone[0])


def arena() -> tuple[Plan, Layout]:
    plan = example("arena")
    return plan, layout_of(plan)


def test_nobody_is_sent_to_stand_who_has_not_asked_for_it() -> None:
    plan, layout = arena()
    assert not plan.places[best_choices(layout, "a" * 5000, Wish(2))[0][0] - 1].standing
    standing = best_choices(layout, "a" * 5000, Wish(3, category=0))[0]
    assert [plan.places[number - 1].standing for number in standing] == [True] * 3


def test_those_who_stand_are_together_whatever_their_numbers() -> None:
    _, layout = arena()
    free = letters({5, 90, 700}, 5000)
    assert best_choices(layout, free, Wish(3, category=0)) == [(5, 90, 700)]
    assert best_choices(layout, free, Wish(4, category=0)) == []
