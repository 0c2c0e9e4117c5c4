"""What the process of a worker keeps open from one task to the next: one thing, such as a renderer.

A worker has one budget, so it holds one thing at a time: asked for another, it closes the one before.
It is kept until `let_go`, or until the process ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from plenostream.process.closing import Closing

__all__ = ["CLOSING_S", "alone", "held", "let_go"]

CLOSING_S = 2.0
"""Seconds that workers have for closing what they hold, before nobody waits for them any more."""

_Held = TypeVar("_Held", bound=Closing)
_gate = threading.RLock()
_now: list[tuple[Any, Closing]] = []
"""What is held, and what it was asked for with; one or nothing."""


@contextmanager
def alone() -> Iterator[None]:
    """A `with` in which no other thread uses, or closes, what is held: a worker may have several threads
    of Dask, and its budget is for one task at a time."""
    with _gate:
        yield


def held(key: object, make: Callable[[], _Held]) -> _Held:
    """The thing that `make` made for an equal `key`, still open; made now where another is held.

    Raises whatever `make` raises; then nothing is held.
    """
    with _gate:
        if _now and _now[0][0] == key:
            return _now[0][1]  # type: ignore[return-value]
        _close()
        made = make()
        _now.append((key, made))
        return made


def let_go(key: object = None) -> None:
    """Close what is held, if it is held for `key` or no key is said."""
    with _gate:
        if _now and key in (None, _now[0][0]):
            _close()


def _close() -> None:
    while _now:
        _now.pop()[1].close()
