"""The compiled kernels of a renderer: each shape once, with the temporaries it takes.

Everything is compiled ahead of time from shapes alone, so a plan knows the kernels' temporaries
before any array exists, and the number of compilations is a number. What one renderer compiled,
the next one uses (`compiled`); a `Program` belongs to one renderer, whose ledger it reports to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import SingleDeviceSharding

from plenostream.errors import DeviceError
from plenostream.integrator.xla.compiled import compiled_once
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.finish import compose, fresh_state, live_tiles
from plenostream.integrator.xla.kernels.geometry import (
    TILE_RAYS,
    GridArrays,
    RayConstants,
    pinhole_rays,
    ray_constants,
)
from plenostream.integrator.xla.kernels.integrate import integrate
from plenostream.integrator.xla.kernels.lanes import pair_dtype
from plenostream.integrator.xla.kernels.state import (
    COUNTERS,
    PAGE_ROWS,
    KernelShape,
    Pool,
    RayState,
    WaveScalars,
)
from plenostream.integrator.xla.kernels.upload import write_bricks, write_rows
from plenostream.integrator.xla.kernels.walk import packet_keys, walk_blocks

__all__ = [
    "BATCH_BRICKS",
    "BATCH_PAGES",
    "CALL_BLOCKS",
    "CALL_ITEMS",
    "TILE_STEP",
    "WALK_TILES",
    "Program",
    "Programs",
]

BATCH_BRICKS = 32
"""Bricks of an upload."""
BATCH_PAGES = 1024
"""Pages of colour rows of an upload."""
CALL_ITEMS = 32_768
"""Work items of a call of the integrator, beside its padding."""
CALL_BLOCKS = 8192
"""Blocks of items of a call: more than there are shells in a grid of 16,384 voxels an axis."""
TILE_STEP = 64
"""Tiles whose rays are set up together, which bounds the float64 temporaries; the tiles of a
part come in multiples of it."""
WALK_TILES = 64
"""Packets that walk through the grid together."""


class Program:
    """One compiled kernel."""

    def __init__(self, name: str, compiled: jax.stages.Compiled, device: Device) -> None:
        self.name = name
        self._compiled = compiled
        self._device = device
        analysis: Any = compiled.memory_analysis()
        self.temp_bytes = int(analysis.temp_size_in_bytes)

    def __call__(self, *args: Any) -> Any:
        """Run it; on a CPU to its end, on other devices the work is queued."""
        ledger = self._device.ledger
        key = object()
        ledger.start(key, self.temp_bytes)
        try:
            result = self._compiled(*args)
            if self._device.platform == "cpu":
                jax.block_until_ready(result)  # type: ignore[no-untyped-call]
        except jax.errors.JaxRuntimeError as error:
            raise DeviceError(f"{self.name} failed on {self._device.device}: {error}") from error
        finally:
            ledger.stop(key)
        ledger.watch(result)
        ledger.sample()
        return result


class Programs:
    """Compiles kernels on demand, for one device, kernel shape and pool."""

    def __init__(self, device: Device, shape: KernelShape, pool_dtype: jnp.dtype) -> None:
        self._device = device
        self._shape = shape
        self._dtype = pool_dtype
        self._place = SingleDeviceSharding(device.device)
        self._programs: dict[tuple[str | int, ...], Program] = {}
        self.n_compiles = 0
        """Programs that had to be compiled for this renderer; others had been made before."""

    def _struct(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Stands in for an array; of any type, since the records that it goes into hold arrays."""
        return jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]
            shape, dtype, sharding=self._place
        )

    def _program(
        self,
        key: tuple[str | int, ...],
        function: Callable[..., Any],
        args: Callable[[], tuple[Any, ...]],
        donate: tuple[int, ...] = (),
    ) -> Program:
        """The program of `function` for these arguments; `key` is its name and its shapes."""
        if key not in self._programs:

            def compile_it() -> jax.stages.Compiled:
                with jax.enable_x64(True):
                    jitted = jax.jit(function, donate_argnums=donate, out_shardings=self._place)
                    return self._device.compile(str(key[0]), jitted.lower(*args()))

            made_of = (self._device.device, self._shape, self._dtype, *key)
            compiled, new = compiled_once(made_of, compile_it)
            self._programs[key] = Program(str(key[0]), compiled, self._device)
            self.n_compiles += new
        return self._programs[key]

    def pool_structs(self, n_slots: int, n_pages: int) -> Pool:
        """Shapes of a pool."""
        voxels, width = self._shape.voxels, self._shape.layout.width
        return Pool(
            density=self._struct((n_slots * voxels,), pair_dtype(self._dtype)),
            row_ids=self._struct((n_slots * voxels,), jnp.uint32),
            rows=self._struct((n_pages * PAGE_ROWS, width), self._dtype),
            origins=self._struct((n_slots, 3), jnp.int32),
        )

    def _ray_structs(self, tiles: int) -> RayConstants:
        one = self._struct((tiles * TILE_RAYS,), jnp.int32)
        length = self._struct((tiles * TILE_RAYS,), jnp.float32)
        three = self._struct((3, tiles * TILE_RAYS), jnp.int32)
        return RayConstants(three, three, one, length)

    def _state_structs(self, tiles: int) -> RayState:
        n = tiles * TILE_RAYS
        return RayState(
            trans=self._struct((n + 1,), jnp.float32),
            gathered=self._struct((n + 1, 4), jnp.float32),
            counters=self._struct((len(COUNTERS),), jnp.int64),
        )

    def _grid_structs(self) -> GridArrays:
        three = self._struct((3,), jnp.float64)
        return GridArrays(three, three, three)

    def scalar_structs(self) -> WaveScalars:
        """Shapes of the values that kernels take."""
        number = self._struct((), jnp.float32)
        return WaveScalars(
            size=self._struct((3,), jnp.int32),
            units_per_grid=self._struct((3,), jnp.float32),
            unit=number,
            step=self._struct((), jnp.float64),
            sigma_thresh=number,
            stop_thresh=number,
        )

    def pinhole(self, tiles: int) -> Program:
        """(tiles [t, 2] i32, c2w, intrinsics, pixels, grid, step, near) -> RayConstants."""
        bits, fences = self._shape.entry_bits, self._shape.fences

        def setup(tiles: Any, c2w: Any, intrinsics: Any, pixels: Any, *rest: Any) -> RayConstants:
            def chunk(first: jax.Array) -> RayConstants:
                some = jax.lax.dynamic_slice_in_dim(tiles, first, TILE_STEP)
                rays = pinhole_rays(some, c2w, intrinsics, pixels)
                return ray_constants(*rays, *rest, bits=bits, fences=fences)

            return _in_chunks(chunk, tiles.shape[0])

        f64 = jnp.float64
        return self._program(
            ("pinhole rays", tiles),
            setup,
            lambda: (
                self._struct((tiles, 2), jnp.int32),
                self._struct((3, 4), f64),
                self._struct((4,), f64),
                self._struct((2,), jnp.int32),
                self._grid_structs(),
                self._struct((), f64),
                self._struct((), f64),
            ),
        )

    def world_rays(self, tiles: int) -> Program:
        """(origins [t * 64, 3], dirs, valid, grid, step, near) -> RayConstants."""
        bits, fences = self._shape.entry_bits, self._shape.fences
        n = tiles * TILE_RAYS

        def setup(origins: Any, dirs: Any, valid: Any, *rest: Any) -> RayConstants:
            def chunk(first: jax.Array) -> RayConstants:
                some = [
                    jax.lax.dynamic_slice_in_dim(a, first * TILE_RAYS, TILE_STEP * TILE_RAYS)
                    for a in (origins, dirs, valid)
                ]
                return ray_constants(some[0].T, some[1].T, some[2], *rest, bits=bits, fences=fences)

            return _in_chunks(chunk, tiles)

        f64 = jnp.float64
        return self._program(
            ("world rays", tiles),
            setup,
            lambda: (
                self._struct((n, 3), f64),
                self._struct((n, 3), f64),
                self._struct((n,), jnp.bool_),
                self._grid_structs(),
                self._struct((), f64),
                self._struct((), f64),
            ),
        )

    def keys(self, tiles: int) -> Program:
        """RayConstants -> sort keys [t * 64] i64."""
        return self._program(
            ("packet keys", tiles),
            partial(packet_keys, bits=self._shape.entry_bits),
            lambda: (self._ray_structs(tiles),),
        )

    def walk(self, tiles: int, words: int, most: int) -> Program:
        """(RayConstants, first ray, occupied, shape, step) -> blocks [most, WALK_TILES * 64] i32."""
        bits, lot = self._shape.entry_bits, WALK_TILES * TILE_RAYS

        def walk(rays: RayConstants, first: jax.Array, *rest: jax.Array) -> jax.Array:
            some = jax.tree.map(
                lambda a: jax.lax.dynamic_slice_in_dim(a, first, lot, axis=a.ndim - 1), rays
            )
            return walk_blocks(some, *rest, bits=bits, most=most)

        return self._program(
            ("walk", tiles, words, most),
            walk,
            lambda: (
                self._ray_structs(tiles),
                self._struct((), jnp.int32),
                self._struct((words,), jnp.uint32),
                self._struct((3,), jnp.int32),
                self._struct((), jnp.float64),
            ),
        )

    def fresh(self, tiles: int) -> Program:
        """() -> RayState of t * 64 rays."""
        return self._program(
            ("ray state", tiles), partial(fresh_state, tiles * TILE_RAYS), lambda: ()
        )

    def empty_pool(self, n_slots: int, n_pages: int) -> Program:
        """() -> Pool of zeros."""
        structs = self.pool_structs(n_slots, n_pages)

        def make() -> Pool:
            return Pool(*(jnp.zeros(s.shape, s.dtype) for s in structs))

        return self._program(("pool", n_slots, n_pages), make, lambda: ())

    def integrate(self, tiles: int, n_slots: int, n_pages: int) -> Program:
        """See `kernels.integrate`."""
        items = CALL_ITEMS + self._shape.items
        return self._program(
            ("integrate", tiles, n_slots, n_pages),
            partial(integrate, shape=self._shape),
            lambda: (
                self._state_structs(tiles),
                self._ray_structs(tiles),
                self.pool_structs(n_slots, n_pages),
                self._struct((items, 4), jnp.int32),
                self._struct((CALL_BLOCKS, 2), jnp.int32),
                self._struct((), jnp.int32),
                self.scalar_structs(),
            ),
            donate=(0,),
        )

    def live_tiles(self, tiles: int) -> Program:
        """(RayState, RayConstants) -> [t] bool."""
        return self._program(
            ("live tiles", tiles),
            live_tiles,
            lambda: (self._state_structs(tiles), self._ray_structs(tiles)),
        )

    def compose(self, tiles: int) -> Program:
        """See `kernels.finish.compose`."""
        return self._program(
            ("compose", tiles),
            compose,
            lambda: (
                self._state_structs(tiles),
                self._ray_structs(tiles),
                self._struct((3,), jnp.float32),
                self._struct((), jnp.float32),
                self._struct((), jnp.float64),
                self._struct((3,), jnp.float32),
            ),
            donate=(0,),
        )

    def write_bricks(self, n_slots: int, n_pages: int) -> Program:
        """See `kernels.upload.write_bricks`."""
        voxels = self._shape.voxels
        return self._program(
            ("write bricks", n_slots, n_pages),
            write_bricks,
            lambda: (
                self.pool_structs(n_slots, n_pages),
                self._struct((BATCH_BRICKS,), jnp.int32),
                self._struct((BATCH_BRICKS, voxels), self._dtype),
                self._struct((BATCH_BRICKS, voxels), jnp.uint32),
                self._struct((BATCH_BRICKS, 3), jnp.int32),
            ),
            donate=(0,),
        )

    def write_rows(self, n_slots: int, n_pages: int) -> Program:
        """See `kernels.upload.write_rows`."""
        return self._program(
            ("write rows", n_slots, n_pages),
            partial(write_rows, layout=self._shape.layout),
            lambda: (
                self.pool_structs(n_slots, n_pages),
                self._struct((BATCH_PAGES,), jnp.int32),
                self._struct((BATCH_PAGES * PAGE_ROWS, 3 * self._shape.basis_dim), self._dtype),
            ),
            donate=(0,),
        )


def _in_chunks(chunk: Callable[[jax.Array], RayConstants], tiles: int) -> RayConstants:
    """The rays of `tiles` tiles, `TILE_STEP` of them at a time; `chunk` is told the first."""

    def put(number: jax.Array, whole: RayConstants) -> RayConstants:
        first = number * TILE_STEP
        filled: RayConstants = jax.tree.map(
            lambda all, some: jax.lax.dynamic_update_slice_in_dim(
                all, some, first * TILE_RAYS, axis=all.ndim - 1
            ),
            whole,
            chunk(first),
        )
        return filled

    one, n = jnp.zeros(tiles * TILE_RAYS, jnp.int32), tiles // TILE_STEP
    three = jnp.zeros((3, tiles * TILE_RAYS), jnp.int32)
    empty = RayConstants(three, three, one, one.astype(jnp.float32))
    done: RayConstants = jax.lax.fori_loop(jnp.int32(0), jnp.int32(n), put, empty)
    return done
