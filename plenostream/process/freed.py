"""Memory that was freed goes back to the system, so that what is planned next starts from nothing.

The C library keeps what is freed in the middle of its heaps. Arrays of the next step have other sizes and
do not fit there: dense conversions of 130^3 voxels grew to 278 MB in a step that was planned with 271 and
took 187 by itself.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache

__all__ = ["give_back_freed"]


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], int] | None:
    """`malloc_trim` of glibc; None where the C library is another one."""
    if sys.platform != "linux":
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def give_back_freed() -> None:
    """Give back to the system what this process has freed; to be called between steps that take much."""
    trim = _trim()
    if trim is not None:
        trim(0)
