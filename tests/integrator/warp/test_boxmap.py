"""The map by which a walk finds boxes and passes over what is empty."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from plenostream.field.grid import BLOCK_SIZE, BrickGrid
from plenostream.integrator.interface import Boxes
from plenostream.integrator.warp.boxmap import GROUP_BLOCKS, group_shape, map_boxes, map_bytes
from plenostream.testing.strategies import brick_grids


def boxes_of(bricks: BrickGrid, share: float, seed: int) -> Boxes:
    """A random part of the blocks of a grid, each with a box of its own."""
    rng = np.random.default_rng(seed)
    shape = [-(-(n - 1) // BLOCK_SIZE) for n in bricks.size]
    block = np.argwhere(rng.random(shape) < share)
    rng.shuffle(block)
    side = bricks.blocks_per_axis
    corners = rng.integers(0, BLOCK_SIZE, (len(block), 6))
    corners[:, 3:] += 1
    brick = np.ravel_multi_index(tuple((block // side).T), bricks.shape) * 3  # some have no box
    return Boxes(
        brick=brick.astype(np.int32),
        block=block.astype(np.int32),
        corners=(corners + np.tile(block % side * BLOCK_SIZE, 2)).astype(np.uint8),
    )


@given(bricks=brick_grids(), share=st.sampled_from([0.0, 0.05, 0.5, 1.0]), seed=st.integers(0, 9))
def test_every_block_is_found_with_its_box_or_as_empty(
    bricks: BrickGrid, share: float, seed: int
) -> None:
    boxes = boxes_of(bricks, share, seed)
    made = map_boxes(boxes, bricks)
    rows = {tuple(block): row for row, block in enumerate(boxes.block.tolist())}
    _, y, z = group_shape(bricks)
    every = [range(-(-(n - 1) // BLOCK_SIZE)) for n in bricks.size]
    for block in np.stack(np.meshgrid(*every, indexing="ij"), -1).reshape(-1, 3).tolist():
        g = [b // GROUP_BLOCKS for b in block]
        inside = [b % GROUP_BLOCKS for b in block]
        lower, upper, first, _ = made.groups[(g[0] * y + g[1]) * z + g[2]].tolist()
        bits = lower | upper << 32
        bit = (inside[0] * GROUP_BLOCKS + inside[1]) * GROUP_BLOCKS + inside[2]
        row = rows.get(tuple(block))
        assert bits >> bit & 1 == (row is not None)
        if row is None:
            continue
        corners, brick = made.boxes[first + (bits & (1 << bit) - 1).bit_count()].tolist()
        assert made.bricks[brick] == boxes.brick[row]
        offset = np.tile(np.array(block) % bricks.blocks_per_axis * BLOCK_SIZE, 2)
        found = [corners >> 4 * i & 15 for i in range(6)]
        assert (found + offset).tolist() == boxes.corners[row].tolist()


@given(seed=st.integers(0, 20))
def test_distance_of_an_empty_group_is_that_to_the_nearest_with_a_box(seed: int) -> None:
    bricks = BrickGrid(size=(200, 300, 97), brick_size=16)
    boxes = boxes_of(bricks, 0.001, seed)
    made, shape = map_boxes(boxes, bricks), group_shape(bricks)
    held = np.unique(boxes.block // GROUP_BLOCKS, axis=0)
    for number, group in enumerate(np.ndindex(*shape)):
        apart = np.abs(held - np.array(group)).max(-1).min(initial=16)
        assert made.groups[number, 3] == apart


def test_map_takes_no_more_than_is_planned() -> None:
    bricks = BrickGrid(size=(129, 70, 257), brick_size=8)
    for share in (0.0, 0.1, 1.0):
        boxes = boxes_of(bricks, share, 1)
        assert map_boxes(boxes, bricks).nbytes <= map_bytes(boxes, bricks)


def test_map_of_a_grid_of_4096_voxels_an_axis_is_small_beside_its_boxes() -> None:
    nothing = Boxes(
        brick=np.empty(0, np.int32),
        block=np.empty((0, 3), np.int32),
        corners=np.empty((0, 6), np.uint8),
    )
    assert map_bytes(nothing, BrickGrid(size=(4096,) * 3, brick_size=16)) < 35_000_000
