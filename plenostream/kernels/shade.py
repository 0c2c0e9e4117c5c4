"""Colours: the coefficients of the samples that contribute, blended and added to their rays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from plenostream.kernels.harmonics import harmonics
from plenostream.kernels.lanes import cell_of, corner_offsets, take
from plenostream.kernels.state import KernelShape, Pool

__all__ = ["shade_samples"]


def shade_samples(
    gathered: jax.Array,
    j: jax.Array,
    weights: jax.Array,
    listed: jax.Array,
    total: jax.Array,
    record: jax.Array,
    pool: Pool,
    shape: KernelShape,
    call: Callable[..., Any],
) -> jax.Array:
    """Add weight * colour, and weight * sample number, of the listed samples to their rays.

    Parameters
    ----------
    gathered : [R + 1, 4] f32     see `RayState.gathered`
    j : [] i32                    number of the first round inside the segments
    weights : [rounds, L] f32     of the samples
    listed : [rounds * L + shade] i32, total : [] i32    which of them contribute
    record : [L, 16] f32          the segments, see `integrate`
    """
    flat = weights.reshape(-1)

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        first, gathered = carry
        real = jnp.arange(shape.shade, dtype=jnp.int32) < total - first
        sample = jnp.where(real, lax.dynamic_slice(listed, (first,), (shape.shade,)), 0)
        weight, segment = call(
            lambda sample, real: (
                jnp.where(real, take(flat, sample), 0.0),
                take(record, sample % shape.lanes),
            ),
            sample,
            real,
        )
        k = (j + sample // shape.lanes).astype(jnp.float32)
        index, fractions = call(lambda k, segment: _place(k, segment, shape), k, segment)
        rows, blend = call(lambda index, f: _corners(index, f, pool, shape), index, fractions)
        blended = call(lambda rows, blend: _blend(rows, blend, pool), rows, blend)
        colour = call(
            lambda blended, segment, weight, k: _colour(blended, segment, weight, k, shape),
            blended,
            segment,
            weight,
            k,
        )
        ray = lax.bitcast_convert_type(segment[:, 12], jnp.uint32)
        # Places beyond the list would all add zeros to one ray: on a GPU, a queue of atomics.
        ray = jnp.where(real, ray, jnp.uint32(gathered.shape[0]))
        return first + shape.shade, gathered.at[ray].add(colour, mode="drop")

    return lax.while_loop(lambda carry: carry[0] < total, body, (jnp.int32(0), gathered))[1]


def _place(
    k: jax.Array, segment: jax.Array, shape: KernelShape
) -> tuple[jax.Array, list[jax.Array]]:
    """First corner [n] u32 in the pool and fractions x, y, z, each [n] f32, of samples [n]."""
    cells, fractions = [], []
    for axis in range(3):
        x = segment[:, axis] + k * segment[:, 3 + axis]
        cell, fraction = cell_of(jnp.clip(x, 0.0, segment[:, 6 + axis]), shape.brick_size)
        cells.append(cell)
        fractions.append(fraction)
    base = lax.bitcast_convert_type(segment[:, 13], jnp.uint32)
    local = (cells[0] * shape.edge + cells[1]) * shape.edge + cells[2]
    return base + local.astype(jnp.uint32), fractions


def _corners(
    index: jax.Array, fractions: list[jax.Array], pool: Pool, shape: KernelShape
) -> tuple[jax.Array, jax.Array]:
    """Colour rows [8, n] u32 and trilinear weights [8, n] f32 of the corners of samples [n]."""
    offsets = jnp.asarray(corner_offsets(shape.edge), jnp.uint32)
    rows = take(pool.row_ids, index[None] + offsets[:, None])
    blend = jnp.ones_like(rows, jnp.float32)
    for axis, fraction in enumerate(fractions):
        # f at the upper corners of this axis, 1 - f at the lower: affine in the corner's bit, so
        # that all eight are one vectorised loop; stacking eight products is not (15 us a block).
        bit = jnp.asarray([corner >> (2 - axis) & 1 for corner in range(8)], jnp.float32)[:, None]
        blend = blend * ((1.0 - bit) + (2.0 * bit - 1.0) * fraction[None])
    return rows, blend


def _blend(rows: jax.Array, blend: jax.Array, pool: Pool) -> jax.Array:
    """Interpolated coefficients [n, W] f32.

    A sum unrolled over the corners vectorises (25 ns a sample); einsum takes 150, multiply and
    reduce 260.
    """
    total = blend[0][:, None] * take(pool.rows, rows[0]).astype(jnp.float32)
    for corner in range(1, 8):
        row = take(pool.rows, rows[corner]).astype(jnp.float32)
        total = total + blend[corner][:, None] * row
    return total


def _colour(
    blended: jax.Array, segment: jax.Array, weight: jax.Array, k: jax.Array, shape: KernelShape
) -> jax.Array:
    """Weight times (red, green, blue, sample number) [n, 4] f32 (rules 12 and 13)."""
    layout = shape.layout
    basis = harmonics(segment[:, 9], segment[:, 10], segment[:, 11], shape.basis_dim)
    groups = blended.reshape(-1, layout.main, 4)
    value = groups[:, 0] * basis[0][:, None]
    for function in range(1, layout.main):
        value = value + groups[:, function] * basis[function][:, None]
    for function in range(layout.main, shape.basis_dim):
        first = 3 * (function - layout.main)
        extra = groups[:, first : first + 3, 3] * basis[function][:, None]
        value = value + jnp.pad(extra, ((0, 0), (0, 1)))
    number = lax.bitcast_convert_type(segment[:, 14], jnp.int32).astype(jnp.float32) + k
    is_number = jnp.arange(4, dtype=jnp.int32)[None] == 3
    shown = jnp.where(is_number, number[:, None], jnp.maximum(value + 0.5, 0.0))
    return shown * weight[:, None]
