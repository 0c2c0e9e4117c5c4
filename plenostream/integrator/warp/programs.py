"""The compiled programs of a walk, beside those that it shares with `xla`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import warp as wp

from plenostream.errors import DeviceError
from plenostream.field.basis import Basis
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import PAGE_ROWS, Light
from plenostream.integrator.warp.kernels.uploads import Uploads, uploads
from plenostream.integrator.warp.kernels.walk import BLOCK_THREADS, IN_OUT, walk_kernel
from plenostream.integrator.warp.kernels.weigh import clearing_kernel
from plenostream.integrator.warp.state import Numbers, WalkBack, WalkMap, WalkState
from plenostream.integrator.warp.structs import WalkStructs
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.aovs import finished_aovs, fresh_aovs
from plenostream.integrator.xla.kernels.finish import compose, world_per_t
from plenostream.integrator.xla.kernels.geometry import RayConstants
from plenostream.integrator.xla.kernels.state import KernelShape, Pool, RayState, Voxels
from plenostream.integrator.xla.kernels.upload import StagedBricks, StagedRows
from plenostream.integrator.xla.programs import Program, Programs
from plenostream.integrator.xla.structs import BATCH_BRICKS, StagedShape

__all__ = ["PAGES_TAKEN", "SLOTS_READ", "WalkPrograms"]

PAGES_TAKEN = 2048
"""Pages whose derivatives are handed over at a time."""
SLOTS_READ = 16
"""Bricks whose weights are read at a time."""


def _call(kernel: Any, n_threads: int | tuple[int, int], changed: list[str]) -> Callable[..., Any]:
    """A kernel as JAX calls it: what it changes, in place, is what it returns."""
    call: Callable[..., Any] = wp.jax_kernel(
        kernel, num_outputs=len(changed), in_out_argnames=changed, launch_dims=n_threads
    )
    return call


def _nothing() -> jax.Array:
    """In place of an array that a kernel takes in any case, and leaves alone."""
    return jnp.zeros((1, 1), jnp.float32)


class WalkPrograms(Programs):
    """Programs for one device, scene and pool."""

    def __init__(
        self,
        device: Device,
        shape: KernelShape,
        pool_dtype: jnp.dtype,
        basis: Basis,
        sizes: tuple[int, int, int],
    ) -> None:
        """Take the rows of a `BoxMap`: groups, boxes and bricks."""
        super().__init__(device, shape, pool_dtype, basis)
        n_groups, n_boxes, n_bricks = sizes
        self.walks = WalkStructs(
            self.structs, shape, n_groups=n_groups, n_boxes=n_boxes, n_bricks=n_bricks
        )
        self._sizes = sizes
        # JAX calls Warp's Python while it compiles, from native code: Ctrl-C would be lost in there.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="plenostream-compile")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _program(
        self,
        key: tuple[Any, ...],
        function: Callable[..., Any],
        args: Callable[[], tuple[Any, ...]],
        donate: tuple[int, ...] = (),
    ) -> Program:
        """See `Programs._program`; in a thread of its own.

        Raises
        ------
        DeviceError : it cannot be compiled.
        """
        if key in self._programs:
            return self._programs[key]
        compiling = self._thread.submit(super()._program, key, function, args, donate)
        try:
            return compiling.result()
        except (RuntimeError, OSError) as error:
            raise DeviceError(
                f"{key[0]} cannot be compiled for {self._device.device}: {error}"
            ) from error

    def write_bricks(self, n_slots: int, staged: StagedShape) -> Program:
        """See `Programs.write_bricks`; by kernels of `kernels.uploads`."""

        def write(voxels: Voxels, some: StagedBricks) -> Voxels:
            put = self._uploads(staged)
            ranks, pages, origins = _call(
                put.ranks, BATCH_BRICKS * self._shape.ranks, ["ranks", "pages", "origins"]
            )(some.tables, some.mask, voxels.ranks, voxels.pages, voxels.origins)
            (density,) = _call(put.densities, BATCH_BRICKS * self._shape.voxels, ["density"])(
                some.tables, some.mask, some.density, some.unit[None], ranks, voxels.density
            )
            return Voxels(density, ranks, pages, origins)

        return self._program(
            ("put bricks", n_slots, staged),
            write,
            lambda: (self.structs.voxels(n_slots), self.structs.staged_bricks(staged)),
            donate=(0,),
        )

    def write_rows(self, n_pages: int, staged: StagedShape) -> Program:
        """See `Programs.write_rows`; by a kernel of `kernels.uploads`."""

        def write(rows: jax.Array, some: StagedRows) -> jax.Array:
            n = staged.pages * PAGE_ROWS * self._shape.layout.width
            put = _call(self._uploads(staged).rows, n, ["rows"])
            written: jax.Array = put(some.tables, some.sh, rows)[0]
            return written

        return self._program(
            ("put rows", n_pages, staged),
            write,
            lambda: (self.structs.pool(1, n_pages).rows, self.structs.staged_rows(staged)),
            donate=(0,),
        )

    def _uploads(self, staged: StagedShape) -> Uploads:
        shape = self._shape
        return uploads(
            shape.basis_dim, shape.brick_size, str(self._dtype), staged.sh_dtype, BATCH_BRICKS
        )

    def _fresh_state(self, tiles: int) -> WalkState:
        """See `Programs`."""
        structs = self.walks.state(tiles)
        empty = WalkState(*(jnp.zeros(s.shape, s.dtype) for s in structs))
        full = (jnp.ones(s.shape, s.dtype) for s in (structs.trans, structs.left))
        state = empty._replace(**dict(zip(("trans", "left"), full, strict=True)))
        aovs = fresh_aovs(tiles * TILE_RAYS, self._shape.aovs)
        return state if aovs is None else state._replace(aovs=aovs)

    def walk_rays(self, tiles: int, n_slots: int, n_pages: int) -> Program:
        """(WalkState, RayConstants, Pool, WalkMap, slots, Numbers) -> WalkState, see
        `kernels.walk`."""

        def walk(state: WalkState, *rest: Any) -> WalkState:
            return self._walked(state, _nothing(), WalkBack(_nothing(), _nothing()), *rest)[0]

        return self._walk_program("integrate", walk, tiles, n_slots, n_pages)

    def weigh_rays(self, tiles: int, n_slots: int, n_pages: int) -> Program:
        """(WalkState, weights, RayConstants, Pool, WalkMap, slots, Numbers) -> WalkState, weights: as
        `walk_rays`, see `kernels.weigh`."""

        def walk(state: WalkState, weights: jax.Array, *rest: Any) -> tuple[WalkState, jax.Array]:
            walked = self._walked(
                state, weights, WalkBack(_nothing(), _nothing()), *rest, weighs=True
            )
            return walked[:2]

        weights = self.walks.weights(n_slots)
        return self._walk_program("weigh", walk, tiles, n_slots, n_pages, weights)

    def walk_back(self, tiles: int, n_slots: int, n_pages: int) -> Program:
        """(WalkState, derivatives, loss, RayConstants, Pool, WalkMap, slots, Numbers) -> WalkState,
        derivatives: see `WalkBack` and `kernels.back`."""

        def walk(
            state: WalkState, derivatives: jax.Array, loss: jax.Array, *rest: Any
        ) -> tuple[WalkState, jax.Array]:
            back = WalkBack(loss, derivatives)
            walked = self._walked(state, _nothing(), back, *rest, goes_back=True)
            return walked[0], walked[2]

        loss, derivatives = self.walks.back(tiles, n_pages)
        return self._walk_program("go back", walk, tiles, n_slots, n_pages, derivatives, loss)

    def _walk_program(
        self,
        name: str,
        walk: Callable[..., Any],
        tiles: int,
        n_slots: int,
        n_pages: int,
        *beside: Any,
    ) -> Program:
        """A program that calls the kernel of the walk; it changes the first array `beside` the state."""

        def args() -> tuple[Any, ...]:
            return (
                self.walks.state(tiles),
                *beside,
                self.structs.rays(tiles),
                self.structs.pool(n_slots, n_pages),
                self.walks.map(),
                self.walks.slots(),
                self.walks.numbers(),
            )

        donated = (0, 1) if beside else (0,)
        return self._program((name, tiles, n_slots, n_pages, self._sizes), walk, args, donated)

    def _walked(
        self,
        state: WalkState,
        weights: jax.Array,
        back: WalkBack,
        rays: RayConstants,
        pool: Pool,
        where: WalkMap,
        slots: jax.Array,
        numbers: Numbers,
        *,
        weighs: bool = False,
        goes_back: bool = False,
    ) -> tuple[WalkState, jax.Array, jax.Array]:
        """What a call of the kernel makes of the rays, of weights, and of derivatives."""
        shape = self._shape
        kernel = walk_kernel(
            shape.basis_dim,
            str(self._dtype),
            shape.light,
            shape.aovs,
            weighs=weighs,
            goes_back=goes_back,
        )
        call = wp.jax_kernel(
            kernel, num_outputs=len(IN_OUT), in_out_argnames=IN_OUT, block_dim=BLOCK_THREADS
        )
        *changed, weights, derivatives = call(
            rays.n_samples,
            rays.entry,
            rays.direction,
            rays.basis,
            pool.density,
            pool.ranks,
            pool.pages,
            pool.rows,
            where.groups,
            where.boxes,
            slots,
            *numbers,
            back.loss,
            state.trans,
            state.gathered,
            state.left,
            state.aovs,
            state.next_sample,
            jnp.zeros_like(state.waits_for),
            state.counters,
            weights,
            back.derivatives,
        )
        return WalkState(*changed), weights, derivatives

    def no_weights(self, n_slots: int) -> Program:
        """() -> weights that are all 0."""
        return self._zeros("no weights", self.walks.weights(n_slots))

    def clear_weights(self, n_slots: int) -> Program:
        """(weights, slots [BATCH_BRICKS] i32) -> those, 0 in these slots; below 0 stands none."""

        def clear(weights: jax.Array, slots: jax.Array) -> jax.Array:
            dims = BATCH_BRICKS, self._shape.voxels
            cleared: jax.Array = _call(clearing_kernel(), dims, ["weights"])(slots, weights)[0]
            return cleared

        return self._program(
            ("clear weights", n_slots),
            clear,
            lambda: (self.walks.weights(n_slots), self.structs.one((BATCH_BRICKS,), jnp.int32)),
            donate=(0,),
        )

    def read_weights(self, n_slots: int) -> Program:
        """(weights, slots [SLOTS_READ] i32) -> theirs [SLOTS_READ, V]."""
        return self._program(
            ("read weights", n_slots),
            lambda weights, slots: weights[slots],
            lambda: (self.walks.weights(n_slots), self.structs.one((SLOTS_READ,), jnp.int32)),
        )

    def no_derivatives(self, n_pages: int) -> Program:
        """() -> derivatives that are all 0."""
        return self._zeros("no derivatives", self.walks.back(0, n_pages).derivatives)

    def _zeros(self, name: str, of: Any) -> Program:
        return self._program((name, of.shape), lambda: jnp.zeros(of.shape, of.dtype), lambda: ())

    def take_derivatives(self, n_pages: int) -> Program:
        """(derivatives, pages [PAGES_TAKEN] i32) -> those, 0 in these pages; what was there
        [PAGES_TAKEN * PAGE_ROWS, 3 K + 1]."""

        def take(derivatives: jax.Array, pages: jax.Array) -> tuple[jax.Array, jax.Array]:
            by_page = derivatives.reshape(n_pages, PAGE_ROWS, -1)
            taken = by_page[pages]
            left = by_page.at[pages].set(0.0)
            return left.reshape(derivatives.shape), taken.reshape(-1, derivatives.shape[1])

        return self._program(
            ("take derivatives", n_pages),
            take,
            lambda: (
                self.walks.back(0, n_pages).derivatives,
                self.structs.one((PAGES_TAKEN,), jnp.int32),
            ),
            donate=(0,),
        )

    def live_walks(self, tiles: int) -> Program:
        """(WalkState, RayConstants) -> [t] bool: tiles with a ray that is not at its end."""

        def live(state: WalkState, rays: RayConstants) -> jax.Array:
            alive = (state.trans[:-1] > 0.0) & (state.next_sample < rays.n_samples)
            tiles: jax.Array = alive.reshape(-1, TILE_RAYS).any(axis=1)
            return tiles

        return self._program(
            ("walk's live tiles", tiles),
            live,
            lambda: (self.walks.state(tiles), self.structs.rays(tiles)),
        )

    def compose_walk(self, tiles: int) -> Program:
        """(trans, AOVs or None, gathered, left, counters, waits_for, RayConstants, units per grid unit,
        unit, step, background) -> the bits of colour [R, 3], depth [R], alpha [R], the counters (i64) and
        the brick that a ray waits for, in one array of i32: each transfer to the host is waited for; and
        AOVs [R, E], where there are any."""

        light, gathers = self._shape.light, self._shape.aovs

        def finish(
            trans: jax.Array,
            aovs: jax.Array | None,
            gathered: jax.Array,
            left: jax.Array,
            counters: jax.Array,
            waits_for: jax.Array,
            *rest: Any,
        ) -> tuple[jax.Array, ...]:
            total = jnp.sum(counters, axis=0, dtype=jnp.int64)
            behind = None if light is Light.MULTIPLIES else left
            state = RayState(trans, gathered, None, None, total)
            values, alpha, _, total = compose(state, behind, *rest)
            # Apart from each other, as pictures hold them: on the host that takes as long as all else.
            apart = values[:-1, :3], values[:-1, 3], alpha[:-1], total, waits_for
            # As whole numbers, which nothing rounds: bits of counters may be those of no float.
            words = [jax.lax.bitcast_convert_type(a, jnp.int32).reshape(-1) for a in apart]
            found = jnp.concatenate(words)
            if aovs is None:
                return (found,)
            rays, per_grid, unit, step, _ = rest
            per_t = world_per_t(rays, per_grid, unit)
            step = step.astype(jnp.float32)
            return found, finished_aovs(aovs, gathers, trans[:-1], rays.t_min, step, per_t)

        def args() -> tuple[Any, ...]:
            one, state = self.structs.one, self.walks.state(tiles)
            return (
                state.trans,
                self.structs.aovs(tiles * TILE_RAYS),
                state.gathered,
                state.left,
                state.counters,
                state.waits_for,
                self.structs.rays(tiles),
                one((3,), jnp.float32),
                one((), jnp.float32),
                one((), jnp.float64),
                one((3,), jnp.float32),
            )

        return self._program(("compose a walk", tiles), finish, args, donate=(1,))
