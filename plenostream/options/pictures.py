"""What is written of pictures and films, and how they are compared."""

from __future__ import annotations

from plenostream.rules import Choice, Names, Number

__all__ = ["FPS", "LPIPS", "OUTPUTS"]

OUTPUTS = Names(
    choices=(
        "rgb", "alpha", "depth", "mean-depth", "median-depth", "density-depth", "normals", "cost",
    ),
    help="What to draw, in one pass. depth (svox2's: not divided by alpha), mean-depth (divided by "
    "it), median-depth (where half of the light is left) and density-depth (where --depth-density "
    "is exceeded) are world units along the ray; normals are unit vectors along the axes of the "
    "world; cost is samples that contributed to a ray.",
)  # fmt: skip
FPS = Number(
    least=0.01,
    most=1000,
    unit="frames/s",
    unsaid="that of a nerfstudio path, else 30",
    help="Frames per second of a film.",
)
LPIPS = Choice(
    choices=("vgg", "alex", "off"),
    unsaid="vgg where the extra lpips is installed, else off",
    help="Network whose LPIPS is told as well; svox2 tells that of vgg. Its weights are downloaded the "
    "first time.",
)
