"""Which bricks of which level a picture is drawn from: a cut through the tree of bricks.

A brick of level l covers eight of level l - 1. It may be drawn where it is at least `reach[l]` away from
the eye, and it is if the brick above it may not. So each place is drawn from the coarsest level that
may be, and levels never fall along a ray: the distance to the box of a grid that a ray is in never
does, as it moves away from the eye along each axis or comes to where it is nearest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bricks_drawn", "distance_to"]


def bricks_drawn(
    index: NDArray[np.int32],
    level: int,
    *,
    brick_size: int,
    eye_grid: NDArray[np.float64],
    voxel_edges: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which bricks of a level are drawn, [n].

    Parameters
    ----------
    index : [n, 3]          coordinates of the level's bricks
    eye_grid : [3]          grid coordinates of level 0
    voxel_edges : [3]       world units, of level 0
    reach : [levels]        distance (world units) from which on a level may be drawn, never falling;
                            0 for level 0
    """

    def distance(index: NDArray[np.int32], level: int) -> NDArray[np.float64]:
        return distance_to(index, brick_size * 2**level, eye_grid, voxel_edges)

    drawn: NDArray[np.bool_] = distance(index, level) >= reach[level]
    if level + 1 < len(reach):
        drawn &= distance(index >> 1, level + 1) < reach[level + 1]
    return drawn


def distance_to(
    index: NDArray[np.int32],
    edge: int,
    eye_grid: NDArray[np.float64],
    voxel_edges: NDArray[np.float64],
) -> NDArray[np.float64]:
    """World units [n] from the eye to the nearest point of cubes with coordinates `index` [n, 3], of
    `edge` cells of level 0; the others as in `bricks_drawn`."""
    low = index.astype(np.float64) * edge
    beside = np.maximum(low - eye_grid, eye_grid - low - edge)
    away: NDArray[np.float64] = np.linalg.norm(np.maximum(beside, 0.0) * voxel_edges, axis=1)
    return away
