"""Which tiles of a picture see boxes, found from one bound of all rays downwards.

A level of the pyramid bounds the rays of each tile, the next one those of 2 x 2 neighbours, and so on, up
to one bound for the whole picture. A box is looked for from there: it goes on to the places below those that
it may meet, but not below places that are much narrower than the box.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from plenostream.plan.screen import Rects

__all__ = ["Meet", "find_rects"]

_BOXES_AT_ONCE = 1024
"""Boxes that are looked for at once; tens or hundreds of bounds are compared with each."""

Int64 = NDArray[np.int64]
Meet = Callable[[int, Int64, Int64, Int64], tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""Takes a level, and pairs [p] of a box, by its number among those looked for, and a row and a column of the
level; says whether each pair may meet, and whether the place is so narrow that none below it is asked."""


def find_rects(
    which: Int64, shapes: Sequence[tuple[int, int]], looking_for: Callable[[Int64], Meet]
) -> Rects:
    """The rectangle around the tiles that may see each box.

    Parameters
    ----------
    which : [n]: the boxes
    shapes : rows and columns of each level, tiles first
    looking_for : takes some of `which`, and gives what says where these are met
    """
    nothing = np.empty((0, 2), np.int64)
    found = [(np.empty(0, np.int64), nothing, nothing)]
    for start in range(0, len(which), _BOXES_AT_ONCE):
        part = which[start : start + _BOXES_AT_ONCE]
        seen, first, last = _tiles_of(len(part), shapes, looking_for(part))
        found.append((part[seen], first, last))
    return Rects(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _tiles_of(
    n_boxes: int, shapes: Sequence[tuple[int, int]], meet: Meet
) -> tuple[Int64, Int64, Int64]:
    """Boxes [v] that are seen at all, as their numbers, with the first tile column and row [v, 2] of each,
    and one past the last."""
    box = np.arange(n_boxes)
    row = column = np.zeros(n_boxes, np.int64)
    boxes, first, last = [], [], []
    for level in range(len(shapes) - 1, -1, -1):
        met, narrow = meet(level, box, row, column)
        box, row, column = box[met], row[met], column[met]
        ends = narrow[met] | (level == 0)
        boxes.append(box[ends])
        first.append(np.stack([column[ends] << level, row[ends] << level], -1))
        last.append(first[-1] + (1 << level))
        box, row, column = (part[~ends] for part in (box, row, column))
        if level:
            box, row, column = _children(box, row, column, shapes[level - 1])
    rows, columns = shapes[0]
    end = np.minimum(np.concatenate(last), (columns, rows))
    return _around(np.concatenate(boxes), np.concatenate(first), end)


def _around(box: Int64, first: Int64, last: Int64) -> tuple[Int64, Int64, Int64]:
    """The rectangle around all those of a box: boxes [v], rising, with `first` and `last` [v, 2]."""
    order = np.argsort(box, kind="stable")
    starts = np.flatnonzero(np.diff(box[order], prepend=-1))
    if not len(starts):
        return box, first, last
    lowest = np.minimum.reduceat(first[order], starts, axis=0)
    return box[order][starts], lowest, np.maximum.reduceat(last[order], starts, axis=0)


def _children(
    box: Int64,
    row: Int64,
    column: Int64,
    shape: tuple[int, int],
) -> tuple[Int64, Int64, Int64]:
    """The up to four places of the level below, which has this shape, for each pair of a box and a
    place."""
    rows = np.concatenate([2 * row, 2 * row, 2 * row + 1, 2 * row + 1])
    columns = np.concatenate([2 * column, 2 * column + 1, 2 * column, 2 * column + 1])
    there = (rows < shape[0]) & (columns < shape[1])
    return np.tile(box, 4)[there], rows[there], columns[there]
