"""What is written of pictures and films."""

from __future__ import annotations

from plenostream.rules import Names, Number

__all__ = ["FPS", "OUTPUTS"]

OUTPUTS = Names(
    choices=(
        "rgb",
        "alpha",
        "depth",
        "mean-depth",
        "median-depth",
        "density-depth",
        "normals",
        "cost",
    ),  # fmt: skip
    help="What to draw, in one pass. depth (svox2's: not divided by alpha), mean-depth (divided by "
    "it), median-depth (where half of the light is left) and density-depth (where --depth-density "
    "is exceeded) are world units along the ray; normals are unit vectors along the axes of the "
    "world; cost is samples that contributed a ray.",
)
FPS = Number(least=0.01, most=1000, unit="frames/s", help="Frames per second of a film.")
