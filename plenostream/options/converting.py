"""How checkpoints and models of other programs become scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.field.grid import BRICK_SIZES
from plenostream.options.limits import LARGE, LARGEST_PROJECTION, SHORTEST_PROJECTION, SMALL
from plenostream.options.packing import LEVELS, PackingMemory, PackingThreads
from plenostream.rules import Choice, Number, Projection, Truth, check_record, described
from plenostream.rules.bytesize import parse_bytes

__all__ = ["Codec", "ConvertOptions", "ResampleOptions", "StoreDtype"]

StoreDtype = Literal["auto", "float16"]
Codec = Literal["zstd", "lz4"]


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How a checkpoint becomes a scene.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    brick_size: Annotated[
        int, Choice(choices=BRICK_SIZES, help="Cells per axis of a brick.")
    ] = 16  # fmt: skip
    dtype: Annotated[
        StoreDtype,
        Choice(
            choices=get_args(StoreDtype),
            help="auto keeps the checkpoint's values exactly; float16 rounds densities and "
            "coefficients.",
        ),
    ] = "auto"
    codec: Annotated[
        Codec,
        Choice(choices=get_args(Codec), help="zstd makes smaller scenes, lz4 is read faster."),
    ] = "zstd"
    ndc: Annotated[
        tuple[float, float, float, float] | None,
        Projection(
            least=SHORTEST_PROJECTION, most=LARGEST_PROJECTION, unsaid="none: a scene of the world",
            help="Say that the scene is a forward-facing one, in normalised device coordinates: width, "
            "height and focal lengths, in pixels, of the pictures it was trained with. A checkpoint "
            "does not tell.",
        ),
    ] = None  # fmt: skip
    levels: Annotated[int | str, LEVELS] = "auto"
    host_memory: PackingMemory = "1GB"
    workers: PackingThreads = None
    overwrite: Annotated[bool, Truth(help="Replace the scene if it exists.")] = False
    resume: Annotated[bool, Truth(help="Go on with a conversion that was cut off.")] = False

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ResampleOptions:
    """What becomes of models whose picture no scene has exactly.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    approximate: Annotated[
        bool,
        Truth(
            help="Resample models whose picture no scene has exactly (PlenOctrees, Plenoxels in JAX), "
            "and say how far it is from theirs. Nothing changes for others."
        ),
    ] = False
    radius: Annotated[
        float | None,
        Number(
            least=SMALL, most=LARGE, unit="world units",
            unsaid="1.3, as they are trained: their files do not say it",
            help="Half the extent of the volume, for Plenoxels in JAX.",
        ),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        check_record(self)
