"""Bricks on their way into the pool of an integrator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["IN_POOL", "PAGE_ROWS", "Arrivals"]

IN_POOL = -1
"""In place of a row that a brick brings: the one that it has in the pool already."""
PAGE_ROWS = 16
"""Colour rows of a page, the unit in which the rows of a pool are handed out. Page 0 is never handed
out: it holds the row of zeros that a voxel without coefficients points to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrivals:
    """Bricks on their way into the pool, b of them, rows as they are stored.

    The rows lie in r runs, those of a run one after another: in one run, a staging buffer at a multiple
    of 64 bytes, but where the integrator `takes_in_place`. What follows the n rows of the bricks in the
    last means nothing. All arrays are valid until the next arrivals are asked for.
    """

    index: NDArray[np.int32]
    """[b, 3]: brick coordinates."""
    mask: NDArray[np.uint8]
    """[b, bytes]: bit v (little bit order) says that voxel v (C order, z fastest) has a row."""
    density: tuple[NDArray[np.float32], ...]
    """r runs [rows]: per world unit; the rows of one brick after those of another."""
    sh: tuple[NDArray[np.floating], ...]
    """r runs [rows, 3 K]: channel-major."""
    row_start: NDArray[np.int64]
    """[b + 1]: rows of brick i are [row_start[i], row_start[i + 1])."""
    slots: NDArray[np.int32]
    """[b]: where each goes."""
    pages: NDArray[np.int32]
    """[sum of ceil(rows / PAGE_ROWS)]: pages of their rows, brick by brick."""
    source: NDArray[np.int32] | None = None
    """[n]: which row of the only run each row is. `IN_POOL`: the one that is in the pool; then all bricks are
    in these slots already, keep their pages, and `pages` is empty. None: they lie one after another."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, of the rows that come only."""
        density, sh = self.density[0], self.sh[0]
        row_bytes = density.itemsize + sh.itemsize * int(sh.shape[1])
        others = (self.index, self.mask, self.row_start, self.slots, self.pages)
        n = int(self.row_start[-1])
        if self.source is not None:
            n = int(np.count_nonzero(self.source != IN_POOL))
        return n * row_bytes + sum(array.nbytes for array in others)
