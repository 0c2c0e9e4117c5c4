"""Work items: how the calls of the integrator's kernel are made of pairs of tiles and boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.field.tiles import Pairs
from plenostream.integrator.interface import Boxes
from plenostream.integrator.xla.calls import cut_blocks, pack_calls, pack_corners

N_BOXES, N_TILES = 100, 35
BRICK = np.random.default_rng(5).permutation(N_BOXES).astype(np.int32)
CORNERS = np.random.default_rng(6).integers(0, 17, (N_BOXES, 6)).astype(np.uint8)
BOXES = Boxes(brick=BRICK, block=np.zeros((N_BOXES, 3), np.int32), corners=CORNERS)


def random_pairs(seed: int, n: int = 400) -> Pairs:
    """Pairs whose boxes have shells of their own: a box is in one shell."""
    rng = np.random.default_rng(seed)
    shell_of = rng.integers(0, 6, N_BOXES)
    tile, box = rng.integers(0, N_TILES, n), rng.integers(0, N_BOXES, n)
    order = np.argsort(shell_of[box], kind="stable")
    return Pairs(tile=tile[order], box=box[order], shell=shell_of[box][order])


def test_corners_of_a_box_lie_in_a_byte_each() -> None:
    packed = pack_corners(BOXES)
    for column, corner in enumerate((CORNERS[:, :3], CORNERS[:, 3:])):
        assert (packed[:, column, None] >> np.array([0, 8, 16]) & 255 == corner).all()


@given(
    shells=st.lists(st.integers(0, 9), min_size=1, max_size=60).map(sorted),
    block_items=st.integers(1, 9),
)
def test_blocks_are_runs_of_one_shell_that_cover_everything_in_order(
    shells: list[int], block_items: int
) -> None:
    blocks = cut_blocks(np.array(shells), block_items)
    ends = (blocks[:, 0] + blocks[:, 1]).tolist()
    assert blocks[:, 0].tolist() == [0, *ends[:-1]]
    assert ends[-1] == len(shells)
    for first, count in blocks.tolist():
        assert 1 <= count <= block_items
        assert len(set(shells[first : first + count])) == 1


@pytest.mark.parametrize("n_parts", [1, 2, 3])
@pytest.mark.parametrize("capacity", [16, 1000])
def test_calls_hand_each_item_to_the_part_that_has_its_tile_front_to_back(
    n_parts: int, capacity: int
) -> None:
    items, corners = random_pairs(3), pack_corners(BOXES)
    slot_of = np.random.default_rng(1).permutation(100).astype(np.int32)
    calls = list(
        pack_calls(items, BRICK, corners, slot_of, n_parts, block_items=8, capacity=capacity)
    )
    for part in range(n_parts):
        mine = [rows for p, rows, _ in calls if p == part]
        rows = np.concatenate(mine)
        expected = items.tile % n_parts == part
        assert (rows[:, 0] * n_parts + part == items.tile[expected]).all()
        assert (rows[:, 1] == slot_of[BRICK[items.box[expected]]]).all()
        assert (rows[:, 2:] == corners[items.box[expected]]).all()
        assert max(map(len, mine)) <= capacity


def test_block_of_a_call_never_mixes_shells() -> None:
    items = random_pairs(4)
    shell_of_box = dict(zip(items.box.tolist(), items.shell.tolist(), strict=True))
    slot_of, own = np.arange(100, dtype=np.int32), np.arange(100, dtype=np.int32)
    calls = pack_calls(items, own, pack_corners(BOXES), slot_of, 2, block_items=8, capacity=64)
    last = [0, 0]
    n_items = 0
    for part, rows, blocks in calls:
        n_items += len(rows)
        assert blocks[:, 1].sum() == len(rows)
        for first, count in blocks.tolist():
            slots = rows[first : first + count, 1]
            (shell,) = {shell_of_box[slot] for slot in slots.tolist()}
            assert shell >= last[part], "front to back"
            last[part] = shell
    assert n_items == len(items.tile)
