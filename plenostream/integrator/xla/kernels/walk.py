"""Which blocks arbitrary rays pass through: a walk over the block grid, many rays at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from plenostream.field.grid import BLOCK_SIZE
from plenostream.integrator.xla.kernels.geometry import DIRECTION_BITS, RayConstants
from plenostream.integrator.xla.kernels.lanes import take

__all__ = ["packet_keys", "walk_blocks"]

_STEEPEST = 1e30


def packet_keys(rays: RayConstants, *, bits: int) -> jax.Array:
    """Sort keys [R] i64: rays with equal signs of direction side by side, then by entry.

    The octant (3 bits; a direction of 0 counts as positive) lies above a Morton code of the entry
    block; rays that miss come last. Packets cut from this order are narrow.
    """
    octant = jnp.zeros(rays.n_samples.shape, jnp.int64)
    code = jnp.zeros(rays.n_samples.shape, jnp.int64)
    for axis in range(3):
        octant = octant | ((rays.direction[axis] < 0).astype(jnp.int64) << axis)
        block = jnp.maximum(rays.entry[axis] >> bits, 0).astype(jnp.int64) // (BLOCK_SIZE // 2)
        for bit in range(10):
            code = code | (((block >> bit) & 1) << (3 * bit + axis))
    key = (octant << 32) | code
    return jnp.where(rays.n_samples > 0, key, jnp.int64(8) << 32)


def walk_blocks(
    rays: RayConstants,
    occupied: jax.Array,
    shape: jax.Array,
    step: jax.Array,
    *,
    bits: int,
    most: int,
) -> jax.Array:
    """The occupied blocks that each of n rays passes, in order.

    Parameters
    ----------
    rays : [n] each
    occupied : [words] u32   bit b of word w: block 32 w + b, in C order of the block grid
    shape : [3] i32          blocks per axis
    step : [] f64            grid units between samples
    bits, most : int         `entry_bits`; steps to take, the sum of `shape` is enough (static)

    Returns
    -------
    [most, n] i32 : number of the block entered at each step, or -1.

    Notes
    -----
    The walk compares the same numbers as the slab test of `integrate` does, made by the same
    operations: (plane - entry) / direction for each plane. So the block in which the slab test
    places a sample is one that the walk visits, also where rounding decides.
    """
    at, inverse, sign, here = [], [], [], []
    for axis in range(3):
        position = rays.entry[axis].astype(jnp.float32) * 2.0**-bits
        along = rays.direction[axis].astype(jnp.float32) * 2.0**-DIRECTION_BITS
        along = along * step.astype(jnp.float32)
        at.append(position)
        inverse.append(jnp.where(along == 0.0, _STEEPEST, 1.0 / along))
        sign.append(jnp.where(along < 0.0, -1, 1).astype(jnp.int32))
        block = jnp.floor(position / BLOCK_SIZE).astype(jnp.int32)
        # On a plane exactly, a ray that goes down starts in the block below.
        on_plane = (block.astype(jnp.float32) * BLOCK_SIZE == position) & (along < 0.0)
        block = jnp.clip(block - on_plane.astype(jnp.int32), 0, shape[axis] - 1)
        here.append(block)
    limit = rays.n_samples.astype(jnp.float32)

    def go(
        carry: tuple[list[jax.Array], jax.Array], _: None
    ) -> tuple[tuple[list[jax.Array], jax.Array], jax.Array]:
        here, entered = carry
        number = (here[0] * shape[1] + here[1]) * shape[2] + here[2]
        inside = entered < limit
        word = take(occupied, jnp.where(inside, number, 0) >> 5)
        set_bit = (word >> (number & 31).astype(jnp.uint32)) & 1
        shown = jnp.where(inside & (set_bit > 0), number, -1)
        crossing = []
        for axis in range(3):
            ahead = (sign[axis] > 0).astype(jnp.int32)
            plane = (here[axis] + ahead).astype(jnp.float32) * BLOCK_SIZE
            t = (plane - at[axis]) * inverse[axis]
            last = jnp.where(sign[axis] > 0, shape[axis] - 1, 0)
            # Blocks at the border reach to the end of every ray, as boxes there do.
            crossing.append(jnp.where(here[axis] == last, jnp.inf, t))
        first = jnp.minimum(crossing[0], jnp.minimum(crossing[1], crossing[2]))
        takes_x = crossing[0] == first
        takes_y = ~takes_x & (crossing[1] == first)
        moves = [takes_x, takes_y, ~takes_x & ~takes_y]
        there = [h + jnp.where(m, s, 0) for h, m, s in zip(here, moves, sign, strict=True)]
        there = [jnp.clip(h, 0, shape[a] - 1) for a, h in enumerate(there)]
        return (there, jnp.maximum(entered, first)), shown

    start = (here, jnp.zeros_like(limit))
    return lax.scan(go, start, None, length=most)[1]
