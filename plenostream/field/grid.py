"""Where voxels, cells and bricks are: world <-> grid coordinates, bricks of cells.

Grid coordinates: voxel i has its centre at coordinate i on each axis; the volume is the box
[-0.5, size - 0.5]. A cell is the cube between eight voxel centres, so an axis of `size` voxels
has `size - 1` cells, and brick b of edge B covers cells [b B, (b + 1) B).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.errors import InvalidInput

__all__ = ["BLOCK_SIZE", "BRICK_SIZES", "BrickGrid", "GridSpec"]

BRICK_SIZES = (8, 16, 32)
BLOCK_SIZE = 8
"""Edge, in cells, of the blocks whose tight boxes the store holds and the integrator skips by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSpec:
    """Shape of a voxel grid and its place in the world."""

    size: tuple[int, int, int]
    """Voxels per axis, at least 2 each."""
    radius: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Half the extent of the volume per axis (world units), above zero."""
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Middle of the volume (world units)."""

    def __post_init__(self) -> None:
        whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in self.size)
        if len(self.size) != 3 or not whole or min(self.size) < 2:
            raise InvalidInput(f"grid size is {self.size}; expected three axes of 2 voxels or more")
        if len(self.radius) != 3 or not all(0 < r < math.inf for r in self.radius):
            raise InvalidInput(f"radius is {self.radius}; expected three finite numbers above zero")
        if len(self.center) != 3 or not all(math.isfinite(c) for c in self.center):
            raise InvalidInput(f"center is {self.center}; expected three finite numbers")
        voxels = zip(self.size, self.radius, self.center, strict=True)
        # Python's division: where float64 ends it is infinite, and warns of nothing.
        if not all(math.isfinite(n / r) and math.isfinite(c / r * n) for n, r, c in voxels):
            raise InvalidInput(
                f"the grid has a radius of {self.radius} and its center at {self.center}, in "
                f"{self.size} voxels; positions in it are beyond float64. Use another unit of length"
            )

    @property
    def level(self) -> int:
        """How often the grid was halved since it was converted: 0, unless it is a `CoarseGrid`."""
        return 0

    @property
    def extent(self) -> NDArray[np.float64]:
        """Edges of the volume in grid units, [3]."""
        return np.asarray(self.size, np.float64)

    @property
    def margin(self) -> float:
        """Grid units from the first voxel's centre to the volume's edge, and from the last one's."""
        return 0.5

    @property
    def scale(self) -> NDArray[np.float64]:
        """Grid units per world unit, [3] (svox2: 0.5 / radius * size)."""
        return 0.5 / np.asarray(self.radius, np.float64) * np.asarray(self.size, np.float64)

    @property
    def offset(self) -> NDArray[np.float64]:
        """Grid coordinates of the world's origin, [3]."""
        radius, center = np.asarray(self.radius, np.float64), np.asarray(self.center, np.float64)
        return 0.5 * (1.0 - center / radius) * np.asarray(self.size, np.float64) - 0.5

    @property
    def half_density(self) -> float:
        """Density (per world unit) of which the shortest edge of a voxel takes half of the light."""
        return math.log(2.0) * float(self.scale.max())

    def world_to_grid(self, points_world: ArrayLike) -> NDArray[np.float64]:
        """Grid coordinates of points [..., 3] given in world coordinates."""
        return np.asarray(points_world, np.float64) * self.scale + self.offset

    def grid_to_world(self, points_grid: ArrayLike) -> NDArray[np.float64]:
        """World coordinates of points [..., 3] given in grid coordinates."""
        return (np.asarray(points_grid, np.float64) - self.offset) / self.scale


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickGrid:
    """How a grid is cut into bricks of B cells an axis, each with the (B + 1)^3 voxels at their corners."""

    size: tuple[int, int, int]
    """Voxels per axis of the whole grid."""
    brick_size: int
    """Cells per axis of a brick, B: 8, 16 or 32."""
    shape: tuple[int, int, int] = field(init=False, repr=False, compare=False)
    """Bricks per axis: ceil((size - 1) / B). Kept: it is asked for with every box of voxels."""

    def __post_init__(self) -> None:
        if not isinstance(self.brick_size, Integral) or self.brick_size not in BRICK_SIZES:
            raise InvalidInput(f"brick size is {self.brick_size}; expected one of {BRICK_SIZES}")
        x, y, z = (-(-(n - 1) // self.brick_size) for n in self.size)
        object.__setattr__(self, "shape", (x, y, z))

    @property
    def edge(self) -> int:
        """Voxels per axis of a brick, B + 1: the upper layer is the apron, repeated from neighbours."""
        return self.brick_size + 1

    @property
    def voxels(self) -> int:
        """Voxels of a brick, apron included."""
        return self.edge**3

    @property
    def mask_bytes(self) -> int:
        """Bytes of one brick's bit mask of active voxels."""
        return -(-self.voxels // 8)

    @property
    def blocks_per_axis(self) -> int:
        """Blocks of 8 cells along one edge of a brick."""
        return self.brick_size // BLOCK_SIZE

    @property
    def blocks(self) -> int:
        """Blocks of 8^3 cells of a brick."""
        return self.blocks_per_axis**3
