"""What a step does to rows: by the kernels, by NumPy, and by the formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from plenostream.errors import DeviceError
from plenostream.field.grid import GridSpec
from plenostream.integrator.interface import RowDerivatives
from plenostream.integrator.native.library import load_kernels
from plenostream.train.compiled_rows import CompiledRows
from plenostream.train.loss import total_variation
from plenostream.train.plain_rows import PlainRows
from plenostream.train.rows import Descent, RowWork, TrainedRows, Variation
from plenostream.train.voxel_set import ABSENT, VoxelSet

SIZE = (9, 12, 10)
COLUMNS = 12
Make = Callable[[TrainedRows, NDArray[np.int32]], RowWork]


def compiled(rows: TrainedRows, beyond: NDArray[np.int32]) -> RowWork:
    try:
        return CompiledRows(load_kernels(), rows, beyond, n_threads=2)
    except DeviceError as error:
        pytest.skip(f"the kernels cannot be loaded: {error}")


both = pytest.mark.parametrize("make", [compiled, PlainRows], ids=["compiled", "plain"])


@pytest.fixture(scope="module")
def voxel_set() -> VoxelSet:
    active = np.random.default_rng(0).random(SIZE) < 0.5
    return VoxelSet.of(active, GridSpec(size=SIZE), 8)


def some_rows(voxel_set: VoxelSet, *, squares: bool = True) -> TrainedRows:
    rng = np.random.default_rng(1)
    density = rng.normal(size=voxel_set.n_voxels).astype(np.float32)
    sh = rng.normal(size=(voxel_set.n_voxels, COLUMNS)).astype(np.float32)
    return TrainedRows.new(density, sh, squares=squares)


def touched(rows: TrainedRows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Derivatives of all rows, 0 where they are untouched."""
    untouched = ~rows.touched
    assert not rows.by_density[untouched].any()
    assert not rows.by_sh[untouched].any()
    return rows.by_density, rows.by_sh


def test_derivatives_of_copies_in_aprons_are_added_up_at_their_owner(voxel_set: VoxelSet) -> None:
    rows = some_rows(voxel_set)
    rng = np.random.default_rng(2)
    n = len(voxel_set.owner)
    density = (rng.normal(size=n) * (rng.random(n) < 0.5)).astype(np.float32)
    sh = (rng.normal(size=(n, COLUMNS)) * (density != 0)[:, None]).astype(np.float32)
    density[::7] = 0.0  # a row may be touched by its colours alone
    said = rng.random(n) < 0.9  # those of others mean nothing
    rows.by.add(voxel_set.owner, RowDerivatives(density, sh, said))
    density[~said], sh[~said] = 0.0, 0.0
    expected = np.zeros(voxel_set.n_voxels), np.zeros((voxel_set.n_voxels, COLUMNS))
    np.add.at(expected[0], voxel_set.owner, density)
    np.add.at(expected[1], voxel_set.owner, sh)
    assert len(voxel_set.owner) > voxel_set.n_voxels
    for found, wanted in zip(touched(rows), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    any_of = np.zeros(voxel_set.n_voxels, bool)
    any_of[voxel_set.owner[(density != 0) | (sh != 0).any(1)]] = True
    np.testing.assert_array_equal(rows.touched, any_of)


@both
@pytest.mark.parametrize("squares", [True, False], ids=["rmsprop", "sgd"])
def test_step_is_that_of_svox2_on_touched_rows_alone(
    make: Make, squares: bool, voxel_set: VoxelSet
) -> None:
    rows = some_rows(voxel_set, squares=squares)
    work = make(rows, voxel_set.beyond)
    value = rows.sh.astype(np.float64).copy()
    mean = np.zeros_like(value)
    step = Descent(density_rate=0.5, sh_rate=0.25, beta=0.9)
    for number in range(3):
        by = np.zeros((voxel_set.n_voxels, COLUMNS), np.float32)
        some = np.arange(number, voxel_set.n_voxels, 3 + number)
        by[some] = np.random.default_rng(number).normal(size=(len(some), COLUMNS))
        rows_alone = np.arange(voxel_set.n_voxels, dtype=np.int32)
        rows.by.add(rows_alone, RowDerivatives(by[:, 0] * 0, by))
        work.descend(step)
        if squares:
            # optim_kernel.cu, rmsprop_once
            new = np.where(mean == 0.0, by**2, 0.1 * by.astype(np.float64) ** 2 + 0.9 * mean)
            mean[some] = new[some]
            value[some] -= 0.25 * by[some] / (np.sqrt(mean[some]) + 1e-8)
        else:
            value[some] -= 0.25 * by[some]
    np.testing.assert_allclose(rows.sh, value, atol=1e-5)
    assert not rows.touched.any()
    assert not rows.by_sh.any()
    work.close()


@both
def test_rows_remember_the_step_that_changed_them(make: Make, voxel_set: VoxelSet) -> None:
    rows = some_rows(voxel_set)
    work = make(rows, voxel_set.beyond)
    n = voxel_set.n_voxels
    for number in (1, 2):
        by = np.zeros((n, COLUMNS), np.float32)
        by[:: 1 + number] = 1.0
        rows.by.add(np.arange(n, dtype=np.int32), RowDerivatives(by[:, 0].copy(), by))
        work.descend(Descent(density_rate=0.5, sh_rate=0.25, beta=0.9))
    at = np.arange(n)
    wanted = np.where(at % 3 == 0, 2, np.where(at % 2 == 0, 1, 0))
    np.testing.assert_array_equal(rows.changed, wanted)
    work.close()


def variation_of(voxel_set: VoxelSet, density: NDArray[np.float64], some: Variation) -> float:
    """Total variation of densities, by its formula."""
    inner = np.zeros(SIZE)
    inner.reshape(-1)[voxel_set.places] = density
    total = 0.0
    for place in voxel_set.places[some.first : some.end]:
        at = np.array(np.unravel_index(place, SIZE))
        squares = 1e-9
        for axis in range(3):
            following = at.copy()
            following[axis] += 1
            if following[axis] < SIZE[axis]:
                change = inner[tuple(following)] - inner[tuple(at)]
                squares += some.squares[axis] * change**2
        total += some.density_weight * np.sqrt(squares)
    return total


@both
def test_derivative_of_the_total_variation_is_that_of_its_formula(
    make: Make, voxel_set: VoxelSet
) -> None:
    (some,) = total_variation(voxel_set, 300, 0.2, (2.0, 3.0))
    rows = some_rows(voxel_set)
    work = make(rows, voxel_set.beyond)
    work.vary(some)
    density = rows.density.astype(np.float64)
    by_density, by_sh = touched(rows)
    assert some.end - some.first > 50
    for row in [some.first, some.first + 7, some.end - 1, *voxel_set.beyond[some.first + 20]]:
        if row == ABSENT:
            continue
        ends = []
        for change in (1e-4, -1e-4):
            moved = density.copy()
            moved[row] += change
            ends.append(variation_of(voxel_set, moved, some))
        assert by_density[row] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3, abs=1e-7)
    # Coefficients vary as densities do: the same numbers have the same derivatives, but for the weight.
    alike = some_rows(voxel_set)
    alike.sh[...] = alike.density[:, None]
    other = make(alike, voxel_set.beyond)
    other.vary(some)
    by_density, by_sh = touched(alike)
    np.testing.assert_allclose(by_sh, 1.5 * by_density[:, None].repeat(COLUMNS, 1), atol=1e-6)
    work.close()
    other.close()


def test_share_of_the_grid_that_varies_goes_on_at_its_beginning(voxel_set: VoxelSet) -> None:
    n = int(np.prod(SIZE))
    found = total_variation(voxel_set, n - 100, 0.2, (1.0, 1.0))
    rows = np.concatenate([np.arange(some.first, some.end) for some in found])
    wanted = (voxel_set.places >= n - 100) | (voxel_set.places < int(0.2 * n) - 100)
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(wanted))
