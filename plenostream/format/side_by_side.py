"""Asks for several things at once, where answers have to be waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

__all__ = ["EachOf", "side_by_side"]

_Thing = TypeVar("_Thing")
_Answer = TypeVar("_Answer")


class EachOf(Protocol):
    """As `map`: what a function gives for each of some things, in their order."""

    def __call__(
        self, function: Callable[[_Thing], _Answer], things: Iterable[_Thing], /
    ) -> Iterator[_Answer]: ...


@contextmanager
def side_by_side(n_at_once: int) -> Iterator[EachOf]:
    """`map`, with `n_at_once` things asked for at once; in the order of asking where that is 0.

    What was asked for and is not wanted any more, because of an error, is not waited for twice: the
    context ends when what is under way has ended.
    """
    if not n_at_once:
        yield map
        return
    threads = ThreadPoolExecutor(n_at_once, thread_name_prefix="plenostream-ask")
    try:
        yield threads.map
    finally:
        threads.shutdown(cancel_futures=True)
