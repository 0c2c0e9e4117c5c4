"""Bricks and colour rows on their way into the pool."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream.field.basis import BASIS_DIMS
from plenostream.field.precision import device_densities
from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.kernels.state import RowLayout
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.kernels.upload import (
    StagedRows,
    device_density,
    table_ends,
    write_rows,
)

N_PAGES, N_ROWS = 7, 2 * PAGE_ROWS


@pytest.mark.parametrize("basis_dim", BASIS_DIMS)
def test_every_coefficient_has_a_lane_of_its_own_in_the_row(basis_dim: int) -> None:
    layout = RowLayout(basis_dim)
    lanes = [layout.lane(f, c) for f in range(basis_dim) for c in range(3)]
    assert len(set(lanes)) == 3 * basis_dim
    assert set(lanes) <= set(range(layout.width))


@pytest.mark.parametrize("basis_dim", BASIS_DIMS)
def test_lane_knows_the_function_whose_coefficients_it_holds(basis_dim: int) -> None:
    layout = RowLayout(basis_dim)
    used = {layout.lane(f, c): f for f in range(basis_dim) for c in range(3)}
    # To the spare lanes it is a function beyond the last.
    expected = [used.get(lane, basis_dim) for lane in range(layout.width)]
    assert list(layout.functions) == expected


@pytest.mark.parametrize("basis_dim", BASIS_DIMS)
def test_four_lanes_can_be_taken_from_the_first_of_every_function(basis_dim: int) -> None:
    layout = RowLayout(basis_dim)
    assert layout.lane(basis_dim - 1, 0) + 4 <= layout.width
    assert layout.width % (8 if basis_dim > 1 else 4) == 0


def test_row_of_nine_functions_fills_a_cache_line_in_float16() -> None:
    assert RowLayout(9).width * 2 == 64


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize("basis_dim", BASIS_DIMS)
def test_coefficients_come_to_lie_in_their_lanes(basis_dim: int, platform: str) -> None:
    shape = kernel_shape("cpu", brick_size=2, basis_dim=basis_dim, entry_bits=20)
    layout = shape.layout
    rng = np.random.default_rng(basis_dim)
    # As the store has them: all of red, then green, then blue. The second page starts at row 9.
    sh = rng.normal(size=(N_ROWS, 3 * basis_dim)).astype(np.float16)
    written = write(basis_dim, starts=[0, 9], pages=[4, 2], sh=sh, platform=platform)
    expected = np.zeros((N_PAGES * PAGE_ROWS, layout.width), np.float16)
    for start, page in ((0, 4), (9, 2)):
        for nth in range(PAGE_ROWS):
            for channel in range(3):
                for function in range(basis_dim):
                    value = sh[start + nth, channel * basis_dim + function]
                    expected[page * PAGE_ROWS + nth, layout.lane(function, channel)] = value
    assert (written == expected).all()


def write(
    basis_dim: int, *, starts: list[int], pages: list[int], sh: np.ndarray, platform: str = "cpu"
) -> np.ndarray:
    """The rows of a pool of zeros after some pages came in."""
    shape = kernel_shape(platform, brick_size=2, basis_dim=basis_dim, entry_bits=20)
    most, n = max(shape.pages_at_once, len(pages)), len(pages)
    tables = np.zeros(table_ends(1, most)[-1] + most, np.int32)
    counts, _, first, target = np.split(tables, table_ends(1, most))
    counts[:] = 0, n
    first[:n] = starts
    target[:] = np.arange(N_PAGES, N_PAGES + most)
    target[:n] = pages
    rows = jnp.zeros((N_PAGES * PAGE_ROWS, shape.layout.width), sh.dtype)
    staged = StagedRows(jnp.asarray(tables), jnp.asarray(sh))
    return np.asarray(jax.jit(partial(write_rows, shape=shape, n_bricks=1))(rows, staged))


def test_pages_beyond_the_pool_are_dropped() -> None:
    sh = np.ones((N_ROWS, 3), np.float16)
    written = write(1, starts=[0, 0], pages=[N_PAGES, N_PAGES + 1], sh=sh, platform="gpu")
    assert not written.any()


EXTREMES = [
    0.0,
    -0.0,
    65504.0,
    65519.99,
    65520.0,
    7e4,
    3e38,
    1e-30,
    5.9e-8,
    2.9e-8,
    6.1e-5,
    1.0,
    3.0,
]
"""Zeros, the largest of float16 and beyond, its smallest, and what lies between."""


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("unit", [1.0, 0.5, 1.3 * 2.0**-7, 3e-9, 1e9])
def test_densities_are_rounded_as_numpy_rounds_them(dtype: str, unit: float) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=200_000) * np.exp(rng.normal(size=200_000) * 6)
    # Half-way between two numbers of float16, and a hair beside: where ties go matters.
    halves = (rng.integers(0, 2048, 20_000) * 2 + 1) * 2.0 ** rng.integers(-20, 4, 20_000)
    beside = halves * (1 + rng.integers(-3, 4, 20_000) * 2.0**-24)
    density = np.concatenate([values, halves / unit, beside / unit, EXTREMES]).astype(np.float32)
    density = density[np.abs(density * np.float64(unit)) >= np.finfo(np.float32).tiny]
    expected = device_densities(density, unit, np.dtype(dtype))
    with jax.enable_x64(True):
        rounded = jax.jit(partial(device_density, dtype=jnp.dtype(dtype)))
        found = np.asarray(rounded(jnp.asarray(density), jnp.float64(unit)))
    np.testing.assert_array_equal(
        found.view(f"u{found.itemsize}"), expected.view(f"u{found.itemsize}")
    )
