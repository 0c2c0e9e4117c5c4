"""Asks for several things at once, where answers have to be waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

__all__ = ["EachOf", "asked_at_once"]

_Thing = TypeVar("_Thing")
_Answer = TypeVar("_Answer")


class EachOf(Protocol):
    """As `map`: what a function gives for each of some things, in their order."""

    def __call__(
        self, function: Callable[[_Thing], _Answer], things: Iterable[_Thing], /
    ) -> Iterator[_Answer]: ...


@contextmanager
def asked_at_once(n_at_once: int) -> Iterator[EachOf]:
    """`map`, with `n_at_once` things asked for at once; one after another where that is 0.

    No more are taken from the things than are asked for: a file may claim that there are billions.
    The context ends when what is under way has ended.
    """
    if not n_at_once:
        yield map
        return
    threads = ThreadPoolExecutor(n_at_once, thread_name_prefix="plenostream-ask")

    def each(
        function: Callable[[_Thing], _Answer], things: Iterable[_Thing], /
    ) -> Iterator[_Answer]:
        asked: deque[Future[_Answer]] = deque()
        for thing in things:
            asked.append(threads.submit(function, thing))
            if len(asked) == n_at_once:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()

    try:
        yield each
    finally:
        threads.shutdown(cancel_futures=True)
