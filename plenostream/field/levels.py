"""Grids of half the resolution, a quarter, ...: where the voxels of coarser levels lie.

Voxel i of level l lies at voxel 2^l i of level 0, so grid coordinates of level l are those of level
0 divided by 2^l, and bricks of all levels tile the same space. The volume stays that of level 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import GridSpec

__all__ = ["MOST_LEVELS", "CoarseGrid", "coarse_grid", "halvings"]

MOST_LEVELS = 16
"""Levels beside level 0 that a scene may have."""
_SMALLEST = 32
"""Voxels along the longest axis below which nothing is gained by halving a grid once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoarseGrid(GridSpec):
    """Every 2^level-th voxel of `base`, along each axis as many as reach its last one.

    `radius` and `center` are those of a volume that ends half a voxel beyond the last voxels. The
    one that is drawn is `base`'s.
    """

    base: GridSpec
    halved: int
    """The level."""

    @property
    def level(self) -> int:
        """See `GridSpec`."""
        return self.halved

    @property
    def extent(self) -> NDArray[np.float64]:
        """See `GridSpec`."""
        return self.base.extent / 2.0**self.halved

    @property
    def margin(self) -> float:
        """See `GridSpec`."""
        return self.base.margin / 2.0**self.halved

    @property
    def scale(self) -> NDArray[np.float64]:
        """Grid units per world unit, [3]."""
        return self.base.scale / 2.0**self.halved

    @property
    def offset(self) -> NDArray[np.float64]:
        """Grid coordinates of the world's origin, [3]."""
        return self.base.offset / 2.0**self.halved


def coarse_grid(base: GridSpec, level: int) -> GridSpec:
    """The grid of a level of `base`, which is level 0."""
    if level == 0:
        return base
    width = 2**level
    x, y, z = (-(-(n - 1) // width) + 1 for n in base.size)
    radius = np.asarray(base.radius) * (x, y, z) * width / base.size
    # The middle of the voxels and half a voxel around them.
    middle = (np.array((x, y, z)) - 1.0) / 2.0
    center = (middle - base.offset / width) / (base.scale / width)
    return CoarseGrid(
        size=(x, y, z),
        radius=tuple(radius.tolist()),
        center=tuple(center.tolist()),
        base=base,
        halved=level,
    )


def halvings(size: tuple[int, int, int]) -> int:
    """Levels that halve a grid of `size` voxels down to some 32 along its longest axis."""
    level, longest = 0, max(size)
    while longest > _SMALLEST and level < MOST_LEVELS:
        longest = -(-(longest - 1) // 2) + 1
        level += 1
    return level
