"""The small operations that the stages of the integrator are made of.

Why they look as they do is a matter of what XLA's CPU backend makes of them; the figures are from
one core at 2.6 GHz, jax 0.10.2. None of them costs a GPU anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

__all__ = [
    "cell_of",
    "corner_offsets",
    "fence",
    "lerp3",
    "pair_dtype",
    "pair_up",
    "round_to_int",
    "take",
    "unpair",
]

# 1.5 * 2^23: adding it leaves a float's nearest integer in the low bits of its mantissa.
_MAGIC = 12582912.0
_MAGIC_BITS = 0x4B400000


def take(table: jax.Array, index: jax.Array) -> jax.Array:
    """`table[index]` for indices [...] known to be in bounds.

    Unsigned indices: for signed ones XLA adds code that wraps negative values (10 ns against
    6.5 for the eight corners of a sample).
    """
    taken: jax.Array = table.at[index.astype(jnp.uint32)].get(mode="promise_in_bounds")
    return taken


def round_to_int(x: jax.Array) -> jax.Array:
    """Nearest int32 of float32 values below 2^22 in magnitude, ties to even.

    A conversion would add code for values beyond int32. ``(x + M) - M`` is folded away; the bit
    cast is not.
    """
    bits: jax.Array = lax.bitcast_convert_type(x + jnp.float32(_MAGIC), jnp.int32)
    rounded: jax.Array = bits - jnp.int32(_MAGIC_BITS)
    return rounded


def cell_of(x: jax.Array, brick_size: int) -> tuple[jax.Array, jax.Array]:
    """Cell (i32) and fraction (f32) of local positions x in [0, brick_size].

    At a voxel's centre it may be the cell below with fraction 1: the interpolant is continuous,
    so both are the same value. The bound keeps the last corner inside the brick.
    """
    cell = round_to_int(jnp.minimum(x - 0.5, brick_size - 1.25))
    return cell, x - cell.astype(jnp.float32)


def corner_offsets(edge: int) -> list[int]:
    """Distance of a cell's eight corners from its first one, in C order, in a brick of edge^3."""
    return [(x * edge + y) * edge + z for x in (0, 1) for y in (0, 1) for z in (0, 1)]


def lerp3(corners: list[jax.Array], fx: jax.Array, fy: jax.Array, fz: jax.Array) -> jax.Array:
    """Trilinear interpolation of eight corners in C order (z fastest)."""
    z = [corners[i] + (corners[i + 1] - corners[i]) * fz for i in (0, 2, 4, 6)]
    y = [z[0] + (z[1] - z[0]) * fy, z[2] + (z[3] - z[2]) * fy]
    return y[0] + (y[1] - y[0]) * fx


def pair_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The type of words that hold two numbers of `dtype` (float16 or float32)."""
    word: jnp.dtype = jnp.dtype(jnp.uint32 if jnp.dtype(dtype) == jnp.float16 else jnp.uint64)
    return word


def pair_up(values: jax.Array) -> jax.Array:
    """Words [..., n] that hold values i (low half) and i + 1 of `values` [..., n + 1].

    A sample then takes four gathers instead of eight: with jax 0.10.2 on a CPU 6.2 ns against 12
    for float16, whose conversion to float32 is vectorised besides.
    """
    half = jnp.uint16 if values.dtype == jnp.float16 else jnp.uint32
    wide = pair_dtype(values.dtype)
    bits = lax.bitcast_convert_type(values, half).astype(wide)
    return bits[..., :-1] | (bits[..., 1:] << jnp.asarray(8 * jnp.dtype(half).itemsize, wide))


def unpair(words: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Both numbers of each word, as float32."""
    half, real = (
        (jnp.uint16, jnp.float16) if words.dtype == jnp.uint32 else (jnp.uint32, jnp.float32)
    )
    high = words >> jnp.asarray(8 * jnp.dtype(half).itemsize, words.dtype)
    low_value, high_value = (
        lax.bitcast_convert_type(part.astype(half), real).astype(jnp.float32)
        for part in (words, high)
    )
    return low_value, high_value


def fence(enabled: bool, always: jax.Array) -> Callable[..., Any]:
    """A way to call functions which XLA does not fuse with what comes before and after.

    XLA's CPU backend makes a gather with several users a kernel of its own and repeats its index
    arithmetic in each; `optimization_barrier` does not stop that, a conditional whose predicate
    `always` (a traced bool that is true) it cannot know does (march: 4845 -> 705 ms). On a GPU,
    where fusing is what one wants, `enabled` is false and the function is simply called.
    """

    def call(function: Callable[..., Any], *args: Any) -> Any:
        if not enabled:
            return function(*args)
        shapes = jax.eval_shape(function, *args)

        def nothing(*_: Any) -> Any:
            return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

        return lax.cond(always, function, nothing, *args)

    return call
