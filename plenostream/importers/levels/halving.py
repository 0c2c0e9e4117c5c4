"""Half the resolution: each coarse voxel is a mean of the 27 finer ones around it.

Along each axis coarse voxel i takes a quarter of voxels 2 i - 1 and 2 i + 1, and half of voxel 2 i.
Beyond the grid's border its last voxel repeats. Pure NumPy on the voxels that one brick owns, whose
part in the sums does not depend on what else is halved with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid

__all__ = ["BELOW_ZERO", "Halving", "weighed"]

BELOW_ZERO = 0.5
"""What a density below 0 of level 0 counts. Densities are cut off at 0 between voxels: of a line from p
to -p the mean of what is drawn is p / 4, and so is that of p and -p / 2. Counted whole, thin surfaces
lost their density (level 1 of still_256 had an alpha of 0.202 in the mean, level 0 0.214); not at all,
they grew (0.239)."""
_LEAST_WEIGHT = 1e-20
"""Weight of a colour where nothing around has a density: there all count alike."""


def weighed(
    active: NDArray[np.bool_],
    density: NDArray[np.float32],
    sh: NDArray[np.floating],
    *,
    below: float,
) -> NDArray[np.float32]:
    """What is added up for the voxels of a brick, [x, y, z, 2 + c]: density, the weight of the
    coefficients, and these times the weight; 0 where no voxel is `active`. Densities below 0 count
    `below` times, see `BELOW_ZERO`."""
    out = np.zeros((*active.shape, 2 + sh.shape[1]), np.float32)
    counts = np.where(density < 0, np.float32(below) * density, density)
    weight = np.maximum(density, 0) + np.float32(_LEAST_WEIGHT)
    out[active] = np.column_stack([counts, weight, sh.astype(np.float32) * weight[:, None]])
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Halving:
    """Where the voxels of a finer brick go: those that it owns, at a place [3] of the finer grid."""

    bricks: BrickGrid
    """The finer ones."""
    place: tuple[int, int, int]

    @property
    def lower(self) -> tuple[int, int, int]:
        """First coarse voxel that the brick has a part in; its middle ones are every second voxel."""
        x, y, z = (i * self.bricks.brick_size // 2 for i in self.place)
        return x, y, z

    def values(self, fine: NDArray[Any]) -> NDArray[Any]:
        """The brick's part in the means, [x, y, z, ...] from coarse voxel `lower` on."""
        for axis in range(3):
            even, odd = self._split(fine, axis)
            shape = (even.shape[0] + 1, *even.shape[1:])
            out = np.zeros(shape, fine.dtype)
            out[:-1] = 0.5 * even + 0.25 * odd
            out[1:] += 0.25 * odd
            fine = np.moveaxis(self._inside(out, axis), 0, axis)
        return fine

    def touched(self, fine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of them have a part of an active voxel, [x, y, z]."""
        for axis in range(3):
            even, odd = self._split(fine, axis)
            out = np.zeros((even.shape[0] + 1, *even.shape[1:]), np.bool_)
            out[:-1] = even | odd
            out[1:] |= odd
            fine = np.moveaxis(self._inside(out, axis), 0, axis)
        return fine

    def _split(self, fine: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Voxels of even and of odd numbers, the axis first; repeated beyond the border."""
        values = np.moveaxis(fine, axis, 0)
        below = [values[:1]] * 2 if self.place[axis] == 0 else []
        size, last = self.bricks.size[axis], self.place[axis] == self.bricks.shape[axis] - 1
        above = [values[-1:]] * (2 - size % 2) if last else []
        if below or above:
            values = np.concatenate([*below, values, *above])
        return values[0::2], values[1::2]

    def _inside(self, coarse: NDArray[Any], axis: int) -> NDArray[Any]:
        """Without coarse voxels beyond the border."""
        first = 1 if self.place[axis] == 0 else 0
        last = self.place[axis] == self.bricks.shape[axis] - 1
        return coarse[first : len(coarse) - 1 if last else len(coarse)]
