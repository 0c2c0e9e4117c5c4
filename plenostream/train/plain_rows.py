"""`rows.RowWork` in NumPy: where no kernels are compiled, and what their results are held to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.train.rows import Descent, TrainedRows, Variation
from plenostream.train.voxel_set import ABSENT

__all__ = ["PlainRows"]

_SMALL = np.float32(1e-9)


class PlainRows:
    """See `rows.RowWork`."""

    def __init__(self, rows: TrainedRows, beyond: NDArray[np.int32]) -> None:
        self._rows, self._beyond = rows, beyond

    def vary(self, variation: Variation) -> None:
        """See `rows.RowWork`."""
        rows = self._rows
        own = np.arange(variation.first, variation.end, dtype=np.int32)
        following = self._beyond[variation.first : variation.end].T
        rows.touched[own] = True
        there = [next_rows != ABSENT for next_rows in following]
        for next_rows, some in zip(following, there, strict=True):
            rows.touched[next_rows[some]] = True
        for values, by, weight in (
            (rows.density[:, None], rows.by_density[:, None], variation.density_weight),
            (rows.sh, rows.by_sh, variation.sh_weight),
        ):
            if weight <= 0.0:
                continue
            beyond = [
                np.where(some[:, None], values[next_rows], np.float32(0))
                for next_rows, some in zip(following, there, strict=True)
            ]
            steps = np.stack(beyond) - values[own]
            squares = variation.squares[:, None, None]
            factor = weight / np.sqrt(_SMALL + (squares * steps * steps).sum(0))
            changes = factor * squares * steps
            np.subtract.at(by, own, changes.sum(0))
            for next_rows, some, change in zip(following, there, changes, strict=True):
                np.add.at(by, next_rows[some], change[some])

    def descend(self, step: Descent) -> None:
        """See `rows.RowWork`."""
        rows = self._rows
        rows.begin_change()
        touched = np.flatnonzero(rows.touched)
        for values, squares, by, rate in (
            (rows.density, rows.density_square, rows.by_density, step.density_rate),
            (rows.sh, rows.sh_square, rows.by_sh, step.sh_rate),
        ):
            mine = by[touched]
            by[touched] = 0.0
            down = np.float32(rate) * mine
            if squares is None:
                values[touched] -= down
                continue
            square, before = mine * mine, squares[touched]
            mean = np.where(
                before == 0.0, square, square + np.float32(step.beta) * (before - square)
            )
            squares[touched] = mean
            values[touched] -= down / (np.sqrt(mean) + np.float32(step.epsilon))
        rows.touched[touched] = False

    def close(self) -> None:
        """See `rows.RowWork`."""
