"""Arrays that begin where a cache line does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["SPARE_BYTES", "aligned"]

_LINE = 64
SPARE_BYTES = 2 * _LINE
"""Bytes that `aligned` takes beside the numbers."""


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new array of zeros; a cache line of zeros lies behind it, since kernels read pairs."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + SPARE_BYTES, np.uint8)
    start = -buffer.ctypes.data % _LINE
    return buffer[start : start + n_bytes].view(dtype).reshape(shape)
