"""Tiles: 64 rays that are scheduled together, 8 x 8 pixels of a picture or a packet of any rays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TILE", "TILE_RAYS", "Pairs"]

TILE = 8
"""Edge of a tile in pixels."""
TILE_RAYS = TILE * TILE
"""Rays of a tile; pixels row by row."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Tiles of rays and boxes that they may meet, i of them."""

    tile: NDArray[np.int64]
    """[i]."""
    box: NDArray[np.int64]
    """[i]: row of the table of boxes."""
    shell: NDArray[np.int64]
    """[i], never falling: boxes of one shell do not precede each other on any ray, and a ray meets
    at most one of them; shells in rising order are front to back."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.tile.nbytes + self.box.nbytes + self.shell.nbytes
