"""`merge`: several scenes in one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from plenostream.edits.origins import Origin, make_edited, open_origin
from plenostream.edits.placed import Placed, PlacedScenes, grid_of_box
from plenostream.errors import InvalidInput, shown
from plenostream.field.grid import GridSpec
from plenostream.files.paths import PathLike
from plenostream.importers.arrays.boxes import Triple, VoxelBox
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import OVERLAP, SHIFT, EditOptions, Overlap
from plenostream.results import Progress

__all__ = ["merge"]

_OFF = 0.01
"""Share of a voxel by which lattices may differ: places in scenes are rounded when they are computed."""


def merge(
    scenes: Sequence[PathLike],
    target: PathLike,
    options: EditOptions | None = None,
    *,
    shifts: Sequence[Any] | None = None,
    overlap: Overlap = "denser",
    progress: Progress | None = None,
) -> ConvertReport:
    """Write several scenes as one, at `target`: the smallest grid that holds the grids of all.

    Every voxel that a scene stores is in it, values as they were. Where several store one, that of
    one of them is taken whole, as `overlap` says: "denser", the one of the greatest density (of
    equal ones that of the first); "first" or "last", in the order of `scenes`. Scenes with fewer
    spherical harmonics get zeros for the rest; the picture is the same.

    Parameters
    ----------
    scenes : two or more whose voxels are of one size
    shifts : None: scenes lie where they lie in the world, which has to be a whole number of voxels
        from the first one. Else, for each scene but the first, three whole numbers: the voxel of
        the first one's grid on which its own voxel 0 is laid, wherever it lies in the world

    Raises
    ------
    InvalidInput : fewer than two scenes; voxels of different sizes, or off each other's lattice;
        different bases, background layers or normalised device coordinates; layers around a volume
        that is not the merged one.
    StoreNotFound, StoreFormat, BrickCorrupt, StoreExists, StoreError, OutputError, BudgetError : as
    for `crop`.
    """
    overlap = OVERLAP.check("overlap", overlap)
    if isinstance(scenes, str) or len(scenes) < 2:
        raise InvalidInput(f"scenes is {shown(scenes)}; expected two scenes or more")
    if shifts is not None and len(shifts) != len(scenes) - 1:
        raise InvalidInput(
            f"there are {len(shifts)} shifts and {len(scenes)} scenes; expected one for each scene "
            "but the first"
        )
    origins = [open_origin(scene, target) for scene in scenes]
    places = [(0, 0, 0)]
    for number, origin in enumerate(origins[1:]):
        _check_edges(origins[0], origin)
        if shifts is None:
            places.append(_place(origins[0], origin))
        else:
            places.append(SHIFT.check("shift", shifts[number]))
    box = _around(places, [origin.meta.grid for origin in origins])
    dim = max(origin.meta.basis_dim for origin in origins)
    return make_edited(
        target,
        grid_of_box(origins[0].meta.grid, box),
        origins,
        lambda opened: PlacedScenes(
            [
                Placed(
                    voxels=voxels,
                    window=VoxelBox((0, 0, 0), voxels.meta.grid.size),
                    shift=_difference(place, box.lower),
                )
                for voxels, place in zip(opened, places, strict=True)
            ],
            basis_dim=dim,
            overlap=overlap,
        ),
        options,
        line=f"merge at voxels {', '.join(map(str, places))}, overlap {overlap}",
        progress=progress,
    )


def _check_edges(first: Origin, other: Origin) -> None:
    """Refuse a scene whose voxels are not as large as the first one's, over its whole length."""
    ratio = other.meta.grid.scale / first.meta.grid.scale
    if (np.abs(ratio - 1) * other.meta.grid.size > _OFF).any():
        edges = [(1 / origin.meta.grid.scale).tolist() for origin in (first, other)]
        raise InvalidInput(
            f"voxels of {other.shown} have the edges {edges[1]}, and those of {first.shown} "
            f"{edges[0]}; expected scenes of one lattice"
        )


def _place(first: Origin, other: Origin) -> Triple:
    """Where a scene's voxel 0 lies in the grid of the first one."""
    exact = first.meta.grid.world_to_grid(other.meta.grid.grid_to_world([0.0, 0.0, 0.0]))
    whole = np.rint(exact)
    if (np.abs(exact - whole) > _OFF).any():
        raise InvalidInput(
            f"{other.shown} lies {exact.tolist()} voxels from {first.shown}; expected whole numbers, "
            "or a shift that says where it is to lie"
        )
    x, y, z = whole.astype(int).tolist()
    return x, y, z


def _around(places: Sequence[Triple], grids: Sequence[GridSpec]) -> VoxelBox:
    """The smallest box around all grids, in voxels of the first one."""
    lower = np.array(places)
    upper = lower + [grid.size for grid in grids]
    (x0, y0, z0), (x1, y1, z1) = lower.min(axis=0).tolist(), upper.max(axis=0).tolist()
    return VoxelBox((x0, y0, z0), (x1, y1, z1))


def _difference(one: Triple, other: Triple) -> Triple:
    x, y, z = (a - b for a, b in zip(one, other, strict=True))
    return x, y, z
