"""Covers: taking a picture in, and what a concert looks like."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from flask import Flask
from PIL import Image, ImageOps, UnidentifiedImageError

from concert.covers.hues import hue_of_picture, hue_of_title, rings_of_title
from concert.ground.audit import SYSTEM, Actor, record
from concert.ground.budget import within
from concert.ground.database import connection
from concert.ground.errors import BadRequest, NotFound, Unavailable
from concert.ground.parts import keep, part

# A photograph as a camera makes it; and as many pixels, so that a small file cannot unpack to gigabytes.
LARGEST_BYTES = 12 * 1024 * 1024
MOST_PIXELS = 50_000_000
SMALLEST_SIDE = 200
KINDS = ("JPEG", "PNG", "WEBP")
# For a card, a phone's page, and a desktop's; never wider than the picture is.
WIDTHS = (480, 960, 1600)
QUALITY = 78
# For writing the files down, however long it took to make them.
KEEPING_SECONDS = 5.0
# How long a process goes on with what it knows: a new picture is seen everywhere after that.
KNOWN_SECONDS = 2.0
MOST_KNOWN = 1000

EXISTS = "SELECT title FROM concerts WHERE id = %s FOR UPDATE"
BEFORE = "SELECT digest FROM covers WHERE concert_id = %s"
KEEP_FILE = (
    "INSERT INTO cover_files (digest, width, body) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
)
SET = """
INSERT INTO covers (concert_id, digest, hue) VALUES (%s, %s, %s)
ON CONFLICT (concert_id) DO UPDATE SET digest = excluded.digest, hue = excluded.hue, set_at = now()"""
REMOVE = "DELETE FROM covers WHERE concert_id = %s RETURNING digest"
# Pictures that no concert has any more; the lock on the concert's row does not cover another's.
FORGET_FILES = """
DELETE FROM cover_files f WHERE f.digest = %s AND NOT EXISTS (SELECT FROM covers c WHERE c.digest = f.digest)"""
LOOKS = """
SELECT c.concert_id, c.digest, c.hue, array_agg(f.width::int ORDER BY f.width)
FROM covers c JOIN cover_files f USING (digest) WHERE c.concert_id = ANY(%s) GROUP BY c.concert_id"""
FILE = "SELECT body FROM cover_files WHERE digest = %s AND width = %s"


@dataclass(frozen=True, slots=True)
class Cover:
    """A concert's picture: what names it, and the widths (pixels) in which there is a file of it."""

    digest: str
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """How a concert looks: its hue (one of a dozen), the place of its rings where it has no picture."""

    hue: int
    rings: int
    cover: Cover | None


@dataclass
class Known:
    """What this process knows of covers, and until when (``time.monotonic()``)."""

    found: dict[int, tuple[float, tuple[Cover, int] | None]] = field(default_factory=dict)


def init_covers(app: Flask) -> None:
    """Remember the covers of this app's concerts for a moment."""
    keep(app, Known())


def set_cover(
    concert_id: int, picture: bytes, *, actor: Actor = SYSTEM, reason: str | None = None
) -> Look:
    """Give a concert a picture (JPEG, PNG or WebP), in place of the one it has.

    Raises:
        BadRequest: it is no such picture, too large, or too small.
        NotFound: there is no such concert.
    """
    opened = _opened(picture)
    digest = hashlib.sha256(picture).hexdigest()[:16]
    files = _files(opened)
    # Shrinking a photograph may have used up what a request has.
    with within(KEEPING_SECONDS), connection() as link, link.transaction():
        row = link.execute(EXISTS, (concert_id,)).fetchone()
        if row is None:
            raise NotFound("There is no such concert.")
        hue = hue_of_picture(opened)
        if hue is None:
            hue = hue_of_title(row[0])
        before = link.execute(BEFORE, (concert_id,)).fetchone()
        for width, body in files:
            link.execute(KEEP_FILE, (digest, width, body))
        link.execute(SET, (concert_id, digest, hue))
        if before is not None and before[0] != digest:
            link.execute(FORGET_FILES, before)
        record(
            link,
            actor,
            "set_image",
            "concert",
            concert_id,
            before={"image": before and before[0]},
            after={"image": digest},
            reason=reason,
        )
    part(Known).found.pop(concert_id, None)
    return Look(hue, rings_of_title(row[0]), Cover(digest, tuple(width for width, _ in files)))


def remove_cover(concert_id: int, *, actor: Actor = SYSTEM, reason: str | None = None) -> None:
    """Take a concert's picture away; its cover is drawn from then on.

    Raises:
        NotFound: it has none, or there is no such concert.
    """
    with connection() as link, link.transaction():
        link.execute(EXISTS, (concert_id,))
        row = link.execute(REMOVE, (concert_id,)).fetchone()
        if row is None:
            raise NotFound("This concert has no image.")
        link.execute(FORGET_FILES, row)
        record(
            link,
            actor,
            "remove_image",
            "concert",
            concert_id,
            before={"image": row[0]},
            after={"image": None},
            reason=reason,
        )
    part(Known).found.pop(concert_id, None)


def look_of(concert_id: int, title: str) -> Look:
    """How a concert looks; where that cannot be read now, as it did before, or drawn."""
    now = time.monotonic()
    known = part(Known).found
    entry = known.get(concert_id)
    if entry is None or entry[0] < now:
        try:
            look_up([concert_id])
        except Unavailable:
            # A page that says what is broken must not wait for what is broken, again and again.
            known[concert_id] = (now + KNOWN_SECONDS, entry and entry[1])
        entry = known[concert_id]
    rings = rings_of_title(title)
    if entry[1] is None:
        return Look(hue_of_title(title), rings, None)
    cover, hue = entry[1]
    return Look(hue, rings, cover)


def look_up(concert_ids: Iterable[int]) -> None:
    """Know the covers of several concerts for a moment, with one statement."""
    now = time.monotonic()
    known = part(Known).found
    wanted = [one for one in concert_ids if one not in known or known[one][0] < now]
    if not wanted:
        return
    with connection() as link:
        rows = link.execute(LOOKS, (wanted,)).fetchall()
    if len(known) + len(wanted) > MOST_KNOWN:
        known.clear()
    found = {row[0]: (Cover(row[1], tuple(row[3])), row[2]) for row in rows}
    for concert_id in wanted:
        known[concert_id] = (now + KNOWN_SECONDS, found.get(concert_id))


def cover_file(digest: str, width: int) -> bytes:
    """One size of a picture, as it is sent (WebP).

    Raises:
        NotFound: there is none.
    """
    with connection() as link:
        row = link.execute(FILE, (digest, width)).fetchone()
    if row is None:
        raise NotFound("There is no such image.")
    body: bytes = row[0]
    return body


def _opened(picture: bytes) -> Image.Image:
    if len(picture) > LARGEST_BYTES:
        raise BadRequest(f"An image has {LARGEST_BYTES // 1024 // 1024} MB at the most.")
    try:
        found = Image.open(io.BytesIO(picture), formats=KINDS)
        # The size is known before anything is unpacked.
        if found.width * found.height > MOST_PIXELS:
            raise BadRequest(f"An image has {MOST_PIXELS // 1_000_000} million pixels at the most.")
        if min(found.size) < SMALLEST_SIDE:
            raise BadRequest(f"An image is at least {SMALLEST_SIDE} pixels wide and high.")
        found.load()
        # As the camera was held; whatever else the file says of where it was taken is left behind.
        return ImageOps.exif_transpose(found).convert("RGB")
    except BadRequest:
        raise
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as error:
        raise BadRequest("This is no JPEG, PNG or WebP image that can be read.") from error


def _files(picture: Image.Image) -> list[tuple[int, bytes]]:
    widths = [width for width in WIDTHS if width <= picture.width] or [picture.width]
    files = []
    for width in widths:
        height = max(1, round(picture.height * width / picture.width))
        written = io.BytesIO()
        picture.resize((width, height), Image.Resampling.LANCZOS).save(
            written, "WEBP", quality=QUALITY, method=4
        )
        files.append((width, written.getvalue()))
    return files
