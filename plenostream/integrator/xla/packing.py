"""Bricks as they are stored, laid out in staging buffers as the pool's kernels take them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from plenostream.field.grid import BrickGrid
from plenostream.field.precision import device_densities
from plenostream.integrator.interface import PAGE_ROWS, Arrivals
from plenostream.integrator.xla.structs import BATCH_BRICKS, BATCH_PAGES

__all__ = ["Upload", "pack_arrivals"]

_ALIGNED = 64


@dataclass(frozen=True, slots=True)
class Upload:
    """Up to `BATCH_BRICKS` bricks in staging buffers, in the types of the pool."""

    slots: NDArray[np.int32]
    """[BATCH_BRICKS], padding beyond the pool."""
    density: NDArray[np.floating]
    """[BATCH_BRICKS, V]."""
    row_ids: NDArray[np.uint32]
    """[BATCH_BRICKS, V]."""
    origins: NDArray[np.int32]
    """[BATCH_BRICKS, 3]."""
    pages: list[NDArray[np.int32]]
    """Each [BATCH_PAGES], padding beyond the pool."""
    rows: list[NDArray[np.floating]]
    """Each [BATCH_PAGES * PAGE_ROWS, 3 * basis_dim]."""

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        one = (self.slots, self.density, self.row_ids, self.origins)
        return sum(a.nbytes for a in (*one, *self.pages, *self.rows))


def pack_arrivals(
    arrivals: Arrivals,
    bricks: BrickGrid,
    *,
    n_slots: int,
    n_pages: int,
    dtype: np.dtype[np.floating],
    unit: float,
) -> Upload:
    """Lay out b <= BATCH_BRICKS bricks for upload; densities are rounded here.

    Parameters
    ----------
    n_slots, n_pages : of the pool; padding lies beyond them
    dtype : of the pool's densities and rows
    unit : world length that densities on the device are per
    """
    row_start, pages = arrivals.row_start, arrivals.pages
    b, voxels = len(arrivals.index), bricks.voxels
    active = np.unpackbits(arrivals.mask, axis=1, count=voxels, bitorder="little").view(bool)
    counts = np.diff(row_start)
    page_counts = -(-counts // PAGE_ROWS)
    first_page = np.cumsum(page_counts) - page_counts
    within = np.arange(row_start[-1]) - np.repeat(row_start[:-1], counts)
    page = np.repeat(first_page, counts) + within // PAGE_ROWS

    packed_density = _fresh((BATCH_BRICKS, voxels), dtype)
    packed_density[:b][active] = device_densities(arrivals.density, unit, dtype)
    row_ids = _fresh((BATCH_BRICKS, voxels), np.uint32)
    row_ids[:b][active] = pages[page] * np.uint32(PAGE_ROWS) + (within % PAGE_ROWS)
    origins = np.zeros((BATCH_BRICKS, 3), np.int32)
    origins[:b] = arrivals.index * bricks.brick_size
    batches = -(-len(pages) // BATCH_PAGES)
    rows = [_fresh((BATCH_PAGES * PAGE_ROWS, arrivals.sh.shape[1]), dtype) for _ in range(batches)]
    for start, end, at in zip(row_start, row_start[1:], first_page * PAGE_ROWS, strict=False):
        _copy_rows(rows, int(at), arrivals.sh[start:end])
    return Upload(
        slots=_padded(arrivals.slots, BATCH_BRICKS, n_slots),
        density=packed_density,
        row_ids=row_ids,
        origins=origins,
        pages=[
            _padded(pages[first : first + BATCH_PAGES], BATCH_PAGES, n_pages)
            for first in range(0, len(pages), BATCH_PAGES)
        ],
        rows=rows,
    )


def _fresh(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new array of zeros where JAX's CPU arrays begin, at a multiple of 64 bytes.

    On a CPU, JAX goes on using such a buffer instead of copying it: so it has to be a new one each
    time, and nothing is copied.
    """
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + _ALIGNED - 1, np.uint8)
    start = -buffer.ctypes.data % _ALIGNED
    return buffer[start : start + n_bytes].view(dtype).reshape(shape)


def _copy_rows(batches: Sequence[NDArray[Any]], at: int, rows: NDArray[Any]) -> None:
    """Put a brick's rows at row `at` of the batches, across their borders."""
    size = BATCH_PAGES * PAGE_ROWS
    done = 0
    while done < len(rows):
        batch, start = divmod(at + done, size)
        n = min(len(rows) - done, size - start)
        batches[batch][start : start + n] = rows[done : done + n]
        done += n


def _padded(places: NDArray[np.int32], length: int, beyond: int) -> NDArray[np.int32]:
    """`places` with padding that differs from entry to entry, all of it outside the pool."""
    out = np.arange(beyond, beyond + length, dtype=np.int32)
    out[: len(places)] = places
    return out
