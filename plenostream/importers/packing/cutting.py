"""Cuts the voxels of a box of bricks into bricks: pure NumPy, no files, no loop over bricks.

Voxels come as a dense array of booleans and rows in C order; what goes out are the tables of the
bricks and, for every stored row, the voxel that it is copied from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BLOCK_SIZE, BrickGrid
from plenostream.format.layout import morton_key

__all__ = ["BrickBox", "CutBricks", "cut_bricks", "sh_norms", "tight_boxes"]

_NORM_ROWS = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickBox:
    """A box of bricks: [lower, upper) in brick coordinates."""

    bricks: BrickGrid
    lower: tuple[int, int, int]
    upper: tuple[int, int, int]

    def voxels(self, axis: int) -> tuple[int, int]:
        """First voxel along an axis and the one after the last, apron included."""
        edge, size = self.bricks.brick_size, self.bricks.size[axis]
        return self.lower[axis] * edge, min(self.upper[axis] * edge + 1, size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CutBricks:
    """The bricks of a box that hold an active voxel, n in Morton order, with r rows."""

    index: NDArray[np.int32]
    """Brick coordinates [n, 3]."""
    row_start: NDArray[np.int64]
    """Rows of brick b: [row_start[b], row_start[b + 1]), counted within the box; [n + 1]."""
    source: NDArray[np.int64]
    """Voxel that each row is a copy of, counted among the active ones in C order; [r]."""
    mask: NDArray[np.uint8]
    """Bits of the active voxels [n, mask_bytes]."""
    boxes: NDArray[np.uint8]
    """Tight boxes [n, blocks, 6]."""
    density_max: NDArray[np.float32]
    """Largest density, at least 0, [n]."""
    sh_bound: NDArray[np.float32]
    """Largest norms per band [n, 3]."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """To which bricks of a box the voxels along one axis belong, as their own and as an apron.

    `own` and `apron` say whether there is such a brick in the box; the keys are what the place
    along this axis adds to the key of a row.
    """

    own: NDArray[np.bool_]
    own_key: NDArray[np.int64]
    apron: NDArray[np.bool_]
    apron_key: NDArray[np.int64]


def _axis(box: BrickBox, axis: int) -> _Axis:
    edge = box.bricks.brick_size
    voxel = np.arange(*box.voxels(axis))
    brick, local = voxel // edge, voxel % edge
    n_bricks = min(box.upper[axis], box.bricks.shape[axis])
    # Keys add up over the axes: Morton codes of different axes have no bit in common.
    stride = box.bricks.edge ** (2 - axis)

    def key(brick: NDArray[np.int64], local: NDArray[np.int64] | int) -> NDArray[np.int64]:
        place = np.zeros((len(brick), 3), np.int32)
        place[:, axis] = np.clip(brick - box.lower[axis], 0, None)
        code = morton_key(place).astype(np.int64)
        return np.asarray(code * box.bricks.voxels + local * stride, np.int64)

    return _Axis(
        own=brick < n_bricks,
        own_key=key(brick, local),
        apron=(local == 0) & (brick > box.lower[axis]),
        apron_key=key(brick - 1, edge),
    )


def _sorted_rows(
    coordinates: list[NDArray[np.intp]], box: BrickBox
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keys (Morton code of the brick, then local voxel) of all rows, rising, and their voxels."""
    source = np.arange(len(coordinates[0]), dtype=np.int64)
    key = np.zeros(len(source), np.int64)
    for number, coordinate in enumerate(coordinates):
        axis = _axis(box, number)
        place = coordinate[source]
        own = np.flatnonzero(axis.own[place])
        apron = np.flatnonzero(axis.apron[place])
        key = np.concatenate(
            [key[own] + axis.own_key[place[own]], key[apron] + axis.apron_key[place[apron]]]
        )
        source = np.concatenate([source[own], source[apron]])
    order = np.argsort(key)  # keys are unique
    return key[order], source[order]


def cut_bricks(
    active: NDArray[np.bool_],
    density: NDArray[np.float32],
    norms: NDArray[np.float32],
    box: BrickBox,
) -> CutBricks:
    """Cut the voxels of `box` into bricks.

    Parameters
    ----------
    active : which of the voxels [x, y, z] of the box, apron included, are active
    density : of the active ones, in C order, [v] (per world unit)
    norms : of their coefficients, per band, [v, 3]; see `sh_norms`
    """
    bricks = box.bricks
    origin = np.array([box.voxels(axis)[0] for axis in range(3)])
    # np.nonzero takes ten times as long on three axes as on one.
    coordinates = list(np.unravel_index(np.flatnonzero(active), active.shape))
    key, source = _sorted_rows(coordinates, box)
    code = key // bricks.voxels
    local = key - code * bricks.voxels
    first = np.flatnonzero(np.diff(code, prepend=-1))
    n = len(first)
    row_start = np.append(first, len(key))
    brick_of_row = np.repeat(np.arange(n), np.diff(row_start))
    place = np.stack([coordinate[source[first]] for coordinate in coordinates], axis=1)
    within = np.stack(np.unravel_index(local[first], (bricks.edge,) * 3), axis=1)
    index = ((origin + place - within) // bricks.brick_size).astype(np.int32)

    bits = np.zeros((n, bricks.mask_bytes * 8), np.bool_)
    bits[brick_of_row, local] = True
    mask = np.packbits(bits, axis=1, bitorder="little")
    row_density = density[source]
    bits[brick_of_row, local] = row_density > 0
    dense = bits[:, : bricks.voxels].reshape(n, *(bricks.edge,) * 3)
    boxes = tight_boxes(dense, index, bricks)
    density_max = np.zeros(n, np.float32)
    sh_bound = np.zeros((n, 3), np.float32)
    if n:
        np.maximum(np.maximum.reduceat(row_density, first), 0, out=density_max)
        sh_bound = np.maximum.reduceat(norms[source], first, axis=0)
    return CutBricks(
        index=index,
        row_start=row_start,
        source=source,
        mask=mask,
        boxes=boxes,
        density_max=density_max,
        sh_bound=sh_bound,
    )


def _bounds_of_bits() -> NDArray[np.uint8]:
    """Lowest bit and the one after the highest of every byte, [256, 2]; both 0 for byte 0."""
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    bounds = np.stack([bits.argmax(axis=1), 8 - bits[:, ::-1].argmax(axis=1)], axis=1)
    bounds[0] = 0
    return bounds.astype(np.uint8)


_BOUNDS = _bounds_of_bits()


def tight_boxes(
    positive: NDArray[np.bool_], index: NDArray[np.int32], bricks: BrickGrid
) -> NDArray[np.uint8]:
    """Boxes [n, blocks, 6] of the cells with a positive corner, per block of 8^3 cells.

    Parameters
    ----------
    positive : voxels [n, B + 1, B + 1, B + 1] of positive density
    index : brick coordinates [n, 3]; beyond the grid's last cell there are none
    """
    n, size, blocks = len(positive), bricks.brick_size, bricks.blocks_per_axis
    cells = positive[:, :-1] | positive[:, 1:]
    cells = cells[:, :, :-1] | cells[:, :, 1:]
    cells = cells[:, :, :, :-1] | cells[:, :, :, 1:]
    for axis in range(3):
        # Only the last brick of an axis may reach beyond the grid.
        end = bricks.size[axis] - 1 - (bricks.shape[axis] - 1) * size
        edge = np.moveaxis(cells, axis + 1, 1)
        if end < size:
            edge[index[:, axis] == bricks.shape[axis] - 1, end:] = False
    # One byte for the eight cells of a block along z; the other axes follow from these bytes.
    bits_z = np.packbits(cells, axis=3, bitorder="little")
    bits_z = bits_z.reshape(n, blocks, BLOCK_SIZE, blocks, BLOCK_SIZE, blocks)
    over_x = np.bitwise_or.reduce(bits_z, axis=2)  # [n, bx, by, y, bz]
    over_y = np.bitwise_or.reduce(bits_z, axis=4)  # [n, bx, x, by, bz]
    bits_y = np.packbits(over_x != 0, axis=3, bitorder="little")[:, :, :, 0]
    bits_x = np.packbits(over_y != 0, axis=2, bitorder="little")[:, :, 0]
    bits_of_z: NDArray[np.uint8] = np.bitwise_or.reduce(over_x, axis=3)
    bits = np.stack([bits_x, bits_y, bits_of_z], axis=-1)
    bounds: NDArray[np.uint8] = _BOUNDS[bits]  # [n, bx, by, bz, axis, 2]
    start = np.moveaxis(np.indices((blocks,) * 3, np.uint8), 0, -1) * np.uint8(BLOCK_SIZE)
    bounds += np.where(bits != 0, start, np.uint8(0))[..., None]
    return bounds.transpose(0, 1, 2, 3, 5, 4).reshape(n, bricks.blocks, 6)


def sh_norms(sh: NDArray[np.floating]) -> NDArray[np.float32]:
    """Largest norm over the channels of the coefficients of degree 0, 1, and 2 or more, [v, 3].

    `sh` [v, 3 dim] finite. Norms are float64, rounded once; sums run in a fixed order, so that a
    row's norms do not depend on the rows around it.
    """
    dim = sh.shape[1] // 3
    # Squares of float16 are exact in float32; those of float32 may be too large for it.
    wide = np.float32 if sh.dtype == np.float16 else np.float64
    bands = ((0, 1), (1, min(4, dim)), (min(4, dim), dim))
    norms = np.zeros((len(sh), 3), np.float32)
    for start in range(0, len(sh), _NORM_ROWS):
        # Coefficients first: whole columns are then added at once.
        squares = np.square(sh[start : start + _NORM_ROWS].T.astype(wide, order="C"))
        for band, (low, high) in enumerate(bands):
            if low == high:
                continue
            sums = [_sum(squares[c * dim + low : c * dim + high]) for c in range(3)]
            largest = np.sqrt(np.maximum(np.maximum(sums[0], sums[1]), sums[2]))
            limit = np.finfo(np.float32).max
            norms[start : start + _NORM_ROWS, band] = np.minimum(largest, limit)
    return norms


def _sum(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum over the first axis, in order; numpy's own order depends on the length of the other."""
    total: NDArray[np.float64] = values[0].astype(np.float64)
    for row in values[1:]:
        total += row
    return total
