"""Texels of background layers in memory: all of them, or as many chunks as there is room for."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from plenostream.field.background import CORNERS, BackgroundLayers
from plenostream.format.extra_arrays import ExtraCheck
from plenostream.format.reader import SceneStore
from plenostream.options import RenderOptions

__all__ = ["Texels", "least_texel_bytes", "most_texel_bytes"]

_LINKS, _DATA = "background/links", "background/data"


def least_texel_bytes(store: SceneStore) -> int:
    """Bytes with which the layers can be drawn: links, four chunks, and reading one of them."""
    return _bytes_of(store, min(CORNERS, _n_chunks(store)))


def most_texel_bytes(store: SceneStore) -> int:
    """Bytes with which nothing is read twice."""
    return _bytes_of(store, _n_chunks(store))


def _n_chunks(store: SceneStore) -> int:
    return max(1, store.specs[_DATA].n_chunks)  # of nothing, one that holds nothing


def _bytes_of(store: SceneStore, n_chunks: int) -> int:
    data, links = store.specs[_DATA], store.specs[_LINKS]
    # One that is read is there as it is stored, too; so are the links, while they are read.
    reading = max(data.chunk_bytes, 2 * links.chunk_bytes) + store.arrays[_DATA].chain.stored_limit
    tables = 4 * _n_chunks(store)
    return links.shape[0] * links.row_bytes + n_chunks * _chunk_bytes(store) + reading + tables


def _chunk_bytes(store: SceneStore) -> int:
    return max(store.specs[_DATA].chunk_bytes, store.specs[_DATA].row_bytes)


class Texels:
    """The background of a scene, within `allowed_bytes` (`least_texel_bytes` at least).

    Which chunk makes room for another is left to chance: rays come in rows of tiles, each of which
    needs the same chunks in the same order, and the one used least recently would be needed next.

    Raises
    ------
    BrickCorrupt : layers that are damaged. StoreError : the scene is closed.
    """

    def __init__(self, store: SceneStore, options: RenderOptions, *, allowed_bytes: int) -> None:
        self._store, spec = store, store.specs[_DATA]
        n_chunks = _n_chunks(store)
        spare = max(0, allowed_bytes - least_texel_bytes(store))
        n_slots = min(n_chunks, CORNERS + spare // _chunk_bytes(store))
        self.nbytes = _bytes_of(store, n_slots)
        self._chunk_in = np.full(n_slots, -1, np.int64)
        self._chance = random.Random(0)
        chunk_rows = max(1, spec.chunk_shape[0])
        self.layers = BackgroundLayers(
            links=store.read_array(_LINKS),
            texels=np.zeros((n_slots, chunk_rows, *spec.shape[1:]), np.float32),
            slot_of=np.full(n_chunks, -1, np.int32),
            center=np.array(store.meta.grid.center, np.float64),
            radius=np.array(store.meta.grid.radius, np.float64),
            step_size=options.step_size,
            stop_thresh=options.stop_thresh,
        )
        self._read_all()

    @property
    def is_whole(self) -> bool:
        """Whether all of it is in memory."""
        return len(self._chunk_in) == len(self.layers.slot_of)

    def bring(self, chunks: NDArray[np.int64]) -> None:
        """Have the first of these `chunks` in memory, as many as there is room for."""
        wanted = chunks[: len(self._chunk_in)]
        free = np.flatnonzero(~np.isin(self._chunk_in, wanted)).tolist()
        self._chance.shuffle(free)
        for chunk in wanted[self.layers.slot_of[wanted] < 0].tolist():
            self._read(chunk, free.pop())

    def _read_all(self) -> None:
        """Hold everything against its digest, once, and keep what there is room for."""
        about = ExtraCheck(self._store.meta, "background")
        about.update(_LINKS, self.layers.links)
        n_slots = len(self._chunk_in)
        for chunk in range(self._store.specs[_DATA].n_chunks):
            about.update(_DATA, self._read(chunk, chunk % n_slots))
        if not self._store.specs[_DATA].n_chunks:
            self.layers.slot_of[0] = 0
        about.refuse_faults(self._store.path)

    def _read(self, chunk: int, slot: int) -> NDArray[np.float32]:
        """Read a chunk into a slot, in the place of what is there."""
        if self._chunk_in[slot] >= 0:
            self.layers.slot_of[self._chunk_in[slot]] = -1
            self._chunk_in[slot] = -1
        values = self._store.read_chunk(_DATA, chunk)
        self.layers.texels[slot, : len(values)] = values
        self._chunk_in[slot] = chunk
        self.layers.slot_of[chunk] = slot
        return self.layers.texels[slot, : len(values)]
