"""Colours: the coefficients of the samples that contribute, blended and added to their rays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from plenostream.kernels.harmonics import harmonics
from plenostream.kernels.lanes import cell_of, corner_offsets, take
from plenostream.kernels.segments import Segments
from plenostream.kernels.state import KernelShape, Pool, RowLayout

__all__ = ["Samples", "basis_rows", "shade_samples"]


class Samples(NamedTuple):
    """Samples that are to be shaded, of a group of L segments."""

    place: jax.Array
    """[samples + shade] i32: ``L * number + lane``, numbers counted from `first`."""
    weight: jax.Array
    """[samples + shade] f32."""
    total: jax.Array
    """[] i32: how many there are."""
    first: jax.Array
    """[] i32."""


def basis_rows(view: jax.Array, layout: RowLayout) -> jax.Array:
    """The spherical harmonics of directions [3, L] in the lanes of a colour row, [L, W].

    The spare lanes get the functions whose coefficients they hold, or 0.
    """
    values = jnp.stack(harmonics(view[0], view[1], view[2], layout.basis_dim))
    spread = np.zeros((layout.basis_dim, layout.width), np.float32)
    for function in range(layout.basis_dim):
        for channel in range(3):
            spread[function, layout.lane(function, channel)] = 1.0
    product: jax.Array = jnp.matmul(values.T, jnp.asarray(spread), precision=lax.Precision.HIGHEST)
    return product


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
    basis : [L, W] f32            `basis_rows` of the segments
    """

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        first, gathered = carry
        real = jnp.arange(shape.shade, dtype=jnp.int32) < samples.total - first
        place = lax.dynamic_slice(samples.place, (first,), (shape.shade,))
        weight = lax.dynamic_slice(samples.weight, (first,), (shape.shade,))
        lane, k = call(lambda real, place: _split(real, place, samples.first, shape), real, place)
        local = call(lambda lane, k: _position(lane, k, segments), lane, k)
        fractions, index = call(
            lambda lane, local: _cell(lane, local, segments, shape), lane, local
        )
        rows = call(lambda index: _rows(index, pool, shape), index)
        corners = call(_corner_weights, fractions)
        shown = call(lambda *args: _shown(*args, basis, pool), rows, corners, lane)
        colour = call(lambda shown, weight: _colour(shown, weight, shape), shown, weight)
        # Places beyond the list would all add zeros to one ray: on a GPU, a queue of atomics.
        ray = jnp.where(real, take(segments.ray, lane), gathered.shape[0]).astype(jnp.uint32)
        return first + shape.shade, gathered.at[ray].add(colour, mode="drop")

    start = (jnp.int32(0), gathered)
    return lax.while_loop(lambda carry: carry[0] < samples.total, body, start)[1]


def _split(
    real: jax.Array, place: jax.Array, first: jax.Array, shape: KernelShape
) -> tuple[jax.Array, jax.Array]:
    """Lane [n] i32, and number [n] f32 in its segment, of samples."""
    place = jnp.where(real, place, 0)
    return place % shape.lanes, (first + place // shape.lanes).astype(jnp.float32)


def _position(lane: jax.Array, k: jax.Array, segments: Segments) -> jax.Array:
    """Positions [3, n] of samples inside their bricks: the same operations as in the march."""
    axis = jnp.arange(3, dtype=jnp.int32)[:, None] * segments.tau.shape[0]
    at, along, top = (
        take(a.reshape(-1), axis + lane[None]) for a in (segments.at, segments.along, segments.top)
    )
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


def _shown(
    rows: jax.Array, corners: jax.Array, lane: jax.Array, basis: jax.Array, pool: Pool
) -> jax.Array:
    """Interpolated coefficients, each times its function of the ray's direction, [n, W] f32.

    A sum unrolled over the corners vectorises (19 ns a sample); einsum takes 150, multiply and
    reduce 260.
    """
    total = corners[0][:, None] * take(pool.rows, rows[0]).astype(jnp.float32)
    for corner in range(1, 8):
        row = take(pool.rows, rows[corner]).astype(jnp.float32)
        total = total + corners[corner][:, None] * row
    return total * take(basis, lane)


def _colour(shown: jax.Array, weight: jax.Array, shape: KernelShape) -> jax.Array:
    """Weight times (red, green, blue, 0) [n, 4] f32."""
    layout = shape.layout
    groups = shown.reshape(-1, layout.main, 4)
    value = groups[:, 0]
    for function in range(1, layout.main):
        value = value + groups[:, function]
    for function in range(layout.main, shape.basis_dim):
        first = 3 * (function - layout.main)
        extra = groups[:, first : first + 3, 3]
        value = value + jnp.pad(extra, ((0, 0), (0, 1)))
    channels = jnp.asarray([1.0, 1.0, 1.0, 0.0], jnp.float32)
    return jnp.maximum(value + 0.5, 0.0) * (weight[:, None] * channels[None])
