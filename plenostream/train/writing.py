"""A scene of the rows that are trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.files.paths import PathLike
from plenostream.importers.arrays.write import write_scene
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import ConvertOptions
from plenostream.results import Progress
from plenostream.train.rows import TrainedRows
from plenostream.train.voxel_set import ABSENT, VoxelSet

__all__ = ["write_rows"]

Corner = tuple[int, int, int]


def write_rows(
    target: PathLike,
    voxel_set: VoxelSet,
    rows: TrainedRows,
    *,
    name: str,
    host_memory: int,
    overwrite: bool,
    progress: Progress,
) -> ConvertReport:
    """Write the scene of rows, float16 as they were drawn; raises as `write_scene`."""
    row_at = np.full(voxel_set.grid.size, ABSENT, np.int32)
    row_at.reshape(-1)[voxel_set.places] = np.arange(voxel_set.n_voxels, dtype=np.int32)

    def box(lower: Corner, upper: Corner) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        found = row_at[tuple(map(slice, lower, upper))]
        there = found != ABSENT
        if not there.any():
            return None
        density = np.zeros(found.shape, np.float32)
        colours = np.zeros((*found.shape, rows.columns), np.float32)
        density[there] = rows.density[found[there]]
        colours[there] = rows.sh[found[there]]
        return density, colours

    options = ConvertOptions(dtype="float16", host_memory=host_memory, overwrite=overwrite)
    return write_scene(
        target,
        voxel_set.grid,
        box,
        options,
        basis_dim=rows.columns // 3,
        name=name,
        progress=progress,
    )
