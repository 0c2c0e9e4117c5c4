"""Bricks on their way into the pool of an integrator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["IN_POOL", "PAGE_ROWS", "Arrivals", "Runs"]

IN_POOL = -1
"""In place of a row that a brick brings: the one that it has in the pool already."""
PAGE_ROWS = 16
"""Colour rows of a page, the unit in which the rows of a pool are handed out. Page 0 is never handed
out: it holds the row of zeros that a voxel without coefficients points to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Runs:
    """Densities or coefficients of rows in r runs, those of a run one after another."""

    arrays: Sequence[NDArray[Any]]
    """What they lie in, [rows] or [rows, 3 K] each."""
    array_of: NDArray[np.int64]
    """[r]: the number of the array that each run lies in."""
    first: NDArray[np.int64]
    """[r]: the row of this array that the run begins with."""

    @classmethod
    def of(cls, array: NDArray[Any]) -> Runs:
        """The only run, which begins with an array."""
        return cls(arrays=(array,), array_of=np.zeros(1, np.int64), first=np.zeros(1, np.int64))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers; there is a run."""
        return self.arrays[int(self.array_of[0])].dtype

    @property
    def row_bytes(self) -> int:
        """Bytes of a row; there is a run."""
        return self.arrays[int(self.array_of[0])].strides[0]

    @property
    def only(self) -> NDArray[Any]:
        """The rows where there is but one run, and whatever lies behind them."""
        (array_of,), (first,) = self.array_of.tolist(), self.first.tolist()
        array: NDArray[Any] = self.arrays[array_of][first:]
        return array

    @property
    def addresses(self) -> NDArray[np.uintp]:
        """[r]: where in memory each run begins."""
        bases = [array.__array_interface__["data"][0] for array in self.arrays]
        return np.array(bases, np.uintp)[self.array_of] + (self.first * self.row_bytes).astype(
            np.uintp
        )

    def spans(
        self, run_start: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
    ) -> Iterator[NDArray[Any]]:
        """The rows [low, high) of each of some spans [s], where run j has the rows [run_start[j],
        run_start[j + 1]) of all; copied if several runs have some of them."""
        firsts = np.searchsorted(run_start, low, "right") - 1
        stops = np.searchsorted(run_start, high, "left")
        # Numbers of Python: there are thousands of spans, with a run or two each.
        starts, offsets = run_start.tolist(), (self.first - run_start[:-1]).tolist()
        arrays = [self.arrays[number] for number in self.array_of.tolist()]
        bounds = (each.tolist() for each in (firsts, stops, low, high))
        for first, stop, begin, end in zip(*bounds, strict=True):
            parts = [
                arrays[run][
                    max(begin, starts[run]) + offsets[run] : min(end, starts[run + 1])
                    + offsets[run]
                ]
                for run in range(first, stop)
            ]
            yield parts[0] if len(parts) == 1 else np.concatenate(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrivals:
    """Bricks on their way into the pool, b of them, rows as they are stored.

    The rows lie in r runs: in one run, a staging buffer at a multiple of 64 bytes, but where the integrator
    `takes_in_place`. All arrays are valid until the next arrivals are asked for.
    """

    index: NDArray[np.int32]
    """[b, 3]: brick coordinates."""
    mask: NDArray[np.uint8]
    """[b, bytes]: bit v (little bit order) says that voxel v (C order, z fastest) has a row."""
    density: Runs
    """[rows] each: per world unit; the rows of one brick after those of another."""
    sh: Runs
    """[rows, 3 K] each: channel-major."""
    run_start: NDArray[np.int64]
    """[r + 1]: rows of run j are [run_start[j], run_start[j + 1])."""
    row_start: NDArray[np.int64]
    """[b + 1]: rows of brick i are [row_start[i], row_start[i + 1])."""
    slots: NDArray[np.int32]
    """[b]: where each goes."""
    pages: NDArray[np.int32]
    """[sum of ceil(rows / PAGE_ROWS)]: pages of their rows, brick by brick."""
    is_last: bool = False
    """Whether none that follow belong to the same wave."""
    source: NDArray[np.int32] | None = None
    """[n]: which row of the only run each row is. `IN_POOL`: the one that is in the pool; then all bricks are
    in these slots already, keep their pages, and `pages` is empty. None: they lie one after another."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, of the rows that come only."""
        row_bytes = self.density.row_bytes + self.sh.row_bytes
        others = (self.index, self.mask, self.row_start, self.slots, self.pages)
        n = int(self.row_start[-1])
        if self.source is not None:
            n = int(np.count_nonzero(self.source != IN_POOL))
        return n * row_bytes + sum(array.nbytes for array in others)
