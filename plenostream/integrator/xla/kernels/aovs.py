"""What rays gather beside colour, depth and alpha (`docs/rules.md`, rules 29 to 33)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from plenostream.field.aovs import Aovs
from plenostream.integrator.xla.kernels.lanes import corner_offsets, take, unpair
from plenostream.integrator.xla.kernels.segments import Segments
from plenostream.integrator.xla.kernels.state import KernelShape, Pool, WaveScalars

__all__ = ["NOWHERE", "finished_aovs", "fresh_aovs", "gather_aovs", "slopes_at"]

NOWHERE = -1.0
"""In place of the number of a sample."""
_DEPTHS = ("median-depth", "density-depth")


def fresh_aovs(n_rays: int, aovs: Aovs) -> jax.Array | None:
    """[n_rays, E] f32 of rays that have met nothing yet (all static); None where E is 0."""
    if not aovs.names:
        return None
    columns = np.zeros(aovs.n_columns, np.float32)
    for name in _DEPTHS:
        if name in aovs.names:
            columns[aovs.first(name)] = NOWHERE
    return jnp.broadcast_to(jnp.asarray(columns), (n_rays, aovs.n_columns))


def gather_aovs(
    columns: jax.Array,
    number: jax.Array,
    sigma: jax.Array,
    light: jax.Array,
    slopes: jax.Array | None,
    *,
    scalars: WaveScalars,
    aovs: Aovs,
) -> jax.Array:
    """What L rays have gathered with some samples more.

    Parameters
    ----------
    columns : [E, L] f32             what they have so far
    number, sigma : [rounds, L]      of each sample on its ray, i32; density, 0 where it does not count
    light : [rounds + 1, L] f32      left before each, and behind the last; below 0: the ray has ended
    slopes : [3, rounds, L] f32      `slopes_at`, for normals
    """
    before, after = light[:-1], light[1:]
    counts = (sigma > 0.0) & (before > 0.0) & (before >= scalars.stop_thresh)
    found = list(columns)
    for name in aovs.names:
        at = aovs.first(name)
        if name == "median-depth":
            found[at] = _first(found[at], number, counts & (after < 0.5))
        elif name == "density-depth":
            found[at] = _first(found[at], number, counts & (sigma > scalars.depth_density))
        elif name == "cost":
            found[at] = found[at] + jnp.sum(counts, axis=0, dtype=jnp.float32)
        elif slopes is not None and name == "normals":
            weight = jnp.where(counts, before - after, 0.0)
            rises = jnp.sum(weight[None] * slopes, axis=1) * scalars.steepness[:, None]
            found[at : at + 3] = [found[at + axis] - rises[axis] for axis in range(3)]
    return jnp.stack(found)


def _first(before: jax.Array, number: jax.Array, is_there: jax.Array) -> jax.Array:
    """Number [L] f32 of the first sample [rounds, L] that is there, unless there was one before."""
    never = jnp.int32(np.iinfo(np.int32).max)
    first = jnp.min(jnp.where(is_there, number, never), axis=0)
    new = (before == NOWHERE) & (first < never)
    return jnp.where(new, first.astype(jnp.float32), before)


def slopes_at(
    k: jax.Array, segments: Segments, pool: Pool, shape: KernelShape, call: Callable[..., Any]
) -> jax.Array:
    """How density rises from voxel to voxel along each axis, [3, rounds, L], at samples k [rounds, 1] of
    segments.

    Unlike the density, it depends on which cell a sample between two belongs to: the upper one, but at
    the far border of the grid (`docs/rules.md`, rule 9).
    """
    offsets = jnp.asarray(corner_offsets(shape.edge)[::2], jnp.uint32)[:, None, None]

    def places(k: jax.Array, s: Segments) -> tuple[jax.Array, jax.Array]:
        x = jnp.clip(s.at[:, None] + k[None] * s.along[:, None], 0.0, s.top[:, None])
        cell = jnp.minimum(jnp.floor(x), s.top[:, None] - 1.0)
        return cell.astype(jnp.int32), x - cell

    def index(k: jax.Array, s: Segments) -> jax.Array:
        cells, _ = places(k, s)
        local = (cells[0] * shape.edge + cells[1]) * shape.edge + cells[2]
        return s.base[None] + local.astype(jnp.uint32)

    def slopes(words: jax.Array, k: jax.Array, s: Segments) -> jax.Array:
        _, (x, y, z) = places(k, s)
        low, high = unpair(words)
        rise = high - low
        value = low + rise * z[None]
        near_y, far_y = value[1] - value[0], value[3] - value[2]
        near_z, far_z = rise[0] + (rise[1] - rise[0]) * y, rise[2] + (rise[3] - rise[2]) * y
        along_x = (value[2] + far_y * y) - (value[0] + near_y * y)
        return jnp.stack([along_x, near_y + (far_y - near_y) * x, near_z + (far_z - near_z) * x])

    first = call(index, k, segments)
    words = call(lambda first: take(pool.density, first[None] + offsets), first)
    found: jax.Array = call(slopes, words, k, segments)
    return found


def finished_aovs(
    columns: jax.Array, aovs: Aovs, trans: jax.Array, t_min: jax.Array, step: Any, world_per_t: Any
) -> jax.Array:
    """AOVs of rays at their end, from what they have gathered: both [n, E] f32, `trans` (see
    `RayState`), `t_min` and `world_per_t` [n]."""
    # Column by column they would be put together from copies.
    number = np.arange(aovs.n_columns)
    is_depth = np.isin(number, [aovs.first(name) for name in _DEPTHS])
    is_weight = number == aovs.first("mean-depth")
    depth = (t_min[:, None] + columns * step) * world_per_t[:, None]
    depth = jnp.where(columns == NOWHERE, jnp.nan, depth)
    weight = (1.0 - jnp.abs(trans))[:, None]
    found: jax.Array = jnp.where(is_depth[None], depth, jnp.where(is_weight[None], weight, columns))
    return found
