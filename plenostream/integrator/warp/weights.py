"""Weights of samples beside the pool, and how they come to the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.warp.programs import SLOTS_READ, WalkPrograms
from plenostream.integrator.xla.structs import BATCH_BRICKS

__all__ = ["Weights"]

_NO_SLOT = -1


class Weights:
    """Those of the voxels of `n_slots` bricks; the worker's thread alone touches the array."""

    def __init__(self, programs: WalkPrograms, n_slots: int) -> None:
        self._clear = programs.clear_weights(n_slots)
        self._read = programs.read_weights(n_slots)
        self.array: jax.Array | None = programs.no_weights(n_slots)()

    @property
    def is_lost(self) -> bool:
        """Whether the array was given to a program that never gave it back."""
        return self.array is None or self.array.is_deleted()

    def clear(self, slots: NDArray[np.int32], put: Callable[[Any], Any]) -> None:
        """Make those of the bricks in `slots` [b] 0, b up to BATCH_BRICKS."""
        padded = np.full(BATCH_BRICKS, _NO_SLOT, np.int32)
        padded[: len(slots)] = slots
        array, self.array = self.array, None
        self.array = self._clear(array, put(padded))

    def read(
        self,
        slots: NDArray[np.int32],
        *,
        put: Callable[[Any], Any],
        get: Callable[[Any], NDArray[Any]],
    ) -> NDArray[np.float32]:
        """See `Integrator.weights`."""
        assert self.array is not None
        found = np.empty((len(slots), self.array.shape[1]), np.float32)
        for first in range(0, len(slots), SLOTS_READ):
            some = slots[first : first + SLOTS_READ]
            padded = np.resize(some, SLOTS_READ)
            found[first : first + len(some)] = get(self._read(self.array, put(padded)))[: len(some)]
        return found
