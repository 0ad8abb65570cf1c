"""Writes static/css/hues.css: a dozen accent colours, each with enough contrast in both schemes.

Each hue has the same lightness in OKLCH, and as much colour as the screen can show of it there.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

HUES = 12
FILE = Path(__file__).resolve().parent.parent / "static" / "css" / "hues.css"
# In HSV's order, which the picture's hue is measured in, each with its angle in OKLCH.
ANGLES = (25, 55, 95, 125, 142, 160, 195, 235, 264, 293, 325, 0)
# Lightness and the most chroma of each colour, by scheme.
LIGHT = {"accent": (0.44, 0.12), "accent-strong": (0.36, 0.11), "accent-soft": (0.95, 0.03)}
DARK = {"accent": (0.82, 0.1), "accent-strong": (0.88, 0.08), "accent-soft": (0.29, 0.05)}
DARK_ON = (0.26, 0.05)
COVER = {"from": (0.5, 0.12), "to": (0.27, 0.08)}


def colour(lightness: float, most: float, angle: float) -> str:
    """The colour as #rrggbb, with as much of ``most`` as sRGB has there."""
    chroma = most
    while True:
        values = to_rgb(lightness, chroma, angle)
        if all(-1e-4 <= value <= 1 + 1e-4 for value in values):
            return "#" + "".join(
                f"{round(255 * gamma(min(1, max(0, value)))):02x}" for value in values
            )
        chroma -= 0.002


def to_rgb(lightness: float, chroma: float, angle: float) -> tuple[float, float, float]:
    """Linear sRGB of an OKLCH colour (Björn Ottosson's matrices)."""
    a, b = chroma * math.cos(math.radians(angle)), chroma * math.sin(math.radians(angle))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def gamma(value: float) -> float:
    """What a screen is told for that much light."""
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055


def style_sheet() -> str:
    """The text of the file."""
    lines = ["/* Accent colours of concerts. Written by scripts/hues.py. */"]
    for hue, angle in enumerate(ANGLES):
        named = [(f"--{name}", colour(*of, angle)) for name, of in (LIGHT | COVER).items()]
        lines.append(
            f".hue-{hue} {{ " + " ".join(f"{name}: {value};" for name, value in named) + " }"
        )
    lines.append("@media (prefers-color-scheme: dark) {")
    for hue, angle in enumerate(ANGLES):
        named = [(f"--{name}", colour(*of, angle)) for name, of in DARK.items()]
        named.append(("--on-accent", colour(*DARK_ON, angle)))
        lines.append(
            f"  .hue-{hue} {{ " + " ".join(f"{name}: {value};" for name, value in named) + " }"
        )
    lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    assert len(ANGLES) == HUES
    FILE.write_text(style_sheet(), encoding="utf-8")
    print(FILE, len(style_sheet()), "bytes", file=sys.stderr)
