"""Colours: the coefficients of the samples that contribute, blended and added to their rays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.kernels.lanes import cell_of, corner_offsets, take
from plenostream.integrator.xla.kernels.segments import Segments
from plenostream.integrator.xla.kernels.state import RANKED, KernelShape, Pool, RowLayout

__all__ = ["Samples", "basis_rows", "corner_rows", "shade_samples"]


class Samples(NamedTuple):
    """Samples that are to be shaded, of a group of L segments."""

    weights: jax.Array
    """[span, L] f32: of the samples of each segment, from number `first` on."""
    corner: jax.Array
    """[span, L] u32: first corner of each in the pool."""
    first: jax.Array
    """[] i32."""
    listed: jax.Array
    """[span * L + shade] i32: places in `weights` of those that contribute."""
    total: jax.Array
    """[] i32: how many there are."""


def basis_rows(values: jax.Array, layout: RowLayout, call: Callable[..., Any]) -> jax.Array:
    """Functions [L, basis_dim] of the rays of segments, in the lanes of a colour row: [L, W]."""

    def spread(values: jax.Array) -> jax.Array:
        # A sum over the functions vectorises; a product of matrices or a gather takes three times
        # as long.
        lanes = np.array(layout.functions)
        total = jnp.zeros((values.shape[0], layout.width), jnp.float32)
        for function in range(layout.basis_dim):
            here = jnp.asarray(lanes == function, jnp.float32)
            total = total + values[:, function, None] * here[None]
        return total

    rows: jax.Array = call(spread, values)
    return rows


def shade_samples(
    gathered: jax.Array,
    samples: Samples,
    segments: Segments,
    basis: jax.Array,
    pool: Pool,
    shape: KernelShape,
    call: Callable[..., Any],
) -> jax.Array:
    """Add weight * colour of the listed samples to their rays (`docs/rules.md`, rules 12 and 13).

    Parameters
    ----------
    gathered : [R + 1, 4] f32     see `RayState.gathered`; its last column is left as it is
    basis : [L, W] f32            `basis_rows` of the segments
    """

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        first, gathered = carry
        real = jnp.arange(shape.shade, dtype=jnp.int32) < samples.total - first
        place = lax.dynamic_slice(samples.listed, (first,), (shape.shade,))
        place = jnp.where(real, place, 0)
        lane, k, weight, index = call(lambda place: _split(place, samples, shape), place)
        fractions = call(lambda lane, k: _fractions(lane, k, segments, shape), lane, k)
        rows = corner_rows(index, pool, shape, call)
        corners = call(_corner_weights, fractions)
        products = call(
            lambda rows, corners, lane: _products(rows, corners, lane, basis, pool.rows),
            rows,
            corners,
            lane,
        )
        colour = call(
            lambda products, weight: _colour(products, weight, shape.layout), products, weight
        )
        # Places beyond the list would all add zeros to one ray: on a GPU, a queue of atomics.
        ray = jnp.where(real, take(segments.ray, lane), gathered.shape[0]).astype(jnp.uint32)
        return first + shape.shade, gathered.at[ray].add(colour, mode="drop")

    start = (jnp.int32(0), gathered)
    return lax.while_loop(lambda carry: carry[0] < samples.total, body, start)[1]


def _split(
    place: jax.Array, samples: Samples, shape: KernelShape
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Lane [n] i32, number [n] f32 in its segment, weight [n] f32 and first corner [n] u32."""
    k = (samples.first + place // shape.lanes).astype(jnp.float32)
    weight, index = (take(a.reshape(-1), place) for a in (samples.weights, samples.corner))
    return place % shape.lanes, k, weight, index


def _fractions(lane: jax.Array, k: jax.Array, segments: Segments, shape: KernelShape) -> jax.Array:
    """Where samples are inside their cells, [3, n] f32: the same operations as in the march."""
    axis = jnp.arange(3, dtype=jnp.int32)[:, None] * shape.lanes + lane[None]
    at, along, top = (
        take(a.reshape(-1), axis) for a in (segments.at, segments.along, segments.top)
    )
    return cell_of(jnp.clip(at + k[None] * along, 0.0, top), shape.brick_size)[1]


def corner_rows(
    index: jax.Array, pool: Pool, shape: KernelShape, call: Callable[..., Any]
) -> jax.Array:
    """Colour rows [8, n] u32 of the corners of samples [n]; 0 where a corner has none."""
    offsets = jnp.asarray(corner_offsets(shape.edge), jnp.uint32)

    def words(index: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        slot = index // jnp.uint32(shape.voxels)
        voxel = (index - slot * shape.voxels)[None] + offsets[:, None]
        start = slot * shape.ranks
        return take(pool.ranks, start[None] + voxel // RANKED), voxel % RANKED, start

    def ranks(word: jax.Array, bit: jax.Array) -> jax.Array:
        below = (jnp.uint32(1) << bit) - 1
        return (word >> RANKED) + lax.population_count(word & below)

    def rows(word: jax.Array, bit: jax.Array, rank: jax.Array, start: jax.Array) -> jax.Array:
        page = take(pool.pages, start[None] + rank // PAGE_ROWS)
        return jnp.where((word >> bit) & 1 == 1, page * PAGE_ROWS + rank % PAGE_ROWS, 0)

    word, bit, start = call(words, index)
    found: jax.Array = call(rows, word, bit, call(ranks, word, bit), start)
    return found


def _corner_weights(fractions: jax.Array) -> jax.Array:
    """Trilinear weights [8, n] f32 of the corners of samples."""
    weights = jnp.ones((8, fractions.shape[1]), jnp.float32)
    for axis in range(3):
        # f at the upper corners of this axis, 1 - f at the lower: affine in the corner's bit, so
        # that all eight are one vectorised loop; stacking eight products is not (15 us a block).
        bit = jnp.asarray([corner >> (2 - axis) & 1 for corner in range(8)], jnp.float32)[:, None]
        weights = weights * ((1.0 - bit) + (2.0 * bit - 1.0) * fractions[axis][None])
    return weights


def _products(
    rows: jax.Array, corners: jax.Array, lane: jax.Array, basis: jax.Array, table: jax.Array
) -> jax.Array:
    """Interpolated coefficients, each times its function of the ray's direction, [n, W] f32.

    A sum unrolled over the corners vectorises (19 ns a sample); einsum takes 150, multiply and
    reduce 260.
    """
    total = corners[0][:, None] * take(table, rows[0]).astype(jnp.float32)
    for corner in range(1, 8):
        row = take(table, rows[corner]).astype(jnp.float32)
        total = total + corners[corner][:, None] * row
    return total * take(basis, lane)


def _colour(products: jax.Array, weight: jax.Array, layout: RowLayout) -> jax.Array:
    """Weight times (red, green, blue, 0) [n, 4] f32."""
    value = products[:, :4]
    for function in range(1, layout.basis_dim):
        value = value + products[:, 3 * function : 3 * function + 4]
    channels = jnp.asarray([1.0, 1.0, 1.0, 0.0], jnp.float32)
    return jnp.maximum(value + 0.5, 0.0) * (weight[:, None] * channels[None])
