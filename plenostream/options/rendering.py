"""What the picture is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.errors import InvalidInput
from plenostream.field.levels import MOST_LEVELS
from plenostream.options.limits import LARGE, LARGEST_PROJECTION, SHORTEST_PROJECTION
from plenostream.options.pictures import OUTPUTS
from plenostream.rules import (
    Choice,
    Colour,
    Number,
    Projection,
    Truth,
    Whole,
    check_record,
    described,
)

__all__ = ["Model", "RenderOptions"]

Model = Literal["cuvol", "nvol"]


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What the picture is (`docs/rules.md`): svox2's `RenderOptions`, with its defaults.

    Raises
    ------
    InvalidInput : a value against its rule, or two that do not go together.
    """

    background: Annotated[
        float | tuple[float, float, float] | Literal["none"],
        Colour(
            words=("none",),
            help="Colour behind everything: one number for all channels, or red, green and blue. "
            "none leaves it transparent: colours are multiplied by alpha, and pictures get alpha.",
        ),
    ] = 1.0
    step_size: Annotated[
        float,
        Number(
            least=1e-6, most=1e6, unit="voxels",
            help="Distance between samples along a ray, in voxels.",
        ),
    ] = 0.5  # fmt: skip
    near_clip: Annotated[
        float,
        Number(
            least=0, most=LARGE, unit="world units",
            help="Nearest distance from the eye that counts, in world units; another meaning with "
            "spheric_clip.",
        ),
    ] = 0.0  # fmt: skip
    spheric_clip: Annotated[
        bool,
        Truth(
            help="Begin and end rays at the ellipsoid inscribed in the box, as svox2 does for scenes "
            "taken all around; it also counts behind an eye inside. near_clip is then the share of "
            "the radius by which the ellipsoid where rays begin is smaller."
        ),
    ] = False
    far_cap: Annotated[
        float | None,
        Number(
            least=0, most=LARGE, unit="grid units", unsaid="no end but the box's",
            help="End rays so many voxels from the eye; svox2's CUDA code does at 2000.",
        ),
    ] = None  # fmt: skip
    last_sample_opaque: Annotated[
        bool,
        Truth(
            help="Let the last sample of a ray, where it has any density, hide all behind: svox2's "
            "option for forward-facing scenes."
        ),
    ] = False
    model: Annotated[
        Model,
        Choice(
            choices=get_args(Model),
            help="How light is lost: cuvol multiplies what each sample lets through, nvol (svox2's "
            "comparison with Neural Volumes) adds opacities up, to 1 at most.",
        ),
    ] = "cuvol"
    ndc: Annotated[
        tuple[float, float, float, float] | str | None,
        Projection(
            least=SHORTEST_PROJECTION, most=LARGEST_PROJECTION, words=("off",),
            unsaid="what the scene says, else off",
            help="Bring rays to the normalised device coordinates of a forward-facing scene: "
            "width, height and focal lengths, in pixels, of the pictures it was trained with, whose "
            "cameras look along +z. off draws rays as they are.",
        ),
    ] = None  # fmt: skip
    sigma_thresh: Annotated[
        float,
        Number(
            least=0, most=LARGE, unit="per world unit",
            help="Samples of this density (per world unit) or less contribute nothing.",
        ),
    ] = 1e-10  # fmt: skip
    stop_thresh: Annotated[
        float,
        Number(
            least=0, most=1,
            help="A ray ends, fully opaque, when less than this share of light is left.",
        ),
    ] = 1e-7  # fmt: skip
    level: Annotated[
        int | str,
        Whole(
            least=0, most=MOST_LEVELS, unit="levels", words=("auto",),
            help="Draw a coarser level of the scene, if it has levels: with voxels and steps twice as "
            "long as those of the level before. 0 is the scene itself; auto draws each place from the "
            "coarsest level whose voxels look no larger there than pixel_footprint.",
        ),
    ] = 0  # fmt: skip
    pixel_footprint: Annotated[
        float,
        Number(
            least=0, most=1024, unit="pixels",
            help="How many pixels a voxel may be wide with level auto. 0 draws the scene itself.",
        ),
    ] = 1.0  # fmt: skip
    samples: Annotated[
        int,
        Choice(
            choices=(1, 2, 4, 8),
            help="Rays along each edge of a pixel, N x N evenly spread; colour, alpha and depth are "
            "their means.",
        ),
    ] = 1
    outputs: Annotated[tuple[str, ...], OUTPUTS] = ("rgb", "alpha", "depth")
    depth_density: Annotated[
        float | None,
        Number(
            least=0, most=LARGE, unit="per world unit",
            unsaid="where the shortest edge of a voxel takes half of the light",
            help="Density (per world unit) above which a sample ends density-depth.",
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        check_record(self)
        if self.last_sample_opaque and self.model == "nvol":
            raise InvalidInput(
                "last_sample_opaque does not go with model nvol, whose last sample is like all others; "
                "leave one of them out"
            )
        if self.level == "auto" and (more := set(self.outputs) - {"rgb", "alpha", "depth"}):
            raise InvalidInput(
                f"outputs has {', '.join(sorted(more))}, and level auto gives rgb, alpha and depth; "
                "name a level for the others"
            )
        if self.level == "auto" and self.model == "nvol":
            raise InvalidInput(
                "level auto does not go with model nvol, in which what is seen of one level depends on "
                "all before it; name a level, or leave one of them out"
            )
        if self.spheric_clip and self.near_clip >= 1:
            raise InvalidInput(
                f"near_clip is {self.near_clip:g}; with spheric_clip it is a share of the radius, "
                "expected 0 to below 1"
            )

    @property
    def background_rgb(self) -> tuple[float, float, float]:
        """`background` as red, green and blue; none adds nothing to a colour, as black does."""
        given = 0.0 if isinstance(self.background, str) else self.background
        return given if isinstance(given, tuple) else (given, given, given)
