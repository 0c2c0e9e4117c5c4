"""Compiled programs, kept for the life of the process, so that each is compiled once.

`jax.jit` keeps such a cache itself, but finds programs by the identity of their function, and a
renderer's kernels are closures of its own: a second renderer of the same shapes would compile
everything again. Here a program is found by what it is made of. The caller's key has to name all
of that: device, static parameters, shapes and types.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import jax

__all__ = ["compiled_once"]

_MOST = 512
"""Programs that are kept; those used longest ago go first. A renderer has 10 to 20."""


@dataclass(slots=True)
class _Entry:
    """One program; the lock lets two threads that want it compile it once."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    program: jax.stages.Compiled | None = None


_entries: OrderedDict[Hashable, _Entry] = OrderedDict()
_lock = threading.Lock()


def compiled_once(
    key: Hashable, compile_it: Callable[[], jax.stages.Compiled]
) -> tuple[jax.stages.Compiled, bool]:
    """The program of this key, and whether it had to be compiled for this call.

    May be called from several threads; other programs can be compiled meanwhile. What fails is
    not remembered.
    """
    with _lock:
        entry = _entries.setdefault(key, _Entry())
        _entries.move_to_end(key)
        while len(_entries) > _MOST:
            _entries.popitem(last=False)
    with entry.lock:
        if entry.program is not None:
            return entry.program, False
        entry.program = compile_it()
        return entry.program, True
