"""World and grid coordinates, bricks and their aprons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.errors import InvalidInput
from plenostream.field.grid import BLOCK_SIZE, BrickGrid, GridSpec
from plenostream.testing.strategies import brick_grids, grids, world_points


@given(grid=grids())
def test_box_reaches_half_a_voxel_beyond_the_outer_centres(grid: GridSpec) -> None:
    lower = np.asarray(grid.center) - grid.radius
    upper = np.asarray(grid.center) + grid.radius
    # center - radius loses digits where the centre is far from the box's own extent
    loss = 1e-15 * (np.abs(grid.center) + grid.radius) * grid.scale * 8 + 1e-12
    assert (np.abs(grid.world_to_grid(lower) + 0.5) <= loss).all()
    assert (np.abs(grid.world_to_grid(upper) - (np.asarray(grid.size) - 0.5)) <= loss).all()


@given(grid=grids(), point=world_points())
def test_world_to_grid_and_back_is_the_same_point(grid: GridSpec, point: np.ndarray) -> None:
    back = grid.grid_to_world(grid.world_to_grid(point))
    size = np.abs(point) + np.abs(grid.center) + grid.radius
    assert (np.abs(back - point) <= 1e-14 * size).all()


def test_default_grid_is_the_cube_around_the_origin() -> None:
    grid = GridSpec(size=(4, 4, 4))
    assert grid.world_to_grid([[-1.0, 0.0, 1.0]]).tolist() == [[-0.5, 1.5, 3.5]]


def test_axes_scale_independently() -> None:
    grid = GridSpec(size=(2, 4, 8), radius=(1.0, 2.0, 0.5), center=(10.0, 0.0, -1.0))
    assert grid.scale.tolist() == [1.0, 1.0, 8.0]
    assert grid.world_to_grid([10.0, 0.0, -1.0]).tolist() == [0.5, 1.5, 3.5]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"size": (1, 4, 4)}, id="one voxel"),
        pytest.param({"size": (4, 4)}, id="two axes"),
        pytest.param({"size": (4, 4, -4)}, id="negative size"),
        pytest.param({"size": (4, 4, 4.5)}, id="fractional size"),
        pytest.param({"size": (4, 4, 4.0)}, id="size that is no integer"),
        pytest.param({"radius": (1.0, 0.0, 1.0)}, id="radius 0"),
        pytest.param({"radius": (1.0, -1.0, 1.0)}, id="negative radius"),
        pytest.param({"radius": (math.nan, 1.0, 1.0)}, id="radius NaN"),
        pytest.param({"radius": (math.inf, 1.0, 1.0)}, id="radius infinite"),
        pytest.param({"radius": (1.0, 1.0)}, id="two radii"),
        pytest.param({"center": (0.0, 0.0, math.nan)}, id="center NaN"),
        pytest.param({"center": (0.0, 0.0)}, id="two centres"),
        pytest.param({"radius": (1e-310, 1.0, 1.0)}, id="radius whose inverse is infinite"),
        pytest.param({"radius": (1e-200,) * 3, "center": (1e200, 0.0, 0.0)}, id="far center"),
    ],
)
def test_grid_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    fine: dict[str, object] = {"size": (4, 4, 4)}
    with pytest.raises(InvalidInput):
        GridSpec(**(fine | change))  # type: ignore[arg-type]


@given(bricks=brick_grids())
def test_every_cell_lies_in_one_brick_and_every_brick_has_a_cell(bricks: BrickGrid) -> None:
    for voxels, n_bricks in zip(bricks.size, bricks.shape, strict=True):
        cells = voxels - 1
        assert (n_bricks - 1) * bricks.brick_size < cells <= n_bricks * bricks.brick_size


@given(bricks=brick_grids(), data=st.data())
def test_brick_of_a_cell_holds_all_its_eight_corners(
    bricks: BrickGrid, data: st.DataObject
) -> None:
    cell = np.array([data.draw(st.integers(0, n - 2)) for n in bricks.size])
    local = cell - cell // bricks.brick_size * bricks.brick_size
    assert (local + 1 < bricks.edge).all()


@given(bricks=brick_grids())
def test_mask_has_a_bit_for_each_voxel_and_less_than_a_byte_to_spare(bricks: BrickGrid) -> None:
    assert 0 <= bricks.mask_bytes * 8 - bricks.voxels < 8


@pytest.mark.parametrize(
    ("brick_size", "voxels", "blocks"), [(8, 729, 1), (16, 4913, 8), (32, 35937, 64)]
)
def test_brick_counts_its_voxels_with_the_apron_and_its_blocks(
    brick_size: int, voxels: int, blocks: int
) -> None:
    bricks = BrickGrid(size=(64, 64, 64), brick_size=brick_size)
    assert (bricks.voxels, bricks.blocks) == (voxels, blocks)
    assert bricks.blocks_per_axis * BLOCK_SIZE == brick_size


@pytest.mark.parametrize("brick_size", [0, 4, 12, 64, -8, 16.0])
def test_brick_size_that_is_not_offered_is_refused_with_those_that_are(brick_size: int) -> None:
    with pytest.raises(InvalidInput, match=r"8, 16, 32"):
        BrickGrid(size=(64, 64, 64), brick_size=brick_size)
