"""Work items, the pairs of a tile of 64 rays and a box, as the integrator's kernel takes them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from plenostream.field.tiles import Pairs
from plenostream.integrator.interface import Boxes

__all__ = ["cut_blocks", "pack_calls", "pack_corners"]


def pack_corners(boxes: Boxes) -> NDArray[np.int32]:
    """The corners of boxes as a work item holds them [m, 2], see `state.ITEM_COLUMNS`."""
    shifts = np.array([0, 8, 16], np.int32)
    corners = boxes.corners.astype(np.int32)
    low, high = (corners[:, :3] << shifts).sum(-1), (corners[:, 3:] << shifts).sum(-1)
    return np.stack([low, high], -1).astype(np.int32)


def pack_calls(
    pairs: Pairs,
    brick: NDArray[np.int32],
    corners: NDArray[np.int32],
    slot_of: NDArray[np.int32],
    n_parts: int,
    *,
    block_items: int,
    capacity: int,
) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.int32]]]:
    """Calls of the integrator: (part, items [<= capacity, 4], blocks [b, 2]), in order per part.

    Parameters
    ----------
    brick, corners : [m], [m, 2]      brick of each box, and `pack_corners`
    slot_of : [n] i32                 slot of each brick
    n_parts : int                     tile t belongs to part t % n_parts, as its tile t // n_parts
    block_items, capacity : int       most items of a block, and of a call
    """
    for part in range(n_parts):
        mine = pairs.tile % n_parts == part
        tile, box, shell = pairs.tile[mine], pairs.box[mine], pairs.shell[mine]
        rows = np.empty((len(tile), 4), np.int32)
        rows[:, 0] = tile // n_parts
        rows[:, 1] = slot_of[brick[box]]
        rows[:, 2:] = corners[box]
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
