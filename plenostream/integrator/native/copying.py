"""Rows copied by a compiled kernel: all slices in one call, so that nobody waits for Python's lock in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.native.library import Kernels
from plenostream.integrator.staging_memory import CopyRows, Slices

__all__ = ["compiled_copies"]


def compiled_copies(kernels: Kernels) -> CopyRows:
    """`CopyRows` by `kernels`; several threads may call it at the same time."""

    def copy_rows(target: NDArray[Any], arrays: Sequence[NDArray[Any]], slices: Slices) -> None:
        row_bytes = target.strides[0]
        start = np.array([array.__array_interface__["data"][0] for array in arrays], np.uint64)
        source = start[slices.array] + (slices.low * row_bytes).astype(np.uint64)
        out, n_bytes = slices.out * row_bytes, (slices.high - slices.low) * row_bytes
        kernels.copy_rows(
            target.ctypes.data,
            source.ctypes.data,
            out.ctypes.data,
            n_bytes.ctypes.data,
            len(source),
        )

    return copy_rows
