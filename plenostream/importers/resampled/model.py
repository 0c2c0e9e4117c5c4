"""What a model of another program is to its conversion."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import GridSpec
from plenostream.importers.arrays.boxes import Triple

__all__ = ["ForeignFile", "ForeignModel", "spread_colours"]


class ForeignModel(Protocol):
    """A model in memory."""

    def box(self, lower: Triple, upper: Triple) -> Any:
        """Densities and coefficients of a box of voxels, as for `write_scene`."""

    def see(self, origins: NDArray[np.float64], dirs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Colours [n, 3] of rays [n, 3] (world) on white, by the rules of its own program.

        `dirs` as a pinhole makes them: 1 long along its axis.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFile(ABC):
    """A model whose headers are sound, and most of whose arrays are still unread."""

    path: str
    kind: str
    """What it is, and why no scene has its picture: the end of "it is ..."."""
    grid: GridSpec
    """Voxels of the scene that it is resampled to, and their place in the world."""
    basis_dim: int
    held_bytes: int
    """Memory that the model takes."""
    stamp: list[int]
    """What changes when the file does: bytes and time."""

    @abstractmethod
    def load(self) -> ForeignModel:
        """Read it. CheckpointError: damaged."""


def spread_colours(
    filled: NDArray[np.bool_], coefficients: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Coefficients [x, y, z, c] of a box; those of voxels that are not filled are the mean of their
    filled neighbours' (26), so that a surface keeps its colour where it fades out."""
    total = np.concatenate([filled[..., None], coefficients], axis=3, dtype=np.float32)
    total[~filled] = 0
    for axis in range(3):
        summed = total.copy()
        one, other = np.moveaxis(summed, axis, 0), np.moveaxis(total, axis, 0)
        one[1:] += other[:-1]
        one[:-1] += other[1:]
        total = summed
    mean = total[..., 1:] / np.maximum(total[..., :1], 1)
    spread: NDArray[np.float32] = np.where(filled[..., None], coefficients, mean)
    return spread
