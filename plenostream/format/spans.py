"""Which chunks hold the rows of which bricks, and which slices to copy: numbers only, no reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Spans", "row_runs", "split_by_chunk", "touched_chunks"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spans:
    """Slices to copy, [s] each: rows [low, high) of a chunk go to [out, out + high - low)."""

    chunk: NDArray[np.int64]
    """Number of the chunk."""
    low: NDArray[np.int64]
    """First row within the chunk."""
    high: NDArray[np.int64]
    """One past the last row within the chunk."""
    out: NDArray[np.int64]
    """First row of the output."""


def row_runs(
    first: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row and number of rows of each run of bricks that have `count` rows from `first` on, [k]
    each: those next to each other in the file are one."""
    begins, ends = np.ones(len(first), bool), np.ones(len(first), bool)
    begins[1:] = first[1:] != first[:-1] + count[:-1]
    ends[:-1] = begins[1:]
    low = first[begins]
    return low, (first + count)[ends] - low


def split_by_chunk(first: NDArray[np.int64], count: NDArray[np.int64], chunk_rows: int) -> Spans:
    """The slices of runs of rows (`row_runs`), one for each chunk that a run touches; runs are
    written to the output one after another."""
    at = np.cumsum(count) - count
    run, chunk = touched_chunks(first, count, chunk_rows)
    low = np.maximum(first[run], chunk * chunk_rows)
    high = np.minimum(first[run] + count[run], (chunk + 1) * chunk_rows)
    return Spans(
        chunk=chunk,
        low=low - chunk * chunk_rows,
        high=high - chunk * chunk_rows,
        out=at[run] + low - first[run],
    )


def touched_chunks(
    first: NDArray[np.int64], count: NDArray[np.int64], chunk_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each run of rows with each chunk that it touches: numbers of runs and of chunks [t], rising.

    Every run has a row.
    """
    low = first // chunk_rows
    n_touched = (first + count - 1) // chunk_rows - low + 1
    run = np.repeat(np.arange(len(first)), n_touched)
    before = np.cumsum(n_touched) - n_touched
    return run, low[run] + np.arange(len(run)) - before[run]
