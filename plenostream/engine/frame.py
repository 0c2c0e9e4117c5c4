"""The host loop: waves of bricks through the pool, and the rays through the waves.

::

    for each wave, front to back:
        1. drop the bricks that no live ray can reach     (the report of two waves ago)
        2. give the others their places in the pool       (residency; some leave)
        3. pack the missing ones for upload               (read by the fetcher's threads)
        4. wait until the wave before has been drawn      (the pool is about to change)
        5. copy what is missing up and into the pool
        6. ask for the bricks of the next waves           (reads go on while this wave is drawn)
        7. hand the wave's work items to the workers

A worker owns a part of the rays and draws them in order; parts never meet. Resident and
streaming are the same loop: with everything in the pool, steps 2 to 5 find nothing to do.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from plenostream.engine.host import STAGED_ROWS, HostLedger
from plenostream.engine.planner import Sizes
from plenostream.engine.workers import Worker, Workers
from plenostream.errors import InternalError
from plenostream.format.reader import SceneStore
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.geometry import TILE_RAYS
from plenostream.integrator.xla.kernels.state import COUNTERS, KernelShape, WaveScalars
from plenostream.integrator.xla.pool import BrickPool, PackedBricks, pack_bricks
from plenostream.integrator.xla.programs import (
    BATCH_BRICKS,
    CALL_BLOCKS,
    CALL_ITEMS,
    Program,
    Programs,
)
from plenostream.plan import BoxTable, View, pack_calls, plan_waves
from plenostream.results import FrameStats
from plenostream.stream import BrickFetcher
from plenostream.stream.residency import Residency

__all__ = ["Frame"]

_READ_AHEAD = 2
"""Waves whose bricks are read before their turn."""
_COMPOSED_RAY = 20
"""Bytes of a ray as it comes from the device: colour, depth and alpha."""
_REPORT_DELAY = 2
"""Waves after which a report of live tiles is used, so that nobody waits for it."""


Place = Callable[[int, NDArray[np.float32], NDArray[np.float32]], None]
"""Takes the number of a part, and of its tiles: colour and depth [t, 64, 4], and alpha [t, 64]."""


_Call = tuple[int, NDArray[np.int32], NDArray[np.int32]]
"""Part, items (padded), and blocks of a call of the integrator."""


@dataclass(slots=True, kw_only=True)
class Frame:
    """Everything that drawing takes, for one `Sizes`."""

    store: SceneStore
    table: BoxTable
    device: Device
    programs: Programs
    shape: KernelShape
    pool: BrickPool
    residency: Residency
    fetcher: BrickFetcher
    workers: Workers
    host: HostLedger
    pages: NDArray[np.int64]
    scalars: WaveScalars
    unit: float
    """World length that densities on the device are per."""
    background: jax.Array
    sizes: Sizes
    n_ahead: int
    """Batches of bricks that are packed before the pool is ready for them, beside the first."""
    staged_bytes: int = 0
    """Bytes of the batches that are packed and not yet written."""

    def draw(self, view: View, stats: FrameStats) -> None:
        """Bring the workers' rays through everything that `view` shows."""
        self.host.note("view", view.nbytes)
        self.residency.begin_frame(view.bricks)
        sizes = self.sizes
        waves = [
            view.bricks[places]
            for places in plan_waves(
                view.shells,
                self.pages[view.bricks],
                n_slots=sizes.n_slots,
                n_pages=sizes.n_pages - 1,
            )
        ]
        stats.bricks_visible += len(view.bricks)
        try:
            self._draw_waves(view, waves, stats)
        finally:
            self.fetcher.cancel()

    def _draw_waves(self, view: View, waves: list[NDArray[np.int64]], stats: FrameStats) -> None:
        reports: deque[list[Future[Any]]] = deque()
        alive: NDArray[np.bool_] | None = None
        for wave in waves[:_READ_AHEAD]:
            self.fetcher.request(self.residency.missing(wave))
        for number, wave in enumerate(waves):
            if len(reports) == _REPORT_DELAY:
                alive = self._live_tiles(reports.popleft())
                hidden = view.hidden(wave, alive)
                stats.bricks_culled += int(hidden.sum())
                self.fetcher.cancel(wave[hidden])
                wave = wave[~hidden]
            if len(wave):
                self._draw_wave(view, wave, alive, stats)
                for coming in waves[number + _READ_AHEAD : number + _READ_AHEAD + 1]:
                    self.fetcher.request(self.residency.missing(coming))
                stats.waves += 1
            reports.append([worker.submit(self._report, worker) for worker in self.workers.all])
        self.workers.wait()

    def _draw_wave(
        self,
        view: View,
        wave: NDArray[np.int64],
        alive: NDArray[np.bool_] | None,
        stats: FrameStats,
    ) -> None:
        """Get the wave's missing bricks into the pool, and hand its items to the workers."""
        admission = self.residency.admit(wave)
        stats.bricks_evicted += admission.n_evicted
        try:
            batches = self._packed(admission.bricks, admission.slots, admission.pages)
            # These are read and packed while the wave before is still drawn; the rest, if memory
            # does not allow more, one after another as they are written. So is the first portion
            # of the items.
            ahead = list(itertools.islice(batches, self.n_ahead + 1))
            portions = self._calls(view, wave, alive, stats)
            first = next(portions, [])
            if ahead:
                self.workers.wait()
            for packed in itertools.chain(self._one_by_one(ahead), batches):
                for kind, arrays in self.pool.stage(packed):
                    self.device.ledger.sample()
                    stats.bytes_uploaded += self.pool.write(kind, arrays)
                self.staged_bytes -= packed.nbytes
        except BaseException:
            self.residency.forget(admission.bricks)
            raise
        finally:
            self.staged_bytes = 0
        stats.bricks_read += len(admission.bricks)
        for calls in itertools.chain([first], portions):
            self._submit(calls)

    @staticmethod
    def _one_by_one(batches: list[PackedBricks]) -> Iterator[PackedBricks]:
        """Batches in order, each let go of when the next is asked for."""
        batches.reverse()
        while batches:
            yield batches.pop()

    def _packed(
        self,
        bricks: NDArray[np.int64],
        slots: NDArray[np.int32],
        pages: NDArray[np.int32],
    ) -> Iterator[PackedBricks]:
        """The bricks in staging buffers, a batch at a time."""
        tables, meta = self.store.tables, self.store.meta
        n_rows = np.cumsum(np.diff(tables.row_start)[bricks])
        n_pages = np.concatenate([[0], np.cumsum(self.pages[bricks])])
        start = 0
        while start < len(bricks):
            done = n_rows[start - 1] if start else 0
            stop = int(np.searchsorted(n_rows, done + STAGED_ROWS, "right"))
            stop = min(max(stop, start + 1), start + BATCH_BRICKS)
            some = bricks[start:stop]
            rows = self.fetcher.take(some)
            packed = pack_bricks(
                bricks=meta.bricks,
                index=tables.index[some],
                mask=tables.mask[some],
                density=rows.density,
                sh=rows.sh,
                row_start=rows.row_start,
                slots=slots[start:stop],
                pages=pages[n_pages[start] : n_pages[stop]],
                n_slots=self.sizes.n_slots,
                n_pages=self.sizes.n_pages,
                dtype=np.dtype(self.pool.arrays.rows.dtype),
                unit=self.unit,
            )
            self.staged_bytes += packed.nbytes
            self.host.note("staging", self.staged_bytes + rows.density.nbytes + rows.sh.nbytes)
            yield packed
            start = stop

    def _calls(
        self,
        view: View,
        wave: NDArray[np.int64],
        alive: NDArray[np.bool_] | None,
        stats: FrameStats,
    ) -> Iterator[list[_Call]]:
        """The integrator's calls for a wave, in portions; in order for each part."""
        wanted = np.zeros(len(self.residency.slot_of), bool)
        wanted[wave] = True
        for items in view.items(wanted, alive):
            stats.items += len(items.tile)
            self.host.note("items", items.nbytes)
            calls: list[_Call] = []
            for part, rows, blocks in pack_calls(
                items,
                self.table,
                self.residency.slot_of,
                len(self.workers.all),
                block_items=self.shape.items,
                capacity=CALL_ITEMS,
            ):
                if len(blocks) > CALL_BLOCKS:
                    raise InternalError(f"{len(blocks)} blocks of work items in one call")
                padded = np.zeros((CALL_ITEMS + self.shape.items, rows.shape[1]), np.int32)
                padded[: len(rows)] = rows
                calls.append((part, padded, blocks))
            yield calls

    def _submit(self, calls: list[_Call]) -> None:
        """Queue calls; those that are queued are let go of here."""
        program = self.programs.integrate(self.sizes.tiles, self.sizes.n_slots, self.sizes.n_pages)
        held = sum(rows.nbytes + blocks.nbytes for _, rows, blocks in calls)
        calls.reverse()
        while calls:
            part, rows, blocks = calls.pop()
            worker = self.workers.all[part]
            worker.submit(self._integrate, worker, program, self.pool.arrays, rows, blocks)
            self.host.note("queue", self.workers.queued_bytes + held)
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
        put = self.device.put
        padded = np.zeros((CALL_BLOCKS, 2), np.int32)
        padded[: len(blocks)] = blocks
        state, worker.state = worker.state, None
        worker.state = program(
            state,
            worker.rays,
            pool,
            put(rows),
            put(padded),
            put(np.int32(len(blocks))),
            self.scalars,
        )

    def _report(self, worker: Worker) -> jax.Array:
        """Runs in the worker's thread."""
        program = self.programs.live_tiles(self.sizes.tiles)
        live: jax.Array = program(worker.state, worker.rays)
        return live

    def _live_tiles(self, report: list[Future[Any]]) -> NDArray[np.bool_]:
        """Live tiles of all parts, dealt back to their places."""
        parts = [np.asarray(self.device.get(future.result())) for future in report]
        return np.stack(parts, axis=1).reshape(-1)

    def compose(self, place: Place, stats: FrameStats) -> None:
        """Hand the finished rays of each part to `place`; the workers call it, each for its own
        part, at the same time.

        Adds the kernels' own counts to `stats`.
        """
        waiting = [
            worker.submit(self._compose, part, worker, place)
            for part, worker in enumerate(self.workers.all)
        ]
        for future in waiting:
            for name, count in zip(COUNTERS, future.result(), strict=True):
                setattr(stats, name, getattr(stats, name) + count)
        n_rays = self.sizes.tiles * TILE_RAYS * len(self.workers.all)
        self.host.note("composed", n_rays * _COMPOSED_RAY)

    def _compose(self, part: int, worker: Worker, place: Place) -> list[int]:
        """Runs in the worker's thread; the kernels' counts."""
        state, worker.state = worker.state, None
        if state is None:
            raise InternalError("a part of the rays has no state to be composed")
        program, scalars = self.programs.compose(self.sizes.tiles), self.scalars
        lengths = (scalars.units_per_grid, scalars.unit, scalars.step)
        args = (worker.rays, *lengths, self.background)
        values, alpha, counters = self.device.get(program(state, *args))
        place(part, values[:-1].reshape(-1, TILE_RAYS, 4), alpha[:-1].reshape(-1, TILE_RAYS))
        return [int(count) for count in counters]
