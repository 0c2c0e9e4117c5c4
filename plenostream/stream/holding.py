"""Bricks that are used where their chunks lie: the chunks stay in the cache until they are let go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.format.spans import Spans

__all__ = ["Hold", "RowRuns", "row_runs_of"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowRuns:
    """The rows of some bricks, one brick after another, in runs: rows that lie next to each other in
    memory, with densities in one chunk and coefficients in another."""

    density: tuple[NDArray[np.float32], ...]
    """Densities of each run [rows], per world unit."""
    sh: tuple[NDArray[np.floating], ...]
    """Coefficients of each run [rows, 3 dim], channel-major, in the type of the store."""
    run_start: NDArray[np.int64]
    """Rows of run r are [run_start[r], run_start[r + 1])."""
    row_start: NDArray[np.int64]
    """Rows of the k-th brick are [row_start[k], row_start[k + 1])."""

    def brick(self, k: int) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
        """Densities [rows] and coefficients [rows, 3 dim] of the k-th brick; copied if it has runs."""
        low, high = int(self.row_start[k]), int(self.row_start[k + 1])
        first = int(np.searchsorted(self.run_start, low, "right")) - 1
        stop = int(np.searchsorted(self.run_start, high, "left"))
        parts = [slice(max(low - at, 0), high - at) for at in self.run_start[first:stop].tolist()]
        density = [run[part] for run, part in zip(self.density[first:stop], parts, strict=True)]
        sh = [run[part] for run, part in zip(self.sh[first:stop], parts, strict=True)]
        if len(parts) == 1:
            return density[0], sh[0]
        return np.concatenate(density), np.concatenate(sh)


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
    density: Spans,
    sh: Spans,
    row_start: NDArray[np.int64],
    chunk_of: Callable[[str, int], NDArray[Any]],
) -> RowRuns:
    """The runs of rows whose densities and coefficients lie in these slices of chunks, and `chunk_of`
    gives the chunks of an array by their numbers."""
    start = np.union1d(density.out, sh.out)
    run_start = np.append(start, row_start[-1])

    def runs(name: str, spans: Spans) -> tuple[NDArray[Any], ...]:
        of = np.searchsorted(spans.out, start, "right") - 1
        low = spans.low[of] + start - spans.out[of]
        high = low + np.diff(run_start)
        places = zip(spans.chunk[of].tolist(), low.tolist(), high.tolist(), strict=True)
        return tuple(chunk_of(name, chunk)[first:end] for chunk, first, end in places)

    return RowRuns(
        density=runs("rows/density", density),
        sh=runs("rows/sh", sh),
        run_start=run_start,
        row_start=row_start,
    )
