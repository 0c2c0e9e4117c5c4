"""Derivatives beside the pool: where the kernels add them, and where they are handed over from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import (
    PAGE_ROWS,
    LossByRays,
    RaySource,
    RowDerivatives,
    SceneShape,
)
from plenostream.integrator.native import structs
from plenostream.integrator.native.arrays import SPARE_BYTES, aligned
from plenostream.integrator.native.structs import ROW_LANES, row_vectors

__all__ = ["PADDING_BYTES", "Derivatives", "back_page_bytes", "back_slot_bytes", "n_parts"]

PADDING_BYTES = 3 * SPARE_BYTES
"""Bytes of derivatives beside those of slots and pages."""
_MOST_PARTS = 8
"""Threads that go back at most: each adds to derivatives of its own, and all take memory."""
_NUMBER, _COUNT, _OWNER = np.dtype(np.float32), np.dtype(np.int32), np.dtype(np.int32)


def n_parts(n_threads: int) -> int:
    """Threads that go back, of those that draw."""
    return min(n_threads, _MOST_PARTS)


def back_page_bytes(scene: SceneShape, n_threads: int) -> int:
    """Bytes of derivatives for a page of rows: those of each part, and whether there are any."""
    row_bytes = row_vectors(scene.basis_dim) * ROW_LANES * _NUMBER.itemsize
    return n_parts(n_threads) * (PAGE_ROWS * (row_bytes + 1))


def back_slot_bytes() -> int:
    """Bytes for a brick."""
    return _COUNT.itemsize


class Derivatives:
    """Those by all rows of a pool of `n_slots` bricks and `n_pages` pages."""

    def __init__(self, scene: SceneShape, n_slots: int, n_pages: int, n_threads: int) -> None:
        self._columns = 3 * scene.basis_dim
        self.n_parts = parts = n_parts(n_threads)
        shape = (parts, n_pages * PAGE_ROWS, row_vectors(scene.basis_dim) * ROW_LANES)
        self._rows = aligned(shape, _NUMBER)
        self._touched = aligned((parts, n_pages * PAGE_ROWS), np.uint8)
        self._n_rows = aligned((n_slots,), _COUNT)
        self.nbytes = self._rows.nbytes + self._touched.nbytes + self._n_rows.nbytes + PADDING_BYTES
        self._loss: LossByRays | None = None
        self.record = structs.Back(
            rows=self._rows.ctypes.data,
            touched=self._touched.ctypes.data,
            n_pages=n_pages,
            n_parts=parts,
        )

    def aim(self, rays: RaySource, loss: LossByRays) -> None:
        """Take what these rays go back for."""
        tiles = (rays.n_tiles, TILE_RAYS)
        arrays = {
            "rgb": loss.rgb,
            "alpha": loss.alpha,
            "by_rgb": loss.by_rgb,
            "by_alpha": loss.by_alpha,
        }
        for name, array in arrays.items():
            shape = (*tiles, 3) if "rgb" in name else tiles
            if array.shape != shape or array.dtype != _NUMBER or not array.flags.c_contiguous:
                raise InternalError(
                    f"{name} of a loss is {array.dtype} {array.shape}; it has to be float32 {shape}, in C"
                    " order"
                )
            setattr(self.record, name, array.ctypes.data)
        self.record.sparsity = loss.sparsity
        self._loss = loss  # what the record points into

    def came(self, slots: NDArray[np.int32], row_start: NDArray[np.int64]) -> None:
        """Bricks have come to these slots [b], with the rows [row_start[i], row_start[i + 1])."""
        self._n_rows[slots] = np.diff(row_start)

    def asked(
        self, slots: NDArray[np.int32], into: RowDerivatives | None
    ) -> tuple[RowDerivatives, structs.HandOver, NDArray[np.int64]]:
        """Room for the derivatives of these slots [s], the record that says where it is, and what that
        points into."""
        starts, n = self._starts(slots)
        room = RowDerivatives.zeros(n, self._columns) if into is None else into
        _require_room(room, n, self._columns)
        record = self._asked(slots, starts, room)
        return room, record, starts

    def added(
        self, slots: NDArray[np.int32], owner: NDArray[np.int32], into: RowDerivatives
    ) -> tuple[structs.HandOver, NDArray[np.int64]]:
        """The record that says where derivatives of these slots [s] are added, and what it points into."""
        starts, n = self._starts(slots)
        _require_room(into, len(into.density), self._columns)
        if owner.shape != (n,) or owner.dtype != _OWNER or into.touched is None:
            raise InternalError(
                f"derivatives of {n} rows have {owner.dtype} {owner.shape} owners, or touch nothing"
            )
        record = self._asked(slots, starts, into)
        record.owner = owner.ctypes.data
        return record, starts

    def _starts(self, slots: NDArray[np.int32]) -> tuple[NDArray[np.int64], int]:
        counts = self._n_rows[slots].astype(np.int64)
        return np.cumsum(counts) - counts, int(counts.sum())

    def _asked(
        self, slots: NDArray[np.int32], starts: NDArray[np.int64], room: RowDerivatives
    ) -> structs.HandOver:
        return structs.HandOver(
            slots=slots.ctypes.data,
            row_start=starts.ctypes.data,
            density=room.density.ctypes.data,
            sh=room.sh.ctypes.data,
            touched=None if room.touched is None else room.touched.ctypes.data,
            n_slots=len(slots),
        )


def _require_room(room: RowDerivatives, n: int, columns: int) -> None:
    kinds: list[tuple[NDArray[Any], tuple[int, ...], np.dtype[Any]]]
    kinds = [(room.density, (n,), _NUMBER), (room.sh, (n, columns), _NUMBER)]
    if room.touched is not None:
        kinds.append((room.touched, (n,), np.dtype(bool)))
    for array, shape, dtype in kinds:
        if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
            raise InternalError(
                f"room for derivatives of {n} rows is {array.dtype} {array.shape}, where {dtype} "
                f"{shape} was to be, in C order"
            )
