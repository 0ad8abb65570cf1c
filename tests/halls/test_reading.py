"""Reading plans: our own JSON in both forms, pretix' and tables; and files that are none."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concert.halls.document import document_of, hash_of, written
from concert.halls.draft import (
    DraftPlan,
    DraftRow,
    DraftSeat,
    DraftSection,
    PlanRefused,
    checked,
)
from concert.halls.plan import AISLE, Plan
from concert.halls.reading import read_document, read_file
from concert.halls.service import example, example_names
from concert.halls.table import table_of
from tests.halls.hall import two_rows


def again(plan: Plan, form: Any) -> Plan:
    """A plan that was written down and read."""
    return read_document(orjson.loads(orjson.dumps(document_of(plan, form))))


def refused(document: Any) -> str:
    """What is wrong with a document, in one text."""
    with pytest.raises(PlanRefused) as found:
        read_document(document)
    return "; ".join(found.value.problems)


def changed(*path: Any, value: Any) -> dict[str, Any]:
    """The small hall, with one thing different."""
    document: Any = two_rows()
    node = document
    for step in path[:-1]:
        node = node[step]
    if value is GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return document  # type: ignore[no-any-return]


# A word that no document has, and the same in every test worker.
GONE = "(left out)"
FIRST_SEAT = ("sections", 0, "rows", 0, "seats", 0)


# The way out and back in.

WORDS = st.text(alphabet="AbC 1.-é가", min_size=1, max_size=8).map(str.strip).filter(bool)
NEAR = st.floats(min_value=-900, max_value=900, allow_nan=False)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A hall of any kind: sections with rows, standing areas, a stage or none, flags, all sizes."""
    categories = draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    names = draw(st.lists(st.one_of(st.just(""), WORDS), min_size=1, max_size=4, unique=True))
    scale = draw(st.sampled_from([0.01, 1.0, 12.5]))
    sections = []
    for number, name in enumerate(names):
        standing = draw(st.booleans())
        left, top = number * 500.0, draw(st.floats(min_value=0, max_value=90))
        rows = []
        for depth in range(1 if standing else draw(st.integers(min_value=1, max_value=3))):
            count = draw(st.integers(min_value=1, max_value=6))
            labels = draw(
                st.one_of(
                    st.integers(min_value=1, max_value=90).map(
                        lambda first, count=count: [str(first + index) for index in range(count)]
                    ),
                    st.lists(WORDS, min_size=count, max_size=count, unique=True),
                )
            )
            bend = draw(st.sampled_from([0.0, 0.3, -1.7]))
            seats = [
                DraftSeat(
                    label,
                    (
                        (left + index * 10) * scale,
                        (top + depth * 13 + bend * index * index) * scale,
                    ),
                    draw(st.sampled_from(categories)),
                    draw(st.lists(st.sampled_from(["restricted_view", "aisle", "blocked"]))),
                )
                for index, label in enumerate(labels)
            ]
            rows.append(DraftRow("" if standing else f"{depth}", seats))
        outline = None
        if standing or draw(st.booleans()):
            corners = [(left, top), (left + 60.0, top), (left + 60.0, top + 55.0), (left, top + 50)]
            outline = [(x * scale, y * scale) for x, y in corners]
        sections.append(DraftSection(name, rows, outline, standing))
    stage = None
    if draw(st.booleans()):
        corners = draw(st.lists(st.tuples(NEAR, NEAR), min_size=3, max_size=6))
        stage = "Stage", [(x * scale, y * scale) for x, y in corners]
    colors = [draw(st.sampled_from([None, "#123abc"])) for _ in categories]
    return checked(
        DraftPlan(draw(WORDS), dict(zip(categories, colors, strict=True)), sections, stage)
    )


@settings(max_examples=40)
@given(plans())
def test_what_is_written_down_is_read_as_the_same_plan_in_both_forms(plan: Plan) -> None:
    for form in ("plain", "compact"):
        assert again(plan, form) == plan
    assert hash_of(written(again(plan, "plain"))) == hash_of(written(plan))


@settings(max_examples=40)
@given(plans())
def test_seats_are_numbered_through_in_the_order_of_the_plan(plan: Plan) -> None:
    document = document_of(plan, "plain")
    numbers = [
        seat["seat_no"]
        for section in document["sections"]
        for row in section["rows"]
        for seat in row["seats"]
    ]
    assert numbers == list(range(1, plan.capacity + 1))
    assert [number for run in plan.runs for number in run] == numbers
    assert min(min(point) for point in plan.points) >= 0
    assert all(x <= plan.size[0] and y <= plan.size[1] for x, y in plan.points)


@given(
    st.lists(
        st.lists(st.integers(min_value=1, max_value=9), min_size=1, max_size=3),
        min_size=1,
        max_size=3,
    ),
    st.integers(min_value=0, max_value=30),
)
def test_a_table_that_is_written_from_a_plan_is_read_as_the_same_seats(
    sections: list[list[int]], standing: int
) -> None:
    lines = ["section,row,seat,category"]
    for number, rows in enumerate(sections):
        lines += [f"S{number},{row},1-{count},C{row}" for row, count in enumerate(rows)]
    if standing:
        lines[0] += ",flags"
        lines = [lines[0], *(line + "," for line in lines[1:]), f"Floor,,1-{standing},F,standing"]
    plan = read_file("small.csv", "\n".join(lines).encode())
    back = read_file("small.csv", table_of(plan))
    assert (back.places, back.categories, back.flags_of_seats) == (
        plan.places,
        plan.categories,
        plan.flags_of_seats,
    )
    # What is not in the table is the stage; seats are as far from each other as before.
    assert [math.dist(point, back.points[0]) for point in back.points] == [
        math.dist(point, plan.points[0]) for point in plan.points
    ]
    assert table_of(read_file("small.csv", table_of(back))) == table_of(back)


# The halls that come with us.


@pytest.mark.parametrize(("name", "capacity"), [("club", 50), ("theatre", 800), ("arena", 5000)])
def test_the_halls_that_come_with_us_are_as_they_should_be(name: str, capacity: int) -> None:
    plan = example(name)
    assert plan.capacity == capacity
    assert again(plan, "plain") == again(plan, "compact") == plan
    assert plan.stage is not None
    assert len(set(plan.places)) == capacity
    assert plan.has_wheelchairs
    assert any(flags & AISLE for flags in plan.flags_of_seats)


def test_there_are_three_of_them_and_one_has_room_to_stand() -> None:
    assert example_names() == ["arena", "club", "theatre"]
    standing = [section for section in example("arena").sections if section.standing]
    assert [len(section.rows[0].seats) for section in standing] == [1000]


# Where seats are.


def test_a_plan_is_moved_to_the_corner_and_its_seats_are_some_size() -> None:
    plan = read_document(two_rows())
    assert min(y for _, y in (plan.stage.outline if plan.stage else ())) == 0
    assert plan.seat_size == 85
    assert plan.runs == (range(1, 5), range(5, 9))


def test_a_plan_in_metres_is_enlarged() -> None:
    document = two_rows()
    for row in document["sections"][0]["rows"]:
        for seat in row["seats"]:
            seat["x"], seat["y"] = seat["x"] / 20, seat["y"] / 20
    document["stage"] = None
    assert read_document(document).seat_size == 42
    assert again(read_document(document), "plain") == read_document(document)


def test_a_wide_gap_in_a_row_is_an_aisle() -> None:
    document = two_rows()
    for seat in document["sections"][0]["rows"][1]["seats"][2:]:
        seat["x"] += 17
    assert read_document(document).runs == (range(1, 5), range(5, 7), range(7, 9))


# What is wrong.

WRONG = [
    (("name",), "", "its name has"),
    (("name",), "a\nb", "its name has"),
    (("name",), GONE, "name is a text"),
    (("name",), 7, "name is a text"),
    (("categories",), [], "it has 0 categories"),
    (("categories",), {}, "categories is a list"),
    (("categories", 1, "name"), "Front", "category 'Front' is there twice"),
    (("categories", 0, "color"), "red", "'red' is no colour"),
    (("categories", 0, "color"), "#7a4fd", "is no colour"),
    (("sections",), [], "it has 0 seats"),
    (("sections",), None, "sections is a list"),
    (("sections", 0, "rows"), "AB", "rows is a list"),
    (("sections", 0, "name"), "x" * 81, "a name has at most"),
    (("sections", 0, "outline"), [[0, 0], [1, 1]], "an outline has 3 to 200 points"),
    (("sections", 0, "outline"), [[0, 0], [1, 1], [2]], "a point is [x, y]"),
    (("sections", 0, "standing"), 1, "standing is true or false"),
    (("sections", 0, "standing"), True, "a standing area needs an outline"),
    (("stage", "outline"), [[0, 0]], "the stage: an outline has"),
    (("stage",), "here", "the stage is no JSON object"),
    (("sections", 0, "rows", 0, "label"), None, "label is a text"),
    (("sections", 0, "rows", 1, "label"), "A", "is there twice"),
    ((*FIRST_SEAT, "label"), "", "a label has 1 to 12"),
    ((*FIRST_SEAT, "label"), 1, "label is a text"),
    ((*FIRST_SEAT, "label"), "2", "is there twice"),
    ((*FIRST_SEAT, "x"), "0", "coordinates are numbers"),
    ((*FIRST_SEAT, "x"), None, "coordinates are numbers"),
    ((*FIRST_SEAT, "x"), True, "coordinates are numbers"),
    ((*FIRST_SEAT, "x"), math.nan, "coordinates are numbers up to"),
    ((*FIRST_SEAT, "y"), math.inf, "coordinates are numbers up to"),
    ((*FIRST_SEAT, "y"), 1e9, "coordinates are numbers up to"),
    ((*FIRST_SEAT, "x"), 10, "stands where"),
    ((*FIRST_SEAT, "category"), "Side", "there is no category 'Side'"),
    ((*FIRST_SEAT, "flags"), ["golden"], "'golden' is no flag"),
    ((*FIRST_SEAT, "flags"), "aisle", "flags is a list of words"),
    ((*FIRST_SEAT, "flags"), [], "no wheelchair is beside it"),
]


@pytest.mark.parametrize(("path", "value", "problem"), WRONG, ids=str)
def test_what_cannot_be_is_refused_and_said(path: Any, value: Any, problem: str) -> None:
    assert problem in refused(changed(*path, value=value))


def columns(**more: Any) -> dict[str, Any]:
    row = {"label": "A", "count": 3, "seats": 1, "category": 0, "x": [0, 100], "y": [0], **more}
    return changed("sections", 0, "rows", value=[row])


WRONG_COLUMNS = [
    {"count": -1},
    {"count": 10**12},
    {"count": 20_001},
    {"count": True},
    {"seats": ["1", "2"]},
    {"seats": [1, 2, 3]},
    {"seats": {"step": 1}},
    {"seats": {"from": 1, "step": 0}},
    {"category": 2},
    {"category": -1},
    {"category": [0, 0]},
    {"category": None},
    {"x": []},
    {"x": [0, 1, 2, 3]},
    {"x": [0.5]},
    {"x": [10**30]},
    {"y": {}},
    {"flags": {"3": 1}},
    {"flags": {"-1": 1}},
    {"flags": {"x": 1}},
    {"flags": {"0": 32}},
    {"flags": {"0": -1}},
    {"flags": []},
]


def test_columns_are_read_as_they_are_written() -> None:
    plan = read_document(columns(seats={"from": 9, "step": -2}, flags={"1": 8}))
    assert [place.seat for place in plan.places] == ["9", "7", "5"]
    assert plan.flags_of_seats == (0, AISLE, 0)
    assert [x - plan.points[0][0] for x, _ in plan.points] == [0, 100, 200]


@pytest.mark.parametrize("wrong", WRONG_COLUMNS, ids=str)
def test_columns_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    assert refused(columns(**wrong))


def test_more_seats_than_a_hall_may_have_are_refused_before_they_are_made() -> None:
    row = {"label": "A", "count": 10_000, "seats": 1, "category": 0, "x": [0, 100], "y": [0]}
    rows = [{**row, "label": str(number), "y": [number * 100]} for number in range(1_000)]
    assert "more than 20,000 seats" in refused(changed("sections", 0, "rows", value=rows))


def test_of_a_plan_that_is_wrong_all_over_the_first_problems_are_told() -> None:
    document = two_rows(categories=[{"name": "Other"}])
    seats = document["sections"][0]["rows"][0]["seats"]
    document["sections"][0]["rows"][0]["seats"] = [
        {**seats[0], "label": str(number), "x": number} for number in range(100)
    ]
    with pytest.raises(PlanRefused) as found:
        read_document(document)
    assert len(found.value.problems) == 21
    assert found.value.problems[-1] == "and 84 more"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"[" * 100_000,
        b'{"zones":' * 2_000 + b"1" + b"}" * 2_000,
        b'{"name": NaN}',
        b"[]",
        b"null",
        b'"a"',
        b"\xff\xfe",
        b'{"name":"T","categories":[{"name":"C"}],"sections":[],"name":1e999}',
        b" " * (16 * 1024 * 1024 + 1),
    ],
    ids=[*"0123456789", "large"],
)
def test_a_file_that_is_no_plan_is_refused(content: bytes) -> None:
    with pytest.raises(PlanRefused):
        read_file("hall.json", content)
    with pytest.raises(PlanRefused):
        read_file("hall.csv", content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["name", "label", "seats", "rows", "sections", "categories", "zones", "count"]
                + ["x", "y", "flags", "category", "outline", "stage", "position", "areas"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)
PATHS = [
    (),
    ("name",),
    ("stage",),
    ("categories",),
    ("categories", 0),
    ("sections",),
    ("sections", 0),
    ("sections", 0, "rows"),
    ("sections", 0, "rows", 0),
    FIRST_SEAT,
    ("zones",),
    ("flags",),
]


@given(st.sampled_from(PATHS), JSON)
def test_whatever_stands_in_a_document_it_is_a_plan_or_is_refused(
    path: tuple[Any, ...], value: Any
) -> None:
    document = changed(*path, value=value) if path else value
    try:
        plan = read_document(document)
    except PlanRefused:
        return
    assert again(plan, "compact") == plan


# pretix.

AREA = {"shape": "rectangle", "rectangle": {"width": 100, "height": 20}, "position": {"x": -20, "y": -60}, "text": {"text": "STAGE", "position": {"x": 50, "y": 10}}}  # fmt: skip


def pretix(**more: Any) -> dict[str, Any]:
    def seat(number: int, category: str = "Stalls") -> dict[str, Any]:
        position = {"x": 25 * number, "y": 0}
        about = {"uuid": f"u{number}", "radius": 10, "start_direction": None}
        guid = f"g{number}"
        return {"seat_guid": guid, "seat_number": str(number), "position": position, "category": category, **about}  # fmt: skip

    rows = [
        {"row_number": "A", "row_number_position": "both", "position": {"x": 5, "y": 0}, "seats": [seat(1), seat(2)]},
        {"row_number": "B", "position": {"x": 5, "y": 25.5}, "seats": [seat(1), seat(2, "Box")]},
    ]  # fmt: skip
    zone = {"name": "Main", "zone_id": "main", "position": {"x": 100, "y": 100}, "rows": rows, "areas": [AREA]}  # fmt: skip
    return {
        "name": "House",
        "size": {"width": 600, "height": 400},
        "categories": [{"name": "Stalls", "color": "#AA00ff"}, {"name": "Box", "color": "gold"}],
        "zones": [zone, {**zone, "position": {"x": 300, "y": 100}, "areas": []}],
        **more,
    }


def test_a_seating_plan_of_pretix_is_read_with_its_zones_as_sections() -> None:
    plan = read_document(pretix())
    assert (plan.name, plan.capacity) == ("House", 8)
    assert [section.name for section in plan.sections] == ["Main", "Main 2"]
    assert [(category.name, category.color) for category in plan.categories] == [
        ("Stalls", "#aa00ff"),
        ("Box", "#1f8a70"),
    ]
    assert [place.row + place.seat for place in plan.places[:4]] == ["A1", "A2", "B1", "B2"]
    (ax, ay), (bx, by) = plan.points[0], plan.points[3]
    assert (bx - ax, by - ay) == (250, 255)
    assert plan.points[4][0] - ax == 2000


def test_the_area_that_says_so_is_the_stage() -> None:
    plan = read_document(pretix())
    assert plan.stage is not None
    assert plan.stage.label == "STAGE"
    xs, ys = zip(*plan.stage.outline, strict=True)
    assert (max(xs) - min(xs), max(ys) - min(ys)) == (1000, 200)
    # The first seat is 100 + 5 + 25 from the left, the stage begins at 100 - 20.
    assert plan.points[0][0] - min(xs) == 500
    bar = {**AREA, "text": {"text": "Bar", "position": {"x": 0, "y": 0}}}
    zones = [{**pretix()["zones"][0], "areas": [bar]}]
    assert read_document(pretix(zones=zones)).stage is None


@pytest.mark.parametrize(
    "area",
    [
        {"shape": "circle", "circle": {"radius": 40}},
        {"shape": "ellipse", "ellipse": {"radius": {"x": 40, "y": 20}}},
        {"shape": "polygon", "polygon": {"points": [{"x": 0, "y": 0}, {"x": 9, "y": 0}, {"x": 0, "y": 9}]}},
        {"width": 90, "height": 30, "text": "Bühne", "shape": None},
        {"rotation": 90},
    ],
    ids=["circle", "ellipse", "polygon", "of the first version", "turned"],
)  # fmt: skip
def test_a_stage_may_have_any_shape(area: dict[str, Any]) -> None:
    zones = [{**pretix()["zones"][0], "areas": [{**AREA, "rectangle": None, **area}]}]
    if area == {"rotation": 90}:
        zones[0]["areas"][0]["rectangle"] = AREA["rectangle"]
    plan = read_document(pretix(zones=zones))
    assert plan.stage is not None
    assert len(plan.stage.outline) >= 3


def test_a_text_alone_is_no_stage() -> None:
    zones = [{**pretix()["zones"][0], "areas": [{**AREA, "shape": "text"}]}]
    assert read_document(pretix(zones=zones)).stage is None


@pytest.mark.parametrize(
    "more",
    [
        {"zones": 7},
        {"zones": [7]},
        {"categories": []},
        {"name": None},
        {"zones": [{"position": {"x": 0, "y": 0}, "rows": [{"seats": [{}]}]}]},
        {"zones": [{"rows": []}]},
        {"zones": [{**pretix()["zones"][0], "areas": [{**AREA, "rectangle": {"width": "x"}}]}]},
    ],
    ids=str,
)
def test_what_is_no_seating_plan_of_pretix_is_refused(more: dict[str, Any]) -> None:
    assert refused(pretix(**more))


# Tables.


def table(text: str) -> Plan:
    return read_file("Salon.csv", text.encode())


def test_a_table_without_coordinates_is_drawn_by_us() -> None:
    plan = table(
        "section,row,seat,category,color,flags\n"
        "Stalls,A,1-4,Front,#7a4fd0,\n"
        "Stalls,B,4-1,Back,,aisle\n"
        "Floor,,1-100,Floor,,standing\n"
    )
    assert (plan.name, plan.capacity) == ("Salon", 108)
    assert [place.seat for place in plan.places[:8]] == [*"1234", *"4321"]
    assert plan.stage is not None
    assert plan.sections[1].standing
    assert [category.color for category in plan.categories] == ["#7a4fd0", "#1f8a70", "#c2571a"]


def test_a_table_with_coordinates_is_as_it_says() -> None:
    plan = table("section,row,seat,x,y,category\nBox,,1,0,0,C\nBox,,2,10,5.5,C\n")
    assert plan.points[1][0] - plan.points[0][0] == 100
    assert plan.points[1][1] - plan.points[0][1] == 55


@pytest.mark.parametrize(
    "text",
    [
        "",
        "section,row,seat\nS,A,1\n",
        "section,row,seat,category,price\nS,A,1,C,9\n",
        "section,section,row,seat,category\nS,S,A,1,C\n",
        "section,row,seat,category\nS,A,1,C,more\n",
        "section,row,seat,category\n",
        "section,row,seat,category\nS,A,1-99999,C\n",
        "section,row,seat,category,x,y\nS,A,1,C,1,1\nS,A,2,C,,\n",
        "section,row,seat,category,x,y\nS,A,1,C,nan,1\n",
        "section,row,seat,category,x,y\nS,A,1,C,1,inf\n",
        "section,row,seat,category,x,y\nS,A,1,C,one,1\n",
        "section,row,seat,category,color\nS,A,1,C,red\n",
        "section,row,seat,category,color\nS,A,1,C,#000000\nS,A,2,C,#000001\n",
        "section,row,seat,category,flags\nS,A,1,C,golden\n",
        "section,row,seat,category,flags\nS,A,1,C,standing\nS,A,2,C,\n",
        "section,row,seat,category\nS,A,1,C\nT,A,1,C\nS,B,1,C\n",
        'section,row,seat,category\nS,A,"1,C\n',
        "section,row,seat,category\n" + "S,A,\x001,C\n",
    ],
    ids=range(18),
)
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(PlanRefused):
        table(text)
