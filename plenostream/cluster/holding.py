"""What the process of a worker keeps open from one task to the next: one thing, such as a renderer.

A worker has one budget, so it holds one thing at a time: asked for another, it closes the one before.
It is kept until `let_go`, or until the process ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from plenostream.process.closing import Closing

__all__ = ["held", "let_go"]

_Held = TypeVar("_Held", bound=Closing)
_gate = threading.Lock()
_now: list[tuple[Any, Closing]] = []
"""What is held, and what it was asked for with; one or nothing."""


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
