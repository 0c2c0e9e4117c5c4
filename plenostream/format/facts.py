"""Computes again, from the rows of a brick, what the tables say about it; for `verify`.

Written apart from the converter, so that a slip there is found here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import BLOCK_SIZE
from plenostream.format.digests import brick_digest
from plenostream.format.layout import SceneMeta
from plenostream.format.tables import BrickTables

__all__ = ["brick_faults", "mask_faults"]

_BOUND_TOLERANCE = 1e-5
"""Norms may be added up in float32 and in any order."""


def brick_faults(
    meta: SceneMeta,
    tables: BrickTables,
    brick_id: int,
    density: NDArray[np.float32],
    sh: NDArray[Any],
) -> list[str]:
    """How a brick's rows (density [r], coefficients [r, 3 dim]) contradict the tables.

    A sentence each, beginning with the table's name; empty if the brick is whole.
    """
    index, mask = tables.index[brick_id], tables.mask[brick_id]
    if brick_digest(index, mask, density, sh) != tables.digest[brick_id]:
        # The rest follows from rows that are not the right ones: it would only repeat this.
        return ["bricks/digest: its rows are not those that were written there"]
    faults = []
    if density.max(initial=0.0) != tables.density_max[brick_id]:
        faults.append("bricks/density_max: not the largest density of its rows")
    if not np.allclose(_sh_bound(sh), tables.sh_bound[brick_id], rtol=_BOUND_TOLERANCE, atol=0.0):
        faults.append("bricks/sh_bound: not the largest norms of its coefficients")
    if not _same_boxes(tables.boxes[brick_id], _boxes(meta, index, mask, density)):
        faults.append("bricks/boxes: not the tight boxes of its positive densities")
    return faults


def mask_faults(meta: SceneMeta, tables: BrickTables) -> list[str]:
    """How the masks contradict each other or the number of voxels in the attributes.

    A voxel between bricks is in the masks of all of them, and in no mask beyond the grid; its owner
    is the brick with the largest coordinates that is one of the grid's, which counts it.
    """
    bricks = meta.bricks
    edge, shape = bricks.edge, np.asarray(bricks.shape)
    of_place = {tuple(index): brick for brick, index in enumerate(tables.index.tolist())}
    n_voxels, beyond, unlike = 0, 0, 0
    lowest = np.zeros((edge,) * 3, np.bool_)

    def voxels(brick: int | None) -> NDArray[np.bool_]:
        if brick is None:
            return lowest
        bits = np.unpackbits(tables.mask[brick], bitorder="little", count=bricks.voxels)
        return bits.view(np.bool_).reshape((edge,) * 3)

    for brick, index in enumerate(tables.index.tolist()):
        active = voxels(brick)
        inside = [
            size - i * bricks.brick_size for size, i in zip(meta.grid.size, index, strict=True)
        ]
        held = active[tuple(slice(0, n) for n in inside)]
        beyond += np.count_nonzero(active) != np.count_nonzero(held)
        last = np.asarray(index) == shape - 1
        n_voxels += int(
            np.count_nonzero(
                held[tuple(slice(0, edge if at else edge - 1) for at in last.tolist())]
            )
        )
        for axis in range(3):
            for step, own, other in ((1, -1, 0), (-1, 0, -1)):
                place = list(index)
                place[axis] += step
                if not 0 <= place[axis] < shape[axis]:
                    continue
                neighbour = of_place.get((place[0], place[1], place[2]))
                if step < 0 and neighbour is not None:
                    continue  # it was, or will be, compared from there
                face = voxels(neighbour).take(other, axis)
                unlike += not np.array_equal(active.take(own, axis), face)
    faults = []
    if beyond:
        faults.append(f"bricks/mask has voxels beyond the grid in {beyond} bricks")
    if unlike:
        faults.append(f"bricks/mask differs between neighbours, at {unlike} sides of bricks")
    if n_voxels != meta.n_voxels:
        faults.append(
            f"bricks/mask has {n_voxels} voxels, and the attributes have n_voxels {meta.n_voxels}"
        )
    return faults


def _sh_bound(sh: NDArray[Any]) -> NDArray[np.float64]:
    """Largest norms [3] over rows and channels of the coefficients of degree 0, 1, and 2 or more."""
    squares = np.square(sh.astype(np.float64)).reshape(len(sh), 3, -1)
    bands = (slice(0, 1), slice(1, 4), slice(4, None))
    return np.sqrt([squares[..., band].sum(axis=-1).max(initial=0.0) for band in bands])


def _boxes(
    meta: SceneMeta,
    index: NDArray[np.int32],
    mask: NDArray[np.uint8],
    density: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Tight boxes [blocks, 6] of a brick."""
    bricks = meta.bricks
    active = np.unpackbits(mask, bitorder="little", count=bricks.voxels).view(np.bool_)
    positive = np.zeros(bricks.voxels, np.bool_)
    positive[active] = density > 0
    cells = positive.reshape((bricks.edge,) * 3)
    for axis in range(3):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(0, -1), slice(1, None)
        cells = cells[tuple(low)] | cells[tuple(high)]
    # Cells beyond the last voxel of the grid are none.
    for axis, size in enumerate(meta.grid.size):
        beyond = [slice(None)] * 3
        beyond[axis] = slice(max(0, size - 1 - int(index[axis]) * bricks.brick_size), None)
        cells[tuple(beyond)] = False
    side = bricks.blocks_per_axis
    blocks = cells.reshape(side, BLOCK_SIZE, side, BLOCK_SIZE, side, BLOCK_SIZE)
    blocks = blocks.transpose(0, 2, 4, 1, 3, 5).reshape((bricks.blocks,) + (BLOCK_SIZE,) * 3)
    corner = np.stack(np.unravel_index(np.arange(bricks.blocks), (side,) * 3), -1) * BLOCK_SIZE
    boxes = np.zeros((bricks.blocks, 6), np.int64)
    for axis in range(3):
        others = tuple(1 + other for other in range(3) if other != axis)
        filled = np.asarray(blocks.any(axis=others))
        boxes[:, axis] = corner[:, axis] + filled.argmax(axis=1)
        boxes[:, 3 + axis] = corner[:, axis] + BLOCK_SIZE - filled[:, ::-1].argmax(axis=1)
    boxes[~blocks.any(axis=(1, 2, 3))] = 0
    return boxes


def _same_boxes(stored: NDArray[np.uint8], computed: NDArray[np.int64]) -> bool:
    """Whether boxes [blocks, 6] are the same; all empty ones (lower = upper) are."""
    empty = (stored[:, :3] == stored[:, 3:]).all(axis=-1)
    return bool(np.where(empty, ~computed.any(axis=-1), (stored == computed).all(axis=-1)).all())
