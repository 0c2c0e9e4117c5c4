"""Memory that bricks are gathered in before a device takes them, and how their rows get there."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.arrivals import Runs

__all__ = ["ALIGNMENT", "CopyRows", "copy_rows", "plain_memory"]

ALIGNMENT = 64
"""Bytes at whose multiples JAX's arrays on a CPU begin: it uses such memory in place."""


class CopyRows(Protocol):
    """Copies rows to where they follow each other."""

    def __call__(
        self, target: NDArray[Any], runs: Runs, n_rows: NDArray[np.int64], out: NDArray[np.int64]
    ) -> None:
        """Copy `runs`, one at least, of `n_rows` [r] rows each to the rows of `target` from `out` [r] on."""
        ...


def copy_rows(
    target: NDArray[Any], runs: Runs, n_rows: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    """See `CopyRows`; one run after another."""
    each = (runs.array_of, runs.first, n_rows, out)
    for array, first, n, to in zip(*(numbers.tolist() for numbers in each), strict=True):
        target[to : to + n] = runs.arrays[array][first : first + n]


def plain_memory(n_bytes: int) -> NDArray[np.uint8]:
    """Zeros [n_bytes] of ordinary memory that begin at a multiple of `ALIGNMENT`."""
    memory = np.zeros(n_bytes + ALIGNMENT - 1, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes]
