"""`prune`: a scene without its thin voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.edits.origins import make_edited, open_origin
from plenostream.edits.voxels import SceneVoxels
from plenostream.files.paths import PathLike
from plenostream.importers.arrays.boxes import BoxValues, VoxelBox
from plenostream.importers.packing.report import ConvertReport
from plenostream.options import PRUNE_DENSITY, EditOptions
from plenostream.results import Progress

__all__ = ["prune"]


def prune(
    scene: PathLike,
    target: PathLike,
    options: EditOptions | None = None,
    *,
    min_density: float = 0.0,
    progress: Progress | None = None,
) -> ConvertReport:
    """Write a scene without the voxels that are thin, and so are all 26 around them.

    A voxel is kept, as it is, if its density or that of one of its neighbours exceeds `min_density`
    (per world unit). So the cells around denser voxels stay as they are, and with 0 the picture
    is the same. What is left out is empty.

    Raises
    ------
    InvalidInput : `min_density` is against its rule.
    StoreNotFound, StoreFormat, BrickCorrupt, StoreExists, StoreError, OutputError, BudgetError : as
    for `crop`.
    """
    min_density = PRUNE_DENSITY.check("min_density", min_density)
    origin = open_origin(scene, target)
    return make_edited(
        target,
        origin.meta.grid,
        [origin],
        lambda scenes: _Dense(scenes[0], min_density),
        options,
        line=f"prune to densities above {min_density!r} and their neighbours",
        progress=progress,
    )


class _Dense:
    """A `BoxSource`: a scene in which only densities above a threshold count."""

    def __init__(self, voxels: SceneVoxels, min_density: float) -> None:
        self._voxels, self._min_density = voxels, min_density

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """See `BoxSource`."""
        if self._voxels.active(box) is None:
            return None
        dense: NDArray[np.bool_] = self._voxels.density(box) > self._min_density
        return dense if dense.any() else None

    def values(self, box: VoxelBox) -> BoxValues:
        """See `BoxSource`."""
        return self._voxels.values(box)
