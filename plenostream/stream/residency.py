"""Allocates the pool's slots and pages to bricks, and chooses what to evict. It holds no voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError

__all__ = ["EMPTY", "Admission", "Residency"]

EMPTY = -1


@dataclass(frozen=True, slots=True)
class Admission:
    """Bricks that come into the pool together, and where."""

    bricks: NDArray[np.int64]
    """[a]: brick ids, in the order asked for."""
    slots: NDArray[np.int32]
    """[a]: the slot of each."""
    pages: NDArray[np.int32]
    """[sum of the bricks' pages]: their pages, brick by brick."""
    evicted: NDArray[np.int64]
    """[e]: bricks that had to go for them."""
    evicted_slots: NDArray[np.int32]
    """[e]: where those were."""

    @property
    def n_evicted(self) -> int:
        """Bricks that had to go for them."""
        return len(self.evicted)


_NOBODY = Admission(
    bricks=np.empty(0, np.int64),
    slots=np.empty(0, np.int32),
    pages=np.empty(0, np.int32),
    evicted=np.empty(0, np.int64),
    evicted_slots=np.empty(0, np.int32),
)


class Residency:
    """The table of slots and pages of a pool.

    Eviction: first bricks that this frame does not show, the longest unused first; then bricks
    that this frame is done with, the last used first. A frame goes front to back each time, so
    what was drawn last in it is what the next one needs last, and plain least-recently-used would
    throw out the front of the scene just before the next frame begins with it.
    """

    def __init__(self, pages_of_brick: NDArray[np.int64], *, n_slots: int, n_pages: int) -> None:
        n = len(pages_of_brick)
        self.slot_of = np.full(n, EMPTY, np.int32)
        self._pages_of_brick = pages_of_brick
        self._brick_in = np.full(n_slots, EMPTY, np.int64)
        self._slot_with = np.full(n_pages, EMPTY, np.int32)  # each page belongs to a slot
        self._used = np.full(n_slots, -1, np.int64)
        self._frame_of = np.full(n, -1, np.int64)
        self._frame = 0
        self._frame_start = 0
        self._clock = 0
        self._free_slots = np.arange(n_slots - 1, -1, -1, dtype=np.int32)
        # Page 0 holds the row of zeros that empty corners point to.
        self._free_pages = np.arange(n_pages - 1, 0, -1, dtype=np.int32)

    def begin_frame(self, bricks: NDArray[np.int64]) -> None:
        """Say which bricks the coming frame shows."""
        self._frame += 1
        self._frame_of[bricks] = self._frame
        self._frame_start = self._clock

    def missing(self, bricks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of `bricks` that are not in the pool, in the order given."""
        missing: NDArray[np.int64] = bricks[self.slot_of[bricks] == EMPTY]
        return missing

    def admit(self, bricks: NDArray[np.int64]) -> Admission:
        """Make room for a wave of bricks and give its missing ones their places.

        None of the wave itself is let go. The waves come from `plan.split_waves`, which only
        makes such that fit.
        """
        self._clock += 1
        resident = self.slot_of[bricks]
        self._used[resident[resident != EMPTY]] = self._clock
        new = self.missing(bricks)
        if not len(new):
            return _NOBODY
        counts = self._pages_of_brick[new]
        leaving = self._leaving(len(new), int(counts.sum()))
        evicted = self._brick_in[leaving]
        self._release(leaving)
        split = len(self._free_slots) - len(new)
        slots, self._free_slots = self._free_slots[split:][::-1].copy(), self._free_slots[:split]
        split = len(self._free_pages) - int(counts.sum())
        pages, self._free_pages = self._free_pages[split:][::-1].copy(), self._free_pages[:split]
        self._slot_with[pages] = np.repeat(slots, counts)
        self._brick_in[slots] = new
        self.slot_of[new] = slots
        self._used[slots] = self._clock
        return Admission(
            bricks=new,
            slots=slots,
            pages=pages,
            evicted=evicted,
            evicted_slots=leaving.astype(np.int32),
        )

    def resident(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Bricks in the pool [r], and where each is."""
        bricks = np.flatnonzero(self.slot_of != EMPTY)
        return bricks, self.slot_of[bricks]

    def forget(self, bricks: NDArray[np.int64]) -> None:
        """Take bricks out again, such as those whose reading failed."""
        slots = self.slot_of[bricks]
        self._release(slots[slots != EMPTY].astype(np.int64))

    def _leaving(self, n_slots: int, n_pages: int) -> NDArray[np.int64]:
        """Slots of the bricks that have to go for so much to come in."""
        lack_slots = n_slots - len(self._free_slots)
        lack_pages = n_pages - len(self._free_pages)
        if lack_slots <= 0 and lack_pages <= 0:
            return np.empty(0, np.int64)
        held = np.flatnonzero((self._brick_in != EMPTY) & (self._used != self._clock))
        shown = self._frame_of[self._brick_in[held]] == self._frame
        done = shown & (self._used[held] > self._frame_start)
        # Groups: not shown, done, still to come; inside them by the clock, see the class.
        group = np.where(~shown, 0, np.where(done, 1, 2))
        age = np.where(done, -self._used[held], self._used[held])
        leaving = held[np.lexsort((age, group))]
        gained = np.cumsum(self._pages_of_brick[self._brick_in[leaving]])
        n = max(lack_slots, int(np.searchsorted(gained, lack_pages)) + 1 if lack_pages > 0 else 0)
        if n > len(leaving):
            raise InternalError("a wave of bricks does not fit the pool that it was cut for")
        return leaving[:n]

    def _release(self, slots: NDArray[np.int64]) -> None:
        self.slot_of[self._brick_in[slots]] = EMPTY
        self._brick_in[slots] = EMPTY
        self._free_slots = np.concatenate([self._free_slots, slots.astype(np.int32)])
        leaves = np.zeros(len(self._brick_in) + 1, bool)  # the last entry stands for EMPTY
        leaves[slots] = True
        freed = np.flatnonzero(leaves[self._slot_with]).astype(np.int32)
        self._slot_with[freed] = EMPTY
        self._free_pages = np.concatenate([self._free_pages, freed])
