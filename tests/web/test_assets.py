"""Static files: addresses with content hashes, caching, compression, and code of others."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest

from concert.web.assets import Assets
from tests.sale import Sale
from tests.web.browser import Browser

STATIC = Path(__file__).parent.parent.parent / "static"
MOST_BYTES = 60_000
MOST_REQUESTS = 10


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:src|href|data-turn)="(/static/[^"]+)"', page)


def test_an_address_carries_a_hash_and_is_kept_for_a_year(visitor: Browser) -> None:
    found = addresses(visitor.open("/").text)

    assert found
    for address in found:
        answer = visitor.open(address)
        assert re.match(r"/static/v/[0-9a-f]{12}/", address)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_an_older_address_gives_the_newer_file_and_is_not_kept(visitor: Browser) -> None:
    answer = visitor.open("/static/v/000000000000/css/site.css")

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, no-cache"


def test_the_hash_changes_with_the_content(tmp_path: Path) -> None:
    (tmp_path / "css").mkdir()
    style = tmp_path / "css" / "tokens.css"
    style.write_text(":root { --ink: black }")
    before = Assets(tmp_path).find("css/site.css").digest
    style.write_text(":root { --ink: navy }")

    assert Assets(tmp_path).find("css/site.css").digest != before


def test_all_style_sheets_are_one_file_with_the_tokens_first(visitor: Browser) -> None:
    style = visitor.open("/static/css/site.css").text

    assert style.startswith(":root")
    assert "/*" not in style
    for sheet in (STATIC / "css").glob("*.css"):
        selector = re.search(r"^\.[a-z-]+", sheet.read_text(), re.MULTILINE)
        assert selector is None or selector[0] in style, sheet.name


def test_what_every_page_does_is_one_script_of_blocks(visitor: Browser) -> None:
    script = visitor.open("/static/js/page.js").text
    parts = sorted((STATIC / "js" / "page").glob("*.js"))

    assert len(parts) >= 3
    assert script == "\n".join(f"{{\n{path.read_text(encoding='utf-8')}}}" for path in parts)


def test_files_are_sent_compressed_to_whoever_takes_that(visitor: Browser) -> None:
    plain = visitor.open("/static/css/site.css")
    small = visitor.open("/static/css/site.css", headers={"Accept-Encoding": "gzip, br"})

    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.data) == plain.data


def test_a_file_that_has_not_changed_is_not_sent_again(visitor: Browser) -> None:
    tag = visitor.open("/static/css/site.css").headers["ETag"]

    assert visitor.open("/static/css/site.css", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/static/nothing.css", "/static/../concert/ground/settings.py", "/static/v/x/..%2fapp.py"],
)
def test_nothing_but_static_files_is_served(visitor: Browser, path: str) -> None:
    assert visitor.open(path).status_code == 404


def test_robots_and_browsers_that_look_for_an_icon_find_something(visitor: Browser) -> None:
    assert "Disallow: /v1/" in visitor.open("/robots.txt").text
    assert visitor.open("/favicon.ico").status_code == 302


def test_the_first_visit_of_a_page_is_small(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert(dates=2)
    fan = sale.admitted_fan(concert)
    visitor.become(fan)
    pages = ("/", f"/concerts/{concert}", "/wallet", "/tickets", "/me")
    for path in pages:
        page = visitor.open(path, headers={"Accept-Encoding": "gzip"})
        html = gzip.decompress(page.data).decode()
        parts = set(addresses(html))
        sizes = [
            len(visitor.open(part, headers={"Accept-Encoding": "gzip"}).data) for part in parts
        ]
        assert len(page.data) + sum(sizes) < MOST_BYTES, path
        assert 1 + len(parts) <= MOST_REQUESTS, path


def test_vendored_code_is_what_was_published() -> None:
    vendor = STATIC / "vendor"
    lines = (vendor / "SHA256SUMS").read_text().splitlines()
    published = {name: digest for digest, name in (line.split() for line in lines)}
    found = {
        path.relative_to(vendor).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.rglob("*")
        if path.is_file() and path.name not in ("SHA256SUMS", "README.md")
    }

    assert found == published
    assert "4.0.1" in (vendor / "README.md").read_text()
    assert b'version="4.0.1' in (vendor / "htmx" / "htmx.min.js").read_bytes()


def test_no_page_asks_another_host_for_anything(visitor: Browser, sale: Sale) -> None:
    concert = sale.concert()
    for path in ("/", f"/concerts/{concert}", "/wallet", "/me", "/docs"):
        html = visitor.open(path).text
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//[^"]*"', html), path
