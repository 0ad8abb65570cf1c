"""Accent colours: a dozen hues, each checked for contrast, and which one a picture or a title has."""

from __future__ import annotations

import colorsys
import zlib

from PIL import Image

# Each is a class of static/css/hues.css, `hue-0` to `hue-11`, which scripts/hues.py writes.
HUES = 12
# What is nearly grey, black or white says nothing about a picture's colour.
LEAST_SATURATION, LEAST_VALUE = 0.18, 0.12
LOOKED_AT = 64


def hue_of_title(title: str) -> int:
    """The hue of a concert without a picture: always the same for the same title."""
    return zlib.crc32(title.encode()) % HUES


def rings_of_title(title: str) -> int:
    """Where the rings of its drawn cover have their middle: one of six places."""
    return zlib.crc32(title.encode()) // HUES % 6


def hue_of_picture(picture: Image.Image) -> int | None:
    """The hue that most of a picture has, by how strong it is; None where it has no colour."""
    small = picture.convert("RGB").resize((LOOKED_AT, LOOKED_AT))
    weights = [0.0] * HUES
    pixels = small.tobytes()
    for start in range(0, len(pixels), 3):
        red, green, blue = (value / 255 for value in pixels[start : start + 3])
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        if saturation >= LEAST_SATURATION and value >= LEAST_VALUE:
            weights[round(hue * HUES) % HUES] += saturation * value
    strongest = max(range(HUES), key=weights.__getitem__)
    return strongest if weights[strongest] > 0.01 * LOOKED_AT**2 else None
