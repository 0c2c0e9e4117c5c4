"""The grid of blocks of 8^3 cells: which of them hold a box, and which box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BrickGrid
from plenostream.integrator.interface import Boxes

__all__ = ["BlockMap", "block_shape", "map_blocks", "walk_size"]

_LEAST_WORDS = 64
_STEPS = 32


def block_shape(bricks: BrickGrid) -> tuple[int, int, int]:
    """Blocks per axis, those that bricks have beyond the grid's end included."""
    x, y, z = (n * bricks.blocks_per_axis for n in bricks.shape)
    return x, y, z


def walk_size(bricks: BrickGrid) -> tuple[int, int]:
    """32-bit words of the map of blocks, and steps in which a ray crosses all of the grid.

    A little more than that, so that grids of similar size share compiled programs.
    """
    shape = block_shape(bricks)
    words = -(-shape[0] * shape[1] * shape[2] // 32)
    return max(_LEAST_WORDS, 1 << (words - 1).bit_length()), -(-sum(shape) // _STEPS) * _STEPS


@dataclass(frozen=True, slots=True, eq=False)
class BlockMap:
    """Occupied blocks by their numbers in C order of the block grid."""

    shape: tuple[int, int, int]
    """Blocks per axis."""
    number: NDArray[np.int64]
    """[m]: occupied blocks, rising."""
    box: NDArray[np.int64]
    """[m]: row of each one's box in `Boxes`."""

    @property
    def n_blocks(self) -> int:
        """Blocks of the grid."""
        x, y, z = self.shape
        return x * y * z

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.number.nbytes + self.box.nbytes

    def bits(self, n_words: int) -> NDArray[np.uint32]:
        """Bit b of word w says that block 32 w + b is occupied, [n_words]."""
        flags = np.zeros(n_words * 32, np.uint8)
        flags[self.number] = 1
        return np.packbits(flags, bitorder="little").view("<u4")

    def boxes_of(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Boxes [i] of occupied blocks [i]."""
        return self.box[np.searchsorted(self.number, blocks)]


def map_blocks(boxes: Boxes, bricks: BrickGrid) -> BlockMap:
    """The occupied blocks of a scene."""
    shape = block_shape(bricks)
    number = np.ravel_multi_index(tuple(boxes.block.T.astype(np.int64)), shape).astype(np.int64)
    order = np.argsort(number)
    return BlockMap(shape=shape, number=number[order], box=order)
