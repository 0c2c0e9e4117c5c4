"""Shells and waves: the order in which boxes may be drawn, and how much of it the pool holds.

All boxes at the same Manhattan distance (in boxes) from the eye's box form one shell. Each face
that a ray crosses leads one step away from the eye, so a ray meets at most one box of a shell,
and shells in rising order are front to back on every ray. It holds for blocks of cells and for
bricks alike.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

__all__ = ["plan_waves", "shells_of", "split_waves"]

_WAVE = Fraction(2, 3)
"""Part of the pool that a wave takes. Of still_512 through a quarter of its bricks, half the pool uploads
162 MB a frame in nine waves, two thirds 170 MB in seven, five sixths 178 MB in five; rays stop and are taken up
again at each wave, and at two thirds both together cost least."""


def shells_of(
    index: NDArray[np.int32], centre: NDArray[np.int64], signs: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Shell [n] of boxes with coordinates [n, 3].

    With a common eye, `centre` [3] is its box and the shell is the Manhattan distance from it.
    For rays of one octant, `signs` [3] are the signs of their directions, and the signed sum of
    the coordinates orders the boxes the same way.
    """
    offset = index.astype(np.int64) - centre
    steps = np.abs(offset) if signs is None else offset * signs
    shells: NDArray[np.int64] = steps.sum(-1)
    return shells


def plan_waves(
    shells: NDArray[np.int64], pages: NDArray[np.int64], *, n_slots: int, n_pages: int
) -> list[NDArray[np.int64]]:
    """Waves of the bricks in view for a pool of `n_slots` and `n_pages`, as places in `shells`.

    All in one wave where they fit; else waves of a part of the pool. The rest of it then holds
    bricks of other waves, which the next frame finds still there: with waves as large as the
    pool, each would sweep out all that came before.
    """
    most = int(pages.max(initial=0))
    if len(shells) > n_slots or int(pages.sum()) > n_pages:
        n_slots = max(1, int(n_slots * _WAVE))
        n_pages = max(most, int(n_pages * _WAVE))
    return split_waves(shells, pages, n_slots=n_slots, n_pages=n_pages)


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

    Bricks of one shell never hide each other, so a wave may end anywhere in one.
    """
    order = np.argsort(shells, kind="stable")
    pages_before = np.concatenate([[0], np.cumsum(pages[order])])
    waves, start = [], 0
    while start < len(order):
        # The furthest brick that still fits after `start`.
        stop = int(np.searchsorted(pages_before, pages_before[start] + n_pages, "right")) - 1
        stop = min(stop, start + n_slots)
        if stop <= start:
            raise ValueError("a brick does not fit the pool")
        waves.append(order[start:stop])
        start = stop
    return waves
