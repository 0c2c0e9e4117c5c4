"""How far away a server is: answers that wait, over a line that all of them share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Distance"]

_PIECE_BYTES = 64 << 10
"""What goes out in one piece: answers that are sent at the same time alternate by these."""


@dataclass(slots=True, eq=False)
class Distance:
    """Between a server and whoever asks it; used by all of its threads.

    A new connection waits once, to be opened, and each request once. Encryption would wait once or twice
    more for each connection.
    """

    latency_s: float = 0.0
    """From a request to the first byte of its answer."""
    bytes_per_s: float | None = None
    """Of all answers together; None: as fast as the machine."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _free_at: float = 0.0

    def wait(self) -> None:
        """Wait as one way there and back takes."""
        if self.latency_s:
            time.sleep(self.latency_s)

    def send(self, blob: bytes, write: Callable[[memoryview], object]) -> None:
        """Hand `blob` to `write` as fast as the line takes it."""
        if self.bytes_per_s is None:
            write(memoryview(blob))
            return
        for first in range(0, len(blob), _PIECE_BYTES):
            piece = memoryview(blob)[first : first + _PIECE_BYTES]
            with self._lock:
                self._free_at = max(self._free_at, time.monotonic()) + len(piece) / self.bytes_per_s
                done_at = self._free_at
            time.sleep(max(0.0, done_at - time.monotonic()))
            write(piece)
