"""The pool: bricks on the device, in the slots and pages that the host loop hands out."""

from __future__ import annotations

from collections.abc import Iterator

import jax

from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.state import Pool
from plenostream.integrator.xla.packing import Upload
from plenostream.integrator.xla.programs import Programs

__all__ = ["BrickPool"]


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

    def stage(self, upload: Upload) -> Iterator[tuple[str, tuple[jax.Array, ...]]]:
        """Copy a batch up, a piece at a time: pieces for `write`, in order."""
        put = self._device.put
        values = (upload.slots, upload.density, upload.row_ids, upload.origins)
        yield "bricks", tuple(put(value) for value in values)
        for piece in zip(upload.pages, upload.rows, strict=True):
            yield "rows", tuple(put(value) for value in piece)

    def write(self, kind: str, arrays: tuple[jax.Array, ...]) -> int:
        """Put a staged piece into the pool; the kernels that read the pool must have been queued.

        Returns its bytes.
        """
        program = self._write_bricks if kind == "bricks" else self._write_rows
        self.arrays = program(self.arrays, *arrays)
        return sum(array.nbytes for array in arrays)
