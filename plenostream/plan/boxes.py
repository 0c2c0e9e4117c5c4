"""The boxes of a scene, and the bricks that they lie in.

A box is a block of 8^3 cells of an occupied brick, tightened to the cells that can contribute;
tightness decides what a picture costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.plan.screen import Rects, Screen

__all__ = ["BoxTable", "build_boxes"]

GROUP = 16
"""Bricks, neighbours in the order of the table, that are looked at together first: what a picture
takes then follows what it shows, not what the scene holds."""


@dataclass(frozen=True, slots=True)
class BoxTable:
    """The non-empty boxes of the occupied bricks of a scene, m of them in b bricks."""

    brick: NDArray[np.int32]
    """[m], never falling: brick of each box, a row of ``bricks/index``."""
    block: NDArray[np.int32]
    """[m, 3]: coordinates of its block of 8^3 cells in the grid."""
    low: NDArray[np.int32]
    """[m, 3]: first cell."""
    high: NDArray[np.int32]
    """[m, 3]: one past the last cell."""
    corners: NDArray[np.uint8]
    """[m, 6]: first cell and one past the last inside the brick."""
    bricks: NDArray[np.int64] = field(init=False)
    """[b], rising: the bricks that have boxes."""
    brick_low: NDArray[np.int32] = field(init=False)
    """[b, 3]: first cell of a brick's boxes."""
    brick_high: NDArray[np.int32] = field(init=False)
    """[b, 3]: one past their last cell."""
    group_low: NDArray[np.int32] = field(init=False)
    """[g, 3]: first cell of the boxes of `bricks` [GROUP g, GROUP (g + 1))."""
    group_high: NDArray[np.int32] = field(init=False)
    """[g, 3]: one past their last cell."""

    def __post_init__(self) -> None:
        starts = np.flatnonzero(np.diff(self.brick, prepend=-1))
        object.__setattr__(self, "bricks", self.brick[starts].astype(np.int64))
        self._bound("brick", self.low, self.high, starts)
        self._bound("group", self.brick_low, self.brick_high, np.arange(0, len(self.bricks), GROUP))

    def _bound(
        self, name: str, low: NDArray[np.int32], high: NDArray[np.int32], starts: NDArray[np.int64]
    ) -> None:
        """Set the extent of the boxes from one start to the next."""
        for bound, reduce, values in (("low", np.minimum, low), ("high", np.maximum, high)):
            found = reduce.reduceat(values, starts, axis=0) if len(starts) else values
            object.__setattr__(self, f"{name}_{bound}", found)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.brick, self.block, self.low, self.high, self.corners, self.bricks)
        bounds = (self.brick_low, self.brick_high, self.group_low, self.group_high)
        return sum(array.nbytes for array in (*arrays, *bounds))

    def bricks_seen(self, screen: Screen) -> Rects:
        """The bricks in view, as places in `bricks`, each with the screen tiles that may see it."""
        groups = screen.rects(self.group_low, self.group_high, np.arange(len(self.group_low)))
        inside = (groups.which[:, None] * GROUP + np.arange(GROUP)).reshape(-1)
        inside = inside[inside < len(self.bricks)]
        return screen.rects(self.brick_low, self.brick_high, inside)


def build_boxes(
    index: NDArray[np.int32],
    boxes: NDArray[np.uint8],
    occupied: NDArray[np.bool_],
    bricks: BrickGrid,
) -> BoxTable:
    """The boxes of a scene's tables (``bricks/index`` [n, 3], ``bricks/boxes`` [n, blocks, 6])."""
    low, high = boxes[:, :, :3], boxes[:, :, 3:]
    wanted = occupied[:, None] & (low < high).all(-1)
    brick, block = np.nonzero(wanted)
    side = bricks.blocks_per_axis
    inside = np.stack([block // (side * side), block // side % side, block % side], -1)
    origin = index[brick] * bricks.brick_size
    corners = boxes[brick, block]
    return BoxTable(
        brick=brick.astype(np.int32),
        block=(index[brick] * side + inside).astype(np.int32),
        low=origin + corners[:, :3],
        high=origin + corners[:, 3:],
        corners=corners,
    )
