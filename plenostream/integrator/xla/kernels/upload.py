"""Bricks into the pool, in batches of fixed size; the pool is donated, so there is never a second one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.kernels.lanes import pair_up
from plenostream.integrator.xla.kernels.state import Pool, RowLayout

__all__ = ["write_bricks", "write_rows"]


def write_bricks(
    pool: Pool, slots: jax.Array, density: jax.Array, row_ids: jax.Array, origins: jax.Array
) -> Pool:
    """Put b bricks into their slots.

    Parameters
    ----------
    pool : Pool                donated
    slots : [b] i32            all different; those at or beyond the pool's slots are dropped
    density : [b, V]           f16 or f32; the pool holds each with its neighbour in z
    row_ids : [b, V] u32       see `Pool.row_ids`
    origins : [b, 3] i32
    """
    n_slots, voxels = pool.origins.shape[0], density.shape[1]

    def put(table: jax.Array, values: jax.Array) -> jax.Array:
        whole = table.reshape(n_slots, voxels)
        # Unique slots: plain stores without atomics on a GPU, and no order to depend on.
        placed = whole.at[slots].set(values, mode="drop", unique_indices=True)
        return placed.reshape(-1)

    return pool._replace(
        density=put(pool.density, pair_up(density)),
        row_ids=put(pool.row_ids, row_ids),
        origins=pool.origins.at[slots].set(origins, mode="drop", unique_indices=True),
    )


def write_rows(pool: Pool, pages: jax.Array, rows: jax.Array, *, layout: RowLayout) -> Pool:
    """Put pages of coefficients, as the store holds them, into the pool's colour rows.

    Parameters
    ----------
    pool : Pool                               donated
    pages : [p] i32                           all different; those beyond the pool are dropped
    rows : [p * PAGE_ROWS, 3 * basis_dim]     channel-major, f16 or f32, like the pool
    """
    lanes = np.arange(layout.width)
    used = lanes < 3 * layout.basis_dim
    column = np.where(used, lanes % 3 * layout.basis_dim + lanes // 3, 0)
    # Columns picked by a constant list take 27 ns a row on a CPU, a transposition 78.
    picked = rows.at[:, column].get(mode="promise_in_bounds")
    packed = jnp.where(jnp.asarray(used)[None], picked, jnp.zeros((), rows.dtype))
    packed = packed.reshape(-1, PAGE_ROWS, layout.width)
    whole = pool.rows.reshape(-1, PAGE_ROWS, layout.width)
    placed = whole.at[pages].set(packed, mode="drop", unique_indices=True)
    return pool._replace(rows=placed.reshape(pool.rows.shape))
