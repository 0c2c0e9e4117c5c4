"""`rows.RowWork` by the kernels that are compiled for CPUs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import DeviceError
from plenostream.integrator.native import structs
from plenostream.integrator.native.library import Kernels, load_kernels
from plenostream.train.plain_rows import PlainRows
from plenostream.train.rows import Descent, RowWork, TrainedRows, Variation

__all__ = ["CompiledRows", "row_work"]

_ROWS_AT_ONCE = 4096
"""Rows that are worth a thread of their own."""


def row_work(rows: TrainedRows, beyond: NDArray[np.int32], *, n_threads: int) -> RowWork:
    """The fastest way that is here; `beyond` as in `VoxelSet`."""
    try:
        return CompiledRows(load_kernels(), rows, beyond, n_threads=n_threads)
    except DeviceError:
        return PlainRows(rows, beyond)


class _Part(Protocol):
    def __call__(self, first: int, end: int) -> None: ...


class CompiledRows:
    """`RowWork` by the kernels in ``integrator/native/kernels/trained.h``."""

    def __init__(
        self,
        kernels: Kernels,
        rows: TrainedRows,
        beyond: NDArray[np.int32],
        *,
        n_threads: int,
    ) -> None:
        self._kernels, self._rows, self._beyond = kernels, rows, beyond
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="plenostream-rows")
        self._n_threads = n_threads
        squares = [
            None if a is None else a.ctypes.data for a in (rows.density_square, rows.sh_square)
        ]
        self._record = structs.Trained(
            density=rows.density.ctypes.data,
            sh=rows.sh.ctypes.data,
            density_square=squares[0],
            sh_square=squares[1],
            by_density=rows.by_density.ctypes.data,
            by_sh=rows.by_sh.ctypes.data,
            touched=rows.touched.ctypes.data,
            beyond=beyond.ctypes.data,
            columns=rows.columns,
        )

    def vary(self, variation: Variation) -> None:
        """See `RowWork`."""
        self._kernels.vary_rows(
            self._record,
            variation.first,
            variation.end,
            variation.squares.ctypes.data,
            variation.density_weight,
            variation.sh_weight,
        )

    def descend(self, step: Descent) -> None:
        """See `RowWork`."""
        record = structs.Step(step.density_rate, step.sh_rate, step.beta, step.epsilon)
        self._rows.begin_change()
        self._in_parts(
            len(self._rows.touched),
            lambda first, end: self._kernels.descend_rows(self._record, first, end, record),
        )

    def _in_parts(self, n: int, work: _Part) -> None:
        """Have the threads do [0, n) in equal parts."""
        n_parts = max(1, min(self._n_threads, n // _ROWS_AT_ONCE))
        ends = [n * number // n_parts for number in range(n_parts + 1)]
        parts = list(zip(ends, ends[1:], strict=False))
        others = [self._threads.submit(work, *part) for part in parts[1:]]
        work(*parts[0])
        for other in others:
            other.result()

    def close(self) -> None:
        """See `RowWork`."""
        self._threads.shutdown()
