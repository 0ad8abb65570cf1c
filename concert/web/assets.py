"""Static files from memory: addresses that carry a content hash, kept for a year, compressed once.

Every style sheet under ``static/css`` is served as one file, ``css/site.css``: tokens
first, then the base, then the components by name. So is each folder of scripts: ``js/page.js``, what
every page does, from ``static/js/page``; in it each file's names stay its own. Where files are numbered
they are one script, in that order, and share their names: ``js/hall.js``.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, redirect, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from concert.ground.parts import keep, part

BUNDLE = "css/site.css"
# htmx and its extension for streams are one request; they are vendored as they came.
HTMX = "vendor/htmx.js"
FIRST_IN_BUNDLE = ("tokens.css", "base.css")
ICON = "img/icon.svg"
SMALLEST_COMPRESSED = 400
FOR_A_YEAR = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"
TYPES = {
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".wasm": "application/wasm",
}
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)

files = Blueprint("static", __name__)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent: its bytes, the same compressed where that helps, and its hash."""

    body: bytes
    compressed: bytes | None
    mimetype: str
    digest: str


class Assets:
    """All static files under ``root``, read once."""

    def __init__(self, root: Path) -> None:
        self._assets = {
            path.relative_to(root).as_posix(): _asset(path.name, path.read_bytes())
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        self._assets[BUNDLE] = _asset(BUNDLE, _bundled(root / "css"))
        self._assets[HTMX] = _asset(HTMX, _htmx(root / "vendor" / "htmx"))
        for folder in sorted((root / "js").glob("*/")):
            name = f"js/{folder.name}.js"
            is_one = any(folder.glob("1-*.js"))
            self._assets[name] = _asset(name, (_in_a_row if is_one else _joined)(folder))

    def find(self, name: str) -> Asset:
        """The file called ``name``, such as ``js/page.js``.

        Raises:
            KeyError: there is none.
        """
        return self._assets[name]


def init_assets(app: Flask) -> None:
    """Read the files, and give templates ``asset_url``."""
    keep(app, Assets(Path(app.root_path) / "static"))
    app.register_blueprint(files)
    app.jinja_env.globals["asset_url"] = asset_url


def asset_url(name: str) -> str:
    """The address of a static file; it changes whenever the file does.

    Raises:
        KeyError: there is no such file.
    """
    # What url_for would say of ``hashed`` below; every page has half a dozen.
    return f"/static/v/{_assets().find(name).digest}/{name}"


@files.get("/static/v/<digest>/<path:name>")
def hashed(digest: str, name: str) -> Response:
    """A file under the address that carries its hash, or the newer one under an older address."""
    asset = _found(name)
    return _answer(asset, FOR_A_YEAR if asset.digest == digest else ASK_AGAIN)


@files.get("/static/<path:name>")
def plain(name: str) -> Response:
    """A file under its plain name, asked for anew each time."""
    return _answer(_found(name), ASK_AGAIN)


@files.get("/favicon.ico")
def favicon() -> AnyResponse:
    """Where browsers look that were not told of the icon."""
    return redirect(asset_url(ICON), 302)


@files.get("/robots.txt")
def robots() -> Response:
    """The pages that are the same for everybody may be indexed."""
    lines = ("User-agent: *", "Allow: /", "Disallow: /v1/", "Disallow: /live/", "")
    return Response("\n".join(lines), mimetype="text/plain")


def _found(name: str) -> Asset:
    try:
        return _assets().find(name)
    except KeyError as error:
        raise NotFound() from error


def _answer(asset: Asset, cache_control: str) -> Response:
    compress = asset.compressed is not None and request.accept_encodings.quality("gzip") > 0
    body = asset.compressed if compress and asset.compressed is not None else asset.body
    response = Response(body, mimetype=asset.mimetype)
    response.headers["Cache-Control"] = cache_control
    if asset.compressed is not None:
        response.headers["Vary"] = "Accept-Encoding"
    if compress:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(asset.digest, weak=True)
    response.make_conditional(request)
    return response


def _assets() -> Assets:
    return part(Assets)


def _asset(name: str, body: bytes) -> Asset:
    compressed = gzip.compress(body, 9, mtime=0) if len(body) >= SMALLEST_COMPRESSED else body
    suffix = Path(name).suffix
    mimetype = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Asset(
        body,
        compressed if len(compressed) < len(body) else None,
        mimetype,
        hashlib.sha256(body).hexdigest()[:12],
    )


def _bundled(directory: Path) -> bytes:
    named = {path.name: path for path in sorted(directory.glob("*.css"))}
    order = [*FIRST_IN_BUNDLE, *(name for name in named if name not in FIRST_IN_BUNDLE)]
    text = "\n".join(named[name].read_text(encoding="utf-8") for name in order if name in named)
    lines = (line.strip() for line in COMMENT.sub("", text).splitlines())
    return "\n".join(line for line in lines if line).encode()


def _joined(directory: Path) -> bytes:
    """Scripts as one module: a block each, so that they share no names."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.js")))
    return "\n".join(f"{{\n{text}}}" for text in texts).encode()


def _htmx(directory: Path) -> bytes:
    """htmx, then its extension, as they are told apart by their names."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.js")))
    return ";\n".join(texts).encode()


def _in_a_row(directory: Path) -> bytes:
    """Scripts as one module, without the lines that only say why."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(directory.glob("*.js"))]
    lines = (line.strip() for line in "\n".join(texts).splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")).encode()
