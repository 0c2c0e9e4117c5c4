"""The two buffers that bricks are gathered in: each is filled while the other is taken in."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from plenostream.process.closing import Closing

__all__ = ["Staging", "StagingBuffer", "staging_bytes"]

N_BUFFERS = 2

Filled = TypeVar("Filled")


@dataclass(frozen=True, slots=True, eq=False)
class StagingBuffer:
    """Room for the rows of some bricks."""

    density: NDArray[np.float32]
    """[N]."""
    sh: NDArray[np.floating]
    """[N, columns], in the type of the store."""

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.density.nbytes + self.sh.nbytes


def staging_bytes(n_rows: int, columns: int, sh_dtype: str) -> int:
    """Bytes of all buffers of `n_rows` rows."""
    return N_BUFFERS * n_rows * (4 + columns * np.dtype(sh_dtype).itemsize)


class Staging(Closing):
    """The buffers, allocated once, and a thread for each."""

    def __init__(
        self,
        n_rows: int,
        columns: int,
        sh_dtype: str,
        *,
        memory: Callable[[int], NDArray[np.uint8]],
    ) -> None:
        """Take `memory`, which allocates: see `Integrator.staging_memory`."""

        def array(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
            n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
            return memory(n_bytes).view(dtype).reshape(shape)

        self._buffers = [
            StagingBuffer(array((n_rows,), "float32"), array((n_rows, columns), sh_dtype))
            for _ in range(N_BUFFERS)
        ]
        self._threads = ThreadPoolExecutor(N_BUFFERS, thread_name_prefix="plenostream-stage")
        self._filling: deque[tuple[Future[Any], StagingBuffer]] = deque()
        self._dropped = threading.Event()

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(buffer.nbytes for buffer in self._buffers)

    def fill(self, tasks: Sequence[Callable[[StagingBuffer], Filled]]) -> Iterator[Filled]:
        """What each task makes of a buffer, in order; the first of them are begun at once.

        A result is valid until the next is asked for: its buffer is then filled again. Raises what
        a task raised, in its turn.
        """
        self.drop()
        self._dropped.clear()
        todo = deque(tasks)

        def start(buffer: StagingBuffer) -> None:
            if todo:
                self._filling.append((self._threads.submit(todo.popleft(), buffer), buffer))

        for buffer in self._buffers:
            start(buffer)
        return self._filled(start)

    def _filled(self, start: Callable[[StagingBuffer], None]) -> Iterator[Any]:
        while self._filling:
            future, buffer = self._filling[0]
            result = future.result()
            self._filling.popleft()
            yield result
            start(buffer)

    def is_dropped(self) -> bool:
        """Whether nobody waits any more for what is being filled: tasks ask, and end early."""
        return self._dropped.is_set()

    def interrupt(self) -> None:
        """From another thread: as `drop`, but waits for nothing."""
        self._dropped.set()

    def drop(self) -> None:
        """Let go of what is being filled; waits for the tasks that run."""
        self._dropped.set()
        while self._filling:
            future, _ = self._filling.popleft()
            if not future.cancel():
                future.exception()

    def close(self) -> None:
        """End the threads, and let go of the buffers."""
        self.drop()
        self._threads.shutdown()
        self._buffers = []
