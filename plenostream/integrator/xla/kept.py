"""Values that stay on the device from frame to frame, for as long as they stay what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from numpy.typing import NDArray

from plenostream.integrator.xla.device import Device

__all__ = ["KeptValues"]


class KeptValues:
    """What one thread has put up, by name: small arrays, since they are compared byte by byte.

    A transfer takes as long as a hundred comparisons, and most of what a frame takes (intrinsics, the slots
    of a pool that holds everything, the background) is what the frame before had.
    """

    def __init__(self, device: Device) -> None:
        """Puts nothing up."""
        self._device = device
        self._there: dict[str, list[tuple[NDArray[Any], jax.Array]]] = {}

    def put(
        self,
        name: str,
        values: Sequence[NDArray[Any]],
        beside: Sequence[NDArray[Any]] = (),
    ) -> list[jax.Array]:
        """The arrays `beside`, which go up, and `values`, of which only those go up, in the same transfer,
        that are not what they were at the last call by this `name`. They are not to be donated."""
        before = self._there.pop(name, [])
        there = [
            before[i][1] if i < len(before) and _same(value, before[i][0]) else None
            for i, value in enumerate(values)
        ]
        del before  # what has changed goes before the new comes
        new = [value for value, array in zip(values, there, strict=True) if array is None]
        put = iter(self._device.put_all((*beside, *new)) if beside or new else ())
        fresh = [next(put) for _ in beside]
        arrays = [next(put) if array is None else array for array in there]
        kept = zip(values, arrays, strict=True)
        self._there[name] = [(value.copy(), array) for value, array in kept]
        return fresh + arrays

    def clear(self) -> None:
        """Let go of everything."""
        self._there.clear()


def _same(value: NDArray[Any], before: NDArray[Any]) -> bool:
    """Whether two arrays are the same to the last bit: zeros of both signs differ."""
    if (value.dtype, value.shape) != (before.dtype, before.shape):
        return False
    return value.tobytes() == before.tobytes()
