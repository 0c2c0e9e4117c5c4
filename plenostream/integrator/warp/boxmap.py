"""Where the boxes are: what a ray looks up to walk over what is empty, and from box to brick.

Blocks of 8^3 cells are kept in groups of 4^3. A group is 16 bytes: a bit for each block, the first
of its boxes, and how far the next group is that has any. A box is 8 bytes. So a grid of 512 voxels
an axis takes 66 kB and one of 4096 34 MB, beside 8 bytes a box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BLOCK_SIZE, BrickGrid
from plenostream.integrator.interface import Boxes

__all__ = ["GROUP_BLOCKS", "BoxMap", "group_shape", "map_boxes", "map_bytes"]

GROUP_BLOCKS = 4
"""Blocks along one edge of a group."""
_FARTHEST = 16
"""Groups that a ray can be told to pass over at once."""
_GROUP_BYTES, _BOX_BYTES, _BRICK_BYTES = 16, 8, 4


def group_shape(bricks: BrickGrid) -> tuple[int, int, int]:
    """Groups per axis."""
    x, y, z = (-(-(n - 1) // (BLOCK_SIZE * GROUP_BLOCKS)) for n in bricks.size)
    return x, y, z


def map_bytes(boxes: Boxes, bricks: BrickGrid) -> int:
    """Bytes of the map on the device, the slots of its bricks included."""
    x, y, z = group_shape(bricks)
    n_boxes = max(len(boxes.brick), 1)
    # No more bricks than boxes, and as many slots.
    return x * y * z * _GROUP_BYTES + n_boxes * (_BOX_BYTES + _BRICK_BYTES)


@dataclass(frozen=True, slots=True, eq=False)
class BoxMap:
    """The boxes of a scene as the kernel finds them."""

    groups: NDArray[np.uint32]
    """[g, 4]: bits of the blocks (x slowest; two words), the first box, and where there is none the
    distance in groups to the nearest group with one, in the largest of the three axes."""
    boxes: NDArray[np.uint32]
    """[m, 2]: corners inside the block (four bits each: first cell x, y, z, one past the last x, y,
    z), and row of `bricks`."""
    bricks: NDArray[np.int32]
    """[b]: the bricks that have boxes."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.groups.nbytes + self.boxes.nbytes + self.bricks.nbytes


def map_boxes(boxes: Boxes, bricks: BrickGrid) -> BoxMap:
    """The map of a scene's boxes."""
    shape = group_shape(bricks)
    group = np.ravel_multi_index(tuple(boxes.block.T // GROUP_BLOCKS), shape)
    x, y, z = boxes.block.T % GROUP_BLOCKS
    bit = (x * GROUP_BLOCKS + y) * GROUP_BLOCKS + z
    order = np.lexsort((bit, group))
    n_groups = shape[0] * shape[1] * shape[2]
    bits = np.zeros(n_groups, np.uint64)
    np.bitwise_or.at(bits, group, np.uint64(1) << bit.astype(np.uint64))
    counts = np.bincount(group, minlength=n_groups)

    groups = np.empty((n_groups, 4), np.uint32)
    groups[:, :2] = bits.view(np.uint32).reshape(-1, 2)
    groups[:, 2] = np.cumsum(counts) - counts
    groups[:, 3] = _distances((counts > 0).reshape(shape)).reshape(-1)

    side = bricks.blocks_per_axis
    inside = np.tile(boxes.block % side * BLOCK_SIZE, 2)
    corners = (boxes.corners - inside).astype(np.uint32)
    packed = np.zeros((max(len(order), 1), 2), np.uint32)
    used, row = np.unique(boxes.brick, return_inverse=True)
    packed[: len(order), 0] = (corners << np.arange(0, 24, 4, dtype=np.uint32)).sum(-1)[order]
    packed[: len(order), 1] = row[order]
    return BoxMap(groups=groups, boxes=packed, bricks=used.astype(np.int32))


def _distances(occupied: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Distance of each cell of a grid to the nearest one that is occupied, `_FARTHEST` at most."""
    distance = np.where(occupied, 0, _FARTHEST).astype(np.uint8)
    reached = occupied
    for steps in range(1, _FARTHEST):
        grown = _grown(reached)
        distance[grown & ~reached] = steps
        if grown.sum() == reached.sum():
            break
        reached = grown
    return distance


def _grown(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`cells` and all that touch them, by a face, an edge or a corner."""
    for axis in range(3):
        whole = cells.copy()
        low = [slice(None)] * 3
        high = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        whole[tuple(low)] |= cells[tuple(high)]
        whole[tuple(high)] |= cells[tuple(low)]
        cells = whole
    return cells
