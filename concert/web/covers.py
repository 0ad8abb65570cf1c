"""What concerts look like on pages: their pictures, and the accent colour that runs through theirs."""

from __future__ import annotations

from flask import Flask, Response, request, url_for

from concert.catalogue.service import Concert
from concert.covers.service import Cover, Look, cover_file, look_of
from concert.web.assets import FOR_A_YEAR
from concert.web.door import new_pages

pages = new_pages("covers")


@pages.get("/images/<digest>/<int:width>.webp")
def image(digest: str, width: int) -> Response:
    """One size of a concert's picture; its address changes with it."""
    response = Response(cover_file(digest, width), mimetype="image/webp")
    response.headers["Cache-Control"] = FOR_A_YEAR
    response.set_etag(f"{digest}-{width}")
    response.make_conditional(request)
    return response


def init_looks(app: Flask) -> None:
    """Give templates ``look``, ``cover_url`` and ``cover_sizes``."""
    app.jinja_env.globals.update(look=look, cover_url=cover_url, cover_sizes=cover_sizes)


def look(concert: Concert) -> Look:
    """How a concert looks; where that cannot be known now, as one without a picture."""
    return look_of(concert.concert_id, concert.title)


def cover_url(cover: Cover) -> str:
    """The address of its middle size, for whoever knows no other."""
    return _url(cover, cover.widths[len(cover.widths) // 2])


def cover_sizes(cover: Cover) -> str:
    """All its addresses with their widths, for ``srcset``."""
    return ", ".join(f"{_url(cover, width)} {width}w" for width in cover.widths)


def _url(cover: Cover, width: int) -> str:
    return url_for("covers.image", digest=cover.digest, width=width)
