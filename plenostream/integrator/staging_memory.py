"""Memory that bricks are gathered in before a device takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNMENT", "plain_memory"]

ALIGNMENT = 64
"""Bytes at whose multiples JAX's arrays on a CPU begin: it uses such memory in place."""


def plain_memory(n_bytes: int) -> NDArray[np.uint8]:
    """Zeros [n_bytes] of ordinary memory that begin at a multiple of `ALIGNMENT`."""
    memory = np.zeros(n_bytes + ALIGNMENT - 1, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes]
