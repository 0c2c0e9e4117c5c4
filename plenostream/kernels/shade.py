"""Colours: the coefficients of the samples that contribute, blended and added to their rays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from plenostream.kernels.lanes import cell_of, corner_offsets, take
from plenostream.kernels.segments import Segments
from plenostream.kernels.state import KernelShape, Pool

__all__ = ["Samples", "shade_samples"]


class Samples(NamedTuple):
    """Samples that are to be shaded, of a group of L segments."""

    weights: jax.Array
    """[span, L] f32: of the samples of each segment, from number `first` on."""
    first: jax.Array
    """[] i32."""
    listed: jax.Array
    """[span * L + shade] i32: places in `weights` of those that contribute."""
    total: jax.Array
    """[] i32: how many there are."""


def shade_samples(
    gathered: jax.Array,
    samples: Samples,
    segments: Segments,
    basis: jax.Array,
    pool: Pool,
    shape: KernelShape,
    call: Callable[..., Any],
) -> jax.Array:
    """Add weight * colour of the listed samples to their rays (rules 12 and 13).

    Parameters
    ----------
    gathered : [R + 1, 4] f32     see `RayState.gathered`; its last column is left as it is
    basis : [basis_dim, L] f32    the spherical harmonics at the directions of the segments
    """

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        first, gathered = carry
        real = jnp.arange(shape.shade, dtype=jnp.int32) < samples.total - first
        place = lax.dynamic_slice(samples.listed, (first,), (shape.shade,))
        place = jnp.where(real, place, 0)
        lane, k, weight = call(lambda place: _split(place, samples, shape), place)
        local = call(lambda lane, k: _position(lane, k, segments), lane, k)
        fractions, index = call(
            lambda lane, local: _cell(lane, local, segments, shape), lane, local
        )
        rows = call(lambda index: _rows(index, pool, shape), index)
        corners = call(_corner_weights, fractions)
        blended = call(lambda rows, corners: _blend(rows, corners, pool), rows, corners)
        basis_here = call(lambda lane: _columns(basis, lane), lane)
        colour = call(
            lambda *args: _colour(*args, shape), blended, basis_here, weight
        )
        # Places beyond the list would all add zeros to one ray: on a GPU, a queue of atomics.
        ray = jnp.where(real, take(segments.ray, lane), gathered.shape[0]).astype(jnp.uint32)
        return first + shape.shade, gathered.at[ray].add(colour, mode="drop")

    start = (jnp.int32(0), gathered)
    return lax.while_loop(lambda carry: carry[0] < samples.total, body, start)[1]


def _columns(table: jax.Array, column: jax.Array) -> jax.Array:
    """Columns [n] of a table [m, L], as [m, n]."""
    rows, columns = table.shape
    start = jnp.arange(rows, dtype=jnp.int32)[:, None] * columns
    return take(table.reshape(-1), start + column[None])


def _split(
    place: jax.Array, samples: Samples, shape: KernelShape
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Lane [n] i32, number [n] f32 in its segment, and weight [n] f32 of samples."""
    number = samples.first + place // shape.lanes
    return place % shape.lanes, number.astype(jnp.float32), take(samples.weights.reshape(-1), place)


def _position(lane: jax.Array, k: jax.Array, segments: Segments) -> jax.Array:
    """Positions [3, n] of samples inside their bricks: the same operations as in the march."""
    at, along, top = (_columns(a, lane) for a in (segments.at, segments.along, segments.top))
    return jnp.clip(at + k[None] * along, 0.0, top)


def _cell(
    lane: jax.Array, local: jax.Array, segments: Segments, shape: KernelShape
) -> tuple[jax.Array, jax.Array]:
    """Fractions [3, n] f32, and the first corner [n] u32 in the pool, of samples."""
    cells, fractions = cell_of(local, shape.brick_size)
    inside = (cells[0] * shape.edge + cells[1]) * shape.edge + cells[2]
    return fractions, take(segments.base, lane) + inside.astype(jnp.uint32)


def _rows(index: jax.Array, pool: Pool, shape: KernelShape) -> jax.Array:
    """Colour rows [8, n] u32 of the corners of samples [n]."""
    offsets = jnp.asarray(corner_offsets(shape.edge), jnp.uint32)
    return take(pool.row_ids, index[None] + offsets[:, None])


def _corner_weights(fractions: jax.Array) -> jax.Array:
    """Trilinear weights [8, n] f32 of the corners of samples."""
    weights = jnp.ones((8, fractions.shape[1]), jnp.float32)
    for axis in range(3):
        # f at the upper corners of this axis, 1 - f at the lower: affine in the corner's bit, so
        # that all eight are one vectorised loop; stacking eight products is not (15 us a block).
        bit = jnp.asarray([corner >> (2 - axis) & 1 for corner in range(8)], jnp.float32)[:, None]
        weights = weights * ((1.0 - bit) + (2.0 * bit - 1.0) * fractions[axis][None])
    return weights


def _blend(rows: jax.Array, corners: jax.Array, pool: Pool) -> jax.Array:
    """Interpolated coefficients [n, W] f32.

    A sum unrolled over the corners vectorises (19 ns a sample); einsum takes 150, multiply and
    reduce 260.
    """
    total = corners[0][:, None] * take(pool.rows, rows[0]).astype(jnp.float32)
    for corner in range(1, 8):
        row = take(pool.rows, rows[corner]).astype(jnp.float32)
        total = total + corners[corner][:, None] * row
    return total


def _colour(
    blended: jax.Array, basis: jax.Array, weight: jax.Array, shape: KernelShape
) -> jax.Array:
    """Weight times (red, green, blue, 0) [n, 4] f32, from functions [basis_dim, n]."""
    layout = shape.layout
    groups = blended.reshape(-1, layout.main, 4)
    value = groups[:, 0] * basis[0][:, None]
    for function in range(1, layout.main):
        value = value + groups[:, function] * basis[function][:, None]
    for function in range(layout.main, shape.basis_dim):
        first = 3 * (function - layout.main)
        extra = groups[:, first : first + 3, 3] * basis[function][:, None]
        value = value + jnp.pad(extra, ((0, 0), (0, 1)))
    channels = jnp.asarray([1.0, 1.0, 1.0, 0.0], jnp.float32)
    return jnp.maximum(value + 0.5, 0.0) * (weight[:, None] * channels[None])
