"""Where rays without a common eye see boxes: bundles around the rays of tiles, tile by tile.

A bundle is bounds of the origins and of the directions of a tile's rays, axis by axis, and a larger
one holds those of 2 x 2 neighbours. A box is looked for in the pyramid of bundles (`pyramid`), and not below
bundles that are much narrower than the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plenostream.plan.pyramid import Meet, find_rects
from plenostream.plan.screen import Rects

__all__ = ["BundleScreen", "TileBundles", "bundle_levels", "tile_bundles"]

_NARROW = 0.25
"""Part of a box's shortest edge below which a bundle is not divided any more."""
_MARGIN = 1e-6
"""Grid units, and part of a direction's largest component, by which bounds grow: more than rounding
moves a ray, and enough to take a component near 0 for one that is 0."""
_FAR = 1e30

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TileBundles:
    """Bounds of the rays of tiles [rows, columns], in the grid; of tiles without rays, low > high."""

    low: Float64
    """[rows, columns, 2, 3]: lower bounds of origins and directions (of any length)."""
    high: Float64
    """[rows, columns, 2, 3]: upper bounds."""


def tile_bundles(
    origins: Float64, directions: Float64, seen: NDArray[np.bool_]
) -> tuple[Float64, Float64]:
    """Bounds [t, 2, 3], lower and upper, of the rays of tiles.

    Parameters
    ----------
    origins, directions : [3, t, r] in the grid
    seen : [t, r] which are rays
    """
    low, high = np.empty((len(seen), 2, 3)), np.empty((len(seen), 2, 3))
    for number, rays in enumerate((origins, directions)):
        low[:, number] = np.where(seen, rays, _FAR).min(-1).T
        high[:, number] = np.where(seen, rays, -_FAR).max(-1).T
    reach = np.where(low <= high, np.maximum(np.abs(low), np.abs(high)), 0.0)
    slack = _MARGIN * reach.max(-1, keepdims=True)
    slack[:, 0] += _MARGIN
    return low - slack, high + slack


def bundle_levels(tiles: TileBundles) -> tuple[TileBundles, ...]:
    """From the tiles up: each has the bundles of 2 x 2 of those before, the last a single one."""
    levels = [tiles]
    while levels[-1].low[..., 0, 0].size > 1:
        below = levels[-1]
        rows, columns = (edge + edge % 2 for edge in below.low.shape[:2])
        joined = []
        for bounds, nothing, join in ((below.low, _FAR, np.min), (below.high, -_FAR, np.max)):
            padded = np.full((rows, columns, 2, 3), nothing)
            padded[: bounds.shape[0], : bounds.shape[1]] = bounds
            fours = padded.reshape(rows // 2, 2, columns // 2, 2, 2, 3)
            joined.append(join(fours, axis=(1, 3)))
        levels.append(TileBundles(*joined))
    return tuple(levels)


@dataclass(frozen=True, slots=True, eq=False)
class BundleScreen:
    """See `screen.Screen`."""

    size: tuple[int, int, int]
    """Voxels per axis."""
    levels: tuple[TileBundles, ...]
    """See `bundle_levels`."""

    @property
    def rows(self) -> int:
        """See `Screen.rows`."""
        return len(self.levels[0].low)

    @property
    def columns(self) -> int:
        """See `Screen.columns`."""
        return len(self.levels[0].low[0])

    def rects(
        self, low: NDArray[np.int32], high: NDArray[np.int32], which: NDArray[np.int64]
    ) -> Rects:
        """See `Screen.rects`; the rectangle around the tiles whose bundles may meet the box."""

        def looking_for(part: NDArray[np.int64]) -> Meet:
            return partial(self._meet_of_boxes, low[part], high[part])

        shapes = [(len(level.low), len(level.low[0])) for level in self.levels]
        return find_rects(which, shapes, looking_for)

    def _meet_of_boxes(
        self,
        low: NDArray[np.int32],
        high: NDArray[np.int32],
        level: int,
        box: NDArray[np.int64],
        row: NDArray[np.int64],
        column: NDArray[np.int64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """See `pyramid.Meet`, of boxes [n, 3]."""
        bundles = self.levels[level]
        bounds = bundles.low[row, column], bundles.high[row, column]
        return self._meet(low[box], high[box], *bounds)

    def _meet(
        self,
        low: NDArray[np.int32],
        high: NDArray[np.int32],
        least: Float64,
        most: Float64,
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether a ray within bounds [n, 2, 3] may meet a box [n, 3], and whether all of them are
        close together there.

        At a distance t, origin and direction put an axis between ``o- + t d-`` and ``o+ + t d+``: each
        side of the box says from when, or until when, that is not beyond it.
        """
        enter, leave = np.zeros(len(low)), np.full(len(low), _FAR)
        last = np.array(self.size) - 1
        for axis in range(3):
            o_low, d_low = least[:, 0, axis], least[:, 1, axis]
            o_high, d_high = most[:, 0, axis], most[:, 1, axis]
            below, above = low[:, axis].astype(np.float64), high[:, axis].astype(np.float64)
            # Positions are clamped to the border: its boxes reach half a voxel further, and without
            # end for a ray that does not move along the axis.
            still = (d_low <= 0.0) & (d_high >= 0.0)
            beyond = np.where(still, _FAR, 0.5)
            below = np.where(low[:, axis] == 0, below - beyond, below)
            above = np.where(high[:, axis] == last[axis], above + beyond, above)
            for gap, speed in ((above - o_low, d_low), (o_high - below, -d_high)):
                # From `gap` on that side, which shrinks by `speed` a unit of t.
                moving = np.where(speed == 0.0, 1.0, speed)
                with np.errstate(over="ignore"):  # far beyond the volume is far enough
                    t = gap / moving
                leave = np.where(speed > 0.0, np.minimum(leave, t), leave)
                enter = np.where(speed < 0.0, np.maximum(enter, t), enter)
                leave = np.where((speed == 0.0) & (gap < 0.0), -1.0, leave)
        met = (enter <= leave) & (least[:, 0, 0] <= most[:, 0, 0])
        first = np.where(met, enter, 0.0)[:, None]
        spread = (most[:, 0] - least[:, 0]) + first * (most[:, 1] - least[:, 1])
        narrow = spread.max(-1) <= _NARROW * (high - low).min(-1)
        return met, narrow
