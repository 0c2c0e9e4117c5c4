"""Where a camera sees boxes: rectangles of screen tiles whose rays may meet them.

A pinhole and an orthographic camera are linear: the corners of a box are projected, which is exact
(`PinholeScreen`, `ParallelScreen`). Any other lens is known by cones around the rays of its tiles
(`cones`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BOXES_AT_ONCE",
    "ParallelScreen",
    "PinholeScreen",
    "Rects",
    "Screen",
    "bounds_of_boxes",
    "rects_alive",
    "rects_cover",
]

BOXES_AT_ONCE = 16_384
"""Boxes that are projected at once; bounds the float64 temporaries of scenes of any size."""
_NEAR = 1e-6
"""Boxes are cut at this distance before the eye (shortest edges of a voxel), so that what is beside or behind
it projects to nothing infinite."""
_PARALLEL = 1e-12
"""Part of a direction's terms that their sum may miss 0 by where another order of sums gives 0."""
_MARGIN = 1e-3
"""Pixels by which rectangles grow, so that rounding in the projection loses no ray."""


@dataclass(frozen=True, slots=True)
class Rects:
    """Boxes and the screen tiles that may see them."""

    which: NDArray[np.int64]
    """[v]: number of each box."""
    first: NDArray[np.int64]
    """[v, 2]: first tile column and row."""
    last: NDArray[np.int64]
    """[v, 2]: one past the last tile column and row."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.which.nbytes + self.first.nbytes + self.last.nbytes


class Screen(Protocol):
    """The part of a camera's picture that boxes are looked for in; its tiles count from there."""

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        ...

    @property
    def columns(self) -> int:
        """Tiles of a row."""
        ...

    def rects(
        self, low: NDArray[np.int32], high: NDArray[np.int32], which: NDArray[np.int64]
    ) -> Rects:
        """Those of the boxes `which` (rows of `low` and `high` [m, 3]) that are in view, each with
        the tiles whose rays may meet it."""
        ...


def bounds_of_boxes(
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    size: tuple[int, int, int],
    border: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where boxes [n, 3] of cells begin and end in grid coordinates; those at the lower and upper
    border of a grid of `size` voxels reach to `border`."""
    below, above = border
    last = np.array(size) - 1
    return np.where(low == 0, below, low), np.where(high == last, above, high)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _LinearScreen(ABC):
    """A screen that boxes are projected to corner by corner."""

    size: tuple[int, int, int]
    """Voxels per axis; boxes at the border reach half a voxel further, where positions clamp."""
    eye_grid: NDArray[np.float64]
    """[3]: the camera's centre."""
    to_camera: NDArray[np.float64]
    """[3, 3]: grid directions to camera axes (x right, y down, z forward), in the unit of length
    that the class says."""
    intrinsics: tuple[float, float, float, float]
    """fx, fy, cx, cy."""
    pixels: tuple[int, int, int, int]
    """Left, top, right, bottom of the part of the picture; tiles count from its left top."""
    tile: int
    """Edge of a tile in pixels."""
    _border: tuple[NDArray[np.float64], NDArray[np.float64]] = field(init=False)
    """Where boxes at the lower and at the upper border end, [3] each, in grid coordinates."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_border", self._border_of_boxes())

    @property
    def rows(self) -> int:
        """See `Screen.rows`."""
        return -(-(self.pixels[3] - self.pixels[1]) // self.tile)

    @property
    def columns(self) -> int:
        """See `Screen.columns`."""
        return -(-(self.pixels[2] - self.pixels[0]) // self.tile)

    def rects(
        self, low: NDArray[np.int32], high: NDArray[np.int32], which: NDArray[np.int64]
    ) -> Rects:
        """See `Screen.rects`."""
        # Axis by axis and corner by corner: NumPy takes several times as long for few numbers in a row.
        origin = np.array(self.pixels[:2])[:, None]
        extent = np.array(self.pixels[2:])[:, None] - origin
        # Pixel p has its centre at p + 0.5. The clip also keeps huge values away from the integers.
        bound = float(extent.max()) + 1.0
        nothing = np.empty((2, 0), np.int64)
        in_view = [(np.empty(0, np.int64), nothing, nothing)]
        for start in range(0, len(which), BOXES_AT_ONCE):
            part = which[start : start + BOXES_AT_ONCE]
            bounds = bounds_of_boxes(low[part], high[part], self.size, self._border)
            lowest, highest, ahead = self._bounds_on_screen(*bounds)
            first = np.ceil(np.clip(lowest - 0.5 - _MARGIN - origin, -1.0, bound)).astype(np.int64)
            final = np.floor(np.clip(highest - 0.5 + _MARGIN - origin, -1.0, bound)).astype(
                np.int64
            )
            first, final = np.maximum(first, 0), np.minimum(final, extent - 1)
            seen = np.flatnonzero(ahead & (first <= final).all(0))
            in_view.append((part[seen], first[:, seen], final[:, seen]))
        seen, first, final = (np.concatenate(parts, -1) for parts in zip(*in_view, strict=True))
        return Rects(which=seen, first=(first // self.tile).T, last=(final // self.tile + 1).T)

    @abstractmethod
    def _border_of_boxes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `_border`."""

    @abstractmethod
    def _bounds_on_screen(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Lowest and highest x and y (pixels) at which boxes [n] are seen, each [2, n]; and which
        [n] have a part before the eye at all."""

    def _corners(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
        """Corners [3, 8, n] in camera axes, by adding up the parts of each axis of the grid."""
        ends = np.array([low.T, high.T], order="C") - self.eye_grid[:, None]
        axes = zip(self.to_camera.T, ends.swapaxes(0, 1), strict=True)
        x, y, z = (part[:, None, None] * end for part, end in axes)
        corners: NDArray[np.float64] = x[:, :, None, None] + y[:, None, :, None] + z[:, None, None]
        return corners.reshape(3, 8, -1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PinholeScreen(_LinearScreen):
    """That of a pinhole; `to_camera` in shortest edges of a voxel.

    An axis with a direction of exactly 0 puts no bound on a ray: beside the grid, it sees the border
    that its positions are clamped to, as it would if the border's boxes reached up to the eye. Where
    a pixel has such a ray, they are taken to.
    """

    def _border_of_boxes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `_border`."""
        below, above = np.full(3, -0.5), np.array(self.size) - 0.5
        beside = (self.eye_grid < below) | (self.eye_grid > above)
        if not beside.any():
            return below, above
        directions = np.linalg.inv(self.to_camera)
        for axis in np.flatnonzero(beside):
            if self._has_parallel_ray(directions[axis]):
                below[axis] = min(below[axis], self.eye_grid[axis])
                above[axis] = max(above[axis], self.eye_grid[axis])
        return below, above

    def _has_parallel_ray(self, direction: NDArray[np.float64]) -> bool:
        """Whether a pixel's ray moves so little along an axis of the grid, which is a `direction` [3] in
        camera axes, that it may be 0 where the ray is made."""
        across, down, ahead = direction
        (fx, fy, cx, cy), (left, top, right, bottom) = self.intrinsics, self.pixels
        y = (np.arange(top, bottom) + 0.5 - cy) / fy
        # Along a row of pixels the component is linear: only the pixel next to its zero can be one.
        slope, rest = across / fx, y * down + ahead
        with np.errstate(over="ignore"):  # far beyond the picture is far enough
            zero = cx - 0.5 - rest / slope if slope else np.full(len(y), left, np.float64)
        column = np.rint(np.clip(zero, left, right - 1))
        x = (column + 0.5 - cx) / fx
        scale = np.abs(x * across) + np.abs(y * down) + abs(ahead)
        return bool((np.abs(x * across + rest) <= _PARALLEL * scale).any())

    def _bounds_on_screen(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        corners = self._corners(low, high)
        z = corners[2]
        ahead = z >= _NEAR
        front = np.where(ahead, z, 1.0)
        lowest, highest = np.empty((2, 2, len(low)))
        f, c = self.intrinsics[:2], self.intrinsics[2:]
        for axis in range(2):
            at = corners[axis] / front * f[axis] + c[axis]
            lowest[axis] = np.where(ahead, at, np.inf).min(0)
            highest[axis] = np.where(ahead, at, -np.inf).max(0)
        is_seen = ahead.any(0)
        cut = np.flatnonzero(is_seen & ~ahead.all(0))
        if len(cut):
            _extend_to_near(corners[:, :, cut], lowest, highest, cut, f, c)
        return lowest, highest, is_seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParallelScreen(_LinearScreen):
    """That of an orthographic camera; `to_camera` in world units.

    Where the rays' direction is 0 along an axis, boxes at the border reach as far as rays start.
    """

    def _border_of_boxes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        below, above = np.full(3, -0.5), np.array(self.size) - 0.5
        to_grid = np.linalg.inv(self.to_camera)
        (fx, fy, cx, cy), (left, top, right, bottom) = self.intrinsics, self.pixels
        places = np.array([[x, y] for x in (left, right) for y in (top, bottom)])
        plane = (places - (cx, cy)) / (fx, fy)
        starts = self.eye_grid + plane @ to_grid[:, :2].T
        for axis in np.flatnonzero(np.abs(to_grid[:, 2]) <= _PARALLEL * np.abs(to_grid).max()):
            below[axis] = min(below[axis], starts[:, axis].min())
            above[axis] = max(above[axis], starts[:, axis].max())
        return below, above

    def _bounds_on_screen(
        self, low: NDArray[np.float64], high: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        corners = self._corners(low, high)
        f, c = np.array(self.intrinsics).reshape(2, 2, 1, 1)
        at = corners[:2] * f + c
        reach = np.abs(corners).max(axis=(0, 1))
        return at.min(1), at.max(1), corners[2].max(0) >= -_MARGIN * reach


def _extend_to_near(
    corners: NDArray[np.float64],
    lowest: NDArray[np.float64],
    highest: NDArray[np.float64],
    rows: NDArray[np.int64],
    f: tuple[float, ...],
    c: tuple[float, ...],
) -> None:
    """Let the bounds [2, n] of the boxes `rows` [r] hold the points where the edges of their corners
    [3, 8, r] cross the near plane."""
    for i in range(8):
        for axis_bit in (1, 2, 4):
            if i & axis_bit:
                continue
            a, b = corners[:, i], corners[:, i | axis_bit]
            crosses = (a[2] >= _NEAR) != (b[2] >= _NEAR)
            if not crosses.any():
                continue
            a, b, hit = a[:, crosses], b[:, crosses], rows[crosses]
            share = (_NEAR - a[2]) / (b[2] - a[2])
            point = a[:2] + share * (b[:2] - a[:2])
            at = point / _NEAR * np.array(f)[:, None] + np.array(c)[:, None]
            lowest[:, hit] = np.minimum(lowest[:, hit], at)
            highest[:, hit] = np.maximum(highest[:, hit], at)


def rects_alive(rects: Rects, alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rectangles [v] hold a tile with live rays; `alive` is [rows, columns]."""
    table = np.zeros((alive.shape[0] + 1, alive.shape[1] + 1), np.int64)
    table[1:, 1:] = alive.astype(np.int64).cumsum(0).cumsum(1)
    (x0, y0), (x1, y1) = rects.first.T, rects.last.T
    held: NDArray[np.int64] = table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]
    return held > 0


def rects_cover(rects: Rects, rows: int, columns: int) -> NDArray[np.bool_]:
    """Which tiles [rows, columns] lie in a rectangle."""
    # Rectangles that begin or end at each corner; their sums say how many a tile lies in.
    n = (rows + 1) * (columns + 1)
    width = columns + 1
    (x0, y0), (x1, y1) = rects.first.T, rects.last.T
    y0, y1 = y0 * width, y1 * width
    begin = np.bincount(np.concatenate([y0 + x0, y1 + x1]), minlength=n)
    end = np.bincount(np.concatenate([y0 + x1, y1 + x0]), minlength=n)
    corners = (begin - end).reshape(rows + 1, columns + 1)
    covered: NDArray[np.bool_] = corners.cumsum(0).cumsum(1)[:rows, :columns] > 0
    return covered
