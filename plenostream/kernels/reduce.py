"""Colours seen from one eye: coefficients reduced to a value and a gradient in the direction.

For rays from a common eye the direction in which a voxel is seen hardly changes, so its colour is
taken as linear in it: twelve numbers instead of 3 * basis_dim. Spherical harmonics are polynomials
in the direction; what is lost is their second order, for which `schedule.reduction` has a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from plenostream.kernels.harmonics import harmonics
from plenostream.kernels.lanes import fence, take
from plenostream.kernels.state import PAGE_ROWS, REDUCED, KernelShape, Pool, WaveScalars

__all__ = ["reduce_pages", "reduced_basis"]


def reduce_pages(
    pool: Pool, pages: jax.Array, slots: jax.Array, scalars: WaveScalars, *, shape: KernelShape
) -> Pool:
    """Fill in the reduced rows of p pages.

    Parameters
    ----------
    pool : Pool           donated
    pages : [p] i32       all different; those at or beyond the pool's pages are dropped
    slots : [p] i32       the slot of the brick that each page belongs to

    Notes
    -----
    With v the direction of a voxel from the eye and b that of its brick's centre, a channel
    f(w) = sum_k c_k Y_k(w) becomes ``f(v) + grad f(v) . (b - v)`` and ``grad f(v)``, to be used as
    ``value + gradient . (w - b)``: differences of directions are small, so that float16 rounds
    little more than the colour itself.
    """
    call = fence(shape.fences, scalars.step > 0.0)
    n_pages = pool.rows.shape[0] // PAGE_ROWS
    here = jnp.minimum(pages, n_pages - 1)
    n = pages.shape[0] * PAGE_ROWS

    def coefficients(here: jax.Array) -> jax.Array:
        rows = take(pool.rows.reshape(n_pages, PAGE_ROWS, -1), here)
        return rows.reshape(n, -1).astype(jnp.float32).T[: 3 * shape.basis_dim]

    def directions(here: jax.Array, slots: jax.Array) -> tuple[jax.Array, jax.Array]:
        voxel = take(pool.voxels.reshape(n_pages, PAGE_ROWS), here).reshape(-1).astype(jnp.int32)
        origin = jnp.repeat(take(pool.origins, slots).T, PAGE_ROWS, axis=1)
        edge = shape.edge
        local = jnp.stack([voxel // (edge * edge), voxel // edge % edge, voxel % edge])
        to_voxel = _direction((origin + local).astype(jnp.float32), scalars)
        to_centre = _direction(origin.astype(jnp.float32) + 0.5 * shape.brick_size, scalars)
        return to_voxel, to_centre

    def expand(to_voxel: jax.Array) -> jax.Array:
        """Functions and their derivatives along x, y, z: [4, basis_dim, n]."""

        def functions(at: jax.Array) -> jax.Array:
            return jnp.stack(harmonics(at[0], at[1], at[2], shape.basis_dim))

        along = [jnp.zeros_like(to_voxel).at[axis].set(1.0) for axis in range(3)]
        slopes = [jax.jvp(functions, (to_voxel,), (one,))[1] for one in along]
        return jnp.stack([functions(to_voxel), *slopes])

    def contract(coefficients: jax.Array, expanded: jax.Array) -> jax.Array:
        """Value and gradient of each channel: [4, 3, n]."""
        by_function = coefficients.reshape(shape.basis_dim, 3, n)
        total = expanded[:, 0][:, None] * by_function[0][None]
        for function in range(1, shape.basis_dim):
            total = total + expanded[:, function][:, None] * by_function[function][None]
        return total

    def pack(linear: jax.Array, to_voxel: jax.Array, to_centre: jax.Array) -> jax.Array:
        shift = to_centre - to_voxel
        value = linear[0]
        for axis in range(3):
            value = value + linear[1 + axis] * shift[axis][None]
        lanes = jnp.concatenate([value[None], linear[1:]]).reshape(-1, n)
        return jnp.pad(lanes, ((0, REDUCED.width - lanes.shape[0]), (0, 0)))

    to_voxel, to_centre = call(directions, here, slots)
    expanded = call(expand, to_voxel)
    linear = call(contract, call(coefficients, here), expanded)
    packed = call(pack, linear, to_voxel, to_centre)
    rows = packed.T.astype(pool.reduced.dtype).reshape(-1, PAGE_ROWS, REDUCED.width)
    whole = pool.reduced.reshape(n_pages, PAGE_ROWS, REDUCED.width)
    placed = whole.at[pages].set(rows, mode="drop", unique_indices=True)
    return pool._replace(reduced=placed.reshape(pool.reduced.shape))


def reduced_basis(
    view: jax.Array,
    origin: jax.Array,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> jax.Array:
    """What reduced rows are multiplied with on rays of direction `view` [3, L] in the bricks that
    start at `origin` [3, L] i32: [4, L], see `reduce_pages`."""

    def differences(view: jax.Array, origin: jax.Array) -> jax.Array:
        centre = origin.astype(jnp.float32) + 0.5 * shape.brick_size
        return view - _direction(centre, scalars)

    away = call(differences, view, origin)
    return jnp.concatenate([jnp.ones_like(away[:1]), away])


def _direction(point_grid: jax.Array, scalars: WaveScalars) -> jax.Array:
    """Unit direction [3, n] in the world from the eye to points [3, n] of the grid."""
    away = (point_grid - scalars.eye_grid[:, None]) * scalars.world_per_grid[:, None]
    x, y, z = away[0], away[1], away[2]
    length = jnp.sqrt(x * x + y * y + z * z)
    # A brick whose centre the eye is at is never reduced; its directions only have to be finite.
    return away / jnp.maximum(length, 1e-20)[None]
