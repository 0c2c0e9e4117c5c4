"""Bricks of an open scene: by their places, masks, and rows through a few chunks kept decoded."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BrickCorrupt
from plenostream.format.brick_damage import matches_digest, naming_brick, no_match
from plenostream.format.layout import ROW_ARRAYS, SceneMeta, array_specs
from plenostream.format.reader import SceneStore

__all__ = ["BrickRows", "cached_chunks"]

_MOST_CHUNKS = 128
"""Chunks of coefficients that a box of the usual size reads."""
_LEAST_CHUNKS = 4


def cached_chunks(meta: SceneMeta, allowed_bytes: int) -> tuple[int, int]:
    """Chunks of each array of rows that are kept decoded, and the bytes of both together."""
    both = sum(array_specs(meta)[name].chunk_bytes for name in ROW_ARRAYS)
    n_chunks = max(_LEAST_CHUNKS, min(_MOST_CHUNKS, allowed_bytes // both))
    return n_chunks, n_chunks * both


class BrickRows:
    """Memory: `n_chunks` decoded chunks of each array of rows, and a key a brick; of densities
    `n_density_chunks`, if that is given: they are small, and neighbours ask for them, too.

    Safe from several threads at once.
    """

    def __init__(
        self, store: SceneStore, *, n_chunks: int, n_density_chunks: int | None = None
    ) -> None:
        kept = {"rows/density": n_density_chunks or n_chunks, "rows/sh": n_chunks}
        self._store, self._tables, self.bricks = store, store.tables, store.meta.bricks
        keys = self._keys(store.tables.index.astype(np.int64))
        self._order = np.argsort(keys)
        self._sorted = keys[self._order]
        self._chunks = {
            name: lru_cache(maxsize=kept[name])(partial(store.read_chunk, name))
            for name in ROW_ARRAYS
        }
        self._chunk_rows = {name: store.specs[name].chunk_shape[0] for name in self._chunks}
        self._sound = np.zeros(len(keys), np.bool_)

    def within(
        self, lower: tuple[int, ...], upper: tuple[int, ...]
    ) -> list[tuple[tuple[int, int, int], int]]:
        """Places and numbers of the stored bricks that own a voxel of [lower, upper), in C order of
        their places."""
        edge, shape = self.bricks.brick_size, self.bricks.shape
        ranges = [
            np.arange(min(a // edge, n - 1), min((b - 1) // edge, n - 1) + 1)
            for a, b, n in zip(lower, upper, shape, strict=True)
        ]
        places = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
        keys = self._keys(places)
        at = np.searchsorted(self._sorted, keys)
        stored = at < len(self._sorted)
        stored[stored] = self._sorted[at[stored]] == keys[stored]
        found = zip(places[stored].tolist(), self._order[at[stored]].tolist(), strict=True)
        return [((i, j, k), brick) for (i, j, k), brick in found]

    def mask(self, brick: int) -> NDArray[np.bool_]:
        """Which voxels of a brick are stored, [B + 1, B + 1, B + 1]."""
        bits = np.unpackbits(self._tables.mask[brick], bitorder="little", count=self.bricks.voxels)
        return bits.view(np.bool_).reshape((self.bricks.edge,) * 3)

    def rows(self, name: str, brick: int, *, checked: bool = True) -> NDArray[Any]:
        """All rows of a brick, of ``rows/density`` or ``rows/sh``.

        The first time, both are held against the brick's digest; not `checked`: they are not, where whoever
        asks will ask for the others, too.

        Raises
        ------
        BrickCorrupt : a chunk cannot be read, or the brick does not match its digest; named.
        """
        if checked:
            self.check(brick)
        return self._read(name, brick)

    def check(self, brick: int) -> None:
        """Hold the rows of a brick against its digest, unless that was done; BrickCorrupt as `rows`.

        What does not match is read again, as often as the source is worth it (`n_attempts`).
        """
        for _ in range(self._store.source.n_attempts):
            if self._sound[brick]:
                return
            density, sh = (self._read(name, brick) for name in ROW_ARRAYS)
            self._sound[brick] = matches_digest(self._tables, brick, density, sh)
            if not self._sound[brick]:
                self._forget(brick)
        if not self._sound[brick]:
            raise no_match(self._store, brick)

    def chunk(self, name: str, chunk: int) -> NDArray[Any]:
        """The values of a whole chunk, not held against any digest; BrickCorrupt as `read_chunk`."""
        return self._chunks[name](chunk)

    def _read(self, name: str, brick: int) -> NDArray[Any]:
        """`rows`, not looked at."""
        first, stop = self._span(brick)
        size = self._chunk_rows[name]
        try:
            parts = [
                self._chunks[name](chunk)[max(0, first - chunk * size) : stop - chunk * size]
                for chunk in range(first // size, (stop - 1) // size + 1)
            ]
        except BrickCorrupt as error:
            raise naming_brick(self._store, error, np.array([brick])) from error
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _span(self, brick: int) -> tuple[int, int]:
        """First row of a brick, and the one after its last."""
        first, count = self._tables.rows_of(np.array([brick]))
        return int(first[0]), int(first[0] + count[0])

    def _forget(self, brick: int) -> None:
        """Have what a brick's rows lie in come anew: from afar, where the scene is."""
        first, stop = self._span(brick)
        for name, size in self._chunk_rows.items():
            self._chunks[name].cache_clear()
            for chunk in range(first // size, (stop - 1) // size + 1):
                self._store.forget_chunk(name, chunk)

    def owned(self, place: tuple[int, int, int]) -> tuple[int, int, int]:
        """Voxels along each axis that the brick at a place owns: the last one its apron, too."""
        x, y, z = (
            min(self.bricks.edge, size - i * self.bricks.brick_size)
            if i == n - 1
            else self.bricks.brick_size
            for i, n, size in zip(place, self.bricks.shape, self.bricks.size, strict=True)
        )
        return x, y, z

    def _keys(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """One number for each place of a brick."""
        _, y, z = self.bricks.shape
        keys: NDArray[np.int64] = (places[:, 0] * y + places[:, 1]) * z + places[:, 2]
        return keys
