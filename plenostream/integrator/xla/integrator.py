"""The integrator in JAX alone: pairs of tiles and boxes, for which compiled kernels are called."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.tiles import Pairs
from plenostream.integrator.interface import SampleRule, SceneShape
from plenostream.integrator.xla.calls import pack_calls, pack_corners
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.jax_integrator import Composed, JaxIntegrator
from plenostream.integrator.xla.kernels.state import COUNTERS
from plenostream.integrator.xla.memory import Memory
from plenostream.integrator.xla.programs import Program, Programs
from plenostream.integrator.xla.structs import CALL_BLOCKS, CALL_ITEMS
from plenostream.integrator.xla.workers import Worker

__all__ = ["XlaIntegrator"]

_Call = tuple[int, NDArray[np.int32], NDArray[np.int32]]
"""Part, items (padded), and blocks of a call of the kernel `integrate`."""


class XlaIntegrator(JaxIntegrator):
    """See `integrator.interface.Integrator`."""

    name = "xla"
    counters = COUNTERS

    def __init__(
        self, device: Device, scene: SceneShape, rule: SampleRule, *, precision: str
    ) -> None:
        """Take the `precision` (float16 or float32) that the pool has; allocates nothing."""
        super().__init__(device, scene, rule, precision=precision)
        self.programs: Programs = Programs(device, self._shape, jnp.dtype(precision), scene.basis)
        self._corners = pack_corners(scene.boxes)
        kept = scene.boxes.nbytes + self._corners.nbytes
        self.memory = Memory(device, self.programs, scene, self._walk, kept, self._staged)

    def advance(self, pairs: Iterable[Pairs], slot_of: NDArray[np.int32]) -> None:
        """See `Integrator`."""
        portions = self._calls(pairs, slot_of)
        first = next(portions, [])
        self._bring_in()
        for calls in itertools.chain([first], portions):
            self._submit(calls)

    def _calls(self, pairs: Iterable[Pairs], slot_of: NDArray[np.int32]) -> Iterator[list[_Call]]:
        """The kernel's calls, in portions; in order for each part."""
        for some in pairs:
            self._count("items", len(some.tile))
            calls: list[_Call] = []
            for part, rows, blocks in pack_calls(
                some,
                self._scene.boxes.brick,
                self._corners,
                slot_of,
                len(self.workers.all),
                block_items=self._shape.items,
                capacity=CALL_ITEMS,
            ):
                if len(blocks) > CALL_BLOCKS:
                    raise InternalError(f"{len(blocks)} blocks of work items in one call")
                padded = np.zeros((CALL_ITEMS + self._shape.items, rows.shape[1]), np.int32)
                padded[: len(rows)] = rows
                calls.append((part, padded, blocks))
            yield calls

    def _submit(self, calls: list[_Call]) -> None:
        """Queue calls; those that are queued are let go of here."""
        tiles = self._n_tiles // len(self.workers.all)
        program = self.programs.integrate(tiles, self.pool.n_slots, self.pool.n_pages)
        held = sum(rows.nbytes + blocks.nbytes for _, rows, blocks in calls)
        calls.reverse()
        while calls:
            part, rows, blocks = calls.pop()
            worker = self.workers.all[part]
            worker.submit(self._integrate, worker, program, self.pool.arrays, rows, blocks)
            self._note("queue", self.workers.queued_bytes + held)
            held -= rows.nbytes + blocks.nbytes

    def _integrate(
        self,
        worker: Worker,
        program: Program,
        pool: Any,
        rows: NDArray[np.int32],
        blocks: NDArray[np.int32],
    ) -> None:
        """Runs in the worker's thread."""
        worker.check()
        padded = np.zeros((CALL_BLOCKS, 2), np.int32)
        padded[: len(blocks)] = blocks
        state, worker.state = worker.state, None
        call = self.device.put_all((rows, padded, np.int32(len(blocks))))
        worker.state = program(state, worker.rays, pool, *call, self._scalars)

    def _live(self, tiles: int) -> Program:
        """See `JaxIntegrator`."""
        return self.programs.live_tiles(tiles)

    def _composed(self, worker: Worker, tiles: int, behind: jax.Array) -> Composed:
        """See `JaxIntegrator`."""
        state, worker.state = worker.state, None
        program = self.programs.compose(tiles)
        alone = state._replace(left=None)
        composed = program(alone, state.left, worker.rays, *self._lengths, behind)
        values, alpha, aovs, counters = self.device.get(composed)
        if aovs is None:
            aovs = np.empty((len(alpha), 0), np.float32)
        return Composed(values[:, :3], values[:, 3], alpha, aovs, counters)
