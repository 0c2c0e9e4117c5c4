"""Rows copied by a compiled kernel: all runs in one call, so that nobody waits for Python's lock in between."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.arrivals import Runs
from plenostream.integrator.native.library import Kernels
from plenostream.integrator.staging_memory import CopyRows

__all__ = ["compiled_copies"]


def compiled_copies(kernels: Kernels) -> CopyRows:
    """`CopyRows` by `kernels`; several threads may call it at the same time."""

    def copy_rows(
        target: NDArray[Any], runs: Runs, n_rows: NDArray[np.int64], out: NDArray[np.int64]
    ) -> None:
        source, row_bytes = runs.addresses, runs.row_bytes
        to, n_bytes = out * row_bytes, n_rows * row_bytes
        kernels.copy_rows(
            target.ctypes.data, source.ctypes.data, to.ctypes.data, n_bytes.ctypes.data, len(source)
        )

    return copy_rows
