"""The surface of what is occupied: faces of bricks that no other occupied brick touches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.format.reader import SceneStore

__all__ = ["Faces", "occupied_faces"]

_SQUARE = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
"""Corners of a face along its two axes, going round."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces of boxes, n of them."""

    corners: NDArray[np.float64]
    """[n, 4, 3], world units, going round."""
    axis: NDArray[np.int64]
    """Axis [n] that a face is across."""
    sign: NDArray[np.int64]
    """-1 or 1 [n]: whether it looks down or up that axis."""


def occupied_faces(store: SceneStore) -> Faces:
    """The outer faces of the occupied bricks of an open scene; nothing is read."""
    bricks, grid = store.meta.bricks, store.meta.grid
    index = store.tables.index[store.tables.occupied].astype(np.int64)
    # One layer more on each side, so that a neighbour of any brick has a number of its own.
    shape = np.asarray(bricks.shape, np.int64) + 2
    taken = _numbers(index, shape)
    corners, axes, signs = [], [], []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        for sign in (-1, 1):
            beside = index.copy()
            beside[:, axis] += sign
            open_ones = index[~np.isin(_numbers(beside, shape), taken)]
            square = np.zeros((len(open_ones), 4, 3), np.int64)
            square[..., axis] = int(sign > 0)
            square[..., first], square[..., second] = _SQUARE.T
            corners.append(open_ones[:, None] + square)
            axes.append(np.full(len(open_ones), axis))
            signs.append(np.full(len(open_ones), sign))
    last_voxel = np.asarray(grid.size) - 1
    places = np.minimum(np.concatenate(corners) * bricks.brick_size, last_voxel)
    return Faces(grid.grid_to_world(places), np.concatenate(axes), np.concatenate(signs))


def _numbers(index: NDArray[np.int64], shape: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number [n] for each place [n, 3] from -1 to the shape without its margins."""
    x, y, z = (index + 1).T
    numbers: NDArray[np.int64] = (x * shape[1] + y) * shape[2] + z
    return numbers
