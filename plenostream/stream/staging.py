"""Bricks on their way in, a batch in each of two rooms: one is filled while the other is taken in.

A room is a buffer that rows are copied into, for a device that reads such; or it holds the chunks of the
cache that they lie in, where those can be read as they are.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.interface import Runs
from plenostream.process.closing import Closing
from plenostream.stream.fetcher import BrickFetcher
from plenostream.stream.holding import Hold, RowRuns

__all__ = ["N_ROOMS", "HeldChunks", "Room", "Staging", "StagingBuffer", "buffers", "staging_bytes"]

N_ROOMS = 2

Filled = TypeVar("Filled")


class Room(Protocol):
    """Where the rows of some bricks lie until they are in the pool."""

    @property
    def nbytes(self) -> int:
        """Bytes of its own."""
        ...

    def bring(
        self, fetcher: BrickFetcher, bricks: NDArray[np.int64], is_dropped: Callable[[], bool]
    ) -> RowRuns:
        """The rows of bricks [k], read and checked; see `BrickFetcher.take`."""
        ...

    def release(self) -> None:
        """Let go of what was brought."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class StagingBuffer:
    """A room that rows are copied into."""

    density: NDArray[np.float32]
    """[N]."""
    sh: NDArray[np.floating]
    """[N, columns], in the type of the store."""

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.density.nbytes + self.sh.nbytes

    def bring(
        self, fetcher: BrickFetcher, bricks: NDArray[np.int64], is_dropped: Callable[[], bool]
    ) -> RowRuns:
        """See `Room`: in one run."""
        rows = fetcher.take(bricks, into=(self.density, self.sh), is_dropped=is_dropped)
        return RowRuns(
            density=Runs.of(self.density),
            sh=Runs.of(self.sh),
            run_start=rows.row_start[[0, -1]],
            row_start=rows.row_start,
        )

    def release(self) -> None:
        """See `Room`: what comes next is written over it."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldChunks:
    """A room that rows need not be copied into: their chunks stay in the cache."""

    hold: Hold = field(default_factory=Hold)
    nbytes: int = 0

    def bring(
        self, fetcher: BrickFetcher, bricks: NDArray[np.int64], is_dropped: Callable[[], bool]
    ) -> RowRuns:
        """See `Room`."""
        return fetcher.hold(bricks, self.hold, is_dropped=is_dropped)

    def release(self) -> None:
        """See `Room`."""
        self.hold.release()


def staging_bytes(n_rows: int, columns: int, sh_dtype: str) -> int:
    """Bytes of all buffers of `n_rows` rows."""
    return N_ROOMS * n_rows * (4 + columns * np.dtype(sh_dtype).itemsize)


def buffers(
    n_rows: int, columns: int, sh_dtype: str, *, memory: Callable[[int], NDArray[np.uint8]]
) -> list[StagingBuffer]:
    """Buffers of `n_rows` rows in `memory`, which allocates: see `Integrator.staging_memory`."""

    def array(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return memory(n_bytes).view(dtype).reshape(shape)

    return [
        StagingBuffer(array((n_rows,), "float32"), array((n_rows, columns), sh_dtype))
        for _ in range(N_ROOMS)
    ]


class Staging(Closing):
    """The rooms, and a thread for each."""

    def __init__(self, rooms: Sequence[Room]) -> None:
        self._rooms = rooms
        self._threads = ThreadPoolExecutor(len(rooms), thread_name_prefix="plenostream-stage")
        self._filling: deque[tuple[Future[Any], Room]] = deque()
        self._dropped = threading.Event()

    @property
    def nbytes(self) -> int:
        """Bytes of all rooms."""
        return sum(room.nbytes for room in self._rooms)

    def fill(self, tasks: Sequence[Callable[[Room], Filled]]) -> Iterator[Filled]:
        """What each task brings into a room, in order; the first of them are begun at once.

        A result is valid until the next is asked for: its room is then filled again. Raises what a task
        raised, in its turn.
        """
        self.drop()
        self._dropped.clear()
        todo = deque(tasks)

        def start(room: Room) -> None:
            room.release()
            if todo:
                self._filling.append((self._threads.submit(todo.popleft(), room), room))

        for room in self._rooms:
            start(room)
        return self._filled(start)

    def _filled(self, start: Callable[[Room], None]) -> Iterator[Any]:
        while self._filling:
            future, room = self._filling[0]
            result = future.result()
            self._filling.popleft()
            yield result
            start(room)

    def is_dropped(self) -> bool:
        """Whether nobody waits any more for what is being filled: tasks ask, and end early."""
        return self._dropped.is_set()

    def interrupt(self) -> None:
        """From another thread: as `drop`, but waits for nothing."""
        self._dropped.set()

    def drop(self) -> None:
        """Let go of what was brought and is being brought; waits for the tasks that run."""
        self._dropped.set()
        while self._filling:
            future, _ = self._filling.popleft()
            if not future.cancel():
                future.exception()
        for room in self._rooms:
            room.release()

    def close(self) -> None:
        """End the threads, and let go of the rooms."""
        self.drop()
        self._threads.shutdown()
        self._rooms = ()
