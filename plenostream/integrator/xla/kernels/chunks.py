"""Something for each ray, worked out for some tiles at a time: temporaries stay small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from plenostream.field.tiles import TILE_RAYS

__all__ = ["in_chunks"]


def in_chunks(
    make: Callable[[jax.Array, int], Any], structs: Any, axes: Any, *, tiles: int, at_once: int
) -> Any:
    """Arrays for `tiles` tiles of rays, made for `at_once` of them at a time.

    Parameters
    ----------
    make : (number of the first tile, how many) -> such arrays for so many tiles
    structs, axes : shapes of the arrays (any pytree), and the axis of each that counts the rays
    """
    at_once = min(tiles, at_once)

    def put(number: jax.Array, whole: Any) -> Any:
        # Of the last ones, some are made once more where they do not come out even.
        first = jnp.minimum(number * at_once, tiles - at_once)

        def place(all: jax.Array, some: jax.Array, axis: int) -> jax.Array:
            at = first * TILE_RAYS
            return jax.lax.dynamic_update_slice_in_dim(all, some, at, axis=axis)

        return jax.tree.map(place, whole, make(first, at_once), axes)

    empty = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), structs)
    return jax.lax.fori_loop(jnp.int32(0), jnp.int32(-(-tiles // at_once)), put, empty)
