"""The integrator: brings rays through the bricks of a wave, front to back (DESIGN section 5.3).

::

    for each block of work items, all of one shell, so that no ray occurs twice:
        segments   slab test of 64 rays an item -> the samples [k0, k0 + n) of each ray in its box
        sort       the segments that are not empty, by length, into a list
        for each group of the list, until its longest segment is done:
            march      densities and transmittance of the next samples of each segment
            compact    the samples that contribute
            shade      their colours, added to their rays

Nothing in it waits for the host. Segments of similar length march together, so few of the slots
of a group run past the end of their segments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from plenostream.kernels.geometry import DIRECTION_BITS, TILE_RAYS, RayConstants
from plenostream.kernels.lanes import (
    cell_of,
    corner_offsets,
    fence,
    lerp3,
    round_to_int,
    take,
)
from plenostream.kernels.shade import shade_samples
from plenostream.kernels.state import KernelShape, Pool, RayState, WaveScalars

__all__ = ["integrate"]

_BEYOND = 1e6
"""Where the outer faces of boxes at the border of the grid are moved: positions are clamped there,
so the border's voxels reach to the end of every ray (rule 9)."""
_STEEPEST = 1e30
_LENGTH_CLASSES = 3


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
        listing = _list_segments(state, rays, pool, picked, count, scalars, shape, call)
        state = state._replace(
            counters=state.counters.at[0].add(listing.n_segments.astype(jnp.int64))
        )
        return _march_list(state, rays, pool, listing, scalars, shape, call)

    done: RayState = lax.fori_loop(jnp.int32(0), n_blocks, block, state)
    return done


class Segments(NamedTuple):
    """L segments that march together, each part of a ray in one box."""

    ray: jax.Array
    """[L] i32."""
    k_first: jax.Array
    """[L] i32: number of the segment's first sample on its ray."""
    base: jax.Array
    """[L] u32: where the brick's voxels start in the pool."""
    at: tuple[jax.Array, jax.Array, jax.Array]
    """x, y, z, each [L] f32: position of the first sample inside the brick, in cells."""
    along: tuple[jax.Array, jax.Array, jax.Array]
    """x, y, z, each [L] f32: from one sample to the next."""
    top: tuple[jax.Array, jax.Array, jax.Array]
    """x, y, z, each [L] f32: largest position inside the brick (rule 9: clamped at the border)."""
    view: tuple[jax.Array, jax.Array, jax.Array]
    """x, y, z, each [L] f32: unit direction of the ray in the world."""
    tau: jax.Array
    """[L] f32: minus the world length of a step."""


class _Listing(NamedTuple):
    """The segments of a block of items (N items of 64 rays)."""

    tile: jax.Array
    """[N] i32."""
    slot: jax.Array
    """[N] i32."""
    origin: list[jax.Array]
    """x, y, z, each [N] i32: grid coordinates of the bricks' first voxels."""
    k_first: jax.Array
    """[N * 64] i32: first sample inside the box."""
    n: jax.Array
    """[N * 64] i32: samples inside the box, 0 where there is nothing to do."""
    ids: jax.Array
    """[N * 64 + lanes] i32: places of the segments with samples, by length class."""
    n_segments: jax.Array
    """[] i32: how many."""


def _list_segments(
    state: RayState,
    rays: RayConstants,
    pool: Pool,
    picked: jax.Array,
    count: jax.Array,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> _Listing:
    """Intersect rays and boxes; list the segments with samples, by length."""
    n_items = shape.items
    present = jnp.arange(n_items, dtype=jnp.int32) < count
    tile = jnp.where(present, picked[:, 0], 0)
    slot = jnp.where(present, picked[:, 1], 0)
    origin = [take(pool.origins[:, axis], slot) for axis in range(3)]
    k_first, n = call(
        lambda present, tile, origin: _slab_test(
            state.trans, rays, picked, present, tile, origin, scalars, shape
        ),
        present,
        tile,
        origin,
    )

    # Counting sort into length classes. One product with a triangle of ones counts, for each ray
    # of an item, those before it in all classes at once: 7 bits a class in an exact float32.
    rank = (n > shape.rounds).astype(jnp.int32) + (n > 2 * shape.rounds).astype(jnp.int32)
    one = jnp.where(n > 0, jnp.int32(1) << (7 * rank), 0).astype(jnp.float32)
    triangle = jnp.triu(jnp.ones((TILE_RAYS, TILE_RAYS), jnp.float32))
    within = jnp.matmul(one, triangle, precision=lax.Precision.HIGHEST)
    totals = round_to_int(within[:, -1])
    per_class = jnp.stack([(totals >> (7 * c)) & 127 for c in range(_LENGTH_CLASSES)])
    running = jnp.cumsum(per_class.reshape(-1)).reshape(per_class.shape)
    before = running - per_class
    place = (round_to_int(within) >> (7 * rank)) & 127
    start = jnp.where(
        rank == 0, before[0][:, None], jnp.where(rank == 1, before[1][:, None], before[2][:, None])
    )
    length = n_items * TILE_RAYS + shape.lanes
    target = jnp.where(n > 0, start + place - 1, length - 1).astype(jnp.uint32)
    lanes = jnp.arange(n_items * TILE_RAYS, dtype=jnp.int32)
    ids = jnp.zeros(length, jnp.int32)
    ids = ids.at[target.reshape(-1)].set(lanes, mode="promise_in_bounds")
    return _Listing(
        tile=tile,
        slot=slot,
        origin=origin,
        k_first=k_first.reshape(-1),
        n=n.reshape(-1),
        ids=ids,
        n_segments=running[-1, -1],
    )


def _slab_test(
    trans: jax.Array,
    rays: RayConstants,
    picked: jax.Array,
    present: jax.Array,
    tile: jax.Array,
    origin: list[jax.Array],
    scalars: WaveScalars,
    shape: KernelShape,
) -> tuple[jax.Array, jax.Array]:
    """First sample and number of samples of each ray in each item's box, both [N, 64] i32."""
    enter = leave = None
    for axis in range(3):
        low = origin[axis] + ((picked[:, 2] >> (8 * axis)) & 255)
        high = origin[axis] + ((picked[:, 3] >> (8 * axis)) & 255)
        low_f = jnp.where(low == 0, -_BEYOND, low.astype(jnp.float32))[:, None]
        high_f = jnp.where(high == scalars.size[axis] - 1, _BEYOND, high.astype(jnp.float32))[
            :, None
        ]
        at = take(rays.entry[axis].reshape(-1, TILE_RAYS), tile).astype(jnp.float32)
        at = at * 2.0**-shape.entry_bits
        along = take(rays.direction[axis].reshape(-1, TILE_RAYS), tile).astype(jnp.float32)
        along = along * 2.0**-DIRECTION_BITS * scalars.step.astype(jnp.float32)
        inverse = jnp.where(along == 0.0, _STEEPEST, 1.0 / along)
        # The same plane gives the same number in every box that it bounds, so a sample lies in
        # exactly one of the boxes on either side, whatever is lost to rounding here.
        a, b = (low_f - at) * inverse, (high_f - at) * inverse
        near, far = jnp.minimum(a, b), jnp.maximum(a, b)
        enter = near if enter is None else jnp.maximum(enter, near)
        leave = far if leave is None else jnp.minimum(leave, far)
    limit = take(rays.n_samples.reshape(-1, TILE_RAYS), tile).astype(jnp.float32)
    k_first = round_to_int(jnp.ceil(jnp.clip(enter, 0.0, limit)))
    k_end = round_to_int(jnp.ceil(jnp.clip(leave, 0.0, limit)))
    light = take(trans[:-1].reshape(-1, TILE_RAYS), tile)
    alive = present[:, None] & (light > 0.0)
    return k_first, jnp.where(alive, jnp.maximum(k_end - k_first, 0), 0)


def _march_list(
    state: RayState,
    rays: RayConstants,
    pool: Pool,
    listing: _Listing,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> RayState:
    """March the listed segments, a group of `shape.lanes` at a time."""
    n_rays = state.trans.shape[0] - 1

    def group(carry: tuple[jax.Array, RayState]) -> tuple[jax.Array, RayState]:
        head, state = carry
        live = jnp.arange(shape.lanes, dtype=jnp.int32) < listing.n_segments - head
        ids = jnp.where(live, lax.dynamic_slice(listing.ids, (head,), (shape.lanes,)), 0)
        segments = call(lambda ids: _start_segments(ids, rays, listing, scalars, shape), ids)
        n = jnp.where(live, take(listing.n, ids), 0)
        longest = jnp.max(n)
        record = call(_pack_record, segments)

        def rounds(
            carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array],
        ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
            j, trans, gathered, counters = carry
            trans, weights = _march(j, trans, n - j, segments, pool, scalars, shape, call)
            listed, total = _compact(weights, shape, call)
            gathered = shade_samples(gathered, j, weights, listed, total, record, pool, shape, call)
            marched = jnp.sum(jnp.clip(n - j, 0, shape.rounds), dtype=jnp.int32)
            slots = jnp.int32(shape.rounds * shape.lanes)
            shaded = -(-total // shape.shade) * shape.shade
            counts = jnp.stack([jnp.zeros_like(total), marched, total, slots, shaded])
            return j + shape.rounds, trans, gathered, counters + counts.astype(jnp.int64)

        start = (jnp.int32(0), take(state.trans, segments.ray), state.gathered, state.counters)
        _, trans, gathered, counters = lax.while_loop(lambda c: c[0] < longest, rounds, start)
        target = jnp.where(live, segments.ray, n_rays).astype(jnp.uint32)
        whole = state.trans.at[target].set(trans, mode="promise_in_bounds")
        return head + shape.lanes, RayState(whole, gathered, counters)

    start = (jnp.int32(0), state)
    return lax.while_loop(lambda carry: carry[0] < listing.n_segments, group, start)[1]


def _start_segments(
    ids: jax.Array,
    rays: RayConstants,
    listing: _Listing,
    scalars: WaveScalars,
    shape: KernelShape,
) -> Segments:
    """Where the segments with these places in the block start, relative to their bricks."""
    item = ids // TILE_RAYS
    ray = take(listing.tile, item) * TILE_RAYS + ids % TILE_RAYS
    k_first = take(listing.k_first, ids)
    # float64 up to here (see geometry); inside a brick float32 is enough.
    length = k_first.astype(jnp.float64) * scalars.step
    at, along, top, world = [], [], [], []
    for axis in range(3):
        entry = take(rays.entry[axis], ray).astype(jnp.float64) * 2.0**-shape.entry_bits
        course = take(rays.direction[axis], ray).astype(jnp.float64) * 2.0**-DIRECTION_BITS
        corner = take(listing.origin[axis], item)
        at.append((entry - corner.astype(jnp.float64) + length * course).astype(jnp.float32))
        along.append((course * scalars.step).astype(jnp.float32))
        last = jnp.minimum(scalars.size[axis] - 1 - corner, shape.brick_size)
        top.append(last.astype(jnp.float32))
        world.append(course.astype(jnp.float32) * scalars.world_per_grid[axis])
    world_per_t = jnp.sqrt(world[0] * world[0] + world[1] * world[1] + world[2] * world[2])
    return Segments(
        ray=ray,
        k_first=k_first,
        base=take(listing.slot, item).astype(jnp.uint32) * jnp.uint32(shape.voxels),
        at=(at[0], at[1], at[2]),
        along=(along[0], along[1], along[2]),
        top=(top[0], top[1], top[2]),
        view=(world[0] / world_per_t, world[1] / world_per_t, world[2] / world_per_t),
        tau=-scalars.step.astype(jnp.float32) * world_per_t,
    )


def _pack_record(segments: Segments) -> jax.Array:
    """What shading needs of a segment, side by side: [L, 16] f32, one cache line a sample."""
    bits = [
        lax.bitcast_convert_type(v, jnp.float32)
        for v in (segments.ray, segments.base, segments.k_first)
    ]
    columns = [*segments.at, *segments.along, *segments.top, *segments.view, *bits, segments.tau]
    return jnp.stack(columns, axis=-1)


def _march(
    j: jax.Array,
    trans: jax.Array,
    left: jax.Array,
    segments: Segments,
    pool: Pool,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> tuple[jax.Array, jax.Array]:
    """Transmittance [L] after samples [j, j + rounds) and their weights [rounds, L]."""
    steps = jnp.arange(shape.rounds, dtype=jnp.int32)[:, None]

    def density(j: jax.Array, left: jax.Array, segments: Segments) -> jax.Array:
        k = (j + steps).astype(jnp.float32)
        cells, fractions = zip(
            *[
                cell_of(jnp.clip(a[None] + k * d[None], 0.0, t[None]), shape.brick_size)
                for a, d, t in zip(segments.at, segments.along, segments.top, strict=True)
            ],
            strict=True,
        )
        local = (cells[0] * shape.edge + cells[1]) * shape.edge + cells[2]
        index = segments.base[None] + local.astype(jnp.uint32)
        corners = [
            take(pool.density, index + jnp.uint32(offset)).astype(jnp.float32)
            for offset in corner_offsets(shape.edge)
        ]
        sigma = lerp3(corners, *fractions)
        counts = (sigma > scalars.sigma_thresh) & (steps < left[None])
        return jnp.where(counts, sigma, 0.0)

    sigma = call(density, j, left, segments)
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
        left = jnp.where(light[-1] >= scalars.stop_thresh, light[-1], -last_counted)
        return jnp.where(trans > 0.0, left, trans), jnp.where(counts, before - after, 0.0)

    ended, weights = call(weigh, depth, sigma, trans, segments.tau)
    return ended, weights


def _compact(
    weights: jax.Array, shape: KernelShape, call: Callable[..., Any]
) -> tuple[jax.Array, jax.Array]:
    """Places (round * lanes + lane) of the weights above zero, segment by segment, and how many."""
    above = (weights > 0.0).astype(jnp.float32)
    lower = jnp.tril(jnp.ones((shape.rounds, shape.rounds), jnp.float32))
    within = jnp.matmul(lower, above, precision=lax.Precision.HIGHEST)
    side = 64
    triangle = jnp.triu(jnp.ones((side, side), jnp.float32))
    # The barrier keeps XLA from putting two products into one GPU kernel, for which it finds no
    # tiles (compute capabilities 9.0 and 12.0).
    per_lane = lax.optimization_barrier(within[-1].reshape(-1, side))  # type: ignore[no-untyped-call]
    in_row = jnp.matmul(per_lane, triangle, precision=lax.Precision.HIGHEST)
    rows = jnp.cumsum(in_row[:, -1])
    before = (in_row - per_lane + (rows - in_row[:, -1])[:, None]).reshape(-1)
    total = round_to_int(rows[-1])
    n = shape.rounds * shape.lanes

    def places(above: jax.Array, within: jax.Array, before: jax.Array) -> jax.Array:
        spot = round_to_int(within + (before[None] - 1.0))
        return jnp.where(above > 0.0, spot, n + shape.shade - 1).astype(jnp.uint32)

    target = call(places, above, within, before)
    listed = jnp.zeros(n + shape.shade, jnp.int32)
    order = jnp.arange(n, dtype=jnp.int32)
    return listed.at[target.reshape(-1)].set(order, mode="promise_in_bounds"), total
