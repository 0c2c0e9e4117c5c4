"""Reads an open scene brick by brick, in the order of the store, with a few decoded chunks held."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BudgetError
from plenostream.export.colours import VoxelColours
from plenostream.format.brick_rows import BrickRows
from plenostream.format.reader import SceneStore
from plenostream.results import Progress
from plenostream.rules.bytesize import format_bytes

__all__ = ["BrickReader", "refuse_beyond"]

_KEPT = {"rows/sh": 3, "rows/density": 16}
"""Decoded chunks that are held: coefficients are read along, densities of neighbours too."""


class BrickReader:
    """Masks, densities and coefficients of single bricks.

    Arrays of voxels cover the brick's voxels that the grid has, apron included: [nx, ny, nz], at
    most edge^3. Bricks are asked for in the order of the store, or a chunk is decoded twice.
    """

    def __init__(self, store: SceneStore) -> None:
        self.store = store
        self.meta = store.meta
        self.bricks = store.meta.bricks
        self.last = np.asarray(self.bricks.shape) - 1
        self.colours = VoxelColours(store)
        self._rows = BrickRows(
            store, n_chunks=_KEPT["rows/sh"], n_density_chunks=_KEPT["rows/density"]
        )
        self._brick_at: dict[tuple[int, ...], int] = {}

    @property
    def n_bricks(self) -> int:
        """Stored bricks."""
        return self.meta.n_bricks

    def planned_bytes(self) -> int:
        """Bytes that reading holds at most: tables, chunks, and the arrays of a few bricks."""
        specs = self.store.specs
        chunks = sum((most + 1) * specs[name].chunk_bytes for name, most in _KEPT.items())
        voxels = self.bricks.voxels * (64 + 4 * self.meta.sh_columns * 4)
        return self.store.tables.nbytes + chunks + voxels + 200 * self.n_bricks

    def corner(self, brick: int) -> NDArray[np.int64]:
        """First voxel [3] of a brick."""
        first: NDArray[np.int64] = self.store.tables.index[brick].astype(np.int64)
        return first * self.bricks.brick_size

    def held(self, brick: int) -> tuple[int, int, int]:
        """Voxels per axis that a brick has in the grid, apron included."""
        x, y, z = np.minimum(self.bricks.edge, np.asarray(self.bricks.size) - self.corner(brick))
        return int(x), int(y), int(z)

    def owned(self, brick: int) -> tuple[int, int, int]:
        """Voxels per axis that a brick owns: no apron, but for the last brick of an axis."""
        at_end = self.store.tables.index[brick] == self.last
        x, y, z = np.where(at_end, self.held(brick), self.bricks.brick_size)
        return int(x), int(y), int(z)

    def active(self, brick: int) -> NDArray[np.bool_]:
        """Which voxels have a row; those beyond the grid have none."""
        x, y, z = self.held(brick)
        return self._rows.mask(brick)[:x, :y, :z]

    def chosen_rows(self, brick: int, chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Rows, counted in the brick, of the voxels [nx, ny, nz] that are `chosen` and active."""
        active = self.active(brick)
        rank = np.cumsum(active.reshape(-1)).reshape(active.shape) - 1
        return rank[chosen & active]

    def rows(self, brick: int, name: str, *, checked: bool = True) -> NDArray[Any]:
        """All rows of a brick of "rows/density" or "rows/sh", see `BrickRows.rows`."""
        return self._rows.rows(name, brick, checked=checked)

    def check_all(self, tell: Progress) -> None:
        """Hold every brick against its digest, in order: before neighbours are asked for, whose
        coefficients would have to be read for nothing else, again and again.

        Raises
        ------
        BrickCorrupt : one does not match, or a chunk of it is damaged.
        """
        for brick in range(self.n_bricks):
            self._rows.check(brick)
            tell("check", brick + 1, self.n_bricks)

    def density(self, brick: int) -> NDArray[np.float32]:
        """Density of each voxel (per world unit), 0 where there is no row."""
        active = self.active(brick)
        values = np.zeros(active.shape, np.float32)
        values[active] = self.rows(brick, "rows/density")
        return values

    def gradient(self, brick: int) -> NDArray[np.float32]:
        """Gradient of the density at each voxel [nx, ny, nz, 3], world axes, by central differences.

        Voxels of the neighbours count, so that bricks that share a voxel give it one gradient;
        beyond the grid density is 0.
        """
        density = self.density(brick)
        gradient = np.empty((*density.shape, 3), np.float32)
        for axis in range(3):
            low = self._layer(brick, axis, -1, density.shape)
            high = self._layer(brick, axis, 1, density.shape)
            padded = np.concatenate([low, density, high], axis=axis)
            after = np.take(padded, range(2, padded.shape[axis]), axis)
            before = np.take(padded, range(padded.shape[axis] - 2), axis)
            gradient[..., axis] = (after - before) * np.float32(0.5 * self.meta.grid.scale[axis])
        return gradient

    def _layer(
        self, brick: int, axis: int, step: int, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """The densities one voxel before (step -1) or behind the voxels of a brick."""
        layer_shape = list(shape)
        layer_shape[axis] = 1
        if not self._brick_at:
            index = self.store.tables.index.tolist()
            self._brick_at = {tuple(at): number for number, at in enumerate(index)}
        place = self.store.tables.index[brick].tolist()
        place[axis] += step
        neighbour = self._brick_at.get(tuple(place))
        values = np.zeros(layer_shape, np.float32)
        if neighbour is None:
            return values
        # The apron is shared: the voxel before the first is the neighbour's last but one.
        at = self.bricks.brick_size - 1 if step < 0 else 1
        found = self.density(neighbour)
        if at < found.shape[axis]:
            values[...] = np.take(found, [at], axis)
        return values


def refuse_beyond(planned_bytes: int, allowed_bytes: int, *, what: str) -> None:
    """Refuse (BudgetError) an export that would hold more than it is allowed."""
    if planned_bytes > allowed_bytes:
        raise BudgetError(
            f"{what} takes {format_bytes(planned_bytes)} of memory, and "
            f"{format_bytes(allowed_bytes)} are allowed; give it --host-memory {planned_bytes}B",
            planned_bytes=planned_bytes,
            allowed_bytes=allowed_bytes,
            smallest_bytes=planned_bytes,
        )
