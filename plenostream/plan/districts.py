"""Where a scene of very many bricks has some to draw, so that a picture looks at those near it alone.

A district is a cube of bricks. Which districts are in view says which bricks a picture may need,
and a few more around them: a camera that moves a little needs no others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.plan.cut import distance_to
from plenostream.plan.screen import Screen

__all__ = ["Districts"]

_LEAST_EDGE = 8
"""Bricks along an edge: an even number, so that bricks of the next level lie in one district, too."""
_MOST = 1 << 18
"""Districts of a scene, in space: in larger grids they have longer edges."""
_AT_ONCE = 1 << 18
"""Bricks that are looked at together: bounds the temporaries."""


class Districts:
    """The districts of a scene that have occupied bricks."""

    def __init__(
        self, index: NDArray[np.int32], occupied: NDArray[np.bool_], bricks: BrickGrid
    ) -> None:
        """Take the coordinates of all bricks [n, 3], and which are occupied [n]; both are kept."""
        self._index, self._occupied, self._bricks = index, occupied, bricks
        self._bits = _LEAST_EDGE.bit_length() - 1
        while math.prod(self._shape) > _MOST:
            self._bits += 1
        here = self.none()
        for some, district in self._districts():
            here[district[occupied[some]]] = True
        self._place = np.flatnonzero(here)
        self._at = np.stack(np.unravel_index(self._place, self._shape), -1).astype(np.int32)

    def none(self) -> NDArray[np.bool_]:
        """No district [in space]."""
        return np.zeros(math.prod(self._shape), np.bool_)

    def seen(self, screen: Screen) -> NDArray[np.bool_]:
        """Which districts [in space] a screen may see."""
        low = self._at * self._edge
        high = np.minimum(low + self._edge, np.array(self._bricks.size, np.int32) - 1)
        return self._where(screen.rects(low, high, np.arange(len(low))).which)

    def nearer(
        self,
        reach: float,
        *,
        level: int,
        eye_grid: NDArray[np.float64],
        voxel_edges: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        """Which districts [in space] of a level begin less than `reach` away, see `plan.cut`."""
        away = distance_to(self._at, self._edge * 2**level, eye_grid, voxel_edges)
        return self._where(np.flatnonzero(away < reach))

    def around(self, districts: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those [in space] and all that touch them."""
        near = np.pad(districts.reshape(self._shape), 1)
        for axis in range(3):
            near |= np.roll(near, 1, axis) | np.roll(near, -1, axis)
        return near[1:-1, 1:-1, 1:-1].reshape(-1)

    def bricks(self, districts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The occupied bricks, rising, of districts [in space]."""
        found = [np.empty(0, np.int64)]
        for some, district in self._districts():
            mine = districts[district] & self._occupied[some]
            found.append(np.flatnonzero(mine) + some.start)
        return np.concatenate(found)

    @property
    def _edge(self) -> int:
        """Cells along an edge."""
        return self._bricks.brick_size << self._bits

    @property
    def _shape(self) -> tuple[int, int, int]:
        x, y, z = (((n - 1) >> self._bits) + 1 for n in self._bricks.shape)
        return x, y, z

    def _where(self, which: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = self.none()
        found[self._place[which]] = True
        return found

    def _districts(self) -> Iterator[tuple[slice, NDArray[np.int32]]]:
        """Bricks, some at a time, and the district of each."""
        _, y, z = self._shape
        for start in range(0, len(self._index), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            at = self._index[some] >> self._bits
            yield some, (at[:, 0] * y + at[:, 1]) * z + at[:, 2]
