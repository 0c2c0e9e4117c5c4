"""The march: densities along segments, transmittance, and which samples are to be shaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from plenostream.integrator.interface import Light
from plenostream.integrator.xla.kernels.aovs import gather_aovs, slopes_at
from plenostream.integrator.xla.kernels.lanes import (
    cell_of,
    corner_offsets,
    lerp3,
    round_to_int,
    take,
    unpair,
)
from plenostream.integrator.xla.kernels.segments import Segments
from plenostream.integrator.xla.kernels.state import KernelShape, Pool, WaveScalars

__all__ = ["Marched", "compact", "march"]

_SIDE = 64


class Marched(NamedTuple):
    """What some samples of L segments did."""

    trans: jax.Array
    """[L] f32: see `RayState.trans`."""
    left: jax.Array | None
    """[L] f32: see `RayState.left`."""
    weights: jax.Array
    """[rounds, L] f32: of the samples' colours."""
    corner: jax.Array
    """[rounds, L] u32: their first corners in the pool."""
    numbers: jax.Array
    """[L] f32: the sum of weight, as depth counts it, times number inside the segment."""
    aovs: jax.Array | None
    """[E, L] f32: see `kernels.aovs`."""


def march(
    j: jax.Array,
    trans: jax.Array,
    behind: jax.Array | None,
    aovs: jax.Array | None,
    left: jax.Array,
    segments: Segments,
    pool: Pool,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> Marched:
    """Take samples [j, j + rounds) of each segment, of which it has `left` [L].

    `trans` [L] and `behind` [L] are the light left before them: `RayState.trans` and `RayState.left`;
    `aovs` [E, L] is what was gathered before.
    """
    steps = jnp.arange(shape.rounds, dtype=jnp.int32)[:, None]
    offsets = jnp.asarray(corner_offsets(shape.edge)[::2], jnp.uint32)[:, None, None]

    def places(j: jax.Array, s: Segments) -> tuple[jax.Array, jax.Array]:
        k = (j + steps).astype(jnp.float32)[None]
        x = jnp.clip(s.at[:, None] + k * s.along[:, None], 0.0, s.top[:, None])
        return cell_of(x, shape.brick_size)

    def index(j: jax.Array, s: Segments) -> jax.Array:
        cells, _ = places(j, s)
        local = (cells[0] * shape.edge + cells[1]) * shape.edge + cells[2]
        return s.base[None] + local.astype(jnp.uint32)

    def density(words: jax.Array, j: jax.Array, left: jax.Array, s: Segments) -> jax.Array:
        _, fractions = places(j, s)
        corners = [value for word in words for value in unpair(word)]
        sigma = lerp3(corners, fractions[0], fractions[1], fractions[2])
        counts = (sigma > scalars.sigma_thresh) & (steps < left[None])
        return jnp.where(counts, sigma, 0.0)

    first = call(index, j, segments)
    words = call(lambda first: take(pool.density, first[None] + offsets), first)
    sigma = call(density, words, j, left, segments)
    # A product with a triangle: a running sum that is also a boundary for XLA's fusion.
    triangle = jnp.tril(jnp.ones((shape.rounds + 1, shape.rounds), jnp.float32), -1)
    depth = jnp.matmul(triangle, sigma, precision=lax.Precision.HIGHEST)

    def weigh(
        depth: jax.Array, sigma: jax.Array, trans: jax.Array, tau: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        light = jnp.exp(depth * tau[None]) * trans[None]
        before, after = light[:-1], light[1:]
        counts = (sigma > 0.0) & (before >= scalars.stop_thresh)
        # Negative: the ray has ended, with that much light left (see `RayState`). Samples after
        # the one that ended it count no more, here as little as in later rounds.
        last_counted = jnp.max(jnp.where(light < scalars.stop_thresh, light, 0.0), axis=0)
        remains = jnp.where(light[-1] >= scalars.stop_thresh, light[-1], -last_counted)
        return jnp.where(trans > 0.0, remains, trans), jnp.where(counts, before - after, 0.0)

    ended, weights = call(weigh, depth, sigma, trans, segments.tau)
    numbers = jnp.sum(weights * (j + steps).astype(jnp.float32), axis=0)
    if aovs is not None:
        light = call(_light, depth, segments.tau, trans)
        number = segments.k_first[None] + j + steps
        slopes = None
        if "normals" in shape.aovs.names:
            k = (j + steps).astype(jnp.float32)
            slopes = slopes_at(k, segments, pool, shape, call)
        gather = partial(gather_aovs, scalars=scalars, aovs=shape.aovs)
        aovs = call(gather, aovs, number, sigma, light, slopes)
    if shape.light is Light.ADDS_UP:
        before = call(lambda depth, tau: jnp.exp(depth[:-1] * tau[None]), depth, segments.tau)
        sigma = jnp.where(before * trans[None] >= scalars.stop_thresh, sigma, 0.0)
        behind, weights = call(_add_up, sigma, behind, ended, segments.tau)
    elif shape.light is Light.OPAQUE_END:
        is_last = j + steps == segments.last[None]
        end_opaque = partial(_end_opaque, scalars)
        there, weights = call(end_opaque, sigma, weights, trans, ended, is_last)
        assert behind is not None
        behind = jnp.where(j > segments.last, behind, there)
    return Marched(ended, behind, weights, first, numbers, aovs)


def _light(depth: jax.Array, tau: jax.Array, trans: jax.Array) -> jax.Array:
    return jnp.exp(depth * tau[None]) * trans[None]


def _add_up(
    sigma: jax.Array, left: jax.Array, ended: jax.Array, tau: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Light left [L] of `left` after samples of densities [rounds, L] whose opacities add up, and
    their weights (`docs/rules.md`, rule 28). Nothing is left of a ray that has `ended`."""
    weights = []
    for density in sigma:
        weights.append(jnp.minimum(-jnp.expm1(density * tau), left))
        left = left - weights[-1]
    return jnp.where(ended > 0.0, left, 0.0), jnp.stack(weights)


def _end_opaque(
    scalars: WaveScalars,
    sigma: jax.Array,
    weights: jax.Array,
    trans: jax.Array,
    ended: jax.Array,
    is_last: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Light left [L] after samples of densities [rounds, L], and their weights, where the one that
    `is_last` [rounds, L] of its ray is `opaque_length` long (`docs/rules.md`, rule 25); `weights`
    [rounds, L], and `trans` [L] before and `ended` [L] after, are as depth has them."""
    # The last sample finds what those before it have not taken.
    before = trans - jnp.sum(jnp.where(is_last, 0.0, weights), axis=0)
    density = jnp.sum(jnp.where(is_last, sigma, 0.0), axis=0)
    hides = (density > 0.0) & (trans > 0.0) & (before >= scalars.stop_thresh)
    rest = before * jnp.exp(-density * scalars.opaque_length)
    left = jnp.where(rest < scalars.stop_thresh, 0.0, rest)
    weights = jnp.where(is_last & hides[None], (before - rest)[None], weights)
    return jnp.where(hides, left, ended), weights


def compact(
    weights: jax.Array, shape: KernelShape, call: Callable[..., Any]
) -> tuple[jax.Array, jax.Array]:
    """Places [rounds, L] i32 of the weights above zero in a list of them, segment by segment, and
    how many there are; -1 for the others."""
    above = (weights > 0.0).astype(jnp.float32)
    lower = jnp.tril(jnp.ones((shape.rounds, shape.rounds), jnp.float32))
    within = jnp.matmul(lower, above, precision=lax.Precision.HIGHEST)
    triangle = jnp.triu(jnp.ones((_SIDE, _SIDE), jnp.float32))
    # The barrier keeps XLA from putting two products into one GPU kernel, for which it finds no
    # tiles (compute capabilities 9.0 and 12.0).
    per_lane = lax.optimization_barrier(within[-1].reshape(-1, _SIDE))  # type: ignore[no-untyped-call]
    in_row = jnp.matmul(per_lane, triangle, precision=lax.Precision.HIGHEST)
    rows = jnp.cumsum(in_row[:, -1])
    before = (in_row - per_lane + (rows - in_row[:, -1])[:, None]).reshape(-1)

    def places(above: jax.Array, within: jax.Array, before: jax.Array) -> jax.Array:
        spot = round_to_int(within + (before[None] - 1.0))
        return jnp.where(above > 0.0, spot, -1)

    return call(places, above, within, before), round_to_int(rows[-1])
