"""The voxels of a scene, box by box: what its masks and rows say of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from plenostream.format.brick_rows import BrickRows
from plenostream.format.reader import SceneStore
from plenostream.importers.arrays.boxes import BoxValues, VoxelBox

__all__ = ["SceneVoxels"]


class SceneVoxels:
    """Boxes of an open scene. Each voxel is read from the brick that owns it.

    Memory: that of `BrickRows`.
    """

    def __init__(self, store: SceneStore, *, n_chunks: int) -> None:
        self.meta = store.meta
        self._bricks = BrickRows(store, n_chunks=n_chunks)

    def active(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """Which voxels of a box are stored, [x, y, z]; None: none of them."""
        found = np.zeros(box.shape, np.bool_)
        for brick, own, common in self._pieces(box):
            found[common.within(box)] = self._bricks.mask(brick)[common.within(own)]
        return found if found.any() else None

    def density(self, box: VoxelBox) -> NDArray[np.float32]:
        """Densities [x, y, z] (per world unit) of a box, 0 where no voxel is stored."""
        return self._read(box, "rows/density", ())

    def values(self, box: VoxelBox) -> BoxValues:
        """Densities and coefficients of a box, 0 where no voxel is stored, and which ones are."""
        active = self.active(box)
        return BoxValues(
            density=self.density(box),
            colours=self._read(box, "rows/sh", (self.meta.sh_columns,)),
            given=np.zeros(box.shape, np.bool_) if active is None else active,
        )

    def _read(self, box: VoxelBox, name: str, columns: tuple[int, ...]) -> NDArray[np.float32]:
        edge = self.meta.bricks.edge
        out = np.zeros((*box.shape, *columns), np.float32)
        whole = np.zeros((edge, edge, edge, *columns), np.float32)
        for brick, own, common in self._pieces(box):
            active = self._bricks.mask(brick)
            whole[...] = 0
            whole[active] = self._bricks.rows(name, brick)
            out[common.within(box)] = whole[common.within(own)]
        return out

    def holders(self, box: VoxelBox) -> Iterator[tuple[int, VoxelBox, VoxelBox]]:
        """As `_pieces`, of all stored bricks that hold a voxel of a box, in their aprons too."""
        edge = self.meta.bricks.edge
        x, y, z = (max(a - 1, 0) for a in box.lower)
        for place, brick in self._bricks.within((x, y, z), box.upper):
            x, y, z = (i * self.meta.brick_size for i in place)
            whole = VoxelBox((x, y, z), (x + edge, y + edge, z + edge))
            yield brick, whole, whole.common(box)

    def _pieces(self, box: VoxelBox) -> Iterator[tuple[int, VoxelBox, VoxelBox]]:
        """Stored bricks that own a voxel of a box: number, all their voxels, those in the box."""
        edge = self.meta.bricks.edge
        for place, brick in self._bricks.within(box.lower, box.upper):
            x, y, z = (i * self.meta.brick_size for i in place)
            own_x, own_y, own_z = self._bricks.owned(place)
            own = VoxelBox((x, y, z), (x + own_x, y + own_y, z + own_z))
            whole = VoxelBox((x, y, z), (x + edge, y + edge, z + edge))
            yield brick, whole, own.common(box)
