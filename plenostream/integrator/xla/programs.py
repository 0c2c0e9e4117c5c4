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
from plenostream.field.basis import Basis
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import RaySource
from plenostream.integrator.xla.compiled import compiled_once
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.chunks import in_chunks
from plenostream.integrator.xla.kernels.finish import compose, fresh_state, live_tiles
from plenostream.integrator.xla.kernels.geometry import RAY_AXIS, RayConstants, ray_constants
from plenostream.integrator.xla.kernels.integrate import integrate
from plenostream.integrator.xla.kernels.state import KernelShape, Pool
from plenostream.integrator.xla.kernels.upload import write_bricks, write_rows
from plenostream.integrator.xla.kernels.walk import packet_keys, walk_blocks
from plenostream.integrator.xla.structs import (
    BATCH_BRICKS,
    WALK_TILES,
    StagedShape,
    Structs,
)

__all__ = ["Program", "Programs"]


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
            # Once a call, with its temporaries and its results: what it was given has gone or is there.
            ledger.watch(result)
            ledger.sample()
        except jax.errors.JaxRuntimeError as error:
            raise DeviceError(f"{self.name} failed on {self._device.device}: {error}") from error
        finally:
            ledger.stop(key)
        return result


class Programs:
    """Compiles kernels on demand, for one device, kernel shape and pool."""

    def __init__(
        self,
        device: Device,
        shape: KernelShape,
        pool_dtype: jnp.dtype,
        basis: Basis,
    ) -> None:
        self._device = device
        self._basis = basis
        self._shape = shape
        self._dtype = pool_dtype
        self._place = SingleDeviceSharding(device.device)
        self._programs: dict[tuple[Any, ...], Program] = {}
        self.structs = Structs(device.device, shape, pool_dtype)
        self.tiles_at_once = shape.tiles_at_once
        """Tiles whose rays are set up together."""
        self.n_compiles = 0
        """Programs that had to be compiled for this renderer; others had been made before."""

    def _program(
        self,
        key: tuple[Any, ...],
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

    def set_up(self, rays: RaySource, tiles: int) -> Program:
        """(basis arrays, *per tile, *shared, grid, spacing) -> RayConstants, and the state of rays that
        have met nothing yet."""
        per_tile, shared = self.structs.source(rays, tiles)
        functions = self._basis.functions
        arrays = tuple(self.structs.one(shape, jnp.float32) for shape in self._basis.shapes)

        def setup(arrays: tuple[jax.Array, ...], *args: Any) -> tuple[RayConstants, Any]:
            mine, rest = args[: len(per_tile)], args[len(per_tile) :]
            lattice = partial(
                ray_constants,
                basis=lambda dirs: functions(jnp, dirs, *arrays),
                bits=self._shape.entry_bits,
                spheric_clip=self._shape.spheric_clip,
                fences=self._shape.fences,
            )

            def chunk(first: jax.Array, n: int) -> RayConstants:
                some = [jax.lax.dynamic_slice_in_dim(a, first, n) for a in mine]
                world = rays.make(jnp, *some, *rest[: len(shared)])
                return lattice(*world, *rest[len(shared) :])

            made: RayConstants = in_chunks(
                chunk,
                self.structs.rays(tiles),
                RAY_AXIS,
                tiles=tiles,
                at_once=self._shape.tiles_at_once,
            )
            return made, self._fresh_state(tiles)

        shapes = tuple((a.shape, str(a.dtype)) for a in (*per_tile, *shared))
        return self._program(
            ("rays", type(self), rays.make, shapes, functions),
            setup,
            lambda: (arrays, *per_tile, *shared, *self.structs.grid()),
        )

    def keys(self, tiles: int) -> Program:
        """RayConstants -> sort keys [t * 64] i64."""
        return self._program(
            ("packet keys", tiles),
            partial(packet_keys, bits=self._shape.entry_bits),
            lambda: (self.structs.rays(tiles),),
        )

    def walk(self, tiles: int, words: int, most: int) -> Program:
        """(RayConstants, first ray, occupied, shape, step) -> blocks [most, WALK_TILES * 64] i32."""
        bits, lot = self._shape.entry_bits, WALK_TILES * TILE_RAYS

        def walk(rays: RayConstants, first: jax.Array, *rest: jax.Array) -> jax.Array:
            some = jax.tree.map(
                lambda a, axis: jax.lax.dynamic_slice_in_dim(a, first, lot, axis=axis),
                rays,
                RAY_AXIS,
            )
            return walk_blocks(some, *rest, bits=bits, most=most)

        return self._program(
            ("walk", tiles, words, most),
            walk,
            lambda: (
                self.structs.rays(tiles),
                self.structs.one((), jnp.int32),
                *self.structs.walk(words),
            ),
        )

    def _fresh_state(self, tiles: int) -> Any:
        """The state of t * 64 rays that have met nothing yet, inside a program."""
        return fresh_state(tiles * TILE_RAYS, self._shape.light, self._shape.aovs)

    def empty_pool(self, n_slots: int, n_pages: int) -> Program:
        """() -> Pool of zeros."""
        structs = self.structs.pool(n_slots, n_pages)

        def make() -> Pool:
            return Pool(*(jnp.zeros(s.shape, s.dtype) for s in structs))

        return self._program(("pool", n_slots, n_pages), make, lambda: ())

    def integrate(self, tiles: int, n_slots: int, n_pages: int) -> Program:
        """See `kernels.integrate`."""
        return self._program(
            ("integrate", tiles, n_slots, n_pages),
            partial(integrate, shape=self._shape),
            lambda: (
                self.structs.state(tiles),
                self.structs.rays(tiles),
                self.structs.pool(n_slots, n_pages),
                *self.structs.call(),
                self.structs.scalars(),
            ),
            donate=(0,),
        )

    def live_tiles(self, tiles: int) -> Program:
        """(RayState, RayConstants) -> [t] bool."""
        return self._program(
            ("live tiles", tiles),
            live_tiles,
            lambda: (self.structs.state(tiles), self.structs.rays(tiles)),
        )

    def compose(self, tiles: int) -> Program:
        """See `kernels.finish.compose`."""
        return self._program(
            ("compose", tiles),
            partial(compose, aovs=self._shape.aovs),
            lambda: (
                self.structs.state(tiles)._replace(left=None),
                self.structs.left(tiles),
                self.structs.rays(tiles),
                self.structs.one((3,), jnp.float32),
                self.structs.one((), jnp.float32),
                self.structs.one((), jnp.float64),
                self.structs.one((3,), jnp.float32),
            ),
            donate=(0,),
        )

    def write_bricks(self, n_slots: int, staged: StagedShape) -> Program:
        """(Voxels, StagedBricks) -> Voxels, see `kernels.upload`."""
        return self._program(
            ("write bricks", n_slots, staged),
            partial(write_bricks, shape=self._shape),
            lambda: (self.structs.voxels(n_slots), self.structs.staged_bricks(staged)),
            donate=(0,),
        )

    def write_rows(self, n_pages: int, staged: StagedShape) -> Program:
        """(rows of the pool, StagedRows) -> rows of the pool, see `kernels.upload`."""
        return self._program(
            ("write rows", n_pages, staged),
            partial(write_rows, shape=self._shape, n_bricks=BATCH_BRICKS),
            lambda: (self.structs.pool(1, n_pages).rows, self.structs.staged_rows(staged)),
            donate=(0,),
        )
