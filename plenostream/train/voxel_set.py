"""The voxels that are trained: which there are, and the bricks in which they lie.

Each voxel has one row of numbers, its owner's. In the bricks, the voxels of an apron are copies: a
brick's rows say whose row each of them is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.field.basis import SphericalHarmonics
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.importers.packing.cutting import BrickBox, cut_bricks
from plenostream.integrator.interface import Boxes, SceneShape
from plenostream.plan import BoxTable, build_boxes

__all__ = ["ABSENT", "VoxelSet"]

ABSENT = -1
"""In place of the row of a voxel that has none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelSet:
    """n active voxels of a grid, in b bricks that hold m rows together."""

    grid: GridSpec
    bricks: BrickGrid
    places: NDArray[np.int64]
    """[n], rising: where each voxel is, counted through the grid in C order."""
    index: NDArray[np.int32]
    """[b, 3]: coordinates of the bricks."""
    mask: NDArray[np.uint8]
    """[b, mask_bytes]: see `Arrivals`."""
    row_start: NDArray[np.int64]
    """[b + 1]: rows of brick i are [row_start[i], row_start[i + 1])."""
    owner: NDArray[np.int32]
    """[m]: voxel of each row of the bricks."""
    beyond: NDArray[np.int32]
    """[n, 3]: next voxel along x, y and z; `ABSENT` where there is none, and the voxel itself at the
    grid's end."""
    home: NDArray[np.int32]
    """[n]: a brick that each voxel lies in."""
    around: NDArray[np.int32]
    """[b, 27]: each brick and those around it, itself where there is none."""
    table: BoxTable

    @classmethod
    def of(cls, active: NDArray[np.bool_], grid: GridSpec, brick_size: int) -> VoxelSet:
        """The set of the active voxels [X, Y, Z] of a grid."""
        bricks = BrickGrid(size=grid.size, brick_size=brick_size)
        places = np.flatnonzero(active)
        n = len(places)
        box = BrickBox(bricks=bricks, lower=(0, 0, 0), upper=bricks.shape)
        cut = cut_bricks(active, np.ones(n, np.float32), np.zeros((n, 3), np.float32), box)
        home = np.zeros(n, np.int32)
        home[cut.source] = np.repeat(np.arange(len(cut.index)), np.diff(cut.row_start))
        return cls(
            grid=grid,
            bricks=bricks,
            places=places,
            index=cut.index,
            mask=cut.mask,
            row_start=cut.row_start.astype(np.int64),
            owner=cut.source.astype(np.int32),
            beyond=_beyond(active, places),
            home=home,
            around=_around(cut.index, bricks),
            table=build_boxes(cut.index, cut.boxes, np.ones(len(cut.index), bool), bricks),
        )

    @property
    def n_voxels(self) -> int:
        """Voxels that have a row."""
        return len(self.places)

    @property
    def n_bricks(self) -> int:
        """Bricks that hold one of them."""
        return len(self.index)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.places, self.index, self.mask, self.row_start, self.owner, self.beyond)
        return sum(a.nbytes for a in (*arrays, self.home, self.around)) + self.table.nbytes

    def shape(self, basis_dim: int) -> SceneShape:
        """What an integrator knows of it."""
        counts = np.diff(self.row_start)
        table = self.table
        return SceneShape(
            grid=self.grid,
            bricks=self.bricks,
            basis=SphericalHarmonics(basis_dim).basis,
            sh_dtype="float32",
            largest_rows=int(counts.max(initial=0)),
            n_rows=int(counts.sum()),
            boxes=Boxes(brick=table.brick, block=table.block, corners=table.corners),
        )

    def owners(self, bricks: NDArray[np.int64]) -> NDArray[np.int32]:
        """Voxels of the rows of bricks, brick by brick."""
        starts, stops = self.row_start[bricks].tolist(), self.row_start[bricks + 1].tolist()
        parts = [self.owner[start:stop] for start, stop in zip(starts, stops, strict=True)]
        return np.concatenate([self.owner[:0], *parts])

    def active(self) -> NDArray[np.bool_]:
        """Which voxels [X, Y, Z] of the grid there are."""
        found = np.zeros(self.grid.size, np.bool_)
        found.reshape(-1)[self.places] = True
        return found


def _beyond(active: NDArray[np.bool_], places: NDArray[np.int64]) -> NDArray[np.int32]:
    found = np.empty((len(places), 3), np.int32)
    rows = np.arange(len(places), dtype=np.int32)
    sizes = active.shape
    strides = (sizes[1] * sizes[2], sizes[2], 1)
    for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        wanted = places + stride
        at = np.searchsorted(places, wanted)
        there = at < len(places)
        there[there] = places[at[there]] == wanted[there]
        found[:, axis] = np.where(there, at, ABSENT)
        last = places // stride % size == size - 1
        found[last, axis] = rows[last]
    return found


def _around(index: NDArray[np.int32], bricks: BrickGrid) -> NDArray[np.int32]:
    number = np.full(np.array(bricks.shape) + 2, ABSENT, np.int32)
    itself = np.arange(len(index), dtype=np.int32)
    number[tuple((index + 1).T)] = itself
    steps = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    found = number[tuple(np.moveaxis(index[:, None] + steps, -1, 0))]
    whole: NDArray[np.int32] = np.where(found == ABSENT, itself[:, None], found)
    return whole
