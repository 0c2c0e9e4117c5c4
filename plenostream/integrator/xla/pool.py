"""The pool: bricks on the device, behind the slots that `residency` hands out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import DTypeLike, NDArray

from plenostream.field.grid import BrickGrid
from plenostream.field.precision import device_densities
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.state import PAGE_ROWS, Pool
from plenostream.integrator.xla.programs import BATCH_BRICKS, BATCH_PAGES, Programs

__all__ = ["BrickPool", "PackedBricks", "pack_bricks", "upload_bytes"]

_ALIGNED = 64


@dataclass(frozen=True, slots=True)
class PackedBricks:
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


def upload_bytes(voxels: int, columns: int, itemsize: int) -> tuple[int, int]:
    """Bytes of a batch of bricks, and of a batch of pages."""
    bricks = BATCH_BRICKS * (4 + voxels * (itemsize + 4) + 12)
    return bricks, BATCH_PAGES * (4 + PAGE_ROWS * columns * itemsize)


def pack_bricks(
    *,
    bricks: BrickGrid,
    index: NDArray[np.int32],
    mask: NDArray[np.uint8],
    density: NDArray[np.float32],
    sh: NDArray[np.floating],
    row_start: NDArray[np.int64],
    slots: NDArray[np.int32],
    pages: NDArray[np.int32],
    n_slots: int,
    n_pages: int,
    dtype: np.dtype[np.floating],
    unit: float,
) -> PackedBricks:
    """Lay out b <= BATCH_BRICKS bricks for upload; densities are rounded here.

    Parameters
    ----------
    index, mask : [b, 3], [b, bytes]      rows of the scene's tables
    density, sh : [r], [r, columns]       rows of the bricks, one brick after another
    row_start : [b + 1]                   where each brick's rows are in them
    slots, pages : [b], [p]               where they go; the pages of a brick follow each other
    unit : float                          world length that densities on the device are per
    """
    b, voxels = len(index), bricks.voxels
    active = np.unpackbits(mask, axis=1, count=voxels, bitorder="little").view(bool)
    counts = np.diff(row_start)
    page_counts = -(-counts // PAGE_ROWS)
    first_page = np.cumsum(page_counts) - page_counts
    within = np.arange(row_start[-1]) - np.repeat(row_start[:-1], counts)
    page = np.repeat(first_page, counts) + within // PAGE_ROWS

    packed_density = _fresh((BATCH_BRICKS, voxels), dtype)
    packed_density[:b][active] = device_densities(density, unit, dtype)
    row_ids = _fresh((BATCH_BRICKS, voxels), np.uint32)
    row_ids[:b][active] = pages[page] * np.uint32(PAGE_ROWS) + (within % PAGE_ROWS)
    origins = np.zeros((BATCH_BRICKS, 3), np.int32)
    origins[:b] = index * bricks.brick_size
    batches = -(-len(pages) // BATCH_PAGES)
    rows = [_fresh((BATCH_PAGES * PAGE_ROWS, sh.shape[1]), dtype) for _ in range(batches)]
    for start, end, at in zip(row_start, row_start[1:], first_page * PAGE_ROWS, strict=False):
        _copy_rows(rows, int(at), sh[start:end])
    return PackedBricks(
        slots=_padded(slots, BATCH_BRICKS, n_slots),
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


class BrickPool:
    """The device arrays of `n_slots` bricks and `n_pages` pages of colour rows."""

    def __init__(self, device: Device, programs: Programs, *, n_slots: int, n_pages: int) -> None:
        self.n_slots = n_slots
        self.n_pages = n_pages
        self._device = device
        self._write_bricks = programs.write_bricks(n_slots, n_pages)
        self._write_rows = programs.write_rows(n_slots, n_pages)
        self.arrays: Pool = programs.empty_pool(n_slots, n_pages)()

    @property
    def is_lost(self) -> bool:
        """Whether the arrays were given to a kernel that never gave them back."""
        return any(array.is_deleted() for array in self.arrays)

    def stage(self, packed: PackedBricks) -> Iterator[tuple[str, tuple[jax.Array, ...]]]:
        """Copy a batch up, a piece at a time: pieces for `write`, in order."""
        put = self._device.put
        values = (packed.slots, packed.density, packed.row_ids, packed.origins)
        yield "bricks", tuple(put(value) for value in values)
        for piece in zip(packed.pages, packed.rows, strict=True):
            yield "rows", tuple(put(value) for value in piece)

    def write(self, kind: str, arrays: tuple[jax.Array, ...]) -> int:
        """Put a staged piece into the pool; the kernels that read the pool must have been queued.

        Returns its bytes.
        """
        program = self._write_bricks if kind == "bricks" else self._write_rows
        self.arrays = program(self.arrays, *arrays)
        return sum(array.nbytes for array in arrays)
