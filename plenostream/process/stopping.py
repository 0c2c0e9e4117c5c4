"""Work that ends well when it is told to: the first Ctrl-C asks it to, the next ends the process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

__all__ = ["ask_to_stop", "stoppable"]

_under_way: list[threading.Event] = []


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Work that asks, now and then, whether it is to stop; it then keeps what there is, and ends."""
    asked = threading.Event()
    _under_way.append(asked)
    try:
        yield asked.is_set
    finally:
        _under_way.remove(asked)


def ask_to_stop() -> bool:
    """Ask all such work to stop; whether there is some, and it was not asked before."""
    unasked = [asked for asked in _under_way if not asked.is_set()]
    for asked in unasked:
        asked.set()
    return bool(unasked)
