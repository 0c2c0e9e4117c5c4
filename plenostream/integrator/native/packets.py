"""Which bricks the packets of arbitrary rays may meet, found by several threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from plenostream.integrator.native import structs
from plenostream.integrator.native.crew import Crew
from plenostream.integrator.native.library import Kernels

__all__ = ["bricks_met", "packet_bytes"]

_EMPTY = -1


def packet_bytes(n_bricks: int, n_threads: int) -> int:
    """Bytes that `bricks_met` takes beside its pairs."""
    return 4 * n_bricks * n_threads


class _Part:
    """The packets that one thread looks at."""

    def __init__(self, first: int, end: int, n_bricks: int, capacity: int) -> None:
        self._met_by = np.full(n_bricks, _EMPTY, np.int32)
        self._n_met = np.zeros(end, np.int32)
        self.record = structs.Meeting(
            packet=first,
            end=end,
            n_met=self._n_met.ctypes.data,
            met_by=self._met_by.ctypes.data,
        )
        self.make_room(capacity)

    def make_room(self, capacity: int) -> None:
        self._bricks = np.empty(capacity, np.int32)
        self.record.bricks, self.record.capacity = self._bricks.ctypes.data, capacity

    @property
    def is_done(self) -> bool:
        return bool(self.record.packet >= self.record.end)

    def look(self, kernels: Kernels, scene: structs.Scene, rays: structs.Rays) -> int:
        """Look at packets, as many as there is room for; returns the first."""
        first: int = self.record.packet
        self.record.n_bricks = 0
        while not self.is_done:
            kernels.meet(scene, rays, self.record)
            if self.is_done or self.record.packet > first:
                break
            self.make_room(2 * self.record.capacity)  # a single packet has more
        return first

    def pairs(self, first: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Packet and brick [i] of what was found from packet `first` on."""
        n_met = self._n_met[first : self.record.packet]
        packet = np.repeat(np.arange(first, self.record.packet), n_met)
        return packet, self._bricks[: self.record.n_bricks]


def bricks_met(
    kernels: Kernels,
    scene: structs.Scene,
    rays: structs.Rays,
    crew: Crew,
    *,
    n_packets: int,
    n_bricks: int,
    at_once: int,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """The bricks that the rays of each packet may need: (packet [i], brick [i]), each pair once."""
    n = crew.n_threads
    ends = [n_packets * number // n for number in range(n + 1)]
    room = max(1, at_once // n)
    parts = [_Part(first, end, n_bricks, room) for first, end in zip(ends, ends[1:], strict=False)]
    while not all(part.is_done for part in parts):
        firsts = crew.submit(lambda number: parts[number].look(kernels, scene, rays)).result()
        found = [part.pairs(first) for part, first in zip(parts, firsts, strict=True)]
        packet, brick = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        yield packet, brick
