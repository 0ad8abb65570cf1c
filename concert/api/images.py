"""JSON calls about a concert's image; for organisers."""

from __future__ import annotations

import base64
import binascii

from flask import Response, url_for
from pydantic import BaseModel, ConfigDict, Field

from concert.api.door import actor, answer, answers, for_staff, large, new_door
from concert.api.schemas import ConcertPath
from concert.catalogue.service import concert_of
from concert.covers.service import LARGEST_BYTES, Look, remove_cover, set_cover
from concert.ground.errors import BadRequest
from concert.staff.access import needs

door = new_door("images", "A concert's image and its accent colour; for organisers.")

# Base64 makes four characters of three bytes; a little is for the rest of the body.
LARGEST_BODY = LARGEST_BYTES * 4 // 3 + 4096


class NewImage(BaseModel):
    """An image for a concert."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="JPEG, PNG or WebP, 12 MB at the most, in Base64.")
    reason: str | None = Field(None, description="Why; for the audit log.")


class ImageAnswer(BaseModel):
    """A concert's image as pages show it."""

    image: str = Field(description="What names it: the beginning of its SHA-256.")
    hue: int = Field(description="The accent colour taken from it, of twelve.")
    files: dict[str, str] = Field(description="Address (WebP) by width in pixels.")


@door.put(
    "/concerts/<concert_id>/image",
    summary="Give a concert its image",
    security=for_staff(),
    responses=answers({200: ImageAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser")
@large(LARGEST_BODY)
def put_image(path: ConcertPath, body: NewImage) -> Response:
    """It is resized to a few sizes, without what the file says of where it was taken. Pages show it
    within a few seconds, and take their accent colour from it."""
    try:
        picture = base64.b64decode(body.image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("`image` is not Base64.") from error
    concert = concert_of(path.concert_id)
    look = set_cover(concert.concert_id, picture, actor=actor(), reason=body.reason)
    return answer(image_document(look))


@door.delete(
    "/concerts/<concert_id>/image",
    summary="Take a concert's image away",
    security=for_staff(),
    responses=answers({204: None}, 400, 401, 403, 404, 429),
)
@needs("organiser")
def delete_image(path: ConcertPath) -> Response:
    """Its cover is drawn from then on."""
    remove_cover(concert_of(path.concert_id).concert_id, actor=actor())
    return Response(status=204)


def image_document(look: Look) -> dict[str, object]:
    """An image as JSON shows it."""
    assert look.cover is not None
    files = {
        str(width): url_for("covers.image", digest=look.cover.digest, width=width)
        for width in look.cover.widths
    }
    return {"image": look.cover.digest, "hue": look.hue, "files": files}
