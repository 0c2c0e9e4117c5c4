"""Shells and waves: the order in which boxes may be drawn, and how much of it the pool holds.

All boxes at the same Manhattan distance (in boxes) from the eye's box form one shell. Each face
that a ray crosses leads one step away from the eye, so a ray meets at most one box of a shell,
and shells in rising order are front to back on every ray. It holds for blocks of cells and for
bricks alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["shells_of", "split_waves"]


def shells_of(
    index: NDArray[np.int32], centre: NDArray[np.int64], signs: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Shell [n] of boxes with coordinates [n, 3].

    With a common eye, `centre` [3] is its box and the shell is the Manhattan distance from it.
    For rays of one octant, `signs` [3] are the signs of their directions, and the signed sum of
    the coordinates orders the boxes the same way.
    """
    offset = index.astype(np.int64) - centre
    return np.abs(offset).sum(-1) if signs is None else (offset * signs).sum(-1)


def split_waves(
    shells: NDArray[np.int64],
    pages: NDArray[np.int64],
    *,
    n_slots: int,
    n_pages: int,
) -> list[NDArray[np.int64]]:
    """Waves of bricks, as places in `shells`, front to back.

    Parameters
    ----------
    shells, pages : [n] shell of each brick, and pages of colour rows it takes
    n_slots, n_pages : what the pool holds

    Each wave holds as many whole shells as fit; a shell that does not fit by itself is split.
    """
    order = np.argsort(shells, kind="stable")
    ends = np.flatnonzero(np.diff(shells[order], append=np.iinfo(np.int64).max)) + 1
    pages_before = np.concatenate([[0], np.cumsum(pages[order])])
    waves, start = [], 0
    while start < len(order):
        # The furthest brick that still fits after `start`, then the last shell that ends by it.
        limit = int(np.searchsorted(pages_before, pages_before[start] + n_pages, "right")) - 1
        limit = min(limit, start + n_slots)
        shell_end = int(np.searchsorted(ends, limit, "right")) - 1
        stop = int(ends[shell_end]) if shell_end >= 0 and ends[shell_end] > start else limit
        if stop <= start:
            raise ValueError("a brick does not fit the pool")
        waves.append(order[start:stop])
        start = stop
    return waves
