"""Memory of the host that a CUDA device reads and writes by itself, at the speed of its bus.

The driver copies ordinary memory through buffers of its own: one H200 takes page-locked memory at
50 GB/s and any other at 3 to 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import warp as wp
from numpy.typing import NDArray

from plenostream.errors import DeviceError
from plenostream.integrator.staging_memory import plain_memory

__all__ = ["Landing", "page_locked_memory"]

_ALIGNMENT = 256
"""Bytes at whose multiples the arrays of a landing begin."""


def page_locked_memory(n_bytes: int) -> NDArray[np.uint8]:
    """Zeros [n_bytes] of page-locked memory.

    Raises
    ------
    DeviceError : the system locks no more memory.
    """
    try:
        memory: NDArray[np.uint8] = wp.zeros(
            n_bytes, dtype=wp.uint8, device="cpu", pinned=True
        ).numpy()
    except RuntimeError as error:
        raise DeviceError(f"{n_bytes} bytes of memory could not be page-locked: {error}") from error
    return memory


class Landing:
    """Where results of a device come down: page-locked memory, used again for the next."""

    def __init__(self, device: jax.Device) -> None:
        """Allocates nothing yet; on a CPU nothing has to come down."""
        self._on_cuda = device.platform == "gpu"
        self._memory = plain_memory(0)

    def get(self, arrays: Sequence[jax.Array]) -> list[NDArray[Any]]:
        """The values of arrays, once they are there; valid until the next call."""
        if not self._on_cuda:
            return [np.asarray(array) for array in arrays]
        jax.block_until_ready(arrays)  # type: ignore[no-untyped-call]
        ends = np.cumsum([-(-a.nbytes // _ALIGNMENT) * _ALIGNMENT for a in arrays])
        if len(self._memory) < ends[-1]:
            self._memory = plain_memory(0)  # first: there are never two
            self._memory = page_locked_memory(int(ends[-1]))
        values = []
        for array, end in zip(arrays, ends.tolist(), strict=True):
            start = end - -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
            room = self._memory[start : start + array.nbytes].view(array.dtype)
            values.append(room.reshape(array.shape))
            source = wp.from_jax(array)
            wp.copy(wp.array(values[-1], dtype=source.dtype, device="cpu", copy=False), source)
        wp.synchronize_device(wp.device_from_jax(next(iter(arrays[0].devices()))))
        return values

    @property
    def nbytes(self) -> int:
        """Bytes of the memory."""
        return self._memory.nbytes

    def close(self) -> None:
        """Let go of it."""
        self._memory = plain_memory(0)
