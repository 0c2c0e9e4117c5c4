"""Bricks and colour rows on their way into the pool."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream.field.basis import BASIS_DIMS
from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.kernels.lanes import pair_dtype, unpair
from plenostream.integrator.xla.kernels.state import Pool, RowLayout
from plenostream.integrator.xla.kernels.upload import write_bricks, write_rows

N_SLOTS, N_PAGES, VOXELS = 5, 7, 27


def empty_pool(basis_dim: int, dtype: str = "float16") -> Pool:
    return Pool(
        density=jnp.zeros(N_SLOTS * VOXELS, pair_dtype(jnp.dtype(dtype))),
        row_ids=jnp.zeros(N_SLOTS * VOXELS, jnp.uint32),
        rows=jnp.zeros((N_PAGES * PAGE_ROWS, RowLayout(basis_dim).width), dtype),
        origins=jnp.zeros((N_SLOTS, 3), jnp.int32),
    )


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


@pytest.mark.parametrize("basis_dim", BASIS_DIMS)
def test_coefficients_come_to_lie_in_their_lanes(basis_dim: int) -> None:
    layout = RowLayout(basis_dim)
    rng = np.random.default_rng(basis_dim)
    # As the store has them: all of red, then green, then blue.
    rows = rng.normal(size=(2 * PAGE_ROWS, 3 * basis_dim)).astype(np.float16)
    write = jax.jit(partial(write_rows, layout=layout))
    pages = jnp.asarray(np.array([4, 2], np.int32))
    written = np.asarray(write(empty_pool(basis_dim), pages, jnp.asarray(rows)).rows)
    expected = np.zeros((N_PAGES * PAGE_ROWS, layout.width), np.float16)
    for number, row in enumerate(rows):
        place = (4 if number < PAGE_ROWS else 2) * PAGE_ROWS + number % PAGE_ROWS
        for channel in range(3):
            for function in range(basis_dim):
                lane = layout.lane(function, channel)
                expected[place, lane] = row[channel * basis_dim + function]
    assert (written == expected).all()


def test_pages_beyond_the_pool_are_dropped() -> None:
    rows = jnp.ones((2 * PAGE_ROWS, 3), jnp.float16)
    pages = jnp.asarray(np.array([N_PAGES, N_PAGES + 1], np.int32))
    written = write_rows(empty_pool(1), pages, rows, layout=RowLayout(1))
    assert not np.asarray(written.rows).any()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_brick_comes_to_lie_in_its_slot_and_padding_nowhere(dtype: str) -> None:
    rng = np.random.default_rng(3)
    slots = np.array([3, 0, N_SLOTS, N_SLOTS + 1], np.int32)
    density = rng.random((4, VOXELS)).astype(dtype)
    row_ids = rng.integers(1, 99, (4, VOXELS)).astype(np.uint32)
    origins = rng.integers(0, 99, (4, 3)).astype(np.int32)
    batch = map(jnp.asarray, (slots, density, row_ids, origins))
    pool = jax.jit(write_bricks)(empty_pool(1, dtype), *batch)
    expected = np.zeros((2, N_SLOTS, VOXELS), dtype)
    expected[0, [3, 0]] = density[:2]
    # The neighbour in z of each; of another brick there is nothing to see.
    expected[1, :, :-1] = expected[0, :, 1:]
    found = np.stack([np.asarray(half) for half in unpair(pool.density)])
    assert (found.reshape(expected.shape) == expected).all()
    ids = np.zeros((N_SLOTS, VOXELS), np.uint32)
    ids[[3, 0]] = row_ids[:2]
    assert (np.asarray(pool.row_ids).reshape(N_SLOTS, VOXELS) == ids).all()
    assert np.asarray(pool.origins)[[3, 0]].tolist() == origins[:2].tolist()
    assert not np.asarray(pool.origins)[[1, 2, 4]].any()
