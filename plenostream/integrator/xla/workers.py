"""The threads that draw: each has a part of the rays, and does its tasks in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from plenostream.integrator.xla.kernels.geometry import RayConstants

__all__ = ["QUEUED_CALLS", "Worker", "Workers"]

QUEUED_CALLS = 4
"""Calls of the integrator that wait for their turn, per part."""


class Worker:
    """One part of the rays, and the thread that draws them."""

    def __init__(self, part: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"plenostream-part-{part}")
        self._waiting: deque[tuple[Future[Any], int]] = deque()
        self.rays: RayConstants | None = None
        self.state: Any = None
        self.is_interrupted = False

    def check(self) -> None:
        """Raise CancelledError where nobody waits any more for what the rays meet."""
        if self.is_interrupted:
            raise CancelledError

    def submit(self, task: Callable[..., Any], *args: Any) -> Future[Any]:
        """Run `task` after all others of this worker; waits while too many are queued."""
        while len(self._waiting) >= QUEUED_CALLS:
            self._waiting.popleft()[0].result()
        future = self._thread.submit(task, *args)
        n_bytes = sum(arg.nbytes for arg in args if isinstance(arg, np.ndarray))
        self._waiting.append((future, n_bytes))
        return future

    @property
    def queued_bytes(self) -> int:
        """Bytes of the arrays that wait with their tasks."""
        return sum(n_bytes for future, n_bytes in self._waiting if not future.done())

    def wait(self) -> None:
        """Until everything submitted is done (on a GPU: queued); raises what a task raised."""
        while self._waiting:
            self._waiting.popleft()[0].result()

    def drop(self) -> None:
        """Let go of the rays, after an error too."""
        for future, _ in self._waiting:
            future.cancel()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.cancelled():
                future.exception()
        self.rays = self.state = None

    def close(self) -> None:
        """End the thread."""
        self.drop()
        self._thread.shutdown()


class Workers:
    """The workers of an integrator."""

    def __init__(self, n_parts: int) -> None:
        self.all = [Worker(part) for part in range(n_parts)]

    def interrupt(self) -> None:
        """From another thread: rays go no further. Changes of the pool, which outlives them, do."""
        for worker in self.all:
            worker.is_interrupted = True

    def go_on(self) -> None:
        """There are other rays."""
        for worker in self.all:
            worker.is_interrupted = False

    def drop(self) -> None:
        """Let all let go of their rays."""
        for worker in self.all:
            worker.drop()

    @property
    def queued_bytes(self) -> int:
        """Bytes of the arrays that wait with the tasks of all."""
        return sum(worker.queued_bytes for worker in self.all)

    def wait(self) -> None:
        """Until all are idle."""
        for worker in self.all:
            worker.wait()

    def close(self) -> None:
        """End the threads."""
        for worker in self.all:
            worker.close()
