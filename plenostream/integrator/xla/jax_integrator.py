"""What integrators in JAX have in common: rays dealt to threads that run compiled kernels, and a pool.

The tiles of rays are dealt to parts; each part has a thread that draws it in order, and parts never
meet. On a CPU there is a part for each thread allowed; a GPU takes everything at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.finished import Finished, Place
from plenostream.field.precision import density_unit
from plenostream.field.tiles import TILE_RAYS, Pairs
from plenostream.integrator.interface import (
    Arrivals,
    DeviceCosts,
    HostCosts,
    LossByRays,
    RaySource,
    Report,
    RowDerivatives,
    SampleRule,
    SceneShape,
    Sizes,
)
from plenostream.integrator.lattice import GridArrays, Spacing
from plenostream.integrator.loss import add_in_portions
from plenostream.integrator.staging_memory import plain_memory
from plenostream.integrator.xla.blocks import BlockMap, map_blocks, walk_size
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kept import KeptValues
from plenostream.integrator.xla.kernel_values import grid_arrays, wave_scalars
from plenostream.integrator.xla.kernels.geometry import entry_bits
from plenostream.integrator.xla.kernels.state import WaveScalars
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.memory import Memory
from plenostream.integrator.xla.packets import walk_pairs
from plenostream.integrator.xla.pool import BrickPool
from plenostream.integrator.xla.programs import Program, Programs
from plenostream.integrator.xla.staged import Staged, Stager
from plenostream.integrator.xla.structs import BATCH_BRICKS, StagedShape, batch_rows
from plenostream.integrator.xla.workers import Worker, Workers

__all__ = ["Composed", "JaxIntegrator"]

_PLACERS = 4
"""Threads that put pictures together, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """What has become of n rays, on the host."""

    rgb: NDArray[np.float32]
    """[n or more, 3]."""
    depth: NDArray[np.float32]
    """[n or more]."""
    alpha: NDArray[np.float32]
    """[n or more]."""
    aovs: NDArray[np.float32]
    """[n or more, E]."""
    counters: NDArray[np.integer]
    """In the order of `JaxIntegrator.counters`."""


class JaxIntegrator(ABC):
    """See `integrator.interface.Integrator`; how rays are brought through bricks is left open."""

    name: str
    counters: tuple[str, ...]
    """What the kernels count."""
    programs: Programs
    memory: Memory
    batch_bricks = BATCH_BRICKS

    def __init__(
        self, device: Device, scene: SceneShape, rule: SampleRule, *, precision: str
    ) -> None:
        """Take the `precision` (float16 or float32) that the pool has; allocates nothing."""
        self.device = device
        self.precision = precision
        self.allowed_bytes = device.allowed_bytes
        self.n_threads = device.n_threads
        self._scene = scene
        self._rule = rule
        self._unit = density_unit(scene.grid)
        self._shape = kernel_shape(
            device.platform,
            brick_size=scene.bricks.brick_size,
            basis_dim=scene.basis_dim,
            entry_bits=entry_bits(scene.grid.size),
            spheric_clip=rule.spheric_clip,
            light=rule.light,
            aovs=rule.aovs,
        )
        self.takes_in_place = False
        self.batch_rows = batch_rows(
            device.platform, scene.basis_dim, scene.sh_dtype, n_rows=scene.n_rows
        )
        self._staged = StagedShape(scene.staged_rows(self.batch_rows), scene.sh_dtype)
        self._walk = walk_size(scene.bricks)
        self.workers = Workers(device.n_parts)
        self._values = {worker: KeptValues(device) for worker in self.workers.all}
        self._placers = ThreadPoolExecutor(_PLACERS, thread_name_prefix="plenostream-place")
        self._pool: BrickPool | None = None
        self._blocks: tuple[BlockMap, jax.Array] | None = None
        self._n_tiles = 0
        self._n_real = 0
        self._coming: Iterator[Arrivals] = iter(())
        self._counts: dict[str, int] = {}
        self._peaks: dict[str, int] = {}
        self._compiled_before = 0
        self._kept: tuple[WaveScalars, tuple[GridArrays, Spacing]] | None = None
        self._basis: tuple[jax.Array, ...] | None = None

    # What it takes

    def device_costs(self, rays: RaySource) -> DeviceCosts:
        """See `Integrator`."""
        return self.memory.device_costs(rays)

    def temporary_bytes(self, sizes: Sizes | None, rays: RaySource) -> int:
        """See `Integrator`."""
        return self.memory.temporary_bytes(sizes, rays)

    def host_costs(self, pairs_at_once: int) -> HostCosts:
        """See `Integrator`."""
        return self.memory.host_costs(pairs_at_once)

    # The pool

    def make_pool(self, n_slots: int, n_pages: int) -> None:
        """See `Integrator`."""
        self._pool = None  # first: there are never two
        sizes = {"n_slots": n_slots, "n_pages": n_pages}
        memory = self.staging_memory
        stager = Stager(
            self.device, self._shape, self._staged, **sizes, unit=self._unit, memory=memory
        )
        self._pool = BrickPool(self.device, self.programs, stager, **sizes)

    @property
    def pool_is_lost(self) -> bool:
        """See `Integrator`."""
        return self._pool is None or self._pool.is_lost

    @property
    def pool(self) -> BrickPool:
        """The pool that there is."""
        if self._pool is None:
            raise InternalError("rays are to be drawn, and there is no pool")
        return self._pool

    def staging_memory(self, n_bytes: int) -> NDArray[np.uint8]:
        """See `Integrator`."""
        return plain_memory(n_bytes)

    def take_in(self, arrivals: Iterator[Arrivals]) -> None:
        """See `Integrator`."""
        self._coming = arrivals

    def _bring_in(self) -> None:
        """Everything that arrives, into the pool."""
        for number, some in enumerate(self._coming):
            staged = self.pool.stager.stage(some)
            self._note("staging", self.pool.stager.nbytes)
            self.device.ledger.sample()
            self._count("bytes_uploaded", some.nbytes)
            if number == 0:
                self.workers.wait()  # the pool is about to change
            self._write(staged)
            self.pool.settle(staged)
            del staged  # before the next batch goes up: there is room for one

    def _write(self, staged: Staged) -> None:
        """Put a batch into the pool, its rows and the rest at the same time where there are threads."""
        writers, n_parts = self.pool.writers(staged), len(self.workers.all)

        def run(mine: Sequence[Callable[[], None]]) -> None:
            for write in mine:
                write()

        tasks = zip(
            self.workers.all, (writers[part::n_parts] for part in range(n_parts)), strict=True
        )
        for future in [worker.submit(run, mine) for worker, mine in tasks if mine]:
            future.result()

    # Rays

    def begin(self, rays: RaySource, n_tiles: int) -> None:
        """See `Integrator`."""
        n_parts = len(self.workers.all)
        self._n_tiles, self._n_real = n_tiles, rays.n_tiles
        self.workers.go_on()
        if self._kept is None:
            grid, rule = self._scene.grid, self._rule
            self._kept = wave_scalars(self.device, grid, rule), grid_arrays(self.device, grid, rule)
        spaced = self._kept[1]
        tiles = n_tiles // n_parts
        set_up = self.programs.set_up(rays, tiles)
        if self._basis is None:
            self._basis = tuple(self.device.put(a) for a in self._scene.basis.arrays)
        basis = self._basis

        def start(worker: Worker, *per_tile: NDArray[Any]) -> None:
            mine = self._values[worker].put("rays", rays.shared, beside=per_tile)
            worker.rays, worker.state = set_up(basis, *mine, *spaced)

        for part, worker in enumerate(self.workers.all):
            dealt = []
            for whole, nothing in zip(rays.per_tile, rays.nothing, strict=True):
                padded = np.repeat(nothing, tiles, axis=0)
                mine = whole[part::n_parts]
                padded[: len(mine)] = mine
                dealt.append(padded)
            worker.submit(start, worker, *dealt)

    def octant_keys(self) -> NDArray[np.int64]:
        """See `Integrator`."""
        keys_of = self.programs.keys(self._n_tiles // len(self.workers.all))
        # The rays are not there before the worker's own turn.
        keys = [w.submit(lambda w=w: keys_of(w.rays)) for w in self.workers.all]
        parts = [self.device.get(k.result()).reshape(-1, TILE_RAYS) for k in keys]
        return np.stack(parts, axis=1).reshape(-1)

    def boxes_met(
        self, n_packets: int, at_once: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """See `Integrator`."""
        words, steps = self._walk
        if self._blocks is None:
            blocks = map_blocks(self._scene.boxes, self._scene.bricks)
            self._blocks = blocks, self.device.put(blocks.bits(words))
        blocks, occupied = self._blocks
        portions = walk_pairs(
            self.workers,
            self.device,
            self.programs.walk(self._n_tiles // len(self.workers.all), words, steps),
            (
                occupied,
                self.device.put(np.array(blocks.shape, np.int32)),
                self.device.put(np.float64(self._rule.step_size)),
            ),
            n_packets=n_packets,
            n_blocks=blocks.n_blocks,
            at_once=at_once,
        )
        for packet, block in portions:
            yield packet, blocks.boxes_of(block)

    @abstractmethod
    def advance(self, pairs: Iterable[Pairs], slot_of: NDArray[np.int32]) -> None:
        """See `Integrator`."""

    @abstractmethod
    def _live(self, tiles: int) -> Program:
        """(state, RayConstants) -> [t] bool: tiles with a live ray."""

    @abstractmethod
    def _composed(self, worker: Worker, tiles: int, behind: jax.Array) -> Composed:
        """What has become of all rays; it runs in the worker's thread and takes the worker's state."""

    def report(self) -> Report:
        """See `Integrator`."""
        program = self._live(self._n_tiles // len(self.workers.all))
        waiting = [w.submit(lambda w=w: program(w.state, w.rays)) for w in self.workers.all]

        def live() -> NDArray[np.bool_]:
            parts = [np.asarray(self.device.get(future.result())) for future in waiting]
            return np.stack(parts, axis=1).reshape(-1)[: self._n_real]

        return live

    def weights(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """See `Integrator`; `backends` refuses rules that ask for them."""
        raise InternalError(f"the backend {self.name} keeps no weights")

    def begin_back(self, rays: RaySource, n_tiles: int, loss: LossByRays) -> None:
        """See `Integrator`; `backends` refuses rules that ask for derivatives."""
        raise InternalError(f"the backend {self.name} differentiates nothing")

    def derivatives(
        self, slots: NDArray[np.int32], into: RowDerivatives | None = None
    ) -> RowDerivatives:
        """See `begin_back`."""
        raise InternalError(f"the backend {self.name} differentiates nothing")

    def add_derivatives(
        self, slots: NDArray[np.int32], owner: NDArray[np.int32], into: RowDerivatives
    ) -> None:
        """See `Integrator`."""
        add_in_portions(self.derivatives, slots, owner, into)

    def finish(self, background: NDArray[np.float32], place: Place) -> None:
        """See `Integrator`."""
        behind = np.asarray(background, np.float32)
        self.workers.wait()
        waiting = [
            worker.submit(self._compose, part, worker, behind, place)
            for part, worker in enumerate(self.workers.all)
        ]
        for future in waiting:
            for name, count in zip(self.counters, future.result(), strict=True):
                self._count(name, count)

    def _compose(
        self, part: int, worker: Worker, background: NDArray[np.float32], place: Place
    ) -> list[int]:
        """Runs in the worker's thread; the kernels' counts."""
        if worker.state is None:
            raise InternalError("a part of the rays has no state to be composed")
        n_parts = len(self.workers.all)
        tiles = self._n_tiles // n_parts
        (behind,) = self._values[worker].put("background", (background,))
        composed = self._composed(worker, tiles, behind)
        number = np.arange(part, self._n_real, n_parts)

        def mine(values: NDArray[np.float32], *channels: int) -> NDArray[np.float32]:
            return values[: tiles * TILE_RAYS].reshape(tiles, TILE_RAYS, *channels)[: len(number)]

        finished = Finished(
            tile=number,
            rgb=mine(composed.rgb, 3),
            depth=mine(composed.depth),
            alpha=mine(composed.alpha),
            aovs=mine(composed.aovs, self._rule.aovs.n_columns),
        )
        # A part of a GPU is the whole picture, and putting it together takes longer than drawing it.
        pieces = max(1, min(_PLACERS // n_parts, self.n_threads))
        most = max(1, -(-len(number) // pieces))
        for placed in [self._placers.submit(place, some) for some in finished.parts(most)]:
            placed.result()
        return [int(count) for count in composed.counters]

    def interrupt(self) -> None:
        """See `Integrator`; what runs on a device is not stopped, what waits for it is left out."""
        self.workers.interrupt()

    def drop(self) -> None:
        """See `Integrator`."""
        self._coming = iter(())
        self.workers.drop()

    def close(self) -> None:
        """See `Integrator`."""
        self.drop()
        self.workers.close()
        self._placers.shutdown()
        self._pool = self._blocks = self._kept = self._basis = None
        for values in self._values.values():
            values.clear()

    # Values for the kernels

    @property
    def _scalars(self) -> WaveScalars:
        if self._kept is None:
            raise InternalError("rays are to be drawn that were not begun")
        return self._kept[0]

    @property
    def _lengths(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Units per grid unit, unit and step."""
        return self._scalars.units_per_grid, self._scalars.unit, self._scalars.step

    # Counts

    def _count(self, name: str, n: int) -> None:
        self._counts[name] = self._counts.get(name, 0) + n

    def _note(self, name: str, n_bytes: int) -> None:
        self._peaks[name] = max(self._peaks.get(name, 0), n_bytes)

    def take_counts(self) -> dict[str, int]:
        """See `Integrator`."""
        counts, self._counts = self._counts, {}
        compiled, self._compiled_before = self._compiled_before, self.programs.n_compiles
        counts["compiles"] = self.programs.n_compiles - compiled
        counts["peak_device_bytes"] = self.device.ledger.take_peak()
        return counts

    def take_host_peaks(self) -> dict[str, int]:
        """See `Integrator`."""
        peaks, self._peaks = self._peaks, {}
        return peaks
