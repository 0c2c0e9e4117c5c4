"""What a bundle of rays sees of a scene: the bricks it may need, and which tiles may meet which boxes.

`PinholeView` is for rays through the pixels of a camera, `PacketView` for any rays at all. From
here on the two are the same: bricks with shells, and pairs of a tile and a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.field.tiles import Pairs
from plenostream.plan.boxes import BoxTable, Rects, rects_alive

__all__ = ["PAIRS_AT_ONCE", "PacketView", "PinholeView", "View", "expand_rects"]

PAIRS_AT_ONCE = 65_536
"""Pairs that are made at once; bounds the host memory of pictures of any size."""


class View(Protocol):
    """What the frame loop needs to know of a bundle of rays."""

    bricks: NDArray[np.int64]
    """[v]: the bricks that the rays may need."""
    shells: NDArray[np.int64]
    """[v]: their shells; rising is front to back."""

    @property
    def nbytes(self) -> int:
        """Bytes of everything that it holds."""
        ...

    def hidden(self, bricks: NDArray[np.int64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of `bricks` [b] no live ray can reach; `alive` [tiles or more]: the live tiles."""
        ...

    def pairs(self, wanted: NDArray[np.bool_], alive: NDArray[np.bool_] | None) -> Iterator[Pairs]:
        """Pairs in the bricks that are `wanted` [bricks of the scene], front to back, in portions."""
        ...


class PinholeView:
    """The view of a camera: boxes with the rectangles of tiles that may see them."""

    def __init__(
        self,
        table: BoxTable,
        rects: Rects,
        box_shells: NDArray[np.int64],
        brick_shells: NDArray[np.int64],
        *,
        rows: int,
        columns: int,
    ) -> None:
        """Take `rects` of boxes with shells [v]; `brick_shells` [n] is of every brick."""
        order = np.argsort(box_shells, kind="stable")
        self._rects = Rects(rects.box[order], rects.first[order], rects.last[order])
        self._shells = box_shells[order]
        self._brick = table.brick[self._rects.box]
        self._grid = (rows, columns)
        self.bricks = np.unique(self._brick).astype(np.int64)
        self.shells = brick_shells[self.bricks]

    @property
    def nbytes(self) -> int:
        """See `View.nbytes`."""
        mine = (self._shells, self._brick, self.bricks, self.shells)
        return self._rects.nbytes + sum(array.nbytes for array in mine)

    def hidden(self, bricks: NDArray[np.int64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """See `View.hidden`."""
        rows, columns = self._grid
        seen = self._brick[rects_alive(self._rects, alive[: rows * columns].reshape(rows, columns))]
        return ~np.isin(bricks, seen)

    def pairs(self, wanted: NDArray[np.bool_], alive: NDArray[np.bool_] | None) -> Iterator[Pairs]:
        """See `View.pairs`."""
        mine = np.flatnonzero(wanted[self._brick])
        counts = (self._rects.last[mine] - self._rects.first[mine]).prod(-1)
        total = np.cumsum(counts)
        start = 0
        while start < len(mine):
            done = total[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(total, done + PAIRS_AT_ONCE, "right")))
            part = mine[start:stop]
            rects = Rects(self._rects.box[part], self._rects.first[part], self._rects.last[part])
            yield expand_rects(rects, self._shells[part], alive, self._grid[1])
            start = stop


class PacketView:
    """The view of packets of 64 rays of one octant: the boxes that each packet's rays meet."""

    def __init__(
        self,
        table: BoxTable,
        packet: NDArray[np.int64],
        box: NDArray[np.int64],
        box_shells: NDArray[np.int64],
        brick_shells: NDArray[np.int64],
    ) -> None:
        """Take pairs of `packet` and `box` [i], with the shell of each pair's box [i]."""
        order = np.argsort(box_shells, kind="stable")
        self._pairs = Pairs(tile=packet[order], box=box[order], shell=box_shells[order])
        self._brick = table.brick[self._pairs.box]
        self.bricks = np.unique(self._brick).astype(np.int64)
        self.shells = brick_shells[self.bricks]

    @property
    def nbytes(self) -> int:
        """See `View.nbytes`."""
        mine = (self._brick, self.bricks, self.shells)
        return self._pairs.nbytes + sum(array.nbytes for array in mine)

    def hidden(self, bricks: NDArray[np.int64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """See `View.hidden`."""
        return ~np.isin(bricks, self._brick[alive[self._pairs.tile]])

    def pairs(self, wanted: NDArray[np.bool_], alive: NDArray[np.bool_] | None) -> Iterator[Pairs]:
        """See `View.pairs`."""
        keep = wanted[self._brick]
        if alive is not None:
            keep &= alive[self._pairs.tile]
        picked = np.flatnonzero(keep)
        for start in range(0, len(picked), PAIRS_AT_ONCE):
            part = picked[start : start + PAIRS_AT_ONCE]
            whole = self._pairs
            yield Pairs(whole.tile[part], whole.box[part], whole.shell[part])


def expand_rects(
    rects: Rects, shells: NDArray[np.int64], alive: NDArray[np.bool_] | None, columns: int
) -> Pairs:
    """Pairs of each box with each tile of its rectangle that has live rays.

    Parameters
    ----------
    shells : [v]            shell of each rectangle's box, never falling
    alive : [tiles] or None for all
    columns : int           tiles per row; a tile's number is row * columns + column
    """
    extent = rects.last - rects.first
    count = extent[:, 0] * extent[:, 1]
    which = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
    width = extent[which, 0]
    row, column = within // width, within % width
    tile = (rects.first[which, 1] + row) * columns + rects.first[which, 0] + column
    box, shell = rects.box[which], shells[which]
    if alive is not None:
        keep = alive[tile]
        tile, box, shell = tile[keep], box[keep], shell[keep]
    return Pairs(tile=tile, box=box, shell=shell)
