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
_SHARES = 64
"""In these, the middle one of the 27 voxels has 8, and those at the corners have 1."""
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
    values = np.empty((len(density), 2 + sh.shape[1]), np.float32)
    values[:, 0] = np.where(density < 0, np.float32(below) * density, density)
    values[:, 1] = np.maximum(density, 0) + np.float32(_LEAST_WEIGHT)
    np.multiply(sh, values[:, 1:2], out=values[:, 2:], dtype=np.float32)
    out = np.zeros((*active.shape, values.shape[1]), np.float32)
    out[active] = values
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

    def values(self, fine: NDArray[np.float32]) -> NDArray[np.float32]:
        """The brick's part in the means, [x, y, z, ...] from coarse voxel `lower` on."""
        for axis in range(3):
            even, odd = self._split(fine, axis)
            out = np.empty(
                (*fine.shape[:axis], even.shape[axis] + 1, *fine.shape[axis + 1 :]), fine.dtype
            )
            first, second = out[_along(axis, None, -1)], out[_along(axis, 1, None)]
            np.add(even, even, out=first)
            out[_along(axis, -1, None)] = 0
            first += odd
            second += odd
            fine = self._inside(out, axis)
        return fine / np.float32(_SHARES)

    def touched(self, fine: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of them have a part of an active voxel, [x, y, z]."""
        for axis in range(3):
            even, odd = self._split(fine, axis)
            out = np.zeros(
                (*fine.shape[:axis], even.shape[axis] + 1, *fine.shape[axis + 1 :]), np.bool_
            )
            np.logical_or(even, odd, out=out[_along(axis, None, -1)])
            out[_along(axis, 1, None)] |= odd
            fine = self._inside(out, axis)
        return fine

    def _split(self, values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Voxels of even and of odd numbers along an axis; repeated beyond the border."""
        below = [values[_along(axis, None, 1)]] * 2 if self.place[axis] == 0 else []
        size, last = self.bricks.size[axis], self.place[axis] == self.bricks.shape[axis] - 1
        above = [values[_along(axis, -1, None)]] * (2 - size % 2) if last else []
        if below or above:
            values = np.concatenate([*below, values, *above], axis=axis)
        return values[_along(axis, None, None, 2)], values[_along(axis, 1, None, 2)]

    def _inside(self, coarse: NDArray[Any], axis: int) -> NDArray[Any]:
        """Without coarse voxels beyond the border."""
        last = self.place[axis] == self.bricks.shape[axis] - 1
        return coarse[_along(axis, 1 if self.place[axis] == 0 else None, -1 if last else None)]


def _along(axis: int, *part: int | None) -> tuple[slice, ...]:
    """What takes a part of an axis, and all of those before it."""
    return (*[slice(None)] * axis, slice(*part))
