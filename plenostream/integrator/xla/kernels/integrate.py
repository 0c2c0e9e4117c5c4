"""The integrator: brings rays through the bricks of a wave, front to back.

::

    for each block of work items, all of one shell, so that no ray occurs twice:
        segments   slab test of 64 rays an item -> the samples [k0, k0 + n) of each ray in its box
        sort       the segments that are not empty, by length, into a list
        for each group of the list, until its longest segment is done:
            march      densities and transmittance of the next samples of each segment
            compact    the samples that contribute, into a list
            shade      their colours, added to their rays, when all is marched or the list full

Nothing in it waits for the host. Segments of equal length march together, so few of the slots of a
group run past the end of their segments; and what a group shades is shaded together, so few of the
blocks of samples are less than full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from plenostream.integrator.xla.kernels.geometry import RayConstants
from plenostream.integrator.xla.kernels.lanes import fence, take
from plenostream.integrator.xla.kernels.march import compact, march
from plenostream.integrator.xla.kernels.segments import Listing, list_segments, start_segments
from plenostream.integrator.xla.kernels.shade import Samples, basis_rows, shade_samples
from plenostream.integrator.xla.kernels.state import KernelShape, Pool, RayState, WaveScalars

__all__ = ["integrate"]


class _Lit(NamedTuple):
    """How far a group of L segments is, and what it has gathered beside colours."""

    j: jax.Array
    """[] i32: sample of the segments that comes next."""
    trans: jax.Array
    """[L] f32."""
    left: jax.Array | None
    """[L] f32, see `RayState.left`."""
    depth: jax.Array
    """[L] f32: the sum of weight times number inside the segment."""
    aovs: jax.Array | None
    """[E, L] f32, see `RayState.aovs`."""


def integrate(
    state: RayState,
    rays: RayConstants,
    pool: Pool,
    items: jax.Array,
    blocks: jax.Array,
    n_blocks: jax.Array,
    scalars: WaveScalars,
    *,
    shape: KernelShape,
) -> RayState:
    """Advance the rays through the boxes that `items` name.

    Parameters
    ----------
    state : RayState        donated
    rays, pool              constant
    items : [N, 4] i32      see `state.ITEM_COLUMNS`, in blocks of one shell each, front to back
    blocks : [M, 2] i32     first item and number of items (at most `shape.items`) of each block
    n_blocks : [] i32       how many of the blocks there are
    scalars : WaveScalars

    Notes
    -----
    T <- T exp(-sigma step world_per_t). Source: svox2 `render_lerp_kernel_cuvol.cu`,
    trace_ray_cuvol. Oracle: `reference.render_rays`.
    """
    call = fence(shape.fences, n_blocks > 0)

    def block(number: jax.Array, state: RayState) -> RayState:
        first, count = blocks[number, 0], blocks[number, 1]
        picked = lax.dynamic_slice(items, (first, jnp.int32(0)), (shape.items, items.shape[1]))
        listing = list_segments(state.trans, rays, pool, picked, count, scalars, shape, call)
        return _march_listing(state, rays, pool, listing, scalars, shape, call)

    done: RayState = lax.fori_loop(jnp.int32(0), n_blocks, block, state)
    return done


def _march_listing(
    state: RayState,
    rays: RayConstants,
    pool: Pool,
    listing: Listing,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> RayState:
    """March and shade the listed segments, a group of `shape.lanes` at a time."""
    n_rays = state.trans.shape[0] - 1
    room = shape.span * shape.lanes + shape.shade

    def group(carry: tuple[jax.Array, RayState]) -> tuple[jax.Array, RayState]:
        head, state = carry
        live = jnp.arange(shape.lanes, dtype=jnp.int32) < listing.n_segments - head
        ids = jnp.where(live, lax.dynamic_slice(listing.ids, (head,), (shape.lanes,)), 0)
        segments = start_segments(ids, rays, listing, scalars, shape, call)
        basis = basis_rows(call(take, rays.basis, segments.ray), shape.layout, call)
        n = jnp.where(live, take(listing.n, ids), 0)
        longest = jnp.max(n)
        before = take(state.trans, segments.ray)
        left = None if state.left is None else take(state.left, segments.ray)

        def round_(carry: tuple[_Lit, Samples]) -> tuple[_Lit, Samples]:
            (j, trans, left, depth, aovs), samples = carry
            done = march(j, trans, left, aovs, n - j, segments, pool, scalars, shape, call)
            spots, n_spots = compact(done.weights, shape, call)
            target = jnp.where(spots >= 0, samples.total + spots, room - 1)
            target = target.astype(jnp.uint32).reshape(-1)
            row = j - samples.first
            places = jnp.arange(shape.rounds * shape.lanes, dtype=jnp.int32) + row * shape.lanes
            samples = samples._replace(
                weights=lax.dynamic_update_slice_in_dim(samples.weights, done.weights, row, axis=0),
                corner=lax.dynamic_update_slice_in_dim(samples.corner, done.corner, row, axis=0),
                listed=samples.listed.at[target].set(places, mode="promise_in_bounds"),
                total=samples.total + n_spots,
            )
            numbers = depth + done.numbers
            lit = _Lit(j + shape.rounds, done.trans, done.left, numbers, done.aovs)
            return lit, samples

        def fits(carry: tuple[_Lit, Samples]) -> jax.Array:
            lit, samples = carry
            return (lit.j < longest) & (lit.j - samples.first < shape.span)

        def fill_and_shade(
            carry: tuple[_Lit, jax.Array, jax.Array],
        ) -> tuple[_Lit, jax.Array, jax.Array]:
            lit, gathered, shaded = carry
            empty = Samples(
                weights=jnp.zeros((shape.span, shape.lanes), jnp.float32),
                corner=jnp.zeros((shape.span, shape.lanes), jnp.uint32),
                first=lit.j,
                listed=jnp.zeros(room, jnp.int32),
                total=jnp.int32(0),
            )
            lit, samples = lax.while_loop(fits, round_, (lit, empty))
            gathered = shade_samples(gathered, samples, segments, basis, pool, shape, call)
            slots = -(-samples.total // shape.shade) * shape.shade
            return lit, gathered, shaded + jnp.stack([samples.total, slots])

        aovs = None if state.aovs is None else take(state.aovs, segments.ray).T
        unlit = _Lit(jnp.int32(0), before, left, jnp.zeros(shape.lanes, jnp.float32), aovs)
        (j, trans, left, depth, aovs), gathered, shaded = lax.while_loop(
            lambda carry: carry[0].j < longest,
            fill_and_shade,
            (unlit, state.gathered, jnp.zeros(2, jnp.int32)),
        )
        target = jnp.where(live, segments.ray, n_rays).astype(jnp.uint32)
        # The weights of a segment's samples add up to what its light has lost, see `RayState`.
        depth = depth + segments.k_first.astype(jnp.float32) * (before - jnp.abs(trans))
        counts = jnp.stack(
            [
                jnp.minimum(listing.n_segments - head, shape.lanes),
                jnp.sum(n, dtype=jnp.int32),
                shaded[0],
                j * shape.lanes,
                shaded[1],
            ]
        )
        if state.left is not None:
            left = state.left.at[target].set(left, mode="promise_in_bounds")
        if state.aovs is not None and aovs is not None:
            aovs = state.aovs.at[target].set(aovs.T, mode="promise_in_bounds")
        return head + shape.lanes, RayState(
            trans=state.trans.at[target].set(trans, mode="promise_in_bounds"),
            left=left,
            aovs=aovs,
            gathered=gathered.at[target, 3].add(depth, mode="promise_in_bounds"),
            counters=state.counters + counts.astype(jnp.int64),
        )

    start = (jnp.int32(0), state)
    return lax.while_loop(lambda carry: carry[0] < listing.n_segments, group, start)[1]
