"""What bricks lie in on their way into the pool: chunks that are held or buffers, as the integrator takes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import DeviceError
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import Integrator, SceneShape
from plenostream.integrator.native.copying import compiled_copies
from plenostream.integrator.native.library import load_kernels
from plenostream.integrator.staging_memory import CopyRows, copy_rows
from plenostream.stream.fetcher import BrickFetcher, most_chunks
from plenostream.stream.staging import N_ROOMS, HeldChunks, Room, buffers, staging_bytes

__all__ = ["Rooms", "fastest_copies", "rooms_for"]


_HELD_FOR_GOOD = 32
"""Chunks of a batch whose memory is used again, so that there is little of it; the fewer batches, the less
time else."""


@cache
def fastest_copies() -> CopyRows:
    """Compiled, where that was installed."""
    try:
        return compiled_copies(load_kernels())
    except DeviceError:
        return copy_rows


class Rooms(Protocol):
    """How many bricks are on their way at a time, and what that takes."""

    nbytes: int
    """Bytes of all rooms, and of what they take for a while."""
    n_held: int
    """Chunks that are held in them at a time."""

    def make(self) -> Sequence[Room]:
        """The rooms, empty."""
        ...

    def filled_by(self, fetcher: BrickFetcher, bricks: NDArray[np.int64]) -> NDArray[np.int64]:
        """What of a room the bricks [k] up to each, and that one, fill together [k]."""
        ...

    def most(self, fetcher: BrickFetcher, *, for_good: bool) -> int:
        """What bricks of a batch may fill; `for_good` as in `BrickSupply`."""
        ...


def rooms_for(store: SceneStore, scene: SceneShape, integrator: Integrator) -> Rooms:
    """Those that an integrator takes the bricks of a scene from."""
    if integrator.takes_in_place:
        return _Held(store, scene)
    return _Copied(store, scene, integrator)


class _Held:
    """Rooms that hold chunks, and are filled by them."""

    def __init__(self, store: SceneStore, scene: SceneShape) -> None:
        meta = store.meta
        self._least = most_chunks(store, scene.largest_rows)
        # A brick in several runs is put together to be held against its digest.
        self.nbytes = staging_bytes(scene.largest_rows, meta.sh_columns, meta.sh_dtype)
        self.n_held = N_ROOMS * self._least

    def make(self) -> Sequence[Room]:
        return [HeldChunks() for _ in range(N_ROOMS)]

    def filled_by(self, fetcher: BrickFetcher, bricks: NDArray[np.int64]) -> NDArray[np.int64]:
        return fetcher.n_chunks_up_to(bricks)

    def most(self, fetcher: BrickFetcher, *, for_good: bool) -> int:
        most = fetcher.n_held_at_once
        return max(self._least, min(most, _HELD_FOR_GOOD) if for_good else most)


class _Copied:
    """Rooms that rows are copied into, and are filled by them."""

    n_held = 0

    def __init__(self, store: SceneStore, scene: SceneShape, integrator: Integrator) -> None:
        self._store = store
        self._integrator = integrator
        self._n_rows = scene.staged_rows(integrator.batch_rows)
        self.nbytes = staging_bytes(self._n_rows, store.meta.sh_columns, store.meta.sh_dtype)

    def make(self) -> Sequence[Room]:
        meta = self._store.meta
        memory = self._integrator.staging_memory
        return buffers(self._n_rows, meta.sh_columns, meta.sh_dtype, memory=memory)

    def filled_by(self, fetcher: BrickFetcher, bricks: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.cumsum(self._store.tables.rows_of(bricks)[1])

    def most(self, fetcher: BrickFetcher, *, for_good: bool) -> int:
        return self._integrator.batch_rows
