"""`rows.RowWork` by the kernels that are compiled for CPUs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import DeviceError
from plenostream.integrator.interface import RowDerivatives
from plenostream.integrator.native import structs
from plenostream.integrator.native.library import Kernels, load_kernels
from plenostream.train.plain_rows import PlainRows
from plenostream.train.rows import Descent, RowWork, TrainedRows, Variation

__all__ = ["CompiledRows", "row_work"]

_ROWS_AT_ONCE = 4096
"""Touched rows that a thread takes a step at a time."""


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
            place_of=rows.place_of.ctypes.data,
            beyond=beyond.ctypes.data,
            n_touched=rows.n_touched,
            columns=rows.columns,
        )

    def gather(
        self,
        owner: NDArray[np.int32],
        density: NDArray[np.float32],
        sh: NDArray[np.float32],
    ) -> None:
        """See `RowWork`."""

        def some(first: int, end: int) -> None:
            parts = owner[first:end], density[first:end], sh[first:end]
            rows, into, colours = (a.ctypes.data for a in parts)
            self._kernels.gather_rows(self._record, rows, end - first, into, colours)

        self._in_parts(len(owner), some)

    def collect(self, owner: NDArray[np.int32], by: RowDerivatives) -> None:
        """See `RowWork`."""
        touched = np.ones(len(owner), bool) if by.touched is None else by.touched
        arrays = [np.ascontiguousarray(array) for array in (touched, by.density, by.sh)]
        self._kernels.collect_rows(
            self._record, owner.ctypes.data, len(owner), *(array.ctypes.data for array in arrays)
        )
        self._rows.n_touched = self._record.n_touched

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
        self._rows.n_touched = self._record.n_touched

    def descend(self, step: Descent) -> None:
        """See `RowWork`."""
        record = structs.Step(step.density_rate, step.sh_rate, step.beta, step.epsilon)
        self._in_parts(
            self._rows.n_touched,
            lambda first, end: self._kernels.descend_rows(self._record, first, end, record),
        )
        self._record.n_touched = self._rows.n_touched = 0

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
