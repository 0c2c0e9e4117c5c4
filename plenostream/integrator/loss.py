"""A loss of pictures: what it makes of the rays' colours, and what it then makes of the rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["LossByRays", "RowDerivatives", "add_in_portions"]

_BRICKS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LossByRays:
    """How a loss changes with what rays saw, for t tiles of 64 of them.

    A tile that is drawn on black knows nothing of what lies behind it. Where that is a colour b, what
    is seen is ``rgb + (1 - alpha) b``: the derivative by alpha is then minus that by the colour, times
    b, and whatever else the loss says of alpha.
    """

    rgb: NDArray[np.float32]
    """[t, 64, 3]: what `Integrator.finish` gave for them on black, to the last bit."""
    alpha: NDArray[np.float32]
    """[t, 64]: the same."""
    by_rgb: NDArray[np.float32]
    """[t, 64, 3]: derivative of the loss by `rgb`."""
    by_alpha: NDArray[np.float32]
    """[t, 64]: derivative of the loss by `alpha`."""
    sparsity: float = 0.0
    """Weight in the loss of the sum of ``log(1 + 2 sigma^2)`` over the samples that count, sigma being
    their density per world unit. Source: svox2, ``trace_ray_cuvol_backward`` in
    ``csrc/render_lerp_kernel_cuvol.cu``, after SNeRG."""


class RowDerivatives(NamedTuple):
    """Derivatives of a loss by n rows."""

    density: NDArray[np.float32]
    """[n] by densities per world unit."""
    sh: NDArray[np.float32]
    """[n, 3 K] by coefficients, channel-major."""
    touched: NDArray[np.bool_] | None = None
    """[n]: which rows may have derivatives other than 0. Where it is given as room, those of others are
    not written to the other arrays: a step of training touches few."""

    @classmethod
    def zeros(cls, n: int, columns: int) -> Self:
        """For `n` rows of so many `columns`, all 0."""
        return cls(np.zeros(n, np.float32), np.zeros((n, columns), np.float32))

    def add(self, owner: NDArray[np.int32], by: RowDerivatives) -> None:
        """Add those of m rows, each to the row `owner` [m]; rows whose derivatives are all 0 touch none."""
        some = (by.density != 0.0) | by.sh.any(axis=1)
        if by.touched is not None:
            some &= by.touched
        if self.touched is not None:
            self.touched[owner[some]] = True
        np.add.at(self.density, owner[some], by.density[some])
        np.add.at(self.sh, owner[some], by.sh[some])

    def rows(self, start: int, stop: int) -> RowDerivatives:
        """Those of the rows [start, stop): the same memory."""
        touched = None if self.touched is None else self.touched[start:stop]
        return RowDerivatives(self.density[start:stop], self.sh[start:stop], touched)


def add_in_portions(
    derivatives: Callable[[NDArray[np.int32]], RowDerivatives],
    slots: NDArray[np.int32],
    owner: NDArray[np.int32],
    into: RowDerivatives,
) -> None:
    """`Integrator.add_derivatives` by its `derivatives`, those of some bricks at a time."""
    start = 0
    for first in range(0, len(slots), _BRICKS_AT_ONCE):
        by = derivatives(slots[first : first + _BRICKS_AT_ONCE])
        into.add(owner[start : start + len(by.density)], by)
        start += len(by.density)
