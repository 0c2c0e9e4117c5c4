"""Voxels and rows counted by planes of constant x: what says where each slab's rows begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.format.layout import SLAB_BRICKS

__all__ = ["PlaneCounts", "count_box", "shared_voxels", "slab_planes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlaneCounts:
    """The active voxels of a grid, counted."""

    plane_voxels: NDArray[np.int64]
    """Active voxels of each plane of constant x, [X]."""
    plane_rows: NDArray[np.int64]
    """The same, voxels counted once for each pair of bricks along y and z that hold them, [X]."""

    @property
    def n_voxels(self) -> int:
        """Active voxels."""
        return int(self.plane_voxels.sum())

    def voxels_before(self) -> NDArray[np.int64]:
        """Active voxels before each plane, [X + 1]."""
        return np.concatenate([[0], np.cumsum(self.plane_voxels)])

    def slab_voxels(self, bricks: BrickGrid) -> NDArray[np.int64]:
        """Active voxels of each slab, apron included, [slabs]."""
        planes = slab_planes(bricks)
        return np.array([self.plane_voxels[x0 : x1 + 1].sum() for x0, x1 in planes], np.int64)

    def slab_rows(self, bricks: BrickGrid) -> NDArray[np.int64]:
        """Rows that each slab of bricks stores, [slabs]."""
        planes = slab_planes(bricks)
        # Planes between two bricks of a slab are stored by both.
        return np.array(
            [
                self.plane_rows[x0 : x1 + 1].sum()
                + self.plane_rows[x0 + bricks.brick_size : x1 : bricks.brick_size].sum()
                for x0, x1 in planes
            ],
            np.int64,
        )


def slab_planes(bricks: BrickGrid) -> list[tuple[int, int]]:
    """First and last plane of voxels of each slab, apron included."""
    thickness = SLAB_BRICKS * bricks.brick_size
    last = bricks.size[0] - 1
    return [(x, min(x + thickness, last)) for x in range(0, last, thickness)]


def shared_voxels(size: int, brick_size: int) -> NDArray[np.bool_]:
    """Which voxels of an axis lie in two bricks, [size]."""
    voxel = np.arange(size)
    shared: NDArray[np.bool_] = (voxel % brick_size == 0) & (voxel > 0) & (voxel < size - 1)
    return shared


def count_box(
    active: NDArray[np.bool_],
    lower: tuple[int, int, int],
    bricks: BrickGrid,
    counted: NDArray[np.int64],
) -> None:
    """Add the active voxels of a box [x, y, z] from voxel `lower` on to those of their planes, and to
    the rows that these make: `plane_voxels` and `plane_rows` of `counted` [2, X]."""
    x, y, z = (slice(a, a + n) for a, n in zip(lower, active.shape, strict=True))
    shared_y = shared_voxels(bricks.size[1], bricks.brick_size)[y]
    shared_z = shared_voxels(bricks.size[2], bricks.brick_size)[z]
    lines = np.count_nonzero(active, axis=2)
    twice = lines + np.count_nonzero(active[:, :, shared_z], axis=2)
    counted[0, x] += lines.sum(axis=1)
    counted[1, x] += (twice * (1 + shared_y)).sum(axis=1)
