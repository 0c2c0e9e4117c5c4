"""What a slab is packed from: the one thing in which sources of scenes differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.importers.packing.cutting import BrickBox

__all__ = ["BoxVoxels", "SlabVoxels", "VoxelSource"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxVoxels:
    """The active voxels of a box of bricks, in C order."""

    active: NDArray[np.bool_]
    """Which of the voxels [x, y, z] of the box, apron included, are active."""
    density: NDArray[np.float32]
    """Density of the active ones [v] (per world unit), finite."""
    sh: NDArray[np.floating]
    """Their coefficients [v, 3 dim], finite, in the type in which they are stored."""


class SlabVoxels(Protocol):
    """The voxels of one slab."""

    def read(self, box: BrickBox) -> BoxVoxels | None:
        """Those of a box of the slab's bricks; None where none is active."""


class VoxelSource(Protocol):
    """The voxels of a grid, read slab by slab from files; picklable, so that any process can."""

    def slab(self, slab: int) -> SlabVoxels:
        """Those of slab number `slab`, apron included."""
