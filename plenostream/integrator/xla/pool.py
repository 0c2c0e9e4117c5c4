"""The pool: bricks on the device, in the slots and pages that the host loop hands out."""

from __future__ import annotations

from collections.abc import Callable

import jax

from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.state import Pool, Voxels
from plenostream.integrator.xla.programs import Programs
from plenostream.integrator.xla.staged import Staged, Stager

__all__ = ["BrickPool"]


class BrickPool:
    """The device arrays of `n_slots` bricks and `n_pages` pages of colour rows."""

    def __init__(
        self, device: Device, programs: Programs, stager: Stager, *, n_slots: int, n_pages: int
    ) -> None:
        self.stager = stager
        self.n_slots = n_slots
        self.n_pages = n_pages
        self._n_staged = max(device.n_staged, 1)
        self._write_bricks = programs.write_bricks(n_slots, stager.shape)
        self._write_rows = programs.write_rows(n_pages, stager.shape)
        made: Pool = programs.empty_pool(n_slots, n_pages)()
        self._voxels = Voxels(made.density, made.ranks, made.pages, made.origins)
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

    def writers(self, staged: Staged) -> tuple[Callable[[], None], Callable[[], None]]:
        """What puts a batch into the pool, to be called once the kernels that read it are queued; in
        any order, or at the same time."""

        def bricks() -> None:
            self._voxels = self._write_bricks(self._voxels, staged.bricks)

        def rows() -> None:
            self._rows = self._write_rows(self._rows, staged.rows)

        return rows, bricks

    def settle(self, staged: Staged) -> None:
        """Wait until what a batch was staged from may change, and there is room on the device for
        another."""
        jax.block_until_ready((staged.bricks, staged.rows))  # type: ignore[no-untyped-call]
        self._n_settled += 1
        if self._n_settled % self._n_staged == 0:
            jax.block_until_ready(self.arrays)  # type: ignore[no-untyped-call]
