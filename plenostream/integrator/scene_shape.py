"""What an integrator knows of a scene: its grid, its basis, and which boxes of cells count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.field.basis import Basis
from plenostream.field.grid import BrickGrid, GridSpec
from plenostream.integrator.arrivals import PAGE_ROWS

__all__ = ["Boxes", "SceneShape"]

_LEAST_STAGED = 4096
"""Rows of a staging buffer, at least."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """The boxes of cells of a scene that can contribute, m of them, none empty."""

    brick: NDArray[np.int32]
    """[m]: brick of each box."""
    block: NDArray[np.int32]
    """[m, 3]: coordinates of the block of 8^3 cells that it lies in; no two lie in one."""
    corners: NDArray[np.uint8]
    """[m, 6]: first cell and one past the last inside the brick, x, y, z each."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.brick.nbytes + self.block.nbytes + self.corners.nbytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SceneShape:
    """What an integrator knows of a scene before it sees a brick."""

    grid: GridSpec
    bricks: BrickGrid
    basis: Basis
    """Functions of a ray's direction, K a channel, and what they take."""
    sh_dtype: str
    """Type of the coefficients as they are stored."""
    largest_rows: int
    """Rows of the brick with the most."""
    n_rows: int
    """Rows of all bricks that can contribute."""
    boxes: Boxes

    @property
    def basis_dim(self) -> int:
        """Basis functions a channel, K."""
        return self.basis.dim

    def staged_rows(self, batch_rows: int) -> int:
        """Rows of a staging buffer for batches of `batch_rows`: no more than the scene has, those of
        the largest brick at least, and a page that may be read beyond the last.

        A power of two but for that: programs are compiled for it.
        """
        most = max(min(batch_rows, self.n_rows), self.largest_rows, _LEAST_STAGED)
        return (1 << (most - 1).bit_length()) + PAGE_ROWS
