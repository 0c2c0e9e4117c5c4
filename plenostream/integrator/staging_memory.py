"""Memory that bricks are gathered in before a device takes them."""

from __future__ import annotations

import importlib
import logging

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNMENT", "page_locked_memory", "plain_memory"]

ALIGNMENT = 64
"""Bytes at whose multiples JAX's arrays on a CPU begin: it uses such memory in place."""

_log = logging.getLogger(__name__)


def plain_memory(n_bytes: int) -> NDArray[np.uint8]:
    """Zeros [n_bytes] of ordinary memory that begin at a multiple of `ALIGNMENT`."""
    memory = np.zeros(n_bytes + ALIGNMENT - 1, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes]


def page_locked_memory(n_bytes: int) -> NDArray[np.uint8]:
    """Zeros [n_bytes] of memory that a CUDA device reads without a copy by the driver, by Warp;
    ordinary memory where Warp is not installed, or has no such device or memory."""
    try:
        warp = importlib.import_module("warp")
        memory: NDArray[np.uint8] = warp.zeros(
            n_bytes, dtype=warp.uint8, device="cpu", pinned=True
        ).numpy()
    except (ImportError, RuntimeError) as error:
        _log.info("staging buffers are ordinary memory: %s", error)
        return plain_memory(n_bytes)
    return memory
