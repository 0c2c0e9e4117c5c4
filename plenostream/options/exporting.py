"""What is written of a scene for other programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from plenostream.options.limits import LARGE
from plenostream.rules import Choice, Memory, Number, Truth, check_record, described
from plenostream.rules.bytesize import parse_bytes

__all__ = ["EXPORT_FORMATS", "MIN_DENSITY", "ExportFormat", "ExportOptions", "PointColours"]

ExportFormat = Literal["svox2", "points", "mesh", "ome-zarr"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
PointColours = Literal["8bit", "float"]


@described
@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What is written of a scene for other programs.

    Raises
    ------
    InvalidInput : a value against its rule.
    """

    format: Annotated[
        ExportFormat | None,
        Choice(
            choices=EXPORT_FORMATS,
            unsaid="by the ending of OUT: .npz svox2, .ply points, .obj and .glb mesh, .zarr ome-zarr",
            help="What to write: a svox2 checkpoint, the voxels as points, a surface, or density and "
            "colour as a volume.",
        ),
    ] = None
    min_density: Annotated[
        float | None,
        Number(
            least=0, most=LARGE, unit="per world unit",
            unsaid="0 for points; for a mesh, where the edge of a voxel takes half of the light",
            help="Points are the voxels above this density (per world unit), a mesh is the surface "
            "where it is reached.",
        ),
    ] = None  # fmt: skip
    colours: Annotated[
        PointColours,
        Choice(choices=get_args(PointColours), help="Type of the colours of a PLY file."),
    ] = "8bit"
    normals: Annotated[
        bool, Truth(help="Give points normals: the direction in which density falls.")
    ] = False
    host_memory: Annotated[
        int | str,
        Memory(help="Bound on what exporting holds, beyond what the program itself takes."),
    ] = "1GB"
    overwrite: Annotated[bool, Truth(help="Replace OUT if it exists.")] = False

    def __post_init__(self) -> None:
        check_record(self)

    @property
    def host_bytes(self) -> int:
        """`host_memory` in bytes."""
        return parse_bytes(self.host_memory, name="host_memory")


MIN_DENSITY = Number(
    least=0,
    most=LARGE,
    unit="per world unit",
    help="Leave out voxels of this density (per world unit) or less.",
)
