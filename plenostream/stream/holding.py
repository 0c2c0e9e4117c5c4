"""Bricks that are used where their chunks lie: the chunks stay in the cache until they are let go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.interface import Runs
from plenostream.stream.row_chunks import RowChunks

__all__ = ["Hold", "RowRuns", "row_runs_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowRuns:
    """The rows of some bricks, one brick after another, in runs: rows that lie next to each other in
    memory, with densities in one chunk and coefficients in another."""

    density: Runs
    """Densities [rows], per world unit."""
    sh: Runs
    """Coefficients [rows, 3 dim], channel-major, in the type of the store."""
    run_start: NDArray[np.int64]
    """Rows of run r are [run_start[r], run_start[r + 1])."""
    row_start: NDArray[np.int64]
    """Rows of the k-th brick are [row_start[k], row_start[k + 1])."""

    def bricks(
        self, which: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.floating]]]:
        """Densities [rows] and coefficients [rows, 3 dim] of the k-th bricks `which` names; a brick that
        has several runs is copied."""
        spans = self.run_start, self.row_start[which], self.row_start[which + 1]
        return zip(self.density.spans(*spans), self.sh.spans(*spans), strict=True)


class Hold:
    """Chunks that stay in the cache; what `Staging` has in place of a buffer where bricks are not copied."""

    nbytes = 0
    """Bytes of its own."""

    def __init__(self) -> None:
        self._held = ExitStack()

    def add(self, chunks: AbstractContextManager[list[NDArray[Any]]]) -> list[NDArray[Any]]:
        """Hold these as well; see `ChunkCache.hold`."""
        return self._held.enter_context(chunks)

    def release(self) -> None:
        """Let go of all of them."""
        self._held.close()


def row_runs_of(
    row_chunks: RowChunks,
    bricks: NDArray[np.int64],
    chunks: NDArray[np.int64],
    values: Sequence[NDArray[Any]],
) -> RowRuns:
    """The runs of rows of bricks [k] in all `chunks` that have rows of them [c], whose values are given."""
    row_start = row_chunks.row_start(bricks)
    spans = row_chunks.spans(bricks)
    start = np.union1d(*(some.out for some in spans.values()))
    place_of = np.empty(row_chunks.n, np.int64)
    runs = {}
    for name, some in spans.items():
        mine = np.flatnonzero(row_chunks.are_of(name, chunks))
        place_of[chunks[mine]] = np.arange(len(mine))
        of = np.searchsorted(some.out, start, "right") - 1
        runs[name] = Runs(
            arrays=[values[place] for place in mine.tolist()],
            array_of=place_of[some.chunk[of]],
            first=some.low[of] + start - some.out[of],
        )
    return RowRuns(
        density=runs["rows/density"],
        sh=runs["rows/sh"],
        run_start=np.append(start, row_start[-1]),
        row_start=row_start,
    )
