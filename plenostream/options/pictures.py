"""What is written of pictures and films, and how they are compared."""

from __future__ import annotations

from plenostream.rules import Choice, Names, Number

__all__ = ["FPS", "LPIPS", "OUTPUTS"]

OUTPUTS = Names(
    choices=("rgb", "alpha", "depth"),
    help="What to write. A PNG with rgb and alpha is RGBA; depth (world units along the ray) comes "
    "as float32 values and as a coloured PNG, red near, blue far.",
)
FPS = Number(least=0.01, most=1000, unit="frames/s", help="Frames per second of an .mp4.")
LPIPS = Choice(
    choices=("vgg", "alex", "off"),
    unsaid="vgg where the extra lpips is installed, else off",
    help="Network whose LPIPS is told as well; svox2 tells that of vgg. Its weights are downloaded the "
    "first time.",
)
