"""The walk through the grid of blocks against every sample of the ray, and the sort keys of rays."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plenostream.field.basis import SphericalHarmonics
from plenostream.field.grid import GridSpec
from plenostream.integrator.lattice import GridArrays, Spacing
from plenostream.integrator.xla.kernels.geometry import (
    DIRECTION_BITS,
    RayConstants,
    entry_bits,
    ray_constants,
)
from plenostream.integrator.xla.kernels.walk import packet_keys, walk_blocks
from plenostream.testing.pictures import rays_around

pytestmark = pytest.mark.slow

GRID = GridSpec(size=(41, 26, 33))
SHAPE = (5, 4, 4)
STEP = 0.5
BITS = entry_bits(GRID.size)


def constants(origins: np.ndarray, dirs: np.ndarray) -> RayConstants:
    grid = GridArrays(*map(jnp.asarray, (GRID.extent, GRID.margin, GRID.scale, GRID.offset)))
    setup = jax.jit(partial(ray_constants, bits=BITS, basis=partial(SphericalHarmonics(1), jnp)))
    every = jnp.ones(len(origins), bool)
    o, d = jnp.asarray(np.asarray(origins, float).T), jnp.asarray(np.asarray(dirs, float).T)
    return setup(o, d, every, grid, Spacing(*map(jnp.float64, (STEP, 0.0, np.inf))))


def bits_of(occupied: np.ndarray) -> jax.Array:
    flat = np.zeros(96, np.uint8)
    flat[: occupied.size] = occupied.ravel()
    return jnp.asarray(np.packbits(flat, bitorder="little").view("<u4"))


def walk(rays: RayConstants, occupied: np.ndarray) -> np.ndarray:
    run = jax.jit(partial(walk_blocks, bits=BITS, most=sum(SHAPE)))
    shape = jnp.asarray(np.array(SHAPE, np.int32))
    return np.asarray(run(rays, bits_of(occupied), shape, jnp.float64(STEP)))


def blocks_of_samples(rays: RayConstants) -> list[list[int]]:
    """The block of each sample of each ray, as the fixed-point lattice places it."""
    entry = np.asarray(rays.entry).T * 2.0**-BITS
    course = np.asarray(rays.direction).T * 2.0**-DIRECTION_BITS
    found = []
    for start, along, n in zip(entry, course, np.asarray(rays.n_samples), strict=True):
        points = start + np.arange(n)[:, None] * STEP * along
        cells = np.clip(points, 0, np.array(GRID.size) - 1.0)
        cells = np.minimum(cells.astype(int), np.array(GRID.size) - 2)
        near = np.abs(points / 8 - np.round(points / 8)).min(-1) * 8
        block = np.ravel_multi_index(tuple((cells // 8).T), SHAPE)
        # Of a sample on the face between two blocks, the walk may visit either: leave it out.
        found.append([int(b) for b, far in zip(block, near, strict=True) if far > 1e-4])
    return found


def random_rays() -> RayConstants:
    return constants(*rays_around(4, 400))


def axis_rays() -> RayConstants:
    """Rays along axes through the middles of blocks, both ways, from outside and inside."""
    origins, dirs = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            for distance in (2.0, 0.3):
                origins.append(np.insert([0.1, -0.2], axis, -distance * sign))
                dirs.append(np.insert([0.0, 0.0], axis, sign))
    return constants(np.array(origins), np.array(dirs))


@pytest.mark.parametrize("make", [random_rays, axis_rays])
def test_walk_visits_the_block_of_every_sample(make) -> None:
    rays = make()
    visited = walk(rays, np.ones(SHAPE, bool))
    assert (np.asarray(rays.n_samples) > 0).sum() >= 10
    for number, blocks in enumerate(blocks_of_samples(rays)):
        assert set(blocks) <= set(visited[:, number].tolist())


@pytest.mark.parametrize("make", [random_rays, axis_rays])
def test_walk_passes_from_neighbour_to_neighbour_and_never_comes_back(make) -> None:
    visited = walk(make(), np.ones(SHAPE, bool))
    for column in visited.T:
        blocks = column[column >= 0]
        assert len(set(blocks.tolist())) == len(blocks)
        places = np.stack(np.unravel_index(blocks, SHAPE), -1)
        assert (np.abs(np.diff(places, axis=0)).sum(-1) == 1).all()


def test_walk_reports_occupied_blocks_alone() -> None:
    rays = random_rays()
    occupied = np.random.default_rng(1).random(SHAPE) < 0.4
    everything, some = walk(rays, np.ones(SHAPE, bool)), walk(rays, occupied)
    expected = np.where((everything >= 0) & occupied.ravel()[everything], everything, -1)
    assert (some == expected).all()


def test_ray_that_misses_visits_nothing() -> None:
    rays = constants(np.array([[3.0, 3.0, 3.0]]), np.array([[1.0, 1.0, 1.0]]))
    assert rays.n_samples.tolist() == [0]
    assert (walk(rays, np.ones(SHAPE, bool)) == -1).all()


def test_rays_are_sorted_by_octant_and_those_that_miss_come_last() -> None:
    origins, dirs = rays_around(5, 300)
    rays = constants(origins, dirs)
    keys = np.asarray(packet_keys(rays, bits=BITS))
    octant = (dirs < 0) @ np.array([1, 2, 4])
    hit = np.asarray(rays.n_samples) > 0
    assert (keys[hit] >> 32 == octant[hit]).all()
    assert (keys[~hit] >> 32 == 8).all()


def test_ray_that_does_not_move_on_an_axis_counts_as_going_up_there() -> None:
    rays = constants(
        np.array([[0.0, 0.0, 0.0]] * 2), np.array([[0.0, 1.0, -0.0], [1.0, -1.0, 0.0]])
    )
    assert (np.asarray(packet_keys(rays, bits=BITS)) >> 32).tolist() == [0, 2]


def test_rays_that_enter_near_each_other_have_keys_near_each_other() -> None:
    places = np.array([[-0.9, -0.9, -0.9], [-0.88, -0.9, -0.9], [0.9, 0.9, 0.9]])
    keys = np.asarray(packet_keys(constants(places, np.full((3, 3), 0.5)), bits=BITS))
    assert keys[0] == keys[1] < keys[2]
