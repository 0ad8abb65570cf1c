"""A concert's image: taken in, in a few sizes, with its accent colour through the pages; and the drawn cover."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from werkzeug.test import TestResponse

from concert.covers.hues import HUES, hue_of_picture, hue_of_title
from concert.ground.database import connection
from tests.sale import Sale
from tests.web.browser import Browser

PROJECT = Path(__file__).parent.parent.parent
STYLES = (PROJECT / "static" / "css" / "hues.css").read_text()
TOKENS = (PROJECT / "static" / "css" / "tokens.css").read_text()
# What text in an accent colour, or on one, has to have against its ground (WCAG 2.2, AA).
ENOUGH = 4.5
BLUE = (20, 60, 200)


def picture(
    size: tuple[int, int] = (1200, 800), colour: tuple[int, int, int] = BLUE, kind: str = "PNG"
) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, kind)
    return written.getvalue()


def put(sale: Sale, concert: int, image: bytes) -> TestResponse:
    body = {"image": base64.b64encode(image).decode(), "reason": "the poster"}
    return sale.organise("PUT", f"/v1/concerts/{concert}/image", json=body)


def kept(sale: Sale) -> int:
    with connection() as link:
        row: Any = link.execute("SELECT count(*) FROM cover_files").fetchone()
    return int(row[0])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_is_kept_in_a_few_sizes_and_served_for_a_year(sale: Sale, kind: str) -> None:
    concert = sale.concert()
    answer = put(sale, concert, picture(kind=kind))
    assert answer.status_code == 200, answer.text
    # Never wider than it came.
    assert list(answer.json["files"]) == ["480", "960"]
    for width, address in answer.json["files"].items():
        served = sale.app.test_client().get(address)
        assert served.mimetype == "image/webp"
        assert "immutable" in served.headers["Cache-Control"]
        assert Image.open(io.BytesIO(served.data)).size == (int(width), int(width) * 2 // 3)
    assert sale.app.test_client().get("/images/nothing/480.webp").status_code == 404


def test_pages_show_the_image_and_take_their_colour_from_it(sale: Sale) -> None:
    visitor = Browser(sale)
    concert = sale.concert()
    drawn = visitor.open(f"/concerts/{concert}").text
    assert 'class="poster hue-' in drawn
    hue = put(sale, concert, picture()).json["hue"]
    assert hue == 8  # blue, in twelfths of the circle
    for path in (f"/concerts/{concert}", f"/rooms/main?concert={concert}"):
        shown = visitor.open(path).text
        assert f'<body class="hue-{hue}"' in shown, path
        assert 'srcset="/images/' in shown, path
    assert 'srcset="/images/' in visitor.open("/").text


def test_another_image_takes_the_place_of_the_first_which_is_forgotten(sale: Sale) -> None:
    concert, other = sale.concert(), sale.concert(title="Another")
    first = put(sale, concert, picture()).json
    assert kept(sale) == 2
    put(sale, other, picture())
    put(sale, concert, picture(colour=(200, 40, 20)))
    # The other concert still has the first.
    assert kept(sale) == 4
    assert sale.app.test_client().get(first["files"]["480"]).status_code == 200
    for one in (concert, other):
        assert sale.organise("DELETE", f"/v1/concerts/{one}/image").status_code == 204
    assert kept(sale) == 0
    assert sale.organise("DELETE", f"/v1/concerts/{concert}/image").status_code == 404


def test_every_change_of_an_image_is_in_the_audit_log(sale: Sale) -> None:
    concert = sale.concert()
    digest = put(sale, concert, picture()).json["image"]
    sale.organise("DELETE", f"/v1/concerts/{concert}/image")
    entries = sale.organise("GET", "/v1/audit-log").json["entries"]
    found = [one for one in entries if one["verb"] in ("set_image", "remove_image")]
    assert [(one["before"], one["after"]) for one in found] == [
        ({"image": digest}, {"image": None}),
        ({"image": None}, {"image": digest}),
    ]
    assert found[1]["reason"] == "the poster"


def bomb() -> bytes:
    """A small file that says of itself that it is enormous."""
    return (
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    ) + b"\0\0\0\0"


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"no picture at all",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        picture()[:300],
        picture((100, 1000)),
        picture(kind="GIF"),
        bomb(),
    ],
    ids=["empty", "words", "svg", "cut off", "too small", "another kind", "a bomb"],
)
def test_what_is_no_image_is_refused_and_changes_nothing(sale: Sale, image: bytes) -> None:
    concert = sale.concert()
    refused = put(sale, concert, image)
    assert (refused.status_code, refused.json["code"]) == (400, "bad_request"), refused.text
    assert kept(sale) == 0


def test_what_is_not_base64_is_refused(sale: Sale) -> None:
    concert = sale.concert()
    refused = sale.organise("PUT", f"/v1/concerts/{concert}/image", json={"image": "ä!"})
    assert refused.status_code == 400


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=400))
def test_no_bytes_at_all_are_a_fault_of_ours(sale: Sale, image: bytes) -> None:
    concert = sale.concert()
    for begun in (image, picture((300, 300))[:60] + image):
        assert put(sale, concert, begun).status_code == 400


def test_what_the_file_says_beside_its_picture_is_left_behind(sale: Sale) -> None:
    concert = sale.concert()
    told = PngImagePlugin.PngInfo()
    told.add_text("Where", "the singer's own house")
    written = io.BytesIO()
    Image.new("RGB", (500, 500), BLUE).save(written, "PNG", pnginfo=told)
    files = put(sale, concert, written.getvalue()).json["files"]
    assert b"own house" not in sale.app.test_client().get(files["480"]).data


def test_a_grey_image_leaves_the_colour_to_the_title(sale: Sale) -> None:
    assert hue_of_picture(Image.new("RGB", (300, 300), (128, 128, 128))) is None
    concert = sale.concert(title="Grey")
    assert put(sale, concert, picture(colour=(90, 90, 90))).json["hue"] == hue_of_title("Grey")


def test_the_colour_of_most_of_a_picture_counts() -> None:
    found = Image.new("RGB", (300, 300), (10, 10, 10))
    found.paste((220, 30, 30), (0, 0, 300, 120))
    found.paste((30, 30, 220), (0, 120, 300, 160))
    assert hue_of_picture(found) == 0


def luminance(colour: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def colours(text: str, selector: str) -> dict[str, str]:
    (block,) = re.findall(rf"^\s*{re.escape(selector)} {{(.*?)}}", text, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


@pytest.mark.parametrize("hue", range(HUES))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_accent_colour_has_enough_contrast(hue: int, scheme: str) -> None:
    tokens, styles = TOKENS.split("@media"), STYLES.split("@media")
    number = 0 if scheme == "light" else 1
    found = {**colours(tokens[0], ":root"), **colours(tokens[number], ":root")}
    found |= colours(styles[number], f".hue-{hue}")
    for ground in ("paper", "surface", "accent-soft"):
        assert contrast(found["accent"], found[ground]) >= ENOUGH, (ground, found)
    assert contrast(found["on-accent"], found["accent"]) >= ENOUGH
    assert contrast(found["on-accent"], found["accent-strong"]) >= ENOUGH


def test_the_style_sheet_of_hues_is_what_its_script_writes() -> None:
    program = "import runpy; print(runpy.run_path('scripts/hues.py')['style_sheet'](), end='')"
    written = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert written.stdout == STYLES


def test_a_cover_is_drawn_differently_by_title(sale: Sale) -> None:
    visitor = Browser(sale)
    for title in ("Aurora", "Borealis", "Cascade", "Dusk"):
        sale.concert(title=title)
    drawn = re.findall(r'class="poster (hue-\d+ rings-\d)"', visitor.open("/").text)
    assert len(drawn) == 4
    assert len(set(drawn)) >= 3
