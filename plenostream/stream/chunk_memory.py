"""Memory for decoded chunks: slots of one size, cut from large blocks and used again and again.

Fresh memory costs as much as decoding into it (a page fault for each 4 kB; measured 1.0 to 1.2 ms a
chunk of `rows/sh` against 0.7 into memory used before). Blocks of this size get huge pages where
the system has them, and what is forgotten gives its slot to the next chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Slot", "Slots", "slot_bytes"]

_ALIGNMENT = 64
_BLOCK_BYTES = 8 << 20
"""NumPy asks for huge pages from 4 MiB on."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """Room for one decoded chunk of any kind."""

    memory: NDArray[np.uint8]


def slot_bytes(sizes: Sequence[int]) -> int:
    """Bytes of a slot that holds a chunk of any of these sizes, aligned."""
    return -(-max(sizes) // _ALIGNMENT) * _ALIGNMENT


class Slots:
    """At most `n_slots` slots; memory is allocated when it is first needed. Not thread safe."""

    def __init__(self, *, slot_bytes: int, n_slots: int) -> None:
        self._slot_bytes = slot_bytes
        self._n_left = n_slots
        self._n_allocated = 0
        self._free: list[Slot] = []

    @property
    def allocated_bytes(self) -> int:
        """Bytes of all slots so far, free or not."""
        return self._n_allocated * self._slot_bytes

    def take(self) -> Slot | None:
        """A free slot; None when there is none left."""
        if not self._free and self._n_left:
            n = min(self._n_left, max(1, _BLOCK_BYTES // self._slot_bytes))
            try:
                block = np.empty((n, self._slot_bytes), np.uint8)
            except MemoryError:
                # The system has less than was allowed: what is there has to do.
                self._n_left = 0
                if self._n_allocated:
                    return None
                raise
            self._free = [Slot(memory) for memory in block]
            self._n_left -= n
            self._n_allocated += n
        return self._free.pop() if self._free else None

    def give_back(self, slot: Slot) -> None:
        """Make a slot free again."""
        self._free.append(slot)

    def release(self) -> None:
        """Let go of all free slots, and allocate no more."""
        self._free.clear()
        self._n_left = 0
