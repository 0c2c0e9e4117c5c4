"""Rays on the device: the lattice of each in fixed point, and the values of its basis functions.

The geometry is float64 arithmetic, traced under `jax.enable_x64`, and rounded once:

- the entry point to 2^-q of a grid unit, q as large as int32 allows for the grid's size,
- the direction to 2^-30,

so that sample k of a ray, at ``entry + k * step * direction``, is known to better than 1e-6 grid
units anywhere in a grid of 2048 voxels an axis, in 24 bytes a ray. float32 entry points and
directions (the same bytes) would be off by up to 1e-4 there, which is visible: pictures made with
bricks of another size would differ by more than 2e-5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from plenostream.integrator.lattice import GridArrays, Spacing, lattice
from plenostream.integrator.xla.kernels.lanes import fence

__all__ = ["DIRECTION_BITS", "RAY_AXIS", "RayConstants", "entry_bits", "ray_constants"]

DIRECTION_BITS = 30


class RayConstants(NamedTuple):
    """What stays the same about R = tiles * 64 rays while a picture is made."""

    entry: Any
    """[3, R] i32: where sample 0 lies, grid coordinates times 2^entry_bits."""
    direction: Any
    """[3, R] i32: unit direction in the grid, times 2^30."""
    n_samples: Any
    """[R] i32: samples on the ray; 0 where it misses the box."""
    t_min: Any
    """[R] f32: distance from the ray's origin to sample 0, grid units."""
    basis: Any
    """[R, K] f32: values of the basis functions."""


RAY_AXIS = RayConstants(entry=1, direction=1, n_samples=0, t_min=0, basis=0)
"""The axis of each array that counts the rays."""


def entry_bits(size: tuple[int, int, int]) -> int:
    """Binary digits after the point of fixed-point positions in a grid of `size` voxels.

    No more than 23, though small grids have room for them: float32 places a sample inside its
    brick no better, and programs are compiled for this number.
    """
    return min(31 - max(size).bit_length(), 23)


def ray_constants(
    origins: jax.Array,
    dirs_world: jax.Array,
    valid: jax.Array,
    grid: GridArrays,
    spacing: Spacing,
    *,
    basis: Callable[[Any], list[Any]],
    bits: int,
    spheric_clip: bool = False,
    fences: bool = False,
) -> RayConstants:
    """The lattice of each ray, see `lattice`, and the values of its functions.

    Parameters
    ----------
    origins, dirs_world : [3, R] f64    world space; directions of any length above zero
    valid : [R] bool                    false: the ray gets no samples
    spacing : Spacing
    basis : K values [R] of unit directions [3, R] (static)
    bits : int                          `entry_bits` of the grid (static)
    spheric_clip : bool                 see `lattice` (static)
    fences : bool                       see `lanes.fence` (static)
    """
    call = fence(fences, spacing.step > 0.0)
    world = (origins, dirs_world, valid)
    rays = lattice(jnp, *world, grid, spacing, spheric_clip=spheric_clip, stage=call)

    def values(dirs_world: jax.Array) -> jax.Array:
        x, y, z = dirs_world[0], dirs_world[1], dirs_world[2]
        unit = dirs_world / jnp.sqrt(x * x + y * y + z * z)[None]
        return jnp.stack([value.astype(jnp.float32) for value in basis(unit)], axis=1)

    return RayConstants(
        entry=jnp.round(rays.entry * 2.0**bits).astype(jnp.int32),
        direction=jnp.round(rays.direction * 2.0**DIRECTION_BITS).astype(jnp.int32),
        n_samples=rays.n_samples,
        t_min=rays.t_min.astype(jnp.float32),
        basis=call(values, dirs_world),
    )
