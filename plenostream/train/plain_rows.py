"""`rows.RowWork` in NumPy: where no kernels are compiled, and what their results are held to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.interface import RowDerivatives
from plenostream.train.rows import Descent, TrainedRows, Variation
from plenostream.train.voxel_set import ABSENT

__all__ = ["PlainRows"]

_SMALL = np.float32(1e-9)


class PlainRows:
    """See `rows.RowWork`."""

    def __init__(self, rows: TrainedRows, beyond: NDArray[np.int32]) -> None:
        self._rows, self._beyond = rows, beyond

    def gather(
        self,
        owner: NDArray[np.int32],
        density: NDArray[np.float32],
        sh: NDArray[np.float32],
    ) -> None:
        """See `rows.RowWork`."""
        np.take(self._rows.density, owner, out=density, mode="clip")
        np.take(self._rows.sh, owner, axis=0, out=sh, mode="clip")

    def _touch(self, wanted: NDArray[np.int32]) -> None:
        """Make room for derivatives of rows, in the order in which they come first."""
        rows = self._rows
        new, first = np.unique(wanted[rows.place_of[wanted] == ABSENT], return_index=True)
        new = new[np.argsort(first)]
        places = slice(rows.n_touched, rows.n_touched + len(new))
        rows.place_of[new] = np.arange(places.start, places.stop)
        rows.touched[places] = new
        rows.by_density[places] = 0.0
        rows.by_sh[places] = 0.0
        rows.n_touched = places.stop

    def collect(self, owner: NDArray[np.int32], by: RowDerivatives) -> None:
        """See `rows.RowWork`."""
        some = np.arange(len(owner)) if by.touched is None else np.flatnonzero(by.touched)
        some = some[(by.density[some] != 0.0) | (by.sh[some] != 0.0).any(axis=1)]
        self._add(owner[some], by.density[some], by.sh[some])

    def _add(
        self, wanted: NDArray[np.int32], density: NDArray[np.float32], sh: NDArray[np.float32]
    ) -> None:
        self._touch(wanted)
        places = self._rows.place_of[wanted]
        np.add.at(self._rows.by_density, places, density)
        np.add.at(self._rows.by_sh, places, sh)

    def vary(self, variation: Variation) -> None:
        """See `rows.RowWork`."""
        rows = self._rows
        own = np.arange(variation.first, variation.end, dtype=np.int32)
        following = self._beyond[variation.first : variation.end].T
        self._touch(own)
        there = [next_rows != ABSENT for next_rows in following]
        for next_rows, some in zip(following, there, strict=True):
            self._touch(next_rows[some])
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
            np.subtract.at(by, rows.place_of[own], changes.sum(0))
            for next_rows, some, change in zip(following, there, changes, strict=True):
                np.add.at(by, rows.place_of[next_rows[some]], change[some])

    def descend(self, step: Descent) -> None:
        """See `rows.RowWork`."""
        rows = self._rows
        places = slice(0, rows.n_touched)
        touched = rows.touched[places]
        for values, squares, by, rate in (
            (rows.density, rows.density_square, rows.by_density[places], step.density_rate),
            (rows.sh, rows.sh_square, rows.by_sh[places], step.sh_rate),
        ):
            down = np.float32(rate) * by
            if squares is None:
                values[touched] -= down
                continue
            mine, before = by * by, squares[touched]
            mean = np.where(before == 0.0, mine, mine + np.float32(step.beta) * (before - mine))
            squares[touched] = mean
            values[touched] -= down / (np.sqrt(mean) + np.float32(step.epsilon))
        rows.place_of[touched] = ABSENT
        rows.n_touched = 0

    def close(self) -> None:
        """See `rows.RowWork`."""
