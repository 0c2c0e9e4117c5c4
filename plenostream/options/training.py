"""How scenes are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.errors import InvalidInput
from plenostream.options.limits import LARGE, LARGEST_COORDINATE, SMALL
from plenostream.rules import (
    Choice,
    Lengths,
    Number,
    Point,
    Spelled,
    Truth,
    Whole,
    check_record,
    described,
)

__all__ = ["ExposureKind", "Optimiser", "TrainOptions"]

ExposureKind = Literal["none", "one", "channels"]
Optimiser = Literal["rmsprop", "sgd"]
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How a scene is trained; rates and weights are svox2's for NeRF-synthetic scenes unless said.

    Raises
    ------
    InvalidInput : a value against its rule, or two that do not go together.
    """

    size: Annotated[
        int,
        Whole(
            least=16, most=1024, unit="voxels",
            help="Voxels along each axis in the end; training begins with as few as 32, and doubles "
            "them.",
        ),
    ] = 256  # fmt: skip
    radius: Annotated[
        tuple[float, float, float],
        Lengths(
            least=SMALL, most=LARGE,
            help="Half the extent of the volume along x, y and z (world units).",
        ),
    ] = (1.0, 1.0, 1.0)  # fmt: skip
    center: Annotated[
        tuple[float, float, float],
        Point(most=LARGEST_COORDINATE, help="Middle of the volume (world)."),
    ] = (0.0, 0.0, 0.0)
    basis_dim: Annotated[
        int,
        Choice(
            choices=(1, 4, 9, 16), help="Spherical harmonics a channel, of a scene from nothing."
        ),
    ] = 9
    steps: Annotated[
        int | None,
        Whole(
            least=1,
            most=100_000_000,
            unit="steps",
            unsaid="20000, without --time",
            help="Steps of all sizes.",
        ),
    ] = None
    time: Annotated[
        str | None,
        Spelled(
            pattern=r"\d{1,6}(\.\d{1,3})?[smh]",
            form="a number with s, m or h, such as 20m",
            shown_as="20m",
            unsaid="as long as the steps take",
            help="Train for so long, in place of a number of steps; of the resumed, what is left of it.",
        ),
    ] = None
    rays: Annotated[
        int,
        Whole(
            least=64, most=1_000_000, unit="rays",
            help="Rays of a step, in tiles of 8x8 pixels.",
        ),
    ] = 5120  # fmt: skip
    views_a_step: Annotated[
        int,
        Whole(
            least=1, most=10_000, unit="views",
            help="Photographs that the tiles of a step come from.",
        ),
    ] = 20  # fmt: skip
    spacing: Annotated[
        int,
        Whole(
            least=1,
            most=64,
            unit="pixels",
            help="From one pixel of a tile to the next: larger ones touch more voxels, and more bricks.",
        ),
    ] = 4
    optimiser: Annotated[
        Optimiser,
        Choice(choices=get_args(Optimiser), help="How rows of voxels that a step touches change."),
    ] = "rmsprop"
    lr_sigma: Annotated[
        float,
        Number(
            least=SMALL,
            most=1e6,
            help="Rate of densities at the beginning, in a grid of 256 voxels of a volume of radius 1; in "
            "proportion to voxels a world unit in others.",
        ),
    ] = 30.0
    lr_sigma_final: Annotated[
        float, Number(least=SMALL, most=1e6, help="Rate of densities at the end.")
    ] = 1.1
    lr_sigma_delay: Annotated[
        float,
        Number(
            least=0, most=1,
            help="Share of the training in which the rate of densities rises from a hundredth.",
        ),
    ] = 0.2  # fmt: skip
    lr_sh: Annotated[
        float, Number(least=SMALL, most=1e6, help="Rate of coefficients at the beginning.")
    ] = 0.03
    lr_sh_final: Annotated[
        float, Number(least=SMALL, most=1e6, help="Rate of coefficients at the end.")
    ] = 0.0005
    rms_beta: Annotated[
        float,
        Number(least=0, most=1, help="Share of the mean squares that a step of rmsprop keeps."),
    ] = 0.95
    tv_sigma: Annotated[
        float, Number(least=0, most=1e6, help="Weight of the total variation of densities.")
    ] = 1e-5
    tv_sh: Annotated[
        float, Number(least=0, most=1e6, help="Weight of the total variation of coefficients.")
    ] = 1e-3
    tv_share: Annotated[
        float,
        Number(least=0, most=1, help="Share of the grid whose total variation a step counts."),
    ] = 0.01
    sparsity: Annotated[
        float,
        Number(least=0, most=1e6, help="Weight of log(1 + 2 sigma^2) of the samples of a ray."),
    ] = 0.0
    beta: Annotated[
        float,
        Number(
            least=0, most=1e6,
            help="Weight of what draws the alpha of rays to 0 or 1, as in Neural Volumes.",
        ),
    ] = 0.0  # fmt: skip
    exposure: Annotated[
        ExposureKind,
        Choice(
            choices=get_args(ExposureKind),
            help="Gains of the photographs, learnt beside the rows, for photographs of unlike exposure: "
            "one each, or one a channel each. Their mean stays 1; held views are compared as they are.",
        ),
    ] = "none"
    background_layers: Annotated[
        int,
        Whole(
            least=0, most=1024, unit="layers",
            help="Train so many spheres around the volume, seen behind it (svox2's background_nlayers); "
            "0: --background alone. A scene to begin with that has layers keeps its own.",
        ),
    ] = 0  # fmt: skip
    background_resolution: Annotated[
        int,
        Whole(
            least=4, most=16384, unit="texels",
            help="Of a layer from pole to pole; twice as many around (svox2's background_reso).",
        ),
    ] = 512  # fmt: skip
    lr_texel_sigma: Annotated[
        float,
        Number(least=SMALL, most=1e6, help="Rate of densities of layers at the beginning."),
    ] = 3.0
    lr_texel_sigma_final: Annotated[
        float, Number(least=SMALL, most=1e6, help="Rate of densities of layers at the end.")
    ] = 0.09
    lr_texel_color: Annotated[
        float, Number(least=SMALL, most=1e6, help="Rate of colours of layers at the beginning.")
    ] = 0.1
    lr_texel_color_final: Annotated[
        float, Number(least=SMALL, most=1e6, help="Rate of colours of layers at the end.")
    ] = 0.0006
    tv_texels: Annotated[
        float, Number(least=0, most=1e6, help="Weight of the total variation of layers.")
    ] = 1e-2
    init_sigma: Annotated[
        float,
        Number(
            least=0, most=LARGE,
            help="Density that all begins with, per world unit in a volume of radius 1; in inverse "
            "proportion in others.",
        ),
    ] = 0.5  # fmt: skip
    min_weight: Annotated[
        float,
        Number(
            least=0, most=1,
            help="Voxels stay whose largest weight in the views reaches this at 256 voxels along z, "
            "half of it at 512 and so on, and their neighbours.",
        ),
    ] = 0.001  # fmt: skip
    held: Annotated[
        int,
        Whole(
            least=0, most=1_000_000, unit="views",
            help="Hold every such view back, to tell how well it is drawn; 0: none. Not where "
            "--test names views.",
        ),
    ] = 8  # fmt: skip
    seed: Annotated[int, Whole(least=0, most=(1 << 32) - 1, help="Of what is random.")] = 0
    overwrite: Annotated[bool, Truth(help="Replace the scene if it exists.")] = False
    resume: Annotated[
        bool,
        Truth(
            help="Go on with a training that was cut off, or that has ended and is to be longer: steps and "
            "time may be others than before, memory and threads too, nothing else."
        ),
    ] = False

    def __post_init__(self) -> None:
        check_record(self)
        if self.steps is not None and self.time is not None:
            raise InvalidInput("steps and time both say when training ends; say one of them")
        if self.background_layers == 1:
            raise InvalidInput(
                "background_layers is 1; rays see between two layers, so take 2 or more, or 0 for none"
            )
        if self.seconds == 0.0:
            raise InvalidInput(f"time is {self.time}, in which nothing is learnt; allow some")
        object.__setattr__(self, "center", tuple(float(x) for x in self.center))

    @property
    def seconds(self) -> float | None:
        """`time` in seconds."""
        return None if self.time is None else float(self.time[:-1]) * _SECONDS[self.time[-1]]

    @property
    def n_steps(self) -> int:
        """Steps, where time does not say when training ends."""
        return 20_000 if self.steps is None else self.steps
