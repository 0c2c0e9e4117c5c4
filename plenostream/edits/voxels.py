"""The voxels of a scene, box by box: what its masks and rows say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.format.layout import SceneMeta, array_specs
from plenostream.format.reader import SceneStore
from plenostream.importers.arrays.boxes import BoxValues, Triple, VoxelBox

__all__ = ["SceneVoxels", "cached_chunks"]

_MOST_CHUNKS = 128
"""Chunks of coefficients that a box of the usual size reads."""
_LEAST_CHUNKS = 4


def cached_chunks(meta: SceneMeta, allowed_bytes: int) -> tuple[int, int]:
    """Chunks of each array of rows that are kept decoded, and the bytes of both together."""
    both = sum(array_specs(meta)[name].chunk_bytes for name in ("rows/density", "rows/sh"))
    n_chunks = max(_LEAST_CHUNKS, min(_MOST_CHUNKS, allowed_bytes // both))
    return n_chunks, n_chunks * both


class SceneVoxels:
    """Boxes of an open scene. Each voxel is read from the brick that owns it.

    Memory: `n_chunks` decoded chunks of each array of rows, and a key a brick.
    """

    def __init__(self, store: SceneStore, *, n_chunks: int) -> None:
        self.meta = store.meta
        self._tables, self._bricks = store.tables, store.meta.bricks
        keys = self._keys(store.tables.index.astype(np.int64))
        self._order = np.argsort(keys)
        self._sorted = keys[self._order]
        self._chunks: dict[str, Callable[[int], NDArray[Any]]] = {
            name: lru_cache(maxsize=n_chunks)(partial(store.read_chunk, name))
            for name in ("rows/density", "rows/sh")
        }
        self._chunk_rows = {name: store.specs[name].chunk_shape[0] for name in self._chunks}

    def active(self, box: VoxelBox) -> NDArray[np.bool_] | None:
        """Which voxels of a box are stored, [x, y, z]; None: none of them."""
        found = np.zeros(box.shape, np.bool_)
        for brick, own, common in self._pieces(box):
            found[common.within(box)] = self._mask(brick)[common.within(own)]
        return found if found.any() else None

    def density(self, box: VoxelBox) -> NDArray[np.float32]:
        """Densities [x, y, z] (per world unit) of a box, 0 where no voxel is stored."""
        return self._read(box, "rows/density", ())

    def values(self, box: VoxelBox) -> BoxValues:
        """Densities and coefficients of a box, 0 where no voxel is stored, and which ones are."""
        active = self.active(box)
        return BoxValues(
            density=self.density(box),
            colours=self._read(box, "rows/sh", (self.meta.sh_columns,)),
            given=np.zeros(box.shape, np.bool_) if active is None else active,
        )

    def _read(self, box: VoxelBox, name: str, columns: tuple[int, ...]) -> NDArray[np.float32]:
        out = np.zeros((*box.shape, *columns), np.float32)
        whole = np.zeros((*(self._bricks.edge,) * 3, *columns), np.float32)
        for brick, own, common in self._pieces(box):
            active = self._mask(brick)
            whole[...] = 0
            whole[active] = self._rows(name, brick)
            out[common.within(box)] = whole[common.within(own)]
        return out

    def _rows(self, name: str, brick: int) -> NDArray[Any]:
        """All rows of a brick."""
        start, stop = (int(n) for n in self._tables.row_start[brick : brick + 2])
        size = self._chunk_rows[name]
        parts = [
            self._chunks[name](chunk)[max(0, start - chunk * size) : stop - chunk * size]
            for chunk in range(start // size, (stop - 1) // size + 1)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _mask(self, brick: int) -> NDArray[np.bool_]:
        bits = np.unpackbits(self._tables.mask[brick], bitorder="little", count=self._bricks.voxels)
        return bits.view(np.bool_).reshape((self._bricks.edge,) * 3)

    def holders(self, box: VoxelBox) -> Iterator[tuple[int, VoxelBox, VoxelBox]]:
        """As `_pieces`, of all stored bricks that hold a voxel of a box, in their aprons too."""
        edge = self._bricks.brick_size
        for brick, lower in self._stored(box, before=1):
            x, y, z = (a + edge + 1 for a in lower)
            whole = VoxelBox(lower, (x, y, z))
            yield brick, whole, whole.common(box)

    def _pieces(self, box: VoxelBox) -> Iterator[tuple[int, VoxelBox, VoxelBox]]:
        """Stored bricks that own a voxel of a box: number, all their voxels, those in the box."""
        edge, shape = self._bricks.brick_size, self._bricks.shape
        for brick, lower in self._stored(box):
            x, y, z = (a + edge + 1 for a in lower)
            # The last brick of an axis owns the voxels of its apron too.
            owned = [
                a + edge + (a // edge == last - 1) for a, last in zip(lower, shape, strict=True)
            ]
            common = VoxelBox(lower, (owned[0], owned[1], owned[2])).common(box)
            yield brick, VoxelBox(lower, (x, y, z)), common

    def _stored(self, box: VoxelBox, before: int = 0) -> Iterator[tuple[int, Triple]]:
        """Stored bricks that own voxels from `before` voxels before a box on: number, first voxel."""
        edge, shape = self._bricks.brick_size, self._bricks.shape
        ranges = [
            np.arange(min(max(a - before, 0) // edge, n - 1), min((b - 1) // edge, n - 1) + 1)
            for a, b, n in zip(box.lower, box.upper, shape, strict=True)
        ]
        places = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        keys = self._keys(places)
        at = np.searchsorted(self._sorted, keys)
        stored = at < len(self._sorted)
        stored[stored] = self._sorted[at[stored]] == keys[stored]
        for (i, j, k), brick in zip(
            places[stored].tolist(), self._order[at[stored]].tolist(), strict=True
        ):
            yield brick, (i * edge, j * edge, k * edge)

    def _keys(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """One number for each place of a brick."""
        _, y, z = self._bricks.shape
        keys: NDArray[np.int64] = (places[:, 0] * y + places[:, 1]) * z + places[:, 2]
        return keys
