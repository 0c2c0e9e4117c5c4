"""What a bundle of rays sees of a scene: the bricks it may need, and which tiles may meet which boxes.

`CameraView` is for rays through the pixels of a camera, `PacketView` for any rays at all. From
here on the two are the same: bricks with shells, and pairs of a tile and a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.field.tiles import Pairs
from plenostream.plan.boxes import BoxTable
from plenostream.plan.screen import Rects, Screen, rects_alive, rects_cover
from plenostream.plan.waves import shells_of

__all__ = ["PAIRS_AT_ONCE", "CameraView", "PacketView", "TilesView", "View", "expand_rects"]

PAIRS_AT_ONCE = 65_536
"""Pairs that are made at once; bounds the host memory of pictures of any size."""


class View(Protocol):
    """What the frame loop needs to know of a bundle of rays."""

    bricks: NDArray[np.int64]
    """[v]: the bricks that the rays may need."""
    shells: NDArray[np.int64]
    """[v]: their shells; rising is front to back."""
    left_out: NDArray[np.bool_] | None
    """[bricks of the scene]: those that are not drawn, though rays may meet them; None: all are."""

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


class CameraView:
    """The view of a camera: bricks and boxes with the rectangles of tiles that may see them."""

    def __init__(
        self,
        table: BoxTable,
        screen: Screen,
        *,
        eye_block: NDArray[np.int64],
        brick_shells: NDArray[np.int64],
        signs: NDArray[np.int64] | None = None,
        towards: bool = False,
        left_out: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take the block [3] that the eye is in, the shell of every brick of the scene [n], and the
        `signs` [3] of the direction of rays without a common eye (see `shells_of`).

        With `towards`, rays come to the eye from beyond all boxes: its shells are met in the opposite
        order. Bricks that are `left_out` [n] are not in view.
        """
        self._order = -1 if towards else 1
        self._table = table
        self._screen = screen
        self._eye_block, self._signs = eye_block, signs
        self.left_out = left_out
        self._rects = table.bricks_seen(screen)
        if left_out is not None:
            drawn = ~left_out[table.bricks[self._rects.which]]
            rects = self._rects
            self._rects = Rects(rects.which[drawn], rects.first[drawn], rects.last[drawn])
        self.bricks = table.bricks[self._rects.which]
        self.shells = self._order * brick_shells[self.bricks]
        self._seen = rects_cover(self._rects, screen.rows, screen.columns).reshape(-1)

    @property
    def nbytes(self) -> int:
        """See `View.nbytes`."""
        return self._rects.nbytes + self.bricks.nbytes + self.shells.nbytes + self._seen.nbytes

    @property
    def n_tiles(self) -> int:
        """Tiles of the picture: rows * columns."""
        return self._screen.rows * self._screen.columns

    def tiles_seen(self) -> NDArray[np.bool_]:
        """Which tiles [n_tiles] may see a brick at all; not to be changed."""
        return self._seen

    def hidden(self, bricks: NDArray[np.int64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """See `View.hidden`."""
        rows, columns = self._screen.rows, self._screen.columns
        seen = rects_alive(self._rects, alive[: rows * columns].reshape(rows, columns))
        return ~np.isin(bricks, self.bricks[seen])

    def pairs(self, wanted: NDArray[np.bool_], alive: NDArray[np.bool_] | None) -> Iterator[Pairs]:
        """See `View.pairs`."""
        table = self._table
        rects = self._screen.rects(table.low, table.high, np.flatnonzero(wanted[table.brick]))
        shells = self._order * shells_of(table.block[rects.which], self._eye_block, self._signs)
        order = np.argsort(shells, kind="stable")
        total = np.cumsum((rects.last - rects.first)[order].prod(-1))
        start = 0
        while start < len(order):
            done = total[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(total, done + PAIRS_AT_ONCE, "right")))
            part = order[start:stop]
            some = Rects(rects.which[part], rects.first[part], rects.last[part])
            yield expand_rects(some, shells[part], alive, self._screen.columns)
            start = stop


class TilesView:
    """What some tiles of a camera see: the rays of all others are not drawn."""

    def __init__(self, view: CameraView, tiles: NDArray[np.int64]) -> None:
        """Take the numbers of the `tiles` [t] in `view`, rising; they count from 0 here."""
        self._view, self._tiles = view, tiles
        self.bricks, self.shells, self.left_out = view.bricks, view.shells, view.left_out
        self._number = np.zeros(view.n_tiles, np.int64)
        self._number[tiles] = np.arange(len(tiles))

    @property
    def nbytes(self) -> int:
        """See `View.nbytes`."""
        return self._view.nbytes + self._tiles.nbytes + self._number.nbytes

    def hidden(self, bricks: NDArray[np.int64], alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """See `View.hidden`."""
        return self._view.hidden(bricks, self._of_all(alive))

    def pairs(self, wanted: NDArray[np.bool_], alive: NDArray[np.bool_] | None) -> Iterator[Pairs]:
        """See `View.pairs`."""
        for pairs in self._view.pairs(wanted, self._of_all(alive)):
            yield Pairs(self._number[pairs.tile], pairs.box, pairs.shell)

    def _of_all(self, alive: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Which tiles of the whole view are drawn and live."""
        whole = np.zeros(len(self._number), np.bool_)
        whole[self._tiles] = True if alive is None else alive[: len(self._tiles)]
        return whole


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
        self.left_out: NDArray[np.bool_] | None = None
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
    box, shell = rects.which[which], shells[which]
    if alive is not None:
        keep = alive[tile]
        tile, box, shell = tile[keep], box[keep], shell[keep]
    return Pairs(tile=tile, box=box, shell=shell)
