"""Memory for decoded chunks: buffers of one size, cut from large pieces and used again and again.

Fresh memory costs as much as decoding into it (a page fault for each 4 kB; measured 1.0 to 1.2 ms a
chunk of `rows/sh` against 0.7 into memory used before). Pieces of this size get huge pages where
the system has them, and what is forgotten gives its buffer to the next chunk.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Buffer", "ChunkMemory", "buffer_bytes"]

_ALIGNMENT = 64
_PIECE_BYTES = 8 << 20
"""NumPy asks for huge pages from 4 MiB on."""

Buffer = NDArray[np.uint8]
"""Room for one decoded chunk of any kind."""


def buffer_bytes(sizes: Sequence[int]) -> int:
    """Bytes of a buffer that holds a chunk of any of these sizes, aligned."""
    return -(-max(sizes) // _ALIGNMENT) * _ALIGNMENT


class ChunkMemory:
    """At most `n_buffers` buffers; allocated when they are first needed. Not thread safe."""

    def __init__(self, *, buffer_bytes: int, n_buffers: int) -> None:
        self._buffer_bytes = buffer_bytes
        self._n_left = n_buffers
        self._n_allocated = 0
        self._free: list[Buffer] = []

    @property
    def allocated_bytes(self) -> int:
        """Bytes of all buffers so far, free or not."""
        return self._n_allocated * self._buffer_bytes

    def take(self) -> Buffer | None:
        """A free buffer; None when there is none left."""
        if not self._free and self._n_left:
            n = min(self._n_left, max(1, _PIECE_BYTES // self._buffer_bytes))
            try:
                piece = np.empty((n, self._buffer_bytes), np.uint8)
            except MemoryError:
                # The system has less than was allowed: what is there has to do.
                self._n_left = 0
                if self._n_allocated:
                    return None
                raise
            self._free = list(piece)
            self._n_left -= n
            self._n_allocated += n
        return self._free.pop() if self._free else None

    def give_back(self, buffer: Buffer) -> None:
        """Make a buffer free again."""
        self._free.append(buffer)

    def release(self) -> None:
        """Let go of all free buffers, and allocate no more."""
        self._free.clear()
        self._n_left = 0
