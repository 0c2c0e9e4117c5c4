"""What the scalars of a volume look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.options.limits import LARGE, SMALL
from plenostream.rules import Choice, Lengths, Spelled, check_record, described

__all__ = ["COLORMAPS", "Axes", "VolumeOptions"]

Axes = Literal["xyz", "zyx"]
COLORMAPS = ("coolwarm", "grey", "hot", "ice", "spectrum")
"""Named tables of colours."""


_VALUE = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?"
_TABLE_FILE = r"[^\0]*[^/\0]\.(?:txt|csv)"


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOptions:
    """What the scalars of a volume look like.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    opacity: Annotated[
        str | None,
        Spelled(
            pattern=rf"{_VALUE}:{_VALUE}(?:,{_VALUE}:{_VALUE})+|{_TABLE_FILE}",
            form="VALUE:OPACITY,VALUE:OPACITY,..., such as 300:0,500:0.4, or a file .txt or .csv",
            shown_as="VALUE:OPACITY,...|FILE.txt",
            unsaid="nothing, and a volume needs it",
            help="How opaque the scalars of a volume are: shares of the light that the edge of a voxel "
            "takes, 0 to 1, linear between rising values and constant beyond. A file has a value and "
            "an opacity a line; # begins a comment.",
        ),
    ] = None
    colormap: Annotated[
        str,
        Spelled(
            pattern=rf"(?:{'|'.join(COLORMAPS)})(?::{_VALUE},{_VALUE})?|{_TABLE_FILE}",
            form=f"one of {', '.join(COLORMAPS)}, with :LOW,HIGH if need be, or a file .txt or .csv",
            shown_as="NAME[:LOW,HIGH]|FILE.txt",
            help=f"Colours of a volume's scalars: {', '.join(COLORMAPS)}, from LOW to HIGH (else the "
            "first and last value of --opacity); or a file with a value, red, green and blue a line, "
            "colours from 0 to 1.",
        ),
    ] = "grey"
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        Lengths(
            least=SMALL, most=LARGE, unsaid="cubes, the longest axis 2 world units long",
            help="World lengths of a voxel of a volume along x, y and z.",
        ),
    ] = None  # fmt: skip
    axes: Annotated[
        Axes,
        Choice(
            choices=get_args(Axes),
            help="Order of a volume's axes in its file; stacks of pictures are zyx.",
        ),
    ] = "xyz"

    def __post_init__(self) -> None:
        check_record(self)
