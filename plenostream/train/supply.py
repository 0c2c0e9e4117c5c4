"""Bricks of a set of voxels on their way into a pool, from rows that change as they are trained.

An integrator that takes rows from where they lie is told which they are, and of bricks in the pool it gets
only the rows that have changed; for others, the rows of whole bricks are copied one after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.frame import Leaving
from plenostream.integrator.interface import IN_POOL, Arrivals, Integrator, Runs
from plenostream.stream.residency import EMPTY, Residency
from plenostream.stream.supply import pages_of
from plenostream.train.rows import TrainedRows
from plenostream.train.voxel_set import VoxelSet

__all__ = ["RowSupply"]


class RowSupply:
    """Says which bricks of each wave go into the pool, and which rows of those that are there."""

    def __init__(
        self,
        voxel_set: VoxelSet,
        rows: TrainedRows,
        integrator: Integrator,
        residency: Residency,
        *,
        n_staged: int,
        leaving: Leaving | None,
    ) -> None:
        """Take the `rows` of the voxels, and the table of the integrator's pool; staging buffers have room for
        `n_staged` rows. `leaving` is told of bricks that make room for others."""
        self._voxel_set, self._rows = voxel_set, rows
        self._integrator, self._residency, self._leaving = integrator, residency, leaving
        self._pages = pages_of(voxel_set.row_start)
        self._stale = np.zeros(voxel_set.n_bricks, bool)
        self._taken = np.zeros(voxel_set.n_bricks, np.int32)
        """Step after which each brick in the pool was brought up to date."""
        self._n_staged = n_staged
        self._memory: NDArray[np.float32] | None = None

    def changed(self, bricks: NDArray[np.int64] | NDArray[np.int32]) -> None:
        """The rows of voxels that these bricks hold have other numbers now."""
        self._stale[self._voxel_set.around[bricks]] = True

    def arrivals(self, wave: NDArray[np.int64]) -> Iterator[Arrivals]:
        """The bricks of a wave that are not in the pool, and what has changed of those that are."""
        stale = wave[self._stale[wave]]
        stale = stale[self._residency.slot_of[stale] != EMPTY]
        if not self._integrator.takes_in_place:
            self._residency.forget(stale)
            stale = stale[:0]
        admission = self._residency.admit(wave)
        if self._leaving is not None and admission.n_evicted:
            self._leaving(admission.evicted, admission.evicted_slots)
        self._stale[wave] = False
        new, pages = (admission.bricks, admission.slots), admission.pages
        if not self._integrator.takes_in_place:
            return self._staged(*new, pages)
        return chain(self._found(*new, pages), self._renewed(stale))

    def _found(
        self, bricks: NDArray[np.int64], slots: NDArray[np.int32], pages: NDArray[np.int32]
    ) -> Iterator[Arrivals]:
        """Bricks whose rows are found where they are trained."""
        if len(bricks):
            yield self._of_rows(bricks, slots, pages, self._voxel_set.owners(bricks))

    def _renewed(self, bricks: NDArray[np.int64]) -> Iterator[Arrivals]:
        """The rows that have changed of bricks that are in the pool."""
        if not len(bricks):
            return
        n_rows = np.diff(self._voxel_set.row_start)[bricks]
        source = self._voxel_set.owners(bricks)
        source[self._rows.changed[source] <= np.repeat(self._taken[bricks], n_rows)] = IN_POOL
        slots = self._residency.slot_of[bricks]
        yield self._of_rows(bricks, slots, np.empty(0, np.int32), source)

    def _of_rows(
        self,
        bricks: NDArray[np.int64],
        slots: NDArray[np.int32],
        pages: NDArray[np.int32],
        source: NDArray[np.int32],
    ) -> Arrivals:
        self._taken[bricks] = self._rows.step
        n_rows = np.diff(self._voxel_set.row_start)[bricks]
        return Arrivals(
            index=self._voxel_set.index[bricks],
            mask=self._voxel_set.mask[bricks],
            density=Runs.of(self._rows.density),
            sh=Runs.of(self._rows.sh),
            run_start=np.array([0, len(source)]),
            row_start=np.concatenate([[0], np.cumsum(n_rows)]),
            slots=slots,
            pages=pages,
            source=source,
        )

    def _staged(
        self, bricks: NDArray[np.int64], slots: NDArray[np.int32], pages: NDArray[np.int32]
    ) -> Iterator[Arrivals]:
        """Bricks whose rows are copied to where they follow each other."""
        voxel_set = self._voxel_set
        n_rows = np.concatenate([[0], np.cumsum(np.diff(voxel_set.row_start)[bricks])])
        n_pages = np.concatenate([[0], np.cumsum(self._pages[bricks])])
        density, sh = self._staging()
        start = 0
        while start < len(bricks):
            most = int(
                np.searchsorted(n_rows, n_rows[start] + self._integrator.batch_rows, "right")
            )
            stop = min(max(most - 1, start + 1), start + self._integrator.batch_bricks, len(bricks))
            some = bricks[start:stop]
            owners = voxel_set.owners(some)
            np.take(self._rows.density, owners, out=density[: len(owners)], mode="clip")
            np.take(self._rows.sh, owners, axis=0, out=sh[: len(owners)], mode="clip")
            yield Arrivals(
                index=voxel_set.index[some],
                mask=voxel_set.mask[some],
                density=Runs.of(density),
                sh=Runs.of(sh),
                run_start=np.array([0, len(owners)]),
                row_start=n_rows[start : stop + 1] - n_rows[start],
                slots=slots[start:stop],
                pages=pages[n_pages[start] : n_pages[stop]],
            )
            start = stop

    def _staging(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Densities and coefficients on their way into the pool."""
        n, columns = self._n_staged, self._rows.columns
        if self._memory is None:
            self._memory = self._integrator.staging_memory(n * 4 * (1 + columns)).view(np.float32)
        return self._memory[n * columns :], self._memory[: n * columns].reshape(n, columns)
