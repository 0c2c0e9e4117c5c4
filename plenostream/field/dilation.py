"""Voxels and their neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["dilated"]


def dilated(chosen: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    """Voxels [X, Y, Z] that are chosen or, so many times, have one of their 26 neighbours so."""
    for _ in range(times):
        for axis in range(3):
            grown = chosen.copy()
            one, other = np.moveaxis(grown, axis, 0), np.moveaxis(chosen, axis, 0)
            one[1:] |= other[:-1]
            one[:-1] |= other[1:]
            chosen = grown
    return chosen
