"""The integrator for CPUs: each ray finds its own way through the bricks, in compiled kernels.

What the host loop asks for becomes a queue of tasks, each done by all threads together (`Crew`).
No ray depends on another, and each adds up its samples in the order in which they lie on it: the
picture is the same, to the last bit, for any number of threads and any division into waves.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.finished import Place
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
from plenostream.integrator.native import memory, structs
from plenostream.integrator.native.back import Derivatives
from plenostream.integrator.native.blocks import BlockMap, SlotTable, check_counts, map_blocks
from plenostream.integrator.native.crew import Crew
from plenostream.integrator.native.library import Kernels
from plenostream.integrator.native.packets import bricks_met
from plenostream.integrator.native.pool import Batch, BrickPool
from plenostream.integrator.native.rays import RayTiles
from plenostream.integrator.native.scene_record import scene_record, set_map
from plenostream.integrator.staging_memory import plain_memory

__all__ = ["NativeIntegrator"]


class NativeIntegrator:
    """See `integrator.interface.Integrator`."""

    name = "native"
    batch_bricks = memory.BATCH_BRICKS
    batch_rows = memory.BATCH_ROWS
    takes_in_place = True

    def __init__(
        self,
        kernels: Kernels,
        scene: SceneShape,
        rule: SampleRule,
        *,
        precision: str,
        allowed_bytes: int,
        n_threads: int,
    ) -> None:
        """Take the `precision` (float16 or float32) that the pool has; allocates nothing.

        Raises DeviceError where the scene has more bricks than the kernels can count."""
        check_counts(scene.boxes, scene.bricks)
        self.precision = precision
        self.allowed_bytes = allowed_bytes
        self.n_threads = n_threads
        self._kernels = kernels
        self._scene = scene
        self._dtype = np.dtype(precision)
        self._aovs = rule.aovs
        self._record = scene_record(scene, rule)
        self._weigh, self._differentiate = rule.weigh, rule.differentiate
        self._crew = Crew(n_threads)
        self._map: BlockMap | None = None
        self._slots: SlotTable | None = None
        self._pool: BrickPool | None = None
        self._pool_is_whole = True
        self._derivatives: Derivatives | None = None
        self._goes_back = False
        self._tiles: RayTiles | None = None
        self._begun: RaySource | None = None
        self._coming: Iterator[Arrivals] = iter(())
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._peaks: Counter[str] = Counter()

    # What it takes

    def device_costs(self, rays: RaySource) -> DeviceCosts:
        """See `Integrator`."""
        return memory.device_costs(
            self._scene,
            self._aovs,
            self._dtype,
            self.n_threads,
            rays,
            weigh=self._weigh,
            differentiate=self._differentiate,
        )

    def temporary_bytes(self, sizes: Sizes | None, rays: RaySource) -> int:
        """See `Integrator`: what the kernels need beside arrays lies on their stacks."""
        return 0

    def host_costs(self, pairs_at_once: int) -> HostCosts:
        """See `Integrator`."""
        return memory.host_costs(self._scene, self.n_threads)

    # The pool

    def make_pool(self, n_slots: int, n_pages: int) -> None:
        """See `Integrator`."""
        self._pool = self._derivatives = None  # first: there are never two
        self._tiles = None  # of another picture: with a larger pool there may be no room for them
        self._pool = BrickPool(
            self._scene, self._dtype, n_slots=n_slots, n_pages=n_pages, weigh=self._weigh
        )
        if self._differentiate:
            self._derivatives = Derivatives(self._scene, n_slots, n_pages, self.n_threads)
        self._pool_is_whole = True

    @property
    def pool_is_lost(self) -> bool:
        """See `Integrator`."""
        return self._pool is None or not self._pool_is_whole

    def staging_memory(self, n_bytes: int) -> NDArray[np.uint8]:
        """See `Integrator`."""
        return plain_memory(n_bytes)

    def take_in(self, arrivals: Iterator[Arrivals]) -> None:
        """See `Integrator`."""
        self._coming = arrivals

    def _put(self, some: Arrivals) -> Future[list[None]]:
        """Bring bricks to their places, once the waves before are drawn."""
        pool, batch = self._the_pool().record, Batch(some)
        back = None if self._derivatives is None else self._derivatives.record
        if self._derivatives is not None and len(some.pages):
            self._derivatives.came(some.slots, some.row_start)

        def put(_: int) -> None:
            try:
                self._kernels.take_in(self._record, pool, batch.record, back)
            except BaseException:
                self._pool_is_whole = False
                raise

        coming = self._crew.submit(put)
        with self._lock:
            self._counts["bytes_uploaded"] += some.nbytes
        return coming

    def _the_pool(self) -> BrickPool:
        if self._pool is None:
            raise InternalError("rays are to be drawn, and there is no pool")
        return self._pool

    # Rays

    def begin(self, rays: RaySource, n_tiles: int) -> None:
        """See `Integrator`."""
        self._goes_back = False
        self._the_map()
        if self._tiles is None or self._tiles.n_tiles != n_tiles:
            self._tiles = None  # first: there are never two
            self._tiles = RayTiles(self._kernels, self._record, self._scene.basis, n_tiles)
        tiles = self._tiles
        tiles.begin(rays)
        self._begun = rays
        if not rays.keys_only:
            self._crew.submit(lambda _: tiles.make(rays))

    def _the_map(self) -> BlockMap:
        if self._map is None:
            blocks = map_blocks(self._scene.boxes, self._scene.bricks, self._kernels)
            set_map(self._record, blocks)
            self._map, self._slots = blocks, SlotTable(blocks.brick_at)
        return self._map

    def _the_tiles(self) -> RayTiles:
        if self._tiles is None:
            raise InternalError("there are no rays")
        return self._tiles

    def octant_keys(self) -> NDArray[np.int64]:
        """See `Integrator`."""
        tiles, rays = self._the_tiles(), self._begun
        assert rays is not None
        keys = np.empty(rays.n_tiles * TILE_RAYS, np.int64)
        self._crew.submit(lambda _: tiles.share(), n=1)
        self._crew.submit(lambda _: tiles.octant_keys(rays, keys)).result()
        return keys

    def boxes_met(
        self, n_packets: int, at_once: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """See `Integrator`; of each brick, one box stands for all: rays need none of them by name."""
        blocks = self._the_map()
        portions = bricks_met(
            self._kernels,
            self._record,
            self._the_tiles().record,
            self._crew,
            n_packets=n_packets,
            n_bricks=len(blocks.boxes),
            at_once=at_once,
        )
        for packet, brick in portions:
            yield packet, blocks.first_box[brick]

    def advance(self, pairs: Iterable[Pairs], slot_of: NDArray[np.int32]) -> None:
        """See `Integrator`; rays find their own boxes, so no pair is asked for."""
        last: Future[list[None]] | None = None
        for some in self._coming:
            last = self._put(some)
            if some.is_last:
                break
            last.result()  # what they lie in is used again when the next are asked for
        tiles, pool, table = self._the_tiles(), self._the_pool().record, self._slots
        slots = slot_of.copy()
        self._note("queue", memory.QUEUED_WAVES * slots.nbytes)
        assert table is not None

        def get_ready(_: int) -> None:
            tiles.share()
            table.update(slots)

        back = self._the_derivatives().record if self._goes_back else None

        def march(part: int) -> None:
            counts = structs.Counts()
            slot_at = table.slot_at.ctypes.data
            if back is None:
                self._kernels.advance(self._record, pool, slot_at, tiles.record, counts)
            elif part < back.n_parts:
                self._kernels.go_back(self._record, pool, slot_at, tiles.record, back, part, counts)
            with self._lock:
                for name in structs.COUNTERS:
                    self._counts[name] += getattr(counts, name)

        self._crew.submit(get_ready, n=1)
        self._crew.begin(march)
        if last is not None:
            last.result()
        for _ in self._coming:
            raise InternalError("bricks of a wave come after the last of them")

    def report(self) -> Report:
        """See `Integrator`."""
        tiles = self._the_tiles()
        live: Future[list[NDArray[np.bool_]]] = self._crew.submit(
            lambda _: tiles.live[: tiles.record.n_tiles].astype(bool), n=1
        )
        return lambda: live.result()[0]

    def weights(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        """See `Integrator`."""
        self._crew.keep_up(0)
        return self._the_pool().weights(slots)

    def begin_back(self, rays: RaySource, n_tiles: int, loss: LossByRays) -> None:
        """See `Integrator`."""
        if rays is self._begun and self._tiles is not None and self._tiles.n_tiles == n_tiles:
            tiles = self._tiles
            self._crew.submit(lambda _: tiles.begin_again(), n=1)
            self._crew.submit(lambda _: tiles.restart())
        else:
            self.begin(rays, n_tiles)
        self._the_derivatives().aim(rays, loss)
        self._goes_back = True

    def derivatives(
        self, slots: NDArray[np.int32], into: RowDerivatives | None = None
    ) -> RowDerivatives:
        """See `Integrator`."""
        derivatives, pool = self._the_derivatives(), self._the_pool().record
        slots = np.ascontiguousarray(slots, np.int32)
        room, record, _starts = derivatives.asked(slots, into)
        back = derivatives.record
        self._crew.submit(
            lambda _: self._kernels.derivatives(self._record, pool, back, record)
        ).result()
        self._crew.keep_up(0)
        return room

    def add_derivatives(
        self, slots: NDArray[np.int32], owner: NDArray[np.int32], into: RowDerivatives
    ) -> None:
        """See `Integrator`. Each thread has owners of its own, and goes through all rows for these."""
        derivatives, pool = self._the_derivatives(), self._the_pool().record
        slots = np.ascontiguousarray(slots, np.int32)
        record, _starts = derivatives.added(slots, owner, into)
        n = len(into.density)
        ends = [n * part // self.n_threads for part in range(self.n_threads + 1)]
        back = derivatives.record

        def add(part: int) -> None:
            self._kernels.add_derivatives(
                self._record, pool, back, record, ends[part], ends[part + 1]
            )

        self._crew.submit(add).result()
        self._crew.keep_up(0)

    def _the_derivatives(self) -> Derivatives:
        if self._derivatives is None:
            raise InternalError(
                "there are no derivatives: the rule asks for none, or there is no pool"
            )
        return self._derivatives

    def finish(self, background: NDArray[np.float32], place: Place) -> None:
        """See `Integrator`."""
        tiles, behind = self._the_tiles(), np.ascontiguousarray(background, np.float32)
        self._crew.submit(lambda _: tiles.share(), n=1)
        missing = max(self._crew.submit(lambda _: tiles.finish(behind, place)).result())
        self._crew.keep_up(0)
        if missing >= 0:
            raise InternalError(f"a ray still waits for brick {missing}, and no wave had it")

    def interrupt(self) -> None:
        """See `Integrator`."""
        tiles = self._tiles
        if tiles is not None:
            tiles.record.stop = 1

    def drop(self) -> None:
        """See `Integrator`."""
        if self._tiles is not None:
            self._tiles.record.stop = 1
        self._crew.drop()
        if self._tiles is not None:
            self._tiles.record.stop = 0
        self._begun = None
        self._coming = iter(())

    def close(self) -> None:
        """See `Integrator`."""
        self.drop()
        self._crew.close()
        self._pool = self._tiles = self._map = self._slots = self._derivatives = None

    # Counts

    def _note(self, name: str, n_bytes: int) -> None:
        self._peaks[name] = max(self._peaks[name], n_bytes)

    def take_counts(self) -> dict[str, int]:
        """See `Integrator`; nothing is allocated but the pool and the rays."""
        with self._lock:
            counts, self._counts = dict(self._counts), Counter()
        counts["peak_device_bytes"] = sum(
            a.nbytes for a in (self._pool, self._derivatives, self._tiles) if a
        )
        return counts

    def take_host_peaks(self) -> dict[str, int]:
        """See `Integrator`."""
        peaks, self._peaks = dict(self._peaks), Counter()
        return peaks
