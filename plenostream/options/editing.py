"""How scenes are made of others: a record, and arguments of the functions of `edits`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.options.limits import LARGE, LARGEST_COORDINATE, SMALL
from plenostream.options.packing import PackingMemory, PackingThreads
from plenostream.rules import (
    Box,
    Choice,
    Lengths,
    Number,
    Point,
    Steps,
    Truth,
    check_record,
    described,
)
from plenostream.rules.bytesize import parse_bytes

__all__ = [
    "BOX",
    "BOX_UNITS",
    "FACTOR",
    "FRAME_CENTER",
    "FRAME_RADIUS",
    "NEW_GRID",
    "OVERLAP",
    "PRUNE_DENSITY",
    "PRUNE_WEIGHT",
    "SHIFT",
    "BoxUnits",
    "EditOptions",
    "Overlap",
]

BoxUnits = Literal["world", "voxels"]
Overlap = Literal["denser", "first", "last"]


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class EditOptions:
    """How a scene is made of others.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    host_memory: PackingMemory = "1GB"
    workers: PackingThreads = None
    overwrite: Annotated[bool, Truth(help="Replace the scene if it exists.")] = False
    resume: Annotated[bool, Truth(help="Go on with an edit that was cut off.")] = False

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


BOX = Box(
    most=LARGEST_COORDINATE,
    help="Two opposite corners of the box to keep, the lower one first: in world units every cell "
    "that it touches is kept, in voxels those from the first corner to before the second.",
)
BOX_UNITS = Choice(choices=get_args(BoxUnits), help="Units of --box.")
SHIFT = Steps(
    most=1 << 24,
    unit="voxels",
    help="Voxel of the first scene on which the next one's voxel 0 is laid; once for each scene but "
    "the first. Left out: scenes lie where they lie in the world.",
)
OVERLAP = Choice(
    choices=get_args(Overlap),
    help="Whose voxel is taken where several scenes store one: the denser one (of equal ones the "
    "first), or that of the first or last scene named.",
)
PRUNE_DENSITY = Number(
    least=0,
    most=LARGE,
    unit="per world unit",
    unsaid="0, without --min-weight",
    help="Keep voxels that exceed this density (per world unit), and their neighbours.",
)
PRUNE_WEIGHT = Number(
    least=0,
    most=1,
    unsaid="none: voxels are judged by their density",
    help="Keep voxels whose largest weight in the views exceeds this, and their neighbours: the share "
    "of a pixel's light that a sample beside them has.",
)
FRAME_RADIUS = Lengths(
    least=SMALL,
    most=LARGE,
    unsaid="as it is",
    help="Half the extent of the volume along x, y and z (world units).",
)
FRAME_CENTER = Point(
    most=LARGEST_COORDINATE, unsaid="as it is", help="Middle of the volume (world)."
)
FACTOR = Number(
    least=0.25,
    most=4,
    unsaid="as --grid says",
    help="Voxels along each axis, as a multiple of those that there are.",
)
NEW_GRID = Steps(
    least=2,
    most=1 << 16,
    unit="voxels",
    unsaid="as --factor says",
    help="Voxels along each axis, from a quarter of those that there are to four times as many.",
)
