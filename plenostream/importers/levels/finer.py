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

__all__ = ["FinerVoxels", "OwnVoxels", "SomeBricks", "kept_chunks", "write_masks"]

Triple = tuple[int, int, int]

_MOST_CHUNKS = 1024
_LEAST_CHUNKS = 4
_BRICKS_AT_ONCE = 64
"""Bricks whose masks are looked through at once: a megabyte with bricks of 16."""


def kept_chunks(meta: SceneMeta, allowed_bytes: int) -> tuple[int, int]:
    """Chunks of coefficients that are kept decoded, and the bytes of these and of the densities beside."""
    specs = array_specs(meta)
    density, sh = specs["rows/density"], specs["rows/sh"]
    fitting = (allowed_bytes - _beside(0) * density.chunk_bytes) // (
        sh.chunk_bytes + density.chunk_bytes // 8
    )
    n_chunks = max(_LEAST_CHUNKS, min(_MOST_CHUNKS, sh.n_chunks, fitting))
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
class SomeBricks:
    """Stored bricks."""

    number: NDArray[np.int64]
    """Rising, [k]."""
    place: NDArray[np.int64]
    """Brick coordinates, [k, 3]."""
    n_rows: NDArray[np.int64]
    """Rows of each, [k]."""

    def of(self, chosen: NDArray[np.bool_] | slice) -> SomeBricks:
        """Some of them."""
        return SomeBricks(self.number[chosen], self.place[chosen], self.n_rows[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class OwnVoxels:
    """Active voxels that bricks own, in the order of the scene's rows."""

    row: NDArray[np.int64]
    """Of the scene, rising, [v]."""
    place: NDArray[np.int32]
    """In the grid, [3, v]."""


class FinerVoxels:
    """Finds the voxels of a level in its stored bricks, and reads their rows.

    Memory: 28 bytes a brick, and the chunks that are kept. Safe from several threads at once.
    """

    def __init__(self, source: ByteSource, meta: SceneMeta, masks: Path, *, n_chunks: int) -> None:
        """Take the bytes of a level, what it says about itself, the file of `write_masks`, and how many
        chunks of coefficients are kept decoded."""
        store = SceneStore(path="the finer level", source=source, meta=meta)
        self.bricks = meta.bricks
        keys = self._keys(store.read_array("bricks/index").astype(np.int64))
        self._order = np.argsort(keys)
        self._sorted = keys[self._order]
        self._row_start = store.read_array("bricks/row_start")
        self._masks = RowTable(
            path=str(masks), offset=0, dtype="|u1", columns=self.bricks.mask_bytes
        )
        self._local = np.stack(
            np.unravel_index(np.arange(self.bricks.voxels), (self.bricks.edge,) * 3)
        ).astype(np.int32)
        self._chunk_rows = {
            name: store.specs[name].chunk_shape[0] for name in ("rows/density", "rows/sh")
        }
        kept = {"rows/density": _beside(n_chunks), "rows/sh": n_chunks}
        self._chunks: dict[str, Callable[[int], NDArray[Any]]] = {
            name: lru_cache(maxsize=n)(partial(store.read_chunk, name)) for name, n in kept.items()
        }

    def bricks_within(self, lower: Triple, upper: Triple) -> SomeBricks:
        """The stored bricks that own a voxel of [lower, upper)."""
        edge = self.bricks.brick_size
        ranges = [
            np.arange(min(a // edge, n - 1), min((b - 1) // edge, n - 1) + 1)
            for a, b, n in zip(lower, upper, self.bricks.shape, strict=True)
        ]
        place = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        keys = self._keys(place)
        at = np.searchsorted(self._sorted, keys)
        stored = at < len(self._sorted)
        stored[stored] = self._sorted[at[stored]] == keys[stored]
        number = self._order[at[stored]]
        order = np.argsort(number)
        number, place = number[order], place[stored][order]
        return SomeBricks(number, place, self._row_start[number + 1] - self._row_start[number])

    def voxels_within(
        self, bricks: SomeBricks, lower: Triple, upper: Triple
    ) -> tuple[SomeBricks, int]:
        """Those of `bricks` that own a voxel of [lower, upper), and the most active ones that they can
        own there."""
        edge = self.bricks.brick_size
        last = bricks.place == np.array(self.bricks.shape) - 1
        first = bricks.place * edge
        shared = np.minimum(first + edge + last, upper) - np.maximum(first, lower)
        chosen = (shared > 0).all(axis=1)
        kept = bricks.of(chosen)
        return kept, int(np.minimum(kept.n_rows, shared[chosen].prod(axis=1)).sum())

    def owned(self, bricks: SomeBricks, lower: Triple, upper: Triple) -> OwnVoxels:
        """The active voxels of [lower, upper) that `bricks` own."""
        parts = [OwnVoxels(np.zeros(0, np.int64), np.zeros((3, 0), np.int32))]
        for start in range(0, len(bricks.number), _BRICKS_AT_ONCE):
            some = bricks.of(slice(start, start + _BRICKS_AT_ONCE))
            parts.append(self._owned(some, lower, upper))
        return OwnVoxels(
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.place for part in parts], axis=1),
        )

    def _owned(self, bricks: SomeBricks, lower: Triple, upper: Triple) -> OwnVoxels:
        edge, voxels = self.bricks.edge, self.bricks.voxels
        number, n_rows = bricks.number, bricks.n_rows
        bits = self._masks.read(*merge_runs(number, number + 1)).view(np.uint8)
        mask = np.unpackbits(bits, axis=1, bitorder="little", count=voxels).view(np.bool_)
        before = np.cumsum(n_rows) - n_rows
        brick = np.repeat(np.arange(len(number), dtype=np.int32), n_rows)
        local = np.flatnonzero(mask).astype(np.int32) - brick * np.int32(voxels)
        chosen = np.ones(len(local), np.bool_)
        for axis in range(3):
            own = self._own_voxels(bricks.place[:, axis], axis, lower, upper)
            chosen &= own.reshape(-1).take(self._local[axis].take(local) + brick * np.int32(edge))
        row = np.arange(len(local)) + (self._row_start[number] - before).take(brick)
        local, brick = local[chosen], brick[chosen]
        place = [
            axis.take(local) + first.take(brick)
            for axis, first in zip(
                self._local, bricks.place.T.astype(np.int32) * self.bricks.brick_size, strict=True
            )
        ]
        return OwnVoxels(row[chosen], np.stack(place))

    def _own_voxels(
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
            yield some, read(chunk).take(row[some] - chunk * size, axis=0)

    def _keys(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """One number for each place of a brick."""
        _, y, z = self.bricks.shape
        keys: NDArray[np.int64] = (places[:, 0] * y + places[:, 1]) * z + places[:, 2]
        return keys
