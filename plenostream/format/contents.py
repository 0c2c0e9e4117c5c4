"""What lies in a scene, in numbers: where, how its bricks are filled, how dense its voxels are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.format.reader import SceneStore
from plenostream.results import Progress

__all__ = ["bricks_by_rows", "density_histogram", "world_bounds"]

_SHARES = 8
"""Ranges that the rows of bricks are counted in."""
_DENSITY_EDGES = [0.0, *(base * 10.0**power for power in range(-3, 7) for base in (1, 2, 5))]
"""Edges of the ranges of densities (per world unit); the last range has no end."""


def world_bounds(store: SceneStore) -> dict[str, list[list[float]] | None]:
    """Corners (world units) of the volume, and of the cells in which something is drawn; None for
    a scene that is empty."""
    grid, tables = store.meta.grid, store.tables
    center, radius = np.asarray(grid.center), np.asarray(grid.radius)
    boxes = (
        tables.boxes.astype(np.int64)
        + np.tile(tables.index.astype(np.int64) * store.meta.brick_size, 2)[:, None, :]
    )
    filled = boxes[(boxes[..., :3] < boxes[..., 3:]).all(axis=-1)]
    drawn = None
    if len(filled):
        corners = [filled[:, :3].min(axis=0), filled[:, 3:].max(axis=0)]
        drawn = grid.grid_to_world(corners).tolist()
    return {"volume": [(center - radius).tolist(), (center + radius).tolist()], "drawn": drawn}


def bricks_by_rows(store: SceneStore) -> dict[str, list[int]]:
    """How many stored bricks have how many rows: `bricks[i]` of them more than `edges[i]` and at
    most `edges[i + 1]`."""
    edges = np.rint(np.linspace(0, store.meta.bricks.voxels, _SHARES + 1)).astype(np.int64)
    rows = np.diff(store.tables.row_start)
    counts = np.bincount(np.searchsorted(edges, rows) - 1, minlength=_SHARES)
    return {"edges": edges.tolist(), "bricks": counts.tolist()}


def density_histogram(store: SceneStore, progress: Progress | None = None) -> dict[str, Any]:
    """How many voxels have which density; reads all densities, a chunk at a time.

    `voxels[i]` of them have a density (per world unit) of more than `edges[i]` and at most
    `edges[i + 1]`, the last ones more than the last edge; `n_not_positive` have none.
    """
    spec = store.specs["rows/density"]
    owned = _Owned(store)
    counts = np.zeros(len(_DENSITY_EDGES) + 1, np.int64)
    for chunk in range(spec.n_chunks):
        values = store.read_chunk("rows/density", chunk)
        first = chunk * spec.chunk_shape[0]
        values = values[owned.rows(first, first + len(values))]
        counts += np.bincount(np.searchsorted(_DENSITY_EDGES, values), minlength=len(counts))
        if progress is not None:
            progress("densities", chunk + 1, spec.n_chunks)
    some = np.flatnonzero(counts[1:])
    low, high = (int(some[0]), int(some[-1]) + 1) if len(some) else (0, 0)
    return {
        "edges": _DENSITY_EDGES[low : high + 1] if len(some) else [],
        "voxels": counts[1:][low:high].tolist(),
        "n_not_positive": int(counts[0]),
    }


class _Owned:
    """Which rows are those of voxels that their brick owns: so each voxel is one of them once."""

    def __init__(self, store: SceneStore) -> None:
        self._tables, self._bricks = store.tables, store.meta.bricks

    def rows(self, first: int, after: int) -> NDArray[np.bool_]:
        """Of rows [first, after)."""
        starts = self._tables.row_start
        low = int(np.searchsorted(starts, first, side="right")) - 1
        high = int(np.searchsorted(starts, after))
        flags = np.concatenate([self._brick(brick) for brick in range(low, high)])
        return flags[first - int(starts[low]) : after - int(starts[low])]

    def _brick(self, brick: int) -> NDArray[np.bool_]:
        edge = self._bricks.edge
        bits = np.unpackbits(
            self._tables.mask[brick], bitorder="little", count=self._bricks.voxels
        ).view(np.bool_)
        owned = np.ones((edge,) * 3, np.bool_)
        last = self._tables.index[brick] == np.asarray(self._bricks.shape) - 1
        for axis in np.flatnonzero(~last):
            np.moveaxis(owned, axis, 0)[-1] = False
        return owned.reshape(-1)[bits]
