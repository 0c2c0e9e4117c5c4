"""Shapes of what only a walk has on the device."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.warp.kernels.back import LOSS_COLUMNS
from plenostream.integrator.warp.kernels.walk import COUNTER_ROWS
from plenostream.integrator.warp.state import COUNTERS, Numbers, WalkBack, WalkMap, WalkState
from plenostream.integrator.xla.kernels.state import KernelShape
from plenostream.integrator.xla.structs import Structs

__all__ = ["WalkStructs"]


class WalkStructs:
    """Shapes of what only a walk has."""

    def __init__(
        self, structs: Structs, shape: KernelShape, *, n_groups: int, n_boxes: int, n_bricks: int
    ) -> None:
        """Take the rows of a `BoxMap`."""
        self._structs, self._shape = structs, shape
        self._sizes = n_groups, n_boxes, n_bricks

    def state(self, tiles: int) -> WalkState:
        """What the rays gather."""
        one, n = self._structs.one, tiles * TILE_RAYS
        return WalkState(
            trans=one((n + 1,), jnp.float32),
            gathered=one((n + 1, 4), jnp.float32),
            # The kernel takes an array in any case.
            left=self._structs.left(tiles) or one((1,), jnp.float32),
            aovs=self._structs.aovs(n) or one((1, 1), jnp.float32),
            next_sample=one((n,), jnp.int32),
            waits_for=one((1,), jnp.int32),
            counters=one((COUNTER_ROWS, len(COUNTERS)), jnp.int32),
        )

    def map(self) -> WalkMap:
        """Groups and boxes."""
        n_groups, n_boxes, _ = self._sizes
        one = self._structs.one
        return WalkMap(one((n_groups, 4), jnp.uint32), one((n_boxes, 2), jnp.uint32))

    def back(self, tiles: int, n_pages: int) -> WalkBack:
        """What rays go back for, and what comes of it."""
        # A row's by its coefficients, and by its density.
        one, columns = self._structs.one, 3 * self._shape.basis_dim + 1
        return WalkBack(
            loss=one((tiles * TILE_RAYS, LOSS_COLUMNS), jnp.float32),
            derivatives=one((n_pages * PAGE_ROWS, columns), jnp.float32),
        )

    def weights(self, n_slots: int) -> Any:
        """Weights of the voxels of so many bricks."""
        return self._structs.one((n_slots, self._shape.voxels), jnp.float32)

    def slots(self) -> Any:
        """The slot of each brick that has boxes."""
        return self._structs.one((self._sizes[2],), jnp.int32)

    def numbers(self) -> Numbers:
        """The values that the kernel takes."""
        one = self._structs.one
        return Numbers(one((1,), jnp.float64), one((11,), jnp.float32), one((8,), jnp.int32))
