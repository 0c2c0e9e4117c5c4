"""The pool: bricks on the device, in the slots and pages that the host loop hands out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.integrator.interface import PAGE_ROWS, Arrivals
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.state import Pool, Voxels
from plenostream.integrator.xla.kernels.upload import StagedBricks, StagedRows
from plenostream.integrator.xla.programs import Programs
from plenostream.integrator.xla.structs import BATCH_BRICKS, StagedShape

__all__ = ["BrickPool", "Staged"]


@dataclass(frozen=True, slots=True)
class Staged:
    """A batch on the device."""

    bricks: StagedBricks
    rows: StagedRows

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, each counted once."""
        arrays = {id(array): array.nbytes for array in (*self.bricks, *self.rows)}
        return sum(arrays.values())


class BrickPool:
    """The device arrays of `n_slots` bricks and `n_pages` pages of colour rows."""

    def __init__(
        self,
        device: Device,
        programs: Programs,
        bricks: BrickGrid,
        staged: StagedShape,
        *,
        n_slots: int,
        n_pages: int,
        unit: float,
    ) -> None:
        """Take the world length that densities are per, `unit`."""
        self.n_slots = n_slots
        self.n_pages = n_pages
        self._device = device
        self._bricks = bricks
        self._staged = staged
        self._unit = device.put(np.float64(unit))
        self._write_bricks = programs.write_bricks(n_slots, staged)
        self._write_rows = programs.write_rows(n_pages, staged)
        made: Pool = programs.empty_pool(n_slots, n_pages)()
        self._voxels = Voxels(made.density, made.row_ids, made.origins)
        self._rows = made.rows
        self._n_settled = 0

    @property
    def arrays(self) -> Pool:
        """What kernels read."""
        return Pool(rows=self._rows, **self._voxels._asdict())

    @property
    def is_lost(self) -> bool:
        """Whether the arrays were given to a kernel that never gave them back."""
        return any(array.is_deleted() for array in self.arrays)

    def stage(self, some: Arrivals) -> Staged:
        """Copy a batch up; on a CPU its rows are used where they are.

        Until both `writers` are done, the rows must stay as they are.
        """
        b, pages = len(some.slots), some.pages
        page_counts = -(-np.diff(some.row_start) // PAGE_ROWS)
        first_page = np.cumsum(page_counts) - page_counts
        nth = np.arange(len(pages)) - np.repeat(first_page, page_counts)
        starts = np.zeros(self._staged.pages, np.int32)
        starts[: len(pages)] = np.repeat(some.row_start[:-1], page_counts) + nth * PAGE_ROWS
        places = np.zeros((BATCH_BRICKS, 6), np.int32)
        places[:, 0] = _padded(some.slots, BATCH_BRICKS, self.n_slots)
        places[:b, 1:4] = some.index * self._bricks.brick_size
        places[:b, 4], places[:b, 5] = some.row_start[:-1], first_page
        mask = np.zeros((BATCH_BRICKS, -(-self._bricks.voxels // 32) * 4), np.uint8)
        mask[:b, : some.mask.shape[1]] = some.mask
        to = _padded(pages, self._staged.pages, self.n_pages)
        counts = np.array([b, len(pages)], np.int32)
        host = (places, mask.view("<u4"), to, some.density, starts, some.sh, counts)
        return self._staged_as(*self._device.put_all(host))

    def _staged_as(self, *arrays: jax.Array) -> Staged:
        places, mask, pages, density, starts, sh, counts = arrays
        return Staged(
            bricks=StagedBricks(places, mask, pages, density, counts, self._unit),
            rows=StagedRows(starts, pages, sh, counts),
        )

    def writers(self, staged: Staged) -> tuple[Callable[[], None], Callable[[], None]]:
        """What puts a batch into the pool, to be called once the kernels that read it are queued; in
        any order, or at the same time."""

        def bricks() -> None:
            self._voxels = self._write_bricks(self._voxels, staged.bricks)

        def rows() -> None:
            self._rows = self._write_rows(self._rows, staged.rows)

        return rows, bricks

    def settle(self, staged: Staged) -> None:
        """Wait until the rows that a batch was staged from may change, and there is room on the
        device for another."""
        jax.block_until_ready((staged.bricks, staged.rows))  # type: ignore[no-untyped-call]
        self._n_settled += 1
        if self._n_settled % self._device.n_staged == 0:
            jax.block_until_ready(self.arrays)  # type: ignore[no-untyped-call]


def _padded(places: NDArray[np.int32], length: int, beyond: int) -> NDArray[np.int32]:
    """`places` with padding that differs from entry to entry, all of it outside the pool."""
    out = np.arange(beyond, beyond + length, dtype=np.int32)
    out[: len(places)] = places
    return out
