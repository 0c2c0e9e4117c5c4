"""What is written of pictures and films."""

from __future__ import annotations

from plenostream.rules import Names, Number

__all__ = ["FPS", "OUTPUTS"]

OUTPUTS = Names(
    choices=("rgb", "alpha", "depth"),
    help="What to write. A PNG with rgb and alpha is RGBA; depth (world units along the ray) comes "
    "as float32 values and as a coloured PNG, red near, blue far.",
)
FPS = Number(least=0.01, most=1000, unit="frames/s", help="Frames per second of an .mp4.")
