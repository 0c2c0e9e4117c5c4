"""The integrator in Warp: rays walk by themselves, so all that a wave needs is where its bricks are.

Warp's kernel is a call inside a JAX program. It holds a lock, and Python runs inside it: on a CPU
rays are one part, and everything is called from the part's own thread, where no signal arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.tiles import TILE_RAYS, Pairs
from plenostream.integrator.interface import (
    Arrivals,
    LossByRays,
    RaySource,
    RowDerivatives,
    SampleRule,
    SceneShape,
)
from plenostream.integrator.warp.back import Derivatives, loss_numbers
from plenostream.integrator.warp.boxmap import group_shape, map_boxes
from plenostream.integrator.warp.memory import WalkMemory
from plenostream.integrator.warp.page_locked import Landing, page_locked_memory
from plenostream.integrator.warp.programs import WalkPrograms
from plenostream.integrator.warp.state import COUNTERS, Numbers, WalkMap
from plenostream.integrator.warp.weights import Weights
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.jax_integrator import Composed, JaxIntegrator
from plenostream.integrator.xla.kernel_values import depth_density, opaque_length
from plenostream.integrator.xla.programs import Program
from plenostream.integrator.xla.workers import Worker

__all__ = ["WarpIntegrator"]

_Result = TypeVar("_Result")


class WarpIntegrator(JaxIntegrator):
    """See `integrator.interface.Integrator`."""

    name = "warp"
    counters = COUNTERS

    def __init__(
        self, device: Device, scene: SceneShape, rule: SampleRule, *, precision: str
    ) -> None:
        """Take the `precision` (float16 or float32) that the pool has; allocates nothing."""
        super().__init__(device, scene, rule, precision=precision)
        self._bricks = np.unique(scene.boxes.brick)
        x, y, z = group_shape(scene.bricks)
        sizes = x * y * z, max(len(scene.boxes.brick), 1), max(len(self._bricks), 1)
        self.programs: WalkPrograms = WalkPrograms(
            device, self._shape, jnp.dtype(precision), scene.basis, sizes
        )
        self.memory = WalkMemory(
            device,
            self.programs,
            scene,
            self._walk,
            self._staged,
            weigh=rule.weigh,
            differentiate=rule.differentiate,
        )
        self._weights: Weights | None = None
        self._derivatives: Derivatives | None = None
        self._loss: jax.Array | None = None
        self._goes_back = False
        self._landing = Landing(device.device)
        self._map: WalkMap | None = None
        self._numbers: Numbers | None = None

    def staging_memory(self, n_bytes: int) -> NDArray[np.uint8]:
        """See `Integrator`."""
        on_cuda = self.device.platform == "gpu"
        return page_locked_memory(n_bytes) if on_cuda else super().staging_memory(n_bytes)

    def make_pool(self, n_slots: int, n_pages: int) -> None:
        """See `Integrator`."""
        self._weights = self._derivatives = None
        super().make_pool(n_slots, n_pages)
        if self._rule.weigh:
            self._weights = Weights(self.programs, n_slots)
        if self._rule.differentiate:
            self._derivatives = Derivatives(self.programs, n_pages)

    @property
    def pool_is_lost(self) -> bool:
        """See `Integrator`."""
        beside = (self._weights, self._derivatives)
        return any(a is not None and a.is_lost for a in beside) or super().pool_is_lost

    def take_in(self, arrivals: Iterator[Arrivals]) -> None:
        """See `Integrator`."""
        beside = self._weights or self._derivatives
        super().take_in(arrivals if beside is None else self._noted(arrivals))

    def _noted(self, arrivals: Iterator[Arrivals]) -> Iterator[Arrivals]:
        """Bricks that come in, whose slots and pages then know nothing of others."""
        (worker,) = self.workers.all
        for some in arrivals:
            if self._weights is not None:
                worker.submit(self._weights.clear, some.slots.copy(), self.device.put)
            if self._derivatives is not None:
                pages = self._derivatives.came(some)
                worker.submit(self._derivatives.clear, pages, self.device.put)
            yield some

    def weights(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """See `Integrator`."""
        if self._weights is None:
            raise InternalError("there are no weights: the rule asks for none, or there is no pool")
        found = self._weights

        def read() -> NDArray[np.float32]:
            return found.read(slots, put=self.device.put, get=self.device.get)

        return self._in_turn(read)

    def begin(self, rays: RaySource, n_tiles: int) -> None:
        """See `Integrator`."""
        self._goes_back = False
        if self._map is None:
            made = map_boxes(self._scene.boxes, self._scene.bricks)
            self._map = WalkMap(self.device.put(made.groups), self.device.put(made.boxes))
            self._numbers = self._walk_numbers()
        super().begin(rays, n_tiles)

    def begin_back(self, rays: RaySource, n_tiles: int, loss: LossByRays) -> None:
        """See `Integrator`."""
        self.begin(rays, n_tiles)
        (worker,) = self.workers.all
        numbers = loss_numbers(loss, n_tiles)

        def put() -> None:
            self._loss = self.device.put(numbers)

        worker.submit(put)
        self._goes_back = True

    def derivatives(
        self, slots: NDArray[np.int32], into: RowDerivatives | None = None
    ) -> RowDerivatives:
        """See `Integrator`."""
        if self._derivatives is None:
            raise InternalError(
                "there are no derivatives: the rule asks for none, or there is no pool"
            )
        found = self._derivatives

        def hand_over() -> RowDerivatives:
            return found.hand_over(slots, into, put=self.device.put, get=self.device.get)

        return self._in_turn(hand_over)

    def _in_turn(self, task: Callable[[], _Result]) -> _Result:
        """What a task gives in the worker's thread, after all that was asked for."""
        (worker,) = self.workers.all
        self.workers.wait()
        result: _Result = worker.submit(task).result()
        self.workers.wait()
        return result

    def drop(self) -> None:
        """See `Integrator`."""
        super().drop()
        self._loss = None

    def advance(self, pairs: Iterable[Pairs], slot_of: NDArray[np.int32]) -> None:
        """See `Integrator`; rays find their boxes by themselves."""
        (worker,) = self.workers.all
        self._bring_in()
        sizes = self._n_tiles, self.pool.n_slots, self.pool.n_pages
        beside = self._derivatives if self._goes_back else self._weights
        if self._goes_back:
            program = self.programs.walk_back(*sizes)
        elif self._weights is not None:
            program = self.programs.weigh_rays(*sizes)
        else:
            program = self.programs.walk_rays(*sizes)
        slots = np.full(max(len(self._bricks), 1), -1, np.int32)
        slots[: len(self._bricks)] = slot_of[self._bricks]
        worker.submit(self._walk_on, worker, program, beside, self.pool.arrays, slots)
        self._note("queue", self.workers.queued_bytes)

    def _walk_on(
        self,
        worker: Worker,
        program: Program,
        beside: Derivatives | Weights | None,
        pool: Any,
        slots: NDArray[np.int32],
    ) -> None:
        """Runs in the worker's thread."""
        worker.check()
        state, worker.state = worker.state, None
        (there,) = self._values[worker].put("slots", (slots,))
        rest = worker.rays, pool, self._map, there, self._numbers
        if beside is None:
            worker.state = program(state, *rest)
            return
        loss = (self._loss,) if isinstance(beside, Derivatives) else ()
        array, beside.array = beside.array, None
        worker.state, beside.array = program(state, array, *loss, *rest)
        self.device.ledger.sample()

    def _live(self, tiles: int) -> Program:
        """See `JaxIntegrator`."""
        return self.programs.live_walks(tiles)

    def _composed(self, worker: Worker, tiles: int, behind: jax.Array) -> Composed:
        """See `JaxIntegrator`."""
        state, worker.state = worker.state, None
        has_aovs = bool(self._rule.aovs.names)
        composed = self.programs.compose_walk(tiles)(
            state.trans,
            state.aovs if has_aovs else None,
            state.gathered,
            state.left,
            state.counters,
            state.waits_for,
            worker.rays,
            *self._lengths,
            behind,
        )
        words, *found = self._landing.get(list(composed))
        n = tiles * TILE_RAYS
        rgb, depth, alpha, rest = np.split(words, (3 * n, 4 * n, 5 * n))
        if rest[-1]:
            waited_for = int(self._bricks[int(rest[-1]) - 1])
            raise InternalError(f"a ray still waits for brick {waited_for}, which no wave brought")
        return Composed(
            rgb=rgb.view(np.float32).reshape(n, 3),
            depth=depth.view(np.float32),
            alpha=alpha.view(np.float32),
            aovs=found[0] if has_aovs else np.empty((n, 0), np.float32),
            counters=rest[:-1].view(np.int64),
        )

    def close(self) -> None:
        """See `Integrator`."""
        super().close()
        self.programs.close()
        self._landing.close()
        self._map = self._numbers = self._weights = self._derivatives = None

    def _walk_numbers(self) -> Numbers:
        put, scene, rule = self.device.put, self._scene, self._rule
        grid = scene.grid
        _, y, z = group_shape(scene.bricks)
        per_grid = 1.0 / grid.scale / self._unit
        reals = [*per_grid, rule.sigma_thresh * self._unit, rule.stop_thresh, opaque_length(grid)]
        reals += [depth_density(grid, rule), *(grid.scale / grid.scale.max()), self._unit]
        wholes = [*grid.size, y, z, scene.bricks.brick_size, self._shape.entry_bits]
        wholes.append(self._shape.ranks)
        return Numbers(
            step=put(np.array([rule.step_size], np.float64)),
            reals=put(np.array(reals, np.float32)),
            wholes=put(np.array(wholes, np.int32)),
        )
