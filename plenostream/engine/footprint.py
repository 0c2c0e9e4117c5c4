"""How far away a voxel has to be to look as small as a pixel."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cameras.lenses import Orthographic
from plenostream.engine.sight import Look, tile_corners
from plenostream.field.grid import GridSpec
from plenostream.field.tiles import TILE

__all__ = ["level_reach"]

_MOST_TILES = 64
"""Tiles whose pixels are measured."""


def level_reach(
    camera: Camera, grid: GridSpec, n_levels: int, footprint: float
) -> NDArray[np.float64]:
    """Distance from the eye (world units) from which on the voxels of each level, 0 to `n_levels`, are
    at most `footprint` pixels wide, [n_levels + 1]; 0 for level 0.

    Measured where pixels see the least, with a voxel's longest edge.
    """
    edges = float((1.0 / grid.scale).max()) * 2.0 ** np.arange(n_levels + 1)
    with np.errstate(divide="ignore"):
        if isinstance(camera.lens, Orthographic):
            fits = edges * max(camera.fx, camera.fy) <= footprint
            reach = np.where(fits, 0.0, np.inf)
        else:
            reach = edges / np.float64(footprint * _smallest_angle(Look(camera)))
    reach[0] = 0.0
    return reach


@lru_cache(maxsize=2)
def _smallest_angle(look: Look) -> float:
    """Smallest angle (radians) between the rays of two neighbouring pixels; 0 where there are none."""
    camera = look.camera
    corners = tile_corners(camera, 0, camera.height)
    some = corners[np.unique(np.linspace(0, len(corners) - 1, _MOST_TILES).astype(np.int64))]
    _, dirs, seen = camera.lens.make(np, some, *camera.ray_arrays)
    unit = (dirs / np.linalg.norm(dirs, axis=0)).T.reshape(-1, TILE, TILE, 3)
    there = seen.reshape(-1, TILE, TILE)
    smallest = np.inf
    for axis in (1, 2):
        near, far = (np.delete(unit, end, axis) for end in (-1, 0))
        both = np.delete(there, -1, axis) & np.delete(there, 0, axis)
        angles = 2.0 * np.arcsin(np.linalg.norm(near - far, axis=-1) / 2.0)
        smallest = min(smallest, float(angles[both].min(initial=np.inf)))
    return smallest if np.isfinite(smallest) else 0.0
