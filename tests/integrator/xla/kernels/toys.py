"""Toys for the kernels: a checkpoint, rays from one eye, and pool and work items laid out by hand.

No scheduler, store or pool: every block of cells of every brick is a box of its own, so the tests
say what the kernels do with whatever they are given.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from plenostream.field.basis import SphericalHarmonics
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import PAGE_ROWS, Light
from plenostream.integrator.lattice import GridArrays, Spacing
from plenostream.integrator.xla.kernels.geometry import (
    RayConstants,
    entry_bits,
    ray_constants,
)
from plenostream.integrator.xla.kernels.lanes import pair_up
from plenostream.integrator.xla.kernels.state import (
    RANKED,
    KernelShape,
    Pool,
    RowLayout,
    WaveScalars,
)
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.testing.checkpoints import CheckpointArrays

TILES = 3
MOST_ITEMS = 100
BRICK = 8


class Toy(NamedTuple):
    """A checkpoint, rays from one eye, and everything that the integrator takes for them."""

    checkpoint: CheckpointArrays
    origins: np.ndarray
    dirs: np.ndarray
    pool: Pool
    rays: RayConstants
    scalars: WaveScalars
    items: np.ndarray
    shell: np.ndarray


def pool_of(checkpoint: CheckpointArrays, index: np.ndarray, slots: np.ndarray, dtype: str) -> Pool:
    """All bricks of a checkpoint."""
    edge, dim = BRICK + 1, checkpoint.basis_dim
    n, layout = int(slots.max()) + 1, RowLayout(dim)
    n_ranks = 2 * -(-(edge**3) // 32)
    density = np.zeros((n, edge**3), dtype)
    ranks, pages = np.zeros((n, n_ranks), np.uint32), np.zeros((n, n_ranks), np.uint32)
    origins = np.zeros((n, 3), np.int32)
    rows = [np.zeros((PAGE_ROWS, layout.width), dtype)]
    order = [channel * dim + function for function in range(dim) for channel in range(3)]
    for place, slot in zip(index, slots, strict=True):
        inside = tuple(slice(p * BRICK, p * BRICK + edge) for p in place)
        links = np.full((edge, edge, edge), -1)
        links[tuple(map(slice, checkpoint.links[inside].shape))] = checkpoint.links[inside]
        voxels = np.flatnonzero(links.reshape(-1) >= 0)
        mine = links.reshape(-1)[voxels]
        density[slot, voxels] = checkpoint.density[mine]
        np.bitwise_or.at(ranks[slot], voxels // RANKED, np.uint32(1) << (voxels % RANKED))
        counted = np.bincount(voxels // RANKED, minlength=n_ranks)
        ranks[slot] |= (np.cumsum(counted) - counted).astype(np.uint32) << 16
        n_pages = -(-len(mine) // PAGE_ROWS)
        pages[slot, :n_pages] = len(rows) + np.arange(n_pages)
        packed = np.zeros((n_pages * PAGE_ROWS, layout.width), dtype)
        packed[: len(mine), : 3 * dim] = checkpoint.sh[mine][:, order]
        rows += list(packed.reshape(n_pages, PAGE_ROWS, -1))
        origins[slot] = place * BRICK
    return Pool(
        density=pair_up(jnp.pad(jnp.asarray(density), ((0, 0), (0, 1)))).reshape(-1),
        ranks=jnp.asarray(ranks.reshape(-1)),
        pages=jnp.asarray(pages.reshape(-1)),
        rows=jnp.asarray(np.concatenate(rows)),
        origins=jnp.asarray(origins),
    )


@functools.cache
def set_up(bits: int, basis_dim: int) -> Callable[..., RayConstants]:
    """One function for all grids of so many bits, so that toys share its programs."""
    basis = partial(SphericalHarmonics(basis_dim), jnp)
    return jax.jit(partial(ray_constants, bits=bits, basis=basis))


def make_toy(
    checkpoint: CheckpointArrays,
    *,
    eye: tuple[float, float, float] = (1.7, 1.2, -1.4),
    dtype: str = "float32",
    **options: float,
) -> Toy:
    grid = checkpoint.grid
    rng = np.random.default_rng(2)
    targets = rng.uniform(-1.0, 1.0, (TILES * TILE_RAYS, 3)) * grid.radius + grid.center
    origins = np.broadcast_to(np.array(eye), targets.shape).copy()
    dirs = targets - origins
    index = np.array(list(np.ndindex(*(-(-(n - 1) // BRICK) for n in grid.size))))
    slots = rng.permutation(len(index) + 1)[: len(index)]
    arrays = GridArrays(
        jnp.asarray(grid.extent),
        jnp.asarray(grid.margin),
        jnp.asarray(grid.scale),
        jnp.asarray(grid.offset),
    )
    values = {"step_size": 0.5, "near_clip": 0.0, "sigma_thresh": 1e-10, "stop_thresh": 1e-7}
    values |= options
    step, near = jnp.float64(values["step_size"]), jnp.float64(values["near_clip"])
    rays = set_up(entry_bits(grid.size), checkpoint.basis_dim)(
        jnp.asarray(origins.T),
        jnp.asarray(dirs.T),
        jnp.ones(len(dirs), bool),
        arrays,
        Spacing(step, near, jnp.float64(np.inf)),
    )
    home = np.clip(np.floor(grid.world_to_grid(eye) / BRICK), 0, index.max(0)).astype(int)
    last = np.minimum((index + 1) * BRICK, np.array(grid.size) - 1) - index * BRICK
    shell = np.abs(index - home).sum(-1)
    box = np.repeat(np.argsort(shell, kind="stable"), TILES)
    items = np.zeros((len(box), 4), np.int32)
    items[:, 0] = np.tile(np.arange(TILES), len(index))
    items[:, 1] = slots[box]
    items[:, 3] = (last[box] << np.array([0, 8, 16])).sum(-1)
    scalars = WaveScalars(
        size=jnp.asarray(np.array(grid.size, np.int32)),
        units_per_grid=jnp.asarray((1.0 / grid.scale).astype(np.float32)),
        unit=jnp.float32(1.0),
        step=step,
        sigma_thresh=jnp.float32(values["sigma_thresh"]),
        stop_thresh=jnp.float32(values["stop_thresh"]),
        opaque_length=jnp.float32(1e9),
        depth_density=jnp.float32(0.0),
        steepness=jnp.ones(3, jnp.float32),
    )
    pool = pool_of(checkpoint, index, slots, dtype)
    return Toy(checkpoint, origins, dirs, pool, rays, scalars, items, shell[box])


def tiny_shape(checkpoint: CheckpointArrays, **sizes: int | bool | Light) -> KernelShape:
    """Blocks of a few items and lanes: many blocks, groups and rounds for few rays."""
    tuned = kernel_shape(
        "cpu",
        brick_size=BRICK,
        basis_dim=checkpoint.basis_dim,
        entry_bits=entry_bits(checkpoint.size),
    )
    return replace(tuned, **({"items": 4, "lanes": 64, "shade": 32, "fences": False} | sizes))
