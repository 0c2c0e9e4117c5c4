"""Arrivals as the kernels that write the pool take them: few arrays, used where they are on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.interface import PAGE_ROWS, Arrivals
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.state import KernelShape
from plenostream.integrator.xla.kernels.upload import StagedBricks, StagedRows
from plenostream.integrator.xla.structs import BATCH_BRICKS, StagedShape

__all__ = ["Staged", "Stager"]


@dataclass(frozen=True, slots=True)
class Staged:
    """A batch on the device."""

    bricks: StagedBricks
    rows: StagedRows


class Stager:
    """Brings batches up, one after another; what goes with their rows lies in arrays of its own, which
    are filled anew for each."""

    def __init__(
        self,
        device: Device,
        kernels: KernelShape,
        shape: StagedShape,
        *,
        n_slots: int,
        n_pages: int,
        unit: float,
        memory: Callable[[int], NDArray[np.uint8]],
    ) -> None:
        """Take the sizes of the pool, the world length that densities are per, and what allocates."""
        self._device = device
        self._brick_size = kernels.brick_size
        self.shape = shape
        self._unit = device.put(np.float64(unit))
        self._mask = memory(BATCH_BRICKS * kernels.mask_words * 4).reshape(BATCH_BRICKS, -1)
        self._tables = memory(shape.table_entries * 4).view(np.int32)
        self._counts, places, self._starts, self._pages = np.split(self._tables, shape.table_ends)
        self._places = places.reshape(BATCH_BRICKS, 6)
        # What lies outside the pool is dropped; kernels are told that no two places are the same.
        self._no_slots = np.arange(n_slots, n_slots + kernels.bricks_at_once, dtype=np.int32)
        self._no_pages = np.arange(n_pages, n_pages + kernels.pages_at_once, dtype=np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes on the host of its own arrays."""
        return self._mask.nbytes + self._tables.nbytes

    def stage(self, some: Arrivals) -> Staged:
        """Copy a batch up; on a CPU it is used where it is, and has to stay as it is until it is in
        the pool. Elsewhere until it is up (`block_until_ready`)."""
        b, n = len(some.slots), len(some.pages)
        page_counts = -(-np.diff(some.row_start) // PAGE_ROWS)
        first_page = np.cumsum(page_counts) - page_counts
        nth = np.arange(n) - np.repeat(first_page, page_counts)
        self._counts[:] = b, n
        _put(self._starts, np.repeat(some.row_start[:-1], page_counts) + nth * PAGE_ROWS)
        _put(self._pages, some.pages, self._no_pages)
        _put(self._places[:, 0], some.slots, self._no_slots)
        self._places[:b, 1:4] = some.index * self._brick_size
        self._places[:b, 4], self._places[:b, 5] = some.row_start[:-1], first_page
        self._mask[:b, : some.mask.shape[1]] = some.mask
        host = (self._tables, self._mask.view("<u4"), some.density.only, some.sh.only)
        tables, mask, density, sh = self._device.put_in_place(host)
        return Staged(
            bricks=StagedBricks(tables, mask, density, self._unit), rows=StagedRows(tables, sh)
        )


def _put(
    target: NDArray[np.int32], values: NDArray[np.integer], behind: NDArray[np.int32] | None = None
) -> None:
    """Put `values` at the beginning of `target`, and after them `behind`, as far as there is room."""
    n = len(values)
    target[:n] = values
    if behind is not None:
        target[n : n + len(behind)] = behind[: len(target) - n]
