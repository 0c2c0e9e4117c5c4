"""Segments: the parts of rays in boxes, found by slab tests, listed by length, and set up to march."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.xla.kernels.geometry import DIRECTION_BITS, RayConstants
from plenostream.integrator.xla.kernels.lanes import round_to_int, take
from plenostream.integrator.xla.kernels.state import KernelShape, Pool, WaveScalars

__all__ = ["Listing", "Segments", "list_segments", "start_segments"]

_BEYOND = 1e6
"""Where the outer faces of boxes at the border of the grid are moved: positions are clamped there,
so the border's voxels reach to the end of every ray (`docs/rules.md`, rule 9)."""
_STEEPEST = 1e30
_CLASSES_AT_ONCE = 3
"""Counters of 7 bits that a float32 holds exactly."""


class Listing(NamedTuple):
    """The segments of a block of items (N items of 64 rays)."""

    tile: jax.Array
    """[N] i32."""
    slot: jax.Array
    """[N] i32."""
    origin: jax.Array
    """[3, N] i32: grid coordinates of the bricks' first voxels."""
    k_first: jax.Array
    """[N * 64] i32: first sample inside the box."""
    n: jax.Array
    """[N * 64] i32: samples inside the box, 0 where there is nothing to do."""
    ids: jax.Array
    """[N * 64 + lanes] i32: places of the segments with samples, by length class."""
    n_segments: jax.Array
    """[] i32: how many."""


class Segments(NamedTuple):
    """L segments that march together, each part of a ray in one box."""

    ray: jax.Array
    """[L] i32."""
    k_first: jax.Array
    """[L] i32: number of the segment's first sample on its ray."""
    last: jax.Array
    """[L] i32: number of the ray's last sample, counted from the segment's first."""
    base: jax.Array
    """[L] u32: where the brick's voxels start in the pool."""
    at: jax.Array
    """[3, L] f32: position of the first sample inside the brick, in cells."""
    along: jax.Array
    """[3, L] f32: from one sample to the next."""
    top: jax.Array
    """[3, L] f32: largest position inside the brick (clamped at the border: `docs/rules.md`, rule 9)."""
    tau: jax.Array
    """[L] f32: minus the length of a step, in `WaveScalars.unit`."""


def list_segments(
    trans: jax.Array,
    rays: RayConstants,
    pool: Pool,
    picked: jax.Array,
    count: jax.Array,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> Listing:
    """Intersect rays and boxes; list the segments with samples, by length.

    Parameters
    ----------
    trans : [R + 1] f32        of the rays; those that have ended get no segments
    picked : [N, 4] i32        items, see `state.ITEM_COLUMNS`
    count : [] i32             how many of them there are
    """
    n_items = shape.items
    present = jnp.arange(n_items, dtype=jnp.int32) < count
    tile = jnp.where(present, picked[:, 0], 0)
    slot = jnp.where(present, picked[:, 1], 0)
    origin = jnp.stack([take(pool.origins[:, axis], slot) for axis in range(3)])
    k_first, n = call(
        lambda present, tile, origin: _slab_test(
            trans, rays, picked, present, tile, origin, scalars, shape
        ),
        present,
        tile,
        origin,
    )
    place, total = _places_by_length(n, shape, call)
    length = n_items * TILE_RAYS + shape.lanes
    target = jnp.where(place >= 0, place, length - 1).astype(jnp.uint32)
    lanes = jnp.arange(n_items * TILE_RAYS, dtype=jnp.int32)
    ids = jnp.zeros(length, jnp.int32)
    ids = ids.at[target.reshape(-1)].set(lanes, mode="promise_in_bounds")
    return Listing(
        tile=tile,
        slot=slot,
        origin=origin,
        k_first=k_first.reshape(-1),
        n=n.reshape(-1),
        ids=ids,
        n_segments=total,
    )


def _places_by_length(
    n: jax.Array, shape: KernelShape, call: Callable[..., Any]
) -> tuple[jax.Array, jax.Array]:
    """Places [N, 64] in a list that is sorted by the rounds each segment takes (-1: not in it), and
    the list's length.

    A counting sort. A product with a triangle of ones counts, for each ray of an item, those
    before it, in three classes at once: 7 bits a class in an exact float32.
    """
    n_classes = shape.length_classes

    def classify(n: jax.Array) -> jax.Array:
        rank = jnp.where(n > 0, jnp.int32(0), jnp.int32(-1))
        for c in range(1, n_classes):
            rank = rank + (n > c * shape.rounds).astype(jnp.int32)
        return rank

    rank = call(classify, n)
    triangle = jnp.triu(jnp.ones((TILE_RAYS, TILE_RAYS), jnp.float32))
    per_class, counts = [], []
    for first in range(0, n_classes, _CLASSES_AT_ONCE):

        def digits(rank: jax.Array, first: int = first) -> jax.Array:
            one = jnp.zeros_like(rank)
            for c in range(_CLASSES_AT_ONCE):
                one = jnp.where(rank == first + c, 1 << (7 * c), one)
            return one.astype(jnp.float32)

        product = jnp.matmul(call(digits, rank), triangle, precision=lax.Precision.HIGHEST)
        counts.append(product)
        ends = round_to_int(product[:, -1])
        classes = range(min(_CLASSES_AT_ONCE, n_classes - first))
        per_class += [(ends >> (7 * c)) & 127 for c in classes]
    totals = jnp.stack(per_class)
    running = jnp.cumsum(totals.reshape(-1), dtype=jnp.int32).reshape(totals.shape)

    def places(rank: jax.Array, before: jax.Array, *counts: jax.Array) -> jax.Array:
        place = jnp.full_like(rank, -1)
        for c in range(n_classes):
            at_once, digit = divmod(c, _CLASSES_AT_ONCE)
            within = (round_to_int(counts[at_once]) >> (7 * digit)) & 127
            place = jnp.where(rank == c, before[c][:, None] + within - 1, place)
        return place

    return call(places, rank, running - totals, *counts), running[-1, -1]


def _slab_test(
    trans: jax.Array,
    rays: RayConstants,
    picked: jax.Array,
    present: jax.Array,
    tile: jax.Array,
    origin: jax.Array,
    scalars: WaveScalars,
    shape: KernelShape,
) -> tuple[jax.Array, jax.Array]:
    """First sample and number of samples of each ray in each item's box, both [N, 64] i32."""
    n_tiles = rays.n_samples.shape[0] // TILE_RAYS
    row = jnp.arange(3, dtype=jnp.int32)[:, None] * n_tiles + tile[None]
    shift = jnp.asarray([0, 8, 16], jnp.int32)[:, None]
    low = origin + ((picked[None, :, 2] >> shift) & 255)
    high = origin + ((picked[None, :, 3] >> shift) & 255)
    last = scalars.size[:, None] - 1
    low_f = jnp.where(low == 0, -_BEYOND, low.astype(jnp.float32))[:, :, None]
    high_f = jnp.where(high == last, _BEYOND, high.astype(jnp.float32))[:, :, None]
    at = take(rays.entry.reshape(-1, TILE_RAYS), row).astype(jnp.float32)
    at = at * 2.0**-shape.entry_bits
    along = take(rays.direction.reshape(-1, TILE_RAYS), row).astype(jnp.float32)
    along = along * 2.0**-DIRECTION_BITS * scalars.step.astype(jnp.float32)
    inverse = jnp.where(along == 0.0, _STEEPEST, 1.0 / along)
    # The same plane gives the same number in every box that it bounds, so a sample lies in
    # exactly one of the boxes on either side, whatever is lost to rounding here.
    a, b = (low_f - at) * inverse, (high_f - at) * inverse
    near, far = jnp.minimum(a, b), jnp.maximum(a, b)
    enter = jnp.maximum(jnp.maximum(near[0], near[1]), near[2])
    leave = jnp.minimum(jnp.minimum(far[0], far[1]), far[2])
    limit = take(rays.n_samples.reshape(-1, TILE_RAYS), tile).astype(jnp.float32)
    k_first = round_to_int(jnp.ceil(jnp.clip(enter, 0.0, limit)))
    k_end = round_to_int(jnp.ceil(jnp.clip(leave, 0.0, limit)))
    light = take(trans[:-1].reshape(-1, TILE_RAYS), tile)
    alive = present[:, None] & (light > 0.0)
    return k_first, jnp.where(alive, jnp.maximum(k_end - k_first, 0), 0)


def start_segments(
    ids: jax.Array,
    rays: RayConstants,
    listing: Listing,
    scalars: WaveScalars,
    shape: KernelShape,
    call: Callable[..., Any],
) -> Segments:
    """Where the segments with these places in the block [L] start, relative to their bricks."""
    n_rays, n_items = rays.n_samples.shape[0], shape.items
    axis = jnp.arange(3, dtype=jnp.int32)[:, None]

    def look_up(ids: jax.Array) -> tuple[jax.Array, ...]:
        item = ids // TILE_RAYS
        ray = take(listing.tile, item) * TILE_RAYS + ids % TILE_RAYS
        return item, ray, take(listing.k_first, ids), take(listing.slot, item)

    def look_up_axes(item: jax.Array, ray: jax.Array) -> tuple[jax.Array, ...]:
        return (
            take(rays.entry.reshape(-1), axis * n_rays + ray[None]),
            take(rays.direction.reshape(-1), axis * n_rays + ray[None]),
            take(listing.origin.reshape(-1), axis * n_items + item[None]),
        )

    def place(
        k_first: jax.Array, entry: jax.Array, course: jax.Array, corner: jax.Array
    ) -> tuple[jax.Array, ...]:
        # float64 up to here (see geometry); inside a brick float32 is enough.
        length = k_first.astype(jnp.float64) * scalars.step
        course = course.astype(jnp.float64) * 2.0**-DIRECTION_BITS
        start = entry.astype(jnp.float64) * 2.0**-shape.entry_bits - corner.astype(jnp.float64)
        at = (start + length[None] * course).astype(jnp.float32)
        along = (course * scalars.step).astype(jnp.float32)
        last = jnp.minimum(scalars.size[:, None] - 1 - corner, shape.brick_size)
        return at, along, last.astype(jnp.float32)

    def step_length(course: jax.Array) -> jax.Array:
        unit = course.astype(jnp.float32) * 2.0**-DIRECTION_BITS
        way = unit * scalars.units_per_grid[:, None]
        x, y, z = way[0], way[1], way[2]
        return -scalars.step.astype(jnp.float32) * jnp.sqrt(x * x + y * y + z * z)

    item, ray, k_first, slot = call(look_up, ids)
    entry, course, corner = call(look_up_axes, item, ray)
    at, along, top = call(place, k_first, entry, course, corner)
    tau = call(step_length, course)
    last = take(rays.n_samples, ray) - k_first - 1
    base = slot.astype(jnp.uint32) * jnp.uint32(shape.voxels)
    return Segments(ray, k_first, last, base, at, along, top, tau)
