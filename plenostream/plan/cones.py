"""Where a camera with any lens sees boxes: cones around the rays of its tiles, tile by tile.

A cone of directions bounds the rays of a tile, and a larger one those of 2 x 2 neighbours. Boxes are looked
for in the pyramid of cones (`pyramid`): a box goes on where the sphere around it may meet the cone, and stops
at cones much narrower than the box, so a box near the eye is not compared with each tile that it covers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plenostream.plan.pyramid import Meet, find_rects
from plenostream.plan.screen import Rects, bounds_of_boxes

__all__ = ["ConeScreen", "TileCones", "tile_cones"]

_NARROW = 0.25
"""Part of a box's angle below which a cone is not divided any more."""
_MARGIN = 1e-7
"""Radians by which cones grow: no rounding of an angle near 0 or pi is larger."""
_NONE = -10.0
"""Angle of a cone that holds no ray: no sphere that the eye is outside of makes up for it."""

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TileCones:
    """Cones around the rays of tiles [rows, columns]."""

    axis: Float64
    """[rows, columns, 3]: unit vectors, camera axes."""
    angle: Float64
    """[rows, columns]: half the opening, radians; far below 0 without rays."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.axis.nbytes + self.angle.nbytes


def tile_cones(directions: Float64, seen: NDArray[np.bool_]) -> tuple[Float64, Float64]:
    """Axes [t, 3] and angles [t] of cones around the rays of tiles.

    Parameters
    ----------
    directions : [t, r, 3]      of any length above zero
    seen : [t, r]               which are rays
    """
    units = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    axis = _normalised(np.where(seen[..., None], units, 0.0).sum(1))
    apart = np.where(seen, _angle_between(units, axis[:, None]), -np.inf).max(1)
    return axis, np.where(seen.any(1), apart + _MARGIN, _NONE)


@dataclass(frozen=True, slots=True, eq=False)
class ConeScreen:
    """See `screen.Screen`; rays start at one eye."""

    size: tuple[int, int, int]
    """Voxels per axis."""
    eye_grid: Float64
    """[3]: the camera's centre."""
    to_camera: Float64
    """[3, 3]: grid directions to camera axes, in any unit of length."""
    border: tuple[Float64, Float64]
    """Where boxes at the lower and at the upper border end, [3] each, in grid coordinates."""
    levels: tuple[TileCones, ...]
    """From the tiles up: each has the cones of 2 x 2 of those before, the last a single one."""

    @classmethod
    def of_tiles(
        cls,
        size: tuple[int, int, int],
        eye_grid: Float64,
        to_camera: Float64,
        border: tuple[Float64, Float64],
        tiles: TileCones,
    ) -> ConeScreen:
        """The screen whose tiles have these cones."""
        levels = [tiles]
        while levels[-1].angle.size > 1:
            levels.append(_joined(levels[-1]))
        return cls(size, eye_grid, to_camera, border, tuple(levels))

    @property
    def rows(self) -> int:
        """See `Screen.rows`."""
        return len(self.levels[0].angle)

    @property
    def columns(self) -> int:
        """See `Screen.columns`."""
        return len(self.levels[0].angle[0])

    def rects(
        self, low: NDArray[np.int32], high: NDArray[np.int32], which: NDArray[np.int64]
    ) -> Rects:
        """See `Screen.rects`; the rectangle around the tiles whose cones may meet the box."""

        def looking_for(part: NDArray[np.int64]) -> Meet:
            bounds = bounds_of_boxes(low[part], high[part], self.size, self.border)
            return partial(self._meet, *self._spheres(*bounds))

        shapes = [(len(level.angle), len(level.angle[0])) for level in self.levels]
        return find_rects(which, shapes, looking_for)

    def _spheres(self, low: Float64, high: Float64) -> tuple[Float64, Float64]:
        """Directions [n, 3] of spheres around boxes [n, 3], and the angles [n] that they are seen
        under: pi from inside."""
        middle = (0.5 * (low + high) - self.eye_grid) @ self.to_camera.T
        half = 0.5 * (high - low)
        corners = [half * (1, y, z) @ self.to_camera.T for y in (1, -1) for z in (1, -1)]
        radius = np.linalg.norm(corners, axis=-1).max(0)
        distance = np.linalg.norm(middle, axis=-1)
        outside = distance > radius
        share = radius / np.where(outside, distance, 1.0)
        return _normalised(middle), np.where(outside, np.arcsin(np.minimum(share, 1.0)), np.pi)

    def _meet(
        self,
        towards: Float64,
        under: Float64,
        level: int,
        box: NDArray[np.int64],
        row: NDArray[np.int64],
        column: NDArray[np.int64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """See `pyramid.Meet`, of spheres in these directions that are seen under these angles."""
        cones = self.levels[level]
        angle = cones.angle[row, column]
        apart = _angle_between(towards[box], cones.axis[row, column])
        # From inside a box every direction leads through it, but a tile without rays has none.
        met = (apart <= angle + under[box]) & (angle > _NONE)
        return met, angle <= _NARROW * under[box]


def _joined(cones: TileCones) -> TileCones:
    """Cones around each 2 x 2 of others."""
    rows, columns = (edge + edge % 2 for edge in cones.angle.shape)
    axis, angle = np.zeros((rows, columns, 3)), np.full((rows, columns), _NONE)
    axis[: cones.angle.shape[0], : cones.angle.shape[1]] = cones.axis
    angle[: cones.angle.shape[0], : cones.angle.shape[1]] = cones.angle
    axes = axis.reshape(rows // 2, 2, columns // 2, 2, 3).swapaxes(1, 2).reshape(-1, 4, 3)
    angles = angle.reshape(rows // 2, 2, columns // 2, 2).swapaxes(1, 2).reshape(-1, 4)
    there = angles > _NONE
    middle = _normalised(np.where(there[..., None], axes, 0.0).sum(1))
    apart = _angle_between(axes, middle[:, None]) + angles + _MARGIN
    wide = np.where(there, apart, _NONE).max(1)
    shape = (rows // 2, columns // 2)
    return TileCones(middle.reshape(*shape, 3), wide.reshape(shape))


def _normalised(vectors: Float64) -> Float64:
    """Vectors [..., 3] of length 1; z where they are too short to point anywhere."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    ahead = np.array([0.0, 0.0, 1.0])
    return np.where(length > 1e-9, vectors / np.where(length > 1e-9, length, 1.0), ahead)


def _angle_between(first: Float64, second: Float64) -> Float64:
    """Angles [...] between unit vectors [..., 3], exact near 0 too."""
    chord = np.linalg.norm(first - second, axis=-1)
    angle: Float64 = 2.0 * np.arcsin(np.minimum(0.5 * chord, 1.0))
    return angle
