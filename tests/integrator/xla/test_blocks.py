"""The grid of blocks that arbitrary rays walk through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from plenostream.field.grid import BrickGrid
from plenostream.integrator.interface import Boxes
from plenostream.integrator.xla.blocks import block_shape, map_blocks, walk_size
from plenostream.testing.strategies import brick_grids


def table_at(blocks: np.ndarray) -> Boxes:
    n = len(blocks)
    return Boxes(
        brick=np.zeros(n, np.int32),
        block=blocks.astype(np.int32),
        corners=np.zeros((n, 6), np.uint8),
    )


@given(bricks=brick_grids())
def test_map_has_a_bit_for_each_block_and_a_walk_a_step_for_each_it_may_pass(
    bricks: BrickGrid,
) -> None:
    shape = block_shape(bricks)
    words, steps = walk_size(bricks)
    assert words * 32 >= np.prod(shape)
    # Each step leads one block on along one axis.
    assert steps >= sum(n - 1 for n in shape) + 1


def test_bits_are_those_of_the_blocks_that_hold_a_box() -> None:
    bricks = BrickGrid(size=(40, 30, 20), brick_size=16)
    rng = np.random.default_rng(1)
    every = np.array(list(np.ndindex(*block_shape(bricks))))
    chosen = every[rng.permutation(len(every))[:17]]
    words, _ = walk_size(bricks)
    blocks = map_blocks(table_at(chosen), bricks)
    bits = blocks.bits(words)
    x, y, z = block_shape(bricks)
    number = (chosen[:, 0] * y + chosen[:, 1]) * z + chosen[:, 2]
    found = [n for n in range(words * 32) if bits[n // 32] >> np.uint32(n % 32) & np.uint32(1)]
    assert found == sorted(number.tolist())
    assert blocks.n_blocks == x * y * z


def test_box_of_a_block_is_found_by_its_number() -> None:
    bricks = BrickGrid(size=(33, 33, 33), brick_size=8)
    chosen = np.array([[3, 0, 1], [0, 0, 0], [2, 3, 3], [0, 1, 0]])
    blocks = map_blocks(table_at(chosen), bricks)
    number = np.ravel_multi_index(tuple(chosen.T), block_shape(bricks))
    assert blocks.boxes_of(number[[2, 0, 0, 3, 1]]).tolist() == [2, 0, 0, 3, 1]


def test_scene_without_boxes_has_an_empty_map() -> None:
    bricks = BrickGrid(size=(33, 33, 33), brick_size=8)
    blocks = map_blocks(table_at(np.empty((0, 3))), bricks)
    assert not blocks.bits(walk_size(bricks)[0]).any()


@pytest.mark.parametrize(("size", "words"), [((9, 9, 9), 64), ((129, 129, 129), 128)])
def test_map_is_as_long_as_those_of_scenes_of_similar_size(
    size: tuple[int, int, int], words: int
) -> None:
    assert walk_size(BrickGrid(size=size, brick_size=16))[0] == words
