"""The threads that draw: tasks run one after another, each by all threads at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

__all__ = ["Crew"]

_Result = TypeVar("_Result")


class Crew:
    """`n_threads` threads that work on the same task until it is done, then on the next.

    The host loop puts tasks into the queue and goes on; what is handed to a task is not to be
    changed until it is done. After a task has failed, those that wait are left out.
    """

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._lead = ThreadPoolExecutor(1, thread_name_prefix="plenostream-lead")
        self._others = ThreadPoolExecutor(
            max(n_threads - 1, 1), thread_name_prefix="plenostream-part"
        )
        self._waiting: deque[Future[Any]] = deque()
        self._error: BaseException | None = None

    def submit(self, part: Callable[[int], _Result], n: int | None = None) -> Future[list[_Result]]:
        """Have `n` threads (all) call `part` with 0, 1, ...; gives what each call gave."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft().result()
        future = self._lead.submit(self._work, part, n or self.n_threads)
        self._waiting.append(future)
        return future

    def begin(self, part: Callable[[int], _Result]) -> Future[list[_Result]]:
        """As `submit`, but return once all threads are at it, or it cannot be done. They need the interpreter
        for their first step: whoever goes on in it at once keeps them waiting for some milliseconds."""
        begun = threading.Semaphore(0)

        def first_step(number: int) -> _Result:
            begun.release()
            return part(number)

        future = self.submit(first_step)
        future.add_done_callback(lambda _: begun.release(self.n_threads))
        for _ in range(self.n_threads):
            begun.acquire()
        return future

    def _work(self, part: Callable[[int], _Result], n: int) -> list[_Result]:
        if self._error is not None:
            raise self._error
        others = [self._others.submit(part, number) for number in range(1, n)]
        try:
            mine = part(0)
            return [mine, *(other.result() for other in others)]
        except BaseException as error:
            self._error = error
            raise
        finally:
            wait(others)  # none may go on with what the next task changes

    def keep_up(self, most: int) -> None:
        """Wait until at most `most` tasks are left to do; raises what a task raised."""
        while len(self._waiting) > most:
            self._waiting[0].result()
            self._waiting.popleft()

    def drop(self) -> None:
        """Leave out what waits, and wait for the task in hand."""
        self._error = CancelledError()
        wait(self._waiting)
        self._waiting.clear()
        self._error = None

    def close(self) -> None:
        """End the threads."""
        self.drop()
        self._lead.shutdown()
        self._others.shutdown()
