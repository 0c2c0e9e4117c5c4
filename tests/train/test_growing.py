"""Voxels of a finer grid, and rates of a course."""

from __future__ import annotations

import math

import numpy as np
import pytest

from plenostream.field.dilation import dilated
from plenostream.field.grid import GridSpec
from plenostream.options import TrainOptions
from plenostream.train.growing import heavy_voxels, interpolated_rows
from plenostream.train.rows import TrainedRows
from plenostream.train.schedule import Course, delayed_exponential, stages_of
from plenostream.train.voxel_set import ABSENT, VoxelSet


def test_what_is_linear_stays_so_on_a_finer_grid() -> None:
    coarse, fine = GridSpec(size=(8, 9, 10)), GridSpec(size=(16, 18, 20))
    voxel_set = VoxelSet.of(np.ones(coarse.size, bool), coarse, 8)
    at = np.stack(np.unravel_index(voxel_set.places, coarse.size), -1) + 0.5
    density = (at @ [1.0, 2.0, 3.0]).astype(np.float32)
    rows = TrainedRows.new(density, np.repeat(density[:, None], 3, axis=1), squares=False)
    active = np.zeros(fine.size, bool)
    active[1:-1, 1:-1, 1:-1] = True  # beyond the coarse centres all is constant
    found, sh = interpolated_rows(voxel_set, rows, active, fine)
    wanted = (np.argwhere(active) + 0.5) @ [0.5, 1.0, 1.5]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(sh[:, 2], wanted, rtol=1e-6)


def test_voxels_of_their_own_grid_stay_as_they_are() -> None:
    grid = GridSpec(size=(8, 9, 10))
    active = np.random.default_rng(0).random(grid.size) < 0.4
    voxel_set = VoxelSet.of(active, grid, 8)
    values = np.random.default_rng(1).normal(size=(voxel_set.n_voxels, 4)).astype(np.float32)
    rows = TrainedRows.new(values[:, 0].copy(), values[:, 1:].copy(), squares=False)
    density, sh = interpolated_rows(voxel_set, rows, active, grid)
    np.testing.assert_array_equal(density, values[:, 0])
    np.testing.assert_array_equal(sh, values[:, 1:])


def test_heavy_voxels_are_dilated_and_no_more_than_may_be() -> None:
    grid = GridSpec(size=(16, 16, 16))
    voxel_set = VoxelSet.of(np.ones(grid.size, bool), grid, 8)
    weights = np.zeros(grid.size, np.float32)
    weights[4, 4, 4], weights[12, 12, 12] = 0.5, 0.1
    flat = weights.reshape(-1)
    whole = heavy_voxels(voxel_set, flat, 0.1, times=2, most=1000)
    assert whole.sum() == 2 * 5**3
    np.testing.assert_array_equal(whole, dilated(weights >= 0.1, 2))
    fewer = heavy_voxels(voxel_set, flat, 0.1, times=2, most=200)
    np.testing.assert_array_equal(fewer, dilated(weights >= 0.5, 2))


def test_next_voxels_are_rows_itself_or_absent() -> None:
    active = np.random.default_rng(0).random((5, 6, 7)) < 0.5
    voxel_set = VoxelSet.of(active, GridSpec(size=(5, 6, 7)), 8)
    row_at = np.full(active.shape, ABSENT)
    row_at[active] = np.arange(voxel_set.n_voxels)
    for row, at in enumerate(np.argwhere(active)):
        for axis in range(3):
            following = at.copy()
            following[axis] += 1
            inside = following[axis] < active.shape[axis]
            wanted = row_at[tuple(following)] if inside else row
            assert voxel_set.beyond[row, axis] == wanted


def test_rates_are_svox2s() -> None:
    # get_expon_lr_func(30, 0.05, 15000, 0.01, 250000) of svox2, half way of a run of 128000 steps.
    steps = 64_000
    final = math.exp(math.log(30) * (1 - 128 / 250) + math.log(0.05) * (128 / 250))
    delayed = 0.01 + 0.99 * math.sin(0.5 * math.pi * min(steps / 15_000, 1.0))
    t = steps / 250_000
    wanted = delayed * math.exp(math.log(30) * (1 - t) + math.log(0.05) * t)
    found = delayed_exponential(30.0, final, 15_000 / 128_000, steps / 128_000)
    assert found == pytest.approx(wanted)
    early = delayed_exponential(30.0, final, 15_000 / 128_000, 0.0)
    assert early == pytest.approx(0.3)


def test_stages_double_until_the_size_is_reached() -> None:
    assert stages_of(32) == (32,)
    assert stages_of(127) == (127,)
    assert stages_of(256) == (32, 64, 128, 256)
    course = Course(options=TrainOptions(steps=100), stages=(64, 128, 256))
    assert course.ends[-1] == 1.0
    assert list(course.ends) == sorted(course.ends)
