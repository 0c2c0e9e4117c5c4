"""The numbers that are trained, one row a voxel, and what a step does to them.

What takes time is done by `RowWork`: compiled (`compiled_rows`) or by NumPy (`plain_rows`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.interface import RowDerivatives

__all__ = ["Descent", "RowWork", "TrainedRows", "Variation", "rows_bytes"]


def rows_bytes(n_voxels: int, columns: int, *, squares: bool) -> int:
    """Memory of the rows of so many voxels: numbers, derivatives, and mean squares where they are kept."""
    return n_voxels * ((2 + squares) * 4 * (1 + columns) + 5)


@dataclass(slots=True, kw_only=True, eq=False)
class TrainedRows:
    """Rows of n voxels, float32, and the derivatives of those that a step touches."""

    density: NDArray[np.float32]
    """[n], per world unit; may be below 0."""
    sh: NDArray[np.float32]
    """[n, 3 K], channel-major."""
    density_square: NDArray[np.float32] | None
    """[n]: running means of squared derivatives; None: the optimiser keeps none."""
    sh_square: NDArray[np.float32] | None
    """[n, 3 K]: the same."""
    by_density: NDArray[np.float32] = field(init=False)
    """[n]: derivatives of a step, 0 of rows that it does not touch."""
    by_sh: NDArray[np.float32] = field(init=False)
    """[n, 3 K]: the same."""
    touched: NDArray[np.bool_] = field(init=False)
    """[n]: which rows it touches."""
    changed: NDArray[np.int32] = field(init=False)
    """[n]: the step that changed each row last, counted from 1; 0: none did."""
    step: int = 0
    """Steps that were taken."""

    def __post_init__(self) -> None:
        n, columns = self.sh.shape
        self.by_density, self.by_sh = np.zeros(n, np.float32), np.zeros((n, columns), np.float32)
        self.touched, self.changed = np.zeros(n, np.bool_), np.zeros(n, np.int32)

    @classmethod
    def new(
        cls, density: NDArray[np.float32], sh: NDArray[np.float32], *, squares: bool
    ) -> TrainedRows:
        """Rows of these numbers that nothing was learnt about yet."""
        return cls(
            density=density,
            sh=sh,
            density_square=np.zeros_like(density) if squares else None,
            sh_square=np.zeros_like(sh) if squares else None,
        )

    @property
    def by(self) -> RowDerivatives:
        """Derivatives of a step: the same memory."""
        return RowDerivatives(self.by_density, self.by_sh, self.touched)

    def begin_change(self) -> None:
        """A step changes the rows that are touched."""
        self.step += 1
        self.changed[self.touched] = self.step

    @property
    def columns(self) -> int:
        """Coefficients of a voxel."""
        return int(self.sh.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """A step of an optimiser: RMSprop where there are mean squares, else plain gradient descent."""

    density_rate: float
    sh_rate: float
    beta: float
    """Share of the mean squares that stays."""
    epsilon: float = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """Total variation of the rows [first, end): ``w sqrt(1e-9 + sum_a (s_a d_a)^2)`` of each number,
    d_a being its difference to the next voxel along axis a, 0 where there is none.

    Source: svox2's ``tv_grad_sparse_kernel`` in ``csrc/loss_kernel.cu``, with s_a the voxels along the
    axis over 256; of grids that are not cubes, that is no derivative of anything, and this is.
    """

    first: int
    end: int
    squares: NDArray[np.float32]
    """[3]: s_a squared."""
    density_weight: float
    sh_weight: float


class RowWork(Protocol):
    """What is done to rows."""

    def vary(self, variation: Variation) -> None:
        """Add derivatives of the total variation, and touch its rows."""
        ...

    def descend(self, step: Descent) -> None:
        """Take all touched rows a step down; none is touched then."""
        ...

    def close(self) -> None:
        """End the threads, if it has some."""
        ...
