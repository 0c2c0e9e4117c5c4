"""Work items, the pairs of a tile of 64 rays and a box, and how they are handed to the integrator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.plan.boxes import BoxTable, Rects

__all__ = ["Items", "cut_blocks", "expand_rects", "pack_calls"]


@dataclass(frozen=True, slots=True)
class Items:
    """Work items in shell order, with what they need to be cut into blocks."""

    tile: NDArray[np.int64]
    """[i]: number of the tile of rays."""
    box: NDArray[np.int64]
    """[i]: row of a `BoxTable`."""
    shell: NDArray[np.int64]
    """[i], never falling."""

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return self.tile.nbytes + self.box.nbytes + self.shell.nbytes


def expand_rects(
    rects: Rects, shells: NDArray[np.int64], alive: NDArray[np.bool_] | None, columns: int
) -> Items:
    """The work items of boxes: each box with each tile of its rectangle that has live rays.

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
    return Items(tile=tile, box=box, shell=shell)


def pack_calls(
    items: Items,
    table: BoxTable,
    slot_of: NDArray[np.int32],
    n_parts: int,
    *,
    block_items: int,
    capacity: int,
) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.int32]]]:
    """Calls of the integrator: (part, items [<= capacity, 4], blocks [m, 3]), in order per part.

    Parameters
    ----------
    slot_of : [n] i32                 slot of each brick
    n_parts : int                     tile t belongs to part t % n_parts, as its tile t // n_parts
    block_items, capacity : int       most items of a block, and of a call
    """
    for part in range(n_parts):
        mine = items.tile % n_parts == part
        tile, box, shell = items.tile[mine], items.box[mine], items.shell[mine]
        rows = np.empty((len(tile), 4), np.int32)
        rows[:, 0] = tile // n_parts
        rows[:, 1] = slot_of[table.brick[box]]
        rows[:, 2:] = table.packed[box]
        for start in range(0, len(rows), capacity):
            stop = min(start + capacity, len(rows))
            yield part, rows[start:stop], cut_blocks(shell[start:stop], block_items)


def cut_blocks(shell: NDArray[np.int64], block_items: int) -> NDArray[np.int32]:
    """Runs [m, 2] (first, count) of at most `block_items` items of a shell."""
    starts = np.flatnonzero(np.diff(shell, prepend=shell[0] - 1))
    counts = np.diff(starts, append=len(shell))
    pieces = -(-counts // block_items)
    which = np.repeat(np.arange(len(starts)), pieces)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = starts[which] + nth * block_items
    count = np.minimum(counts[which] - nth * block_items, block_items)
    return np.stack([first, count], -1).astype(np.int32)
