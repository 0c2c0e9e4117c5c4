"""Shapes of everything on the device: what programs are compiled for, and what bytes are counted by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import SingleDeviceSharding

from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import PAGE_ROWS, Light, RaySource
from plenostream.integrator.lattice import GridArrays, Spacing
from plenostream.integrator.xla.kernels.geometry import RayConstants
from plenostream.integrator.xla.kernels.lanes import pair_dtype
from plenostream.integrator.xla.kernels.state import (
    COUNTERS,
    KernelShape,
    Pool,
    RayState,
    Voxels,
    WaveScalars,
)
from plenostream.integrator.xla.kernels.upload import StagedBricks, StagedRows, table_ends

__all__ = [
    "BATCH_BRICKS",
    "CALL_BLOCKS",
    "CALL_ITEMS",
    "TILE_STEP",
    "WALK_TILES",
    "StagedShape",
    "Structs",
    "batch_rows",
    "n_bytes",
]

BATCH_BRICKS = 512
"""Bricks of a batch of arrivals, at most."""
_BATCH_BYTES = {"cpu": 8_000_000}
"""Bytes of its rows on a platform. On a CPU they should not fill the caches."""
_BATCH_BYTES_ELSEWHERE = 16_000_000
"""On a GPU each batch costs the host a millisecond or two."""
_LEAST_BATCHES = 4
"""Batches of a whole scene, at least, where they are on the device beside the pool: else the rows of
a small scene would take as much once more."""
_LEAST_ROWS, _MOST_ROWS = 4096, 262_144
CALL_ITEMS = 32_768
"""Work items of a call of the integrator, beside its padding."""
CALL_BLOCKS = 8192
"""Blocks of items of a call: more than there are shells in a grid of 16,384 voxels an axis."""
TILE_STEP = 64
"""The tiles of a part come in multiples of this."""
WALK_TILES = 64
"""Packets that walk through the grid together."""


def n_bytes(structs: Any) -> int:
    """Bytes of arrays of these shapes and types (any pytree of them)."""
    leaves = jax.tree.leaves(structs)
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in leaves)


def batch_rows(platform: str, basis_dim: int, sh_dtype: str, *, n_rows: int) -> int:
    """Rows of a batch of arrivals of a scene of `n_rows`, at most, unless a single brick has more; a
    power of two."""
    n_bytes = _BATCH_BYTES.get(platform, _BATCH_BYTES_ELSEWHERE)
    n = n_bytes // (4 + 3 * basis_dim * np.dtype(sh_dtype).itemsize)
    if platform != "cpu":
        n = max(min(n, n_rows // _LEAST_BATCHES), 1)
    return max(_LEAST_ROWS, min(_MOST_ROWS, 1 << (n.bit_length() - 1)))


@dataclass(frozen=True, slots=True)
class StagedShape:
    """What programs that write the pool are compiled for: a staging buffer."""

    rows: int
    """Rows of the buffer, N."""
    sh_dtype: str
    """Type of the coefficients in the store."""

    @property
    def pages(self) -> int:
        """Pages that so many rows take at most, where each brick may leave one that is not full."""
        return -(-self.rows // PAGE_ROWS) + BATCH_BRICKS

    @property
    def table_ends(self) -> tuple[int, int, int]:
        """See `kernels.upload.table_ends`."""
        return table_ends(BATCH_BRICKS, self.pages)

    @property
    def table_entries(self) -> int:
        """Entries of all tables of a batch."""
        return self.table_ends[-1] + self.pages


class Structs:
    """The shapes, for one device, kernel shape and type of pool."""

    def __init__(self, device: jax.Device, shape: KernelShape, dtype: jnp.dtype) -> None:
        self._place = SingleDeviceSharding(device)
        self._shape = shape
        self._dtype = dtype

    def one(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Stands in for an array; of any type, since the records that it goes into hold arrays."""
        return jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]
            shape, dtype, sharding=self._place
        )

    def pool(self, n_slots: int, n_pages: int) -> Pool:
        """A pool."""
        voxels, width = self._shape.voxels, self._shape.layout.width
        return Pool(
            density=self.one((n_slots * voxels,), pair_dtype(self._dtype)),
            ranks=self.one((n_slots * self._shape.ranks,), jnp.uint32),
            pages=self.one((n_slots * self._shape.ranks,), jnp.uint32),
            rows=self.one((n_pages * PAGE_ROWS, width), self._dtype),
            origins=self.one((n_slots, 3), jnp.int32),
        )

    def rays(self, tiles: int) -> RayConstants:
        """What stays the same of the rays of a part."""
        n = tiles * TILE_RAYS
        return RayConstants(
            entry=self.one((3, n), jnp.int32),
            direction=self.one((3, n), jnp.int32),
            n_samples=self.one((n,), jnp.int32),
            t_min=self.one((n,), jnp.float32),
            basis=self.one((n, self._shape.basis_dim), jnp.float32),
        )

    def state(self, tiles: int) -> RayState:
        """What the rays of a part gather."""
        n = tiles * TILE_RAYS
        return RayState(
            trans=self.one((n + 1,), jnp.float32),
            gathered=self.one((n + 1, 4), jnp.float32),
            left=self.left(tiles),
            aovs=self.aovs(n + 1),
            counters=self.one((len(COUNTERS),), jnp.int64),
        )

    def left(self, tiles: int) -> Any | None:
        """See `RayState.left`."""
        if self._shape.light is Light.MULTIPLIES:
            return None
        return self.one((tiles * TILE_RAYS + 1,), jnp.float32)

    def aovs(self, n_rays: int) -> Any | None:
        """See `RayState.aovs`."""
        n_columns = self._shape.aovs.n_columns
        return self.one((n_rays, n_columns), jnp.float32) if n_columns else None

    def source(self, rays: RaySource, tiles: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The arrays that the rays of a part are made from: per tile, and shared."""
        per_tile = tuple(self.one((tiles, *a.shape[1:]), a.dtype) for a in rays.per_tile)
        return per_tile, tuple(self.one(a.shape, a.dtype) for a in rays.shared)

    def report(self, tiles: int) -> Any:
        """Live tiles of a part."""
        return self.one((tiles,), jnp.bool_)

    def keys(self, tiles: int) -> Any:
        """Sort keys of the rays of a part."""
        return self.one((tiles * TILE_RAYS,), jnp.int64)

    def grid(self) -> tuple[GridArrays, Spacing]:
        """Grid, and spacing of samples."""
        three, number = self.one((3,), jnp.float64), self.one((), jnp.float64)
        return GridArrays(three, number, three, three), Spacing(number, number, number)

    def scalars(self) -> WaveScalars:
        """The values that kernels take."""
        number = self.one((), jnp.float32)
        return WaveScalars(
            size=self.one((3,), jnp.int32),
            units_per_grid=self.one((3,), jnp.float32),
            unit=number,
            step=self.one((), jnp.float64),
            sigma_thresh=number,
            stop_thresh=number,
            opaque_length=number,
            depth_density=number,
            steepness=self.one((3,), jnp.float32),
        )

    def call(self) -> tuple[Any, Any, Any]:
        """Items, blocks and number of blocks of a call of the integrator."""
        items = self.one((CALL_ITEMS + self._shape.items, 4), jnp.int32)
        return items, self.one((CALL_BLOCKS, 2), jnp.int32), self.one((), jnp.int32)

    def staged_bricks(self, staged: StagedShape) -> StagedBricks:
        """A batch of bricks."""
        return StagedBricks(
            tables=self.one((staged.table_entries,), jnp.int32),
            mask=self.one((BATCH_BRICKS, self._shape.mask_words), jnp.uint32),
            density=self.one((staged.rows,), jnp.float32),
            unit=self.one((), jnp.float64),
        )

    def staged_rows(self, staged: StagedShape) -> StagedRows:
        """The rows of a batch."""
        return StagedRows(
            tables=self.one((staged.table_entries,), jnp.int32),
            sh=self.one((staged.rows, 3 * self._shape.basis_dim), jnp.dtype(staged.sh_dtype)),
        )

    def voxels(self, n_slots: int) -> Voxels:
        """A pool without its colour rows."""
        pool = self.pool(n_slots, 1)
        return Voxels(pool.density, pool.ranks, pool.pages, pool.origins)

    def walk(self, words: int) -> tuple[Any, ...]:
        """Map of occupied blocks, blocks an axis, and step."""
        return (
            self.one((words,), jnp.uint32),
            self.one((3,), jnp.int32),
            self.one((), jnp.float64),
        )

    def passed(self, most: int) -> Any:
        """Blocks that a lot of packets passes in `most` steps."""
        return self.one((most, WALK_TILES * TILE_RAYS), jnp.int32)
