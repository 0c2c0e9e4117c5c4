"""Bricks are cut without a loop over them; the plain writer checks the whole, this the corners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.field.grid import BrickGrid
from plenostream.importers.packing.cutting import BrickBox, cut_bricks, sh_norms, tight_boxes


@pytest.mark.parametrize("seed", range(3))
def test_boxes_of_bricks_hold_each_row_once_for_each_brick(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bricks = BrickGrid(size=(35, 20, 17), brick_size=8)
    active = rng.random(bricks.size) < 0.1
    n = int(active.sum())
    box = BrickBox(bricks=bricks, lower=(0, 0, 0), upper=bricks.shape)
    packed = cut_bricks(active, np.ones(n, np.float32), np.ones((n, 3), np.float32), box)
    voxels = np.argwhere(active)
    shared = [
        (v % 8 == 0) & (v > 0) & (v < size - 1)
        for v, size in zip(voxels.T, bricks.size, strict=True)
    ]
    times = np.prod([1 + s for s in shared], axis=0)
    np.testing.assert_array_equal(np.bincount(packed.source, minlength=n), times)


def test_part_of_a_grid_gives_the_same_bricks_as_the_whole() -> None:
    rng = np.random.default_rng(1)
    bricks = BrickGrid(size=(40, 40, 40), brick_size=8)
    active = rng.random(bricks.size) < 0.2
    density = rng.normal(size=bricks.size).astype(np.float32)
    norms = rng.random((*bricks.size, 3)).astype(np.float32)

    def pack(lower: tuple[int, int, int], upper: tuple[int, int, int]):  # type: ignore[no-untyped-def]
        box = BrickBox(bricks=bricks, lower=lower, upper=upper)
        cut = tuple(slice(*box.voxels(axis)) for axis in range(3))
        part = active[cut]
        return cut_bricks(part, density[cut][part], norms[cut][part], box), density[cut][part]

    whole, _ = pack((0, 0, 0), bricks.shape)
    part, part_density = pack((1, 2, 3), (3, 4, 5))
    for number, index in enumerate(part.index.tolist()):
        same = int(np.flatnonzero((whole.index == index).all(axis=1))[0])
        for name in ("mask", "boxes", "density_max", "sh_bound"):
            np.testing.assert_array_equal(getattr(part, name)[number], getattr(whole, name)[same])
        rows = part_density[part.source[part.row_start[number] : part.row_start[number + 1]]]
        expected = whole.source[whole.row_start[same] : whole.row_start[same + 1]]
        np.testing.assert_array_equal(rows, density[active][expected])


def test_empty_box_has_no_bricks() -> None:
    bricks = BrickGrid(size=(9, 9, 9), brick_size=8)
    box = BrickBox(bricks=bricks, lower=(0, 0, 0), upper=(1, 1, 1))
    none = np.zeros((9, 9, 9), np.bool_)
    packed = cut_bricks(none, np.empty(0, np.float32), np.empty((0, 3), np.float32), box)
    assert packed.row_start.tolist() == [0]
    assert packed.index.shape == (0, 3)
    assert packed.boxes.shape == (0, 1, 6)


def boxes_of(voxel: tuple[int, int, int], *, size: int, brick_size: int) -> list[list[int]]:
    bricks = BrickGrid(size=(size,) * 3, brick_size=brick_size)
    positive = np.zeros((1, *(bricks.edge,) * 3), np.bool_)
    positive[(0, *voxel)] = True
    boxes = tight_boxes(positive, np.zeros((1, 3), np.int32), bricks)[0]
    return boxes.tolist()  # type: ignore[no-any-return]


def test_voxel_fills_the_eight_cells_around_it() -> None:
    assert boxes_of((3, 4, 5), size=9, brick_size=8) == [[2, 3, 4, 4, 5, 6]]


def test_voxel_between_blocks_fills_cells_of_both() -> None:
    boxes = boxes_of((8, 4, 4), size=17, brick_size=16)
    assert boxes[0] == [7, 3, 3, 8, 5, 5]
    assert boxes[4] == [8, 3, 3, 9, 5, 5]
    assert sum(box != [0] * 6 for box in boxes) == 2


def test_cells_end_where_the_grid_ends() -> None:
    assert boxes_of((4, 4, 4), size=5, brick_size=8) == [[3, 3, 3, 4, 4, 4]]


@given(st.sampled_from([1, 4, 9, 16, 25]), st.sampled_from([np.float16, np.float32]))
def test_norms_are_those_of_the_largest_channel_in_each_band(dim: int, dtype: type) -> None:
    sh = np.random.default_rng(dim).normal(size=(40, 3 * dim)).astype(dtype)
    wide = sh.reshape(40, 3, dim).astype(np.float64)
    bands = [wide[..., 0:1], wide[..., 1:4], wide[..., 4:]]
    expected = np.stack([np.linalg.norm(b, axis=2).max(axis=1) for b in bands], axis=1)
    np.testing.assert_array_equal(sh_norms(sh), expected.astype(np.float32))


def test_norms_of_a_row_do_not_depend_on_the_rows_around_it() -> None:
    sh = np.random.default_rng(2).normal(size=(20_000, 75)).astype(np.float32)
    whole = sh_norms(sh)
    np.testing.assert_array_equal(sh_norms(sh[16_384:16_385]), whole[16_384:16_385])


def test_norms_of_huge_coefficients_are_finite() -> None:
    sh = np.full((1, 27), np.finfo(np.float32).max)
    assert np.isfinite(sh_norms(sh)).all()
