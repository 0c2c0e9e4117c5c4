"""The map of a scene that rays find their way by: empty space, bricks and boxes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import DeviceError
from plenostream.field.grid import BLOCK_SIZE, BrickGrid
from plenostream.integrator.interface import LEFT_OUT, Boxes
from plenostream.integrator.native.library import Kernels
from plenostream.integrator.native.structs import BOX

__all__ = [
    "BlockMap",
    "SlotTable",
    "check_counts",
    "map_blocks",
    "map_bytes",
    "slot_table_bytes",
]

_LEAST_UNIT = 4
"""Cells an axis of a unit."""
_MOST_UNITS = 1 << 24
"""Units of the map at most: in grids above 1024 voxels an axis, they are larger."""
_FARTHEST = 255
_EMPTY, _ABSENT = -1, -2
_MOST_PLACES = (1 << 31) - 1
"""What the kernels' numbers of 32 bits reach: places of bricks in the grid, and blocks of bricks."""


@dataclass(frozen=True, slots=True, eq=False)
class BlockMap:
    """Where a scene has boxes; see `kernels/seek.h`."""

    unit_bits: int
    """Logarithm of the cells an axis of a unit."""
    distance: NDArray[np.uint8]
    """[units]: to the nearest unit with a box, in units; 0: it has one."""
    brick_at: NDArray[np.int32]
    """[bricks]: number of the brick there, -1 where none has a box."""
    boxes: NDArray[np.void]
    """[bricks that boxes name, blocks of a brick] of `structs.BOX`."""
    first_box: NDArray[np.int64]
    """[bricks that boxes name]: a box of each brick that has one."""
    low: tuple[int, ...]
    high: tuple[int, ...]
    """Cells [low, high) that all boxes lie in."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        arrays = (self.distance, self.brick_at, self.boxes, self.first_box)
        return sum(array.nbytes for array in arrays)


class SlotTable:
    """Where the bricks of a scene lie in the pool, by their places in the grid."""

    def __init__(self, brick_at: NDArray[np.int32]) -> None:
        """No brick is in the pool."""
        self.slot_at = np.full(brick_at.shape, _EMPTY, np.int32)
        """[bricks]: slot of the brick there, -1 where none has a box, -2 where it is not in the pool."""
        self._place = np.flatnonzero(brick_at >= 0)
        self._brick = brick_at.reshape(-1)[self._place]

    def update(self, slot_of: NDArray[np.int32]) -> None:
        """Enter the slots [bricks of the scene]."""
        slots = slot_of[self._brick]
        absent = np.where(slots == LEFT_OUT, _EMPTY, _ABSENT)
        self.slot_at.reshape(-1)[self._place] = np.where(slots < 0, absent, slots)


def _units(bricks: BrickGrid) -> tuple[int, tuple[int, ...]]:
    """Logarithm of the cells an axis of a unit, and units an axis."""
    bits = _LEAST_UNIT.bit_length() - 1
    while True:
        shape = tuple(-(-(n - 1) // (1 << bits)) for n in bricks.size)
        if math.prod(shape) <= _MOST_UNITS:
            return bits, shape
        bits += 1


def _n_bricks(boxes: Boxes) -> int:
    return int(boxes.brick.max(initial=-1)) + 1


def check_counts(boxes: Boxes, bricks: BrickGrid) -> None:
    """Raise DeviceError where a scene has more places than the kernels can count."""
    places, blocks = math.prod(bricks.shape), _n_bricks(boxes) * bricks.blocks
    if max(places, blocks) > _MOST_PLACES:
        raise DeviceError(
            f"a grid of {places} bricks, with {blocks} blocks in those that hold something, is larger than the"
            " kernels for CPUs can count; convert it with larger bricks (brick_size), or crop it"
        )


def map_bytes(boxes: Boxes, bricks: BrickGrid) -> int:
    """Bytes of the map, before it is made."""
    n = _n_bricks(boxes)
    return (
        math.prod(_units(bricks)[1])
        + 4 * math.prod(bricks.shape)
        + n * (bricks.blocks * BOX.itemsize + 8)
    )


def _ends_of_boxes(boxes: Boxes) -> Iterator[NDArray[np.int32]]:
    """The cell [m, 3] at each of the eight ends of the boxes; no box is longer than two units."""
    origin = boxes.block * BLOCK_SIZE
    for ends in itertools.product((0, 1), repeat=3):
        at = [
            boxes.corners[:, 3 * end + axis].astype(np.int32) - end for axis, end in enumerate(ends)
        ]
        yield origin + (np.stack(at, -1) & (BLOCK_SIZE - 1))


def _bounds(boxes: Boxes, brick_size: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First and last cell, and one more, of all boxes along each axis."""
    if not len(boxes.brick):
        return (0, 0, 0), (0, 0, 0)
    origin = boxes.block * BLOCK_SIZE & -brick_size
    low, high = origin + boxes.corners[:, :3], origin + boxes.corners[:, 3:]
    return tuple(low.min(0).tolist()), tuple(high.max(0).tolist())


def slot_table_bytes(boxes: Boxes, bricks: BrickGrid) -> int:
    """Bytes of a `SlotTable`: table, places and numbers, and what an update takes."""
    return 4 * math.prod(bricks.shape) + _n_bricks(boxes) * (8 + 4 + 3 * 4 + 2)


def map_blocks(boxes: Boxes, bricks: BrickGrid, kernels: Kernels) -> BlockMap:
    """The map of a scene with these boxes."""
    bits, units = _units(bricks)
    distance = np.full(units, _FARTHEST, np.uint8)
    for ends in _ends_of_boxes(boxes):
        distance[tuple((ends >> bits).T)] = 0
    # Held by name: an address holds nothing, and other threads take freed memory meanwhile.
    shape = np.array(units, np.int32)
    kernels.measure(distance.ctypes.data, shape.ctypes.data)
    side = bricks.blocks_per_axis
    brick_at = np.full(bricks.shape, _EMPTY, np.int32)
    brick_at[tuple((boxes.block // side).T)] = boxes.brick
    n = _n_bricks(boxes)
    table = np.zeros((n, bricks.blocks), BOX)
    x, y, z = (boxes.block % side).T
    within = (x * side + y) * side + z
    table["low"][boxes.brick, within] = boxes.corners[:, :3]
    table["high"][boxes.brick, within] = boxes.corners[:, 3:]
    first_box = np.zeros(n, np.int64)
    first_box[boxes.brick] = np.arange(len(boxes.brick))
    low, high = _bounds(boxes, bricks.brick_size)
    return BlockMap(bits, distance, brick_at, table, first_box, low, high)
