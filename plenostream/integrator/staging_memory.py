"""Memory that bricks are gathered in before a device takes them, and how their rows get there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ALIGNMENT", "CopyRows", "Slices", "copy_rows", "plain_memory"]

ALIGNMENT = 64
"""Bytes at whose multiples JAX's arrays on a CPU begin: it uses such memory in place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slices:
    """Rows [low, high) of arrays that go to the rows from `out` on of another one, [s] each."""

    array: NDArray[np.int64]
    """Number of the array."""
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    out: NDArray[np.int64]


class CopyRows(Protocol):
    """Copies rows; all arrays are of one type and shape of row, and their rows follow each other in memory."""

    def __call__(
        self, target: NDArray[Any], arrays: Sequence[NDArray[Any]], slices: Slices
    ) -> None:
        """Copy the `slices` of `arrays` to their rows of `target`."""
        ...


def copy_rows(target: NDArray[Any], arrays: Sequence[NDArray[Any]], slices: Slices) -> None:
    """See `CopyRows`; one slice after another."""
    each = (slices.array, slices.low, slices.high, slices.out)
    for array, low, high, out in zip(*(numbers.tolist() for numbers in each), strict=True):
        target[out : out + high - low] = arrays[array][low:high]


def plain_memory(n_bytes: int) -> NDArray[np.uint8]:
    """Zeros [n_bytes] of ordinary memory that begin at a multiple of `ALIGNMENT`."""
    memory = np.zeros(n_bytes + ALIGNMENT - 1, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + n_bytes]
