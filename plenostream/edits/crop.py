"""`crop`: a box of a scene."""

from __future__ import annotations

from typing import Any

import numpy as np

from plenostream.edits.origins import make_edited, open_origin
from plenostream.edits.placed import Placed, PlacedScenes, grid_of_box
from plenostream.errors import InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.files.paths import PathLike
from plenostream.importers.arrays.boxes import VoxelBox
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import BOX, BOX_UNITS, BoxUnits, EditOptions
from plenostream.results import Progress

__all__ = ["crop"]

_ROUNDED = 1e-6
"""Share of a voxel that a place in the world may be off: who means a voxel's centre gets it."""


def crop(
    scene: PathLike,
    target: PathLike,
    box: Any,
    options: EditOptions | None = None,
    *,
    units: BoxUnits = "world",
    keep_grid: bool = False,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write the voxels of a scene that lie in a box as a scene at `target`; their values stay.

    The voxels stay where they are in the world. Samples along a ray are counted from where it
    enters the grid, so a smaller grid is sampled at other places than the whole one; with
    `keep_grid` the grid stays, what lies outside the box is empty, and samples are the same.

    Parameters
    ----------
    box : two corners, as six numbers x0, y0, z0, x1, y1, z1
    units : "world": the box is in world units, and the cells that it touches are kept whole;
        "voxels": whole numbers, from the first voxel of each axis to the one after the last

    Raises
    ------
    InvalidInput : no box; one outside the grid, or less than 2 voxels wide; a scene with background
        layers, which lie around the whole grid, unless that is kept.
    StoreNotFound, StoreFormat, BrickCorrupt : no scene, or a damaged one.
    StoreExists, StoreError, OutputError : the target is there, or cannot be written.
    BudgetError : the memory allowed is too small.
    """
    units = BOX_UNITS.check("units", units)
    corners = BOX.check("box", box)
    origin = open_origin(scene, target)
    grid = origin.meta.grid
    window = _voxel_box(grid, corners, units)
    lower = (0, 0, 0) if keep_grid else window.lower
    return make_edited(
        target,
        grid if keep_grid else grid_of_box(grid, window),
        [origin],
        lambda scenes: PlacedScenes(
            [Placed(voxels=scenes[0], window=window, shift=(-lower[0], -lower[1], -lower[2]))],
            basis_dim=origin.meta.basis_dim,
            overlap="first",
        ),
        options,
        line=f"crop to {window}" + ", grid kept" * keep_grid,
        progress=progress,
    )


def _voxel_box(grid: GridSpec, corners: tuple[float, ...], units: BoxUnits) -> VoxelBox:
    """The voxels that a box holds."""
    low, high = np.array(corners[:3]), np.array(corners[3:])
    if units == "voxels":
        if not (np.array(corners) == np.floor(corners)).all():
            raise InvalidInput(f"box is {corners}; expected whole numbers of voxels")
        if (low < 0).any() or (high > grid.size).any():
            raise InvalidInput(f"box is {corners}; the grid has the voxels 0 to {grid.size}")
        first, after = low, high
    else:
        first = np.maximum(np.floor(grid.world_to_grid(low) + _ROUNDED), 0)
        after = np.minimum(np.ceil(grid.world_to_grid(high) - _ROUNDED) + 1, grid.size)
    if (after - first < 2).any():
        lower, upper = grid.grid_to_world(np.array([(0, 0, 0), grid.size]) - [[0], [1]]).tolist()
        raise InvalidInput(
            f"box is {corners}, which holds less than two voxels along an axis; the grid has "
            f"{grid.size}, from {lower} to {upper} in the world"
        )
    (x0, y0, z0), (x1, y1, z1) = first.astype(int).tolist(), after.astype(int).tolist()
    return VoxelBox((x0, y0, z0), (x1, y1, z1))
