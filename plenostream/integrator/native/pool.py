"""The pool: bricks in the memory that the kernels read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import DeviceError, InternalError
from plenostream.integrator.interface import PAGE_ROWS, Arrivals, SceneShape
from plenostream.integrator.native import structs
from plenostream.integrator.native.arrays import SPARE_BYTES, aligned
from plenostream.integrator.native.structs import ROW_LANES, row_vectors

__all__ = ["PADDING_BYTES", "Batch", "BrickPool", "page_bytes", "slot_bytes"]

PADDING_BYTES = 5 * SPARE_BYTES
"""Bytes of a pool beside its slots and pages."""
_PLACE = np.dtype(np.uint32)
_WEIGHT = np.dtype(np.float32)
_MOST_VOXELS, _MOST_ROW_BYTES = (1 << 31) - 1, 8 << 32
"""What the kernels' numbers of 32 bits reach: voxels one by one, rows in units of 8 bytes."""


def slot_bytes(scene: SceneShape, dtype: np.dtype[np.floating], *, weigh: bool) -> int:
    """Bytes of a brick: its densities, the places of its rows, a bit for each cell, and weights."""
    voxels, cells = scene.bricks.voxels, scene.bricks.brick_size**3
    voxel_bytes = dtype.itemsize + _PLACE.itemsize + weigh * _WEIGHT.itemsize
    return voxels * voxel_bytes + cells // 8


def page_bytes(scene: SceneShape, dtype: np.dtype[np.floating]) -> int:
    """Bytes of a page of colour rows."""
    return PAGE_ROWS * row_vectors(scene.basis_dim) * ROW_LANES * dtype.itemsize


class BrickPool:
    """Arrays of `n_slots` bricks and `n_pages` pages of colour rows."""

    def __init__(
        self,
        scene: SceneShape,
        dtype: np.dtype[np.floating],
        *,
        n_slots: int,
        n_pages: int,
        weigh: bool,
    ) -> None:
        """Keep weights of voxels where `weigh`.

        Raises DeviceError where there are more than the kernels can count."""
        voxels, vectors = scene.bricks.voxels, row_vectors(scene.basis_dim)
        if n_slots * voxels > _MOST_VOXELS or n_pages * page_bytes(scene, dtype) > _MOST_ROW_BYTES:
            raise DeviceError(
                f"a pool of {n_slots} bricks and {n_pages} pages of rows is larger than the kernels"
                " for CPUs can count; allow fewer bytes with device_memory"
            )
        self._density = aligned((n_slots, voxels), dtype)
        self._place_of = aligned((n_slots, voxels), _PLACE)
        self._live = aligned((n_slots, scene.bricks.brick_size**3 // 8), np.uint8)
        self._rows = aligned((n_pages * PAGE_ROWS, vectors * ROW_LANES), dtype)
        self._weight = aligned((n_slots if weigh else 0, voxels), _WEIGHT)
        arrays = (self._density, self._place_of, self._live, self._rows, self._weight)
        self.nbytes = sum(array.nbytes for array in arrays) + PADDING_BYTES
        self.record = structs.Pool(
            density=self._density.ctypes.data,
            place_of=self._place_of.ctypes.data,
            live=self._live.ctypes.data,
            rows=self._rows.ctypes.data,
            weight=self._weight.ctypes.data if weigh else None,
            wide=dtype == np.float32,
            vectors=vectors,
        )

    def weights(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """See `Integrator.weights`."""
        return self._weight[slots]


class Batch:
    """Bricks on their way in: the record that kernels take, and what it points into."""

    def __init__(self, arrivals: Arrivals) -> None:
        counts = -(-np.diff(arrivals.row_start) // PAGE_ROWS)
        self._source = source = arrivals.source
        renewed = source is not None and not len(arrivals.pages)
        sh_wide = arrivals.sh.dtype == np.float32
        if renewed and not sh_wide:
            raise InternalError("rows that change are float32; others came")
        self._rows = arrivals.density, arrivals.sh
        self._arrays = [
            np.ascontiguousarray(array)
            for array in (
                arrivals.mask,
                *(runs.addresses for runs in self._rows),
                arrivals.run_start,
                arrivals.row_start,
                arrivals.slots,
                arrivals.pages,
                np.cumsum(counts) - counts,
            )
        ]
        self.record = structs.Batch(
            *(array.ctypes.data for array in self._arrays),
            source=None if source is None else source.ctypes.data,
            n_bricks=len(arrivals.index),
            n_runs=len(arrivals.run_start) - 1,
            mask_bytes=arrivals.mask.shape[1],
            sh_wide=sh_wide,
            renewed=renewed,
        )
