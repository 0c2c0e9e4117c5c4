"""Bricks as they are stored into the pool, which is donated: there is never a second one.

A batch lies in the staging buffer that it was gathered in, at its full length, so that programs are
compiled once; how much of it there is, is told beside it, and loops end there.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from plenostream.field.precision import LARGEST_DENSITY, STEADY_BITS
from plenostream.integrator.interface import PAGE_ROWS
from plenostream.integrator.xla.kernels.lanes import fence, pair_up, take
from plenostream.integrator.xla.kernels.state import KernelShape, Voxels

__all__ = [
    "StagedBricks",
    "StagedRows",
    "device_density",
    "table_ends",
    "write_bricks",
    "write_rows",
]

_MANTISSA_BITS = 52


class Tables(NamedTuple):
    """Where up to B bricks and up to P pages of their rows come from and go to."""

    counts: jax.Array
    """[2] i32: how many bricks and pages there are."""
    places: jax.Array
    """[B, 6] i32: slot, grid coordinates of the first voxel, first row, first page. Slots are all
    different; those at or beyond the pool's are dropped."""
    starts: jax.Array
    """[P] i32: first row of each page; PAGE_ROWS of them are read from there."""
    pages: jax.Array
    """[P] i32: where each goes, brick by brick; as slots are."""


class StagedBricks(NamedTuple):
    """Up to B bricks without their coefficients."""

    tables: jax.Array
    """[T] i32: all `Tables`, one after another."""
    mask: jax.Array
    """[B, words] u32: bit v % 32 of word v // 32 says that voxel v has a row."""
    density: jax.Array
    """[N] f32: per world unit, brick by brick."""
    unit: jax.Array
    """[] f64: world length that densities in the pool are per."""


class StagedRows(NamedTuple):
    """Their coefficients."""

    tables: jax.Array
    """[T] i32: as of the bricks."""
    sh: jax.Array
    """[N, 3 * basis_dim]: channel-major, in the type of the store."""


def table_ends(n_bricks: int, n_pages: int) -> tuple[int, int, int]:
    """Where all `Tables` but the last end in the array of all of them."""
    return 2, 2 + 6 * n_bricks, 2 + 6 * n_bricks + n_pages


def split_tables(tables: jax.Array, n_bricks: int) -> Tables:
    """The tables of B = `n_bricks` bricks."""
    n_pages = (tables.shape[0] - table_ends(n_bricks, 0)[-1]) // 2
    counts, places, starts, pages = jnp.split(tables, table_ends(n_bricks, n_pages))
    return Tables(counts, places.reshape(n_bricks, 6), starts, pages)


def write_bricks(voxels: Voxels, staged: StagedBricks, *, shape: KernelShape) -> Voxels:
    """Put bricks into their slots; a voxel's row follows from how many voxels before it have one.

    Parameters
    ----------
    voxels : of the pool, donated
    """
    n_slots = voxels.origins.shape[0]
    tables = split_tables(staged.tables, staged.mask.shape[0])
    dtype = jnp.float16 if voxels.density.dtype == jnp.uint32 else jnp.float32
    density = device_density(staged.density, staged.unit, jnp.dtype(dtype))
    at_once, n_words = shape.bricks_at_once, staged.mask.shape[1]
    bit = np.arange(32 * n_words) % 32
    lower = jnp.asarray((1 << bit) - 1, jnp.uint32)[None]
    bit_of = jnp.asarray(bit, jnp.uint32)[None]
    # Pairing them up takes each twice, and would work it out twice: 26 us a brick against 17.
    call = fence(shape.fences, tables.counts[0] > 0)
    nth = jnp.arange(shape.ranks, dtype=jnp.int32)[None]
    before_word = jnp.triu(jnp.ones((n_words, n_words), jnp.float32), 1)

    def per_voxel(words: jax.Array) -> jax.Array:
        return jnp.broadcast_to(words[:, :, None], (at_once, n_words, 32)).reshape(at_once, -1)

    def densities(words: jax.Array, before: jax.Array, first_row: jax.Array) -> jax.Array:
        here = per_voxel(words)
        has_row = ((here >> bit_of) & 1) == 1
        rank = per_voxel(before) + lax.population_count(here & lower)
        row = jnp.where(has_row, first_row + rank.astype(jnp.int32), 0)
        return jnp.where(has_row, take(density, row), jnp.zeros((), density.dtype))

    def put(number: jax.Array, done: Voxels) -> Voxels:
        first = number * at_once
        places = lax.dynamic_slice_in_dim(tables.places, first, at_once)
        words = lax.dynamic_slice_in_dim(staged.mask, first, at_once)
        counts = lax.population_count(words).astype(jnp.float32)
        before = jnp.matmul(counts, before_word, precision=lax.Precision.HIGHEST)
        before = before.astype(jnp.uint32)
        value = call(densities, words, before, places[:, 4:5])
        page = jnp.minimum(places[:, 5:6] + nth, tables.pages.shape[0] - 1)
        slot = places[:, 0]

        def placed(table: jax.Array, values: jax.Array) -> jax.Array:
            whole = table.reshape(n_slots, *values.shape[1:])
            return _stored(whole, slot, values).reshape(table.shape)

        return Voxels(
            density=placed(done.density, pair_up(value[:, : shape.voxels + 1])),
            ranks=placed(done.ranks, _ranks(words, before)),
            pages=placed(done.pages, take(tables.pages, page).astype(jnp.uint32)),
            origins=placed(done.origins, places[:, 1:4]),
        )

    n_times = (tables.counts[0] + at_once - 1) // at_once
    written: Voxels = lax.fori_loop(jnp.int32(0), n_times, put, voxels)
    return written


def _ranks(words: jax.Array, before: jax.Array) -> jax.Array:
    """`Pool.ranks` [n, H] of words of 32 voxels [n, H / 2], and of the rows before each."""
    low, high = words & 0xFFFF, words >> 16
    before_high = before + lax.population_count(low)
    pairs = jnp.stack([low | before << 16, high | before_high << 16], axis=-1)
    return pairs.reshape(words.shape[0], -1)


def device_density(density: jax.Array, unit: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Densities per world unit [N] as the pool holds them: `precision.device_densities`, to the bit
    for numbers that are normal in `dtype`."""
    most, least = LARGEST_DENSITY[dtype.name], float(np.finfo(dtype).smallest_subnormal)
    values = jnp.clip(density.astype(jnp.float64) * unit, -most, most)
    values = jnp.where(density > 0, jnp.maximum(values, least), values)
    if dtype == jnp.float16:
        # To `STEADY_BITS` digits, ties to even. Adding up to half of the last digit carries.
        spare = _MANTISSA_BITS + 1 - STEADY_BITS
        bits = lax.bitcast_convert_type(values, jnp.int64)
        bits = bits + ((1 << (spare - 1)) - 1) + ((bits >> spare) & 1)
        bits = (bits >> spare) << spare
        # Exact: float32 has more digits. XLA's own way to float16 need not be.
        values = lax.bitcast_convert_type(bits, jnp.float64).astype(jnp.float32)
    return values.astype(dtype)


def write_rows(
    rows: jax.Array, staged: StagedRows, *, shape: KernelShape, n_bricks: int
) -> jax.Array:
    """Put pages of coefficients into the pool's colour rows.

    Parameters
    ----------
    rows : [R, W] f16 or f32     see `RowLayout`; donated
    n_bricks : int               B of the tables (static)
    """
    layout, at_once = shape.layout, shape.pages_at_once
    tables = split_tables(staged.tables, n_bricks)
    lanes = np.arange(layout.width)
    used = lanes < 3 * layout.basis_dim
    column = np.where(used, lanes % 3 * layout.basis_dim + lanes // 3, 0)
    windows = lax.GatherDimensionNumbers(
        offset_dims=(1, 2), collapsed_slice_dims=(), start_index_map=(0,)
    )

    def put(number: jax.Array, whole: jax.Array) -> jax.Array:
        first = number * at_once
        start = lax.dynamic_slice_in_dim(tables.starts, first, at_once)
        page = lax.dynamic_slice_in_dim(tables.pages, first, at_once)
        size = (PAGE_ROWS, staged.sh.shape[1])
        values = lax.gather(staged.sh, start[:, None], windows, size, mode="promise_in_bounds")
        # Columns picked by a constant list take 23 ns a row on a CPU, a transposition 130.
        picked = values.at[..., column].get(mode="promise_in_bounds").astype(rows.dtype)
        packed = jnp.where(jnp.asarray(used)[None, None], picked, jnp.zeros((), rows.dtype))
        return _stored(whole, page, packed)

    n_times = (tables.counts[1] + at_once - 1) // at_once
    paged = rows.reshape(-1, PAGE_ROWS, layout.width)
    written: jax.Array = lax.fori_loop(jnp.int32(0), n_times, put, paged)
    return written.reshape(rows.shape)


def _stored(whole: jax.Array, places: jax.Array, values: jax.Array) -> jax.Array:
    """`whole` [s, ...] with `values` [n, ...] at `places` [n], all different; those beyond it are
    dropped. One at a time, there are none beyond."""
    if places.shape[0] == 1:
        # XLA's CPU backend makes a loop of a scatter: 25 us a brick against 16.
        stored: jax.Array = lax.dynamic_update_slice_in_dim(whole, values, places[0], axis=0)
        return stored
    # Unique places: plain stores without atomics on a GPU, and no order to depend on.
    return whole.at[places].set(values, mode="drop", unique_indices=True)
