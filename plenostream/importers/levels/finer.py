"""The voxels of a finer level, whose documents are not there yet: masks from a file, rows from chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.format.layout import SceneMeta, array_specs
from plenostream.format.reader import SceneStore
from plenostream.format.source import ByteSource
from plenostream.importers.packing.rowfile import RowTable, merge_runs

__all__ = ["FinerVoxels", "Found", "kept_chunks", "write_masks"]

Triple = tuple[int, int, int]

_MOST_CHUNKS = 128
"""Chunks of coefficients that are kept decoded: what the voxels of a slab of a trained model take."""
_LEAST_CHUNKS = 4
_BRICKS_AT_ONCE = 64
"""Bricks whose masks are looked through at once: a megabyte with bricks of 16."""


def kept_chunks(meta: SceneMeta, allowed_bytes: int) -> tuple[int, int]:
    """Chunks of coefficients that are kept decoded, and the bytes of these and of the densities beside."""
    specs = array_specs(meta)
    density, sh = specs["rows/density"], specs["rows/sh"]
    n_chunks = max(_LEAST_CHUNKS, min(_MOST_CHUNKS, allowed_bytes // (sh.chunk_bytes * 2)))
    return n_chunks, n_chunks * sh.chunk_bytes + _beside(n_chunks) * density.chunk_bytes


def _beside(n_chunks: int) -> int:
    """Chunks of densities, which hold eight times as many rows, beside so many of coefficients."""
    return 2 + n_chunks // 8


def write_masks(store: SceneStore, path: Path) -> None:
    """Write the masks of all bricks, [n, mask_bytes], to a file; one chunk is in memory at a time."""
    with open(path, "wb") as file:
        for chunk in range(store.specs["bricks/mask"].n_chunks):
            file.write(store.read_chunk("bricks/mask", chunk).data)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Active voxels of a box, in the order of the scene's rows."""

    place: NDArray[np.int64]
    """In the grid, [3, v]."""
    row: NDArray[np.int64]
    """Of the scene, rising, [v]."""


class FinerVoxels:
    """Memory: 28 bytes a brick, and the chunks that are kept. Safe from several threads at once."""

    def __init__(self, source: ByteSource, meta: SceneMeta, masks: Path, *, n_chunks: int) -> None:
        """Take the bytes of a level, what it says about itself, the file of `write_masks`, and how many
        chunks of coefficients are kept decoded."""
        store = SceneStore(path="the finer level", source=source, meta=meta)
        self.bricks = meta.bricks
        index = store.read_array("bricks/index").astype(np.int64)
        keys = self._keys(index)
        self._order = np.argsort(keys)
        self._sorted = keys[self._order]
        self._row_start = store.read_array("bricks/row_start")
        self._masks = RowTable(
            path=str(masks), offset=0, dtype="|u1", columns=self.bricks.mask_bytes
        )
        self._chunk_rows = {
            name: store.specs[name].chunk_shape[0] for name in ("rows/density", "rows/sh")
        }
        kept = {"rows/density": _beside(n_chunks), "rows/sh": n_chunks}
        self._chunks: dict[str, Callable[[int], NDArray[Any]]] = {
            name: lru_cache(maxsize=n)(partial(store.read_chunk, name)) for name, n in kept.items()
        }

    def bricks_within(
        self, lower: Triple, upper: Triple
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers [k], rising, and places [k, 3] of the stored bricks that own a voxel of [lower, upper)."""
        edge = self.bricks.brick_size
        ranges = [
            np.arange(min(a // edge, n - 1), min((b - 1) // edge, n - 1) + 1)
            for a, b, n in zip(lower, upper, self.bricks.shape, strict=True)
        ]
        places = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        keys = self._keys(places)
        at = np.searchsorted(self._sorted, keys)
        stored = at < len(self._sorted)
        stored[stored] = self._sorted[at[stored]] == keys[stored]
        number = self._order[at[stored]]
        order = np.argsort(number)
        return number[order], places[stored][order]

    def most_within(self, lower: Triple, upper: Triple) -> int:
        """The most active voxels that a box can have, by the rows of its bricks."""
        number, place = self.bricks_within(lower, upper)
        first = place * self.bricks.brick_size
        shared = np.minimum(first + self.bricks.edge, upper) - np.maximum(first, lower)
        rows = self._row_start[number + 1] - self._row_start[number]
        return int(np.minimum(rows, shared.prod(axis=1)).sum())

    def within(self, lower: Triple, upper: Triple) -> Found:
        """The active voxels of the box [lower, upper)."""
        number, place = self.bricks_within(lower, upper)
        parts = [Found(np.zeros((3, 0), np.int64), np.zeros(0, np.int64))]
        for start in range(0, len(number), _BRICKS_AT_ONCE):
            some = slice(start, start + _BRICKS_AT_ONCE)
            parts.append(self._of_bricks(number[some], place[some], lower, upper))
        return Found(
            np.concatenate([part.place for part in parts], axis=1),
            np.concatenate([part.row for part in parts]),
        )

    def _of_bricks(
        self,
        number: NDArray[np.int64],
        place: NDArray[np.int64],
        lower: Triple,
        upper: Triple,
    ) -> Found:
        edge, voxels = self.bricks.edge, self.bricks.voxels
        bits = self._masks.read(*merge_runs(number, number + 1))
        mask = np.unpackbits(bits, axis=1, bitorder="little", count=voxels).view(np.bool_)
        stored = np.flatnonzero(mask)
        kept = mask.reshape(-1, edge, edge, edge)
        for axis in range(3):
            shape = [len(number), 1, 1, 1]
            shape[axis + 1] = edge
            kept = kept & self._owned(place[:, axis], axis, lower, upper).reshape(shape)
        chosen = kept.reshape(-1)[stored]
        rows = self._row_start[number + 1] - self._row_start[number]
        before = np.cumsum(rows) - rows
        row = np.repeat(self._row_start[number] - before, rows) + np.arange(len(stored))
        brick, local = np.divmod(stored[chosen], voxels)
        within = np.stack(np.unravel_index(local, (edge,) * 3))
        return Found(within + place.T[:, brick] * self.bricks.brick_size, row[chosen])

    def _owned(
        self, place: NDArray[np.int64], axis: int, lower: Triple, upper: Triple
    ) -> NDArray[np.bool_]:
        """Which voxels along an axis bricks own, the last one its apron, too, that lie in a box [k, edge]."""
        local = np.arange(self.bricks.edge)
        voxel = place[:, None] * self.bricks.brick_size + local
        last = place[:, None] == self.bricks.shape[axis] - 1
        owned = (local < self.bricks.brick_size) | last
        inside: NDArray[np.bool_] = owned & (voxel >= lower[axis]) & (voxel < upper[axis])
        return inside

    def rows(
        self, name: str, row: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        """Values of rows [v], rising, of ``rows/density`` or ``rows/sh``: those of a chunk at a time."""
        size, read = self._chunk_rows[name], self._chunks[name]
        chunks = row // size
        starts = np.flatnonzero(np.diff(chunks, prepend=-1)).tolist()
        for start, stop in pairwise([*starts, len(row)]):
            some, chunk = slice(start, stop), int(chunks[start])
            yield some, read(chunk)[row[some] - chunk * size]

    def _keys(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """One number for each place of a brick."""
        _, y, z = self.bricks.shape
        keys: NDArray[np.int64] = (places[:, 0] * y + places[:, 1]) * z + places[:, 2]
        return keys
