"""What bricks lie in on their way into the pool: buffers, or chunks that are held; and how much of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import Integrator, SceneShape
from plenostream.stream.fetcher import BrickFetcher, most_chunks
from plenostream.stream.staging import N_ROOMS, HeldChunks, Room, buffers, staging_bytes

__all__ = ["Rooms"]


class Rooms:
    """The rooms that an integrator takes the bricks of a scene from."""

    def __init__(self, store: SceneStore, scene: SceneShape, integrator: Integrator) -> None:
        self._store = store
        self._integrator = integrator
        self._in_place = integrator.takes_in_place
        self._n_rows = scene.staged_rows(integrator.batch_rows)
        meta = store.meta
        if self._in_place:
            self._most = most_chunks(store, scene.largest_rows)
            # A brick in several runs is put together to be held against its digest.
            n_rows = scene.largest_rows
        else:
            self._most = integrator.batch_rows
            n_rows = self._n_rows
        self.nbytes = staging_bytes(n_rows, meta.sh_columns, meta.sh_dtype)
        """Bytes of all of them, and of what they take for a while."""
        self.n_held = N_ROOMS * self._most if self._in_place else 1
        """Chunks that are held at a time."""

    def make(self) -> Sequence[Room]:
        """The rooms, empty."""
        if self._in_place:
            return [HeldChunks() for _ in range(N_ROOMS)]
        meta = self._store.meta
        memory = self._integrator.staging_memory
        return buffers(self._n_rows, meta.sh_columns, meta.sh_dtype, memory=memory)

    def filled_by(self, fetcher: BrickFetcher, bricks: NDArray[np.int64]) -> NDArray[np.int64]:
        """What of a room the bricks [k] up to each, and that one, fill together [k]: chunks, or rows."""
        if self._in_place:
            return fetcher.n_chunks_up_to(bricks)
        return np.cumsum(self._store.tables.rows_of(bricks)[1])

    def most(self, fetcher: BrickFetcher) -> int:
        """What bricks of a batch may fill."""
        return max(self._most, fetcher.n_held_at_once) if self._in_place else self._most
