"""What a renderer keeps from one picture to the next: integrator, pool, cache of chunks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.backdrop import Backdrop
from plenostream.engine.frame import Frame, Leaving
from plenostream.engine.host import HostPlan, HostPlanner
from plenostream.engine.ledger import HostLedger
from plenostream.engine.oversight import UNWATCHED, Oversight
from plenostream.engine.planner import Layout, Planner
from plenostream.engine.projection import choose_ndc, projected
from plenostream.engine.rooms import fastest_copies, rooms_for
from plenostream.engine.row_weights import BRICKS_AT_ONCE, RowWeights
from plenostream.errors import DeviceError
from plenostream.field.aovs import Aovs
from plenostream.field.basis import Basis
from plenostream.field.finished import Place
from plenostream.field.grid import GridSpec
from plenostream.field.tiles import TILE_RAYS
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import (
    Boxes,
    Integrator,
    Light,
    RaySource,
    SampleRule,
    SceneShape,
)
from plenostream.options import RenderOptions
from plenostream.plan import PAIRS_AT_ONCE, BoxTable, View
from plenostream.results import FrameStats, PoolUse
from plenostream.stream import BrickFetcher
from plenostream.stream.residency import EMPTY, Residency
from plenostream.stream.staging import Staging
from plenostream.stream.supply import BrickSupply, pages_of
from plenostream.stream.texels import Texels

__all__ = ["Lot", "Session", "sample_rule", "scene_shape"]

_COMPOSED_RAY, _COMPOSED_COLUMN = 20, 4
"""Bytes of one ray: colour, depth and alpha; and each of what else it gathers."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lot:
    """Rays that are drawn together."""

    rays: RaySource
    n_rays: int
    """Rays that somebody asked for."""
    views: Callable[[], Iterator[View]]
    """What they may meet; called once the rays are set up, and again where they go back."""
    has_one_view: bool
    """Whether the first of the views is the last."""
    place: Place
    """Takes what comes of them."""
    behind: NDArray[np.float32] | None = None
    """Colour [3] that they are finished with, and nothing else; None: with what the scene has there."""
    members: NDArray[np.int64] | None = None
    """[n_rays]: which of the rays that somebody asked for they are, packet by packet; None: pixels."""
    meanwhile: Callable[[], None] | None = None
    """What has to be done before `place` takes the first of them, while they are drawn."""
    then: Callable[[Frame, Layout], None] | None = None
    """What is done with them once they were handed on, before the integrator lets go of them."""


def scene_shape(store: SceneStore, table: BoxTable, basis: Basis) -> SceneShape:
    """What an integrator knows of the boxes of a scene with this basis (`basis_of`)."""
    counts = np.diff(store.tables.row_start)[table.bricks]
    return SceneShape(
        grid=store.meta.grid,
        bricks=store.meta.bricks,
        basis=basis,
        sh_dtype=store.meta.sh_dtype,
        largest_rows=int(counts.max(initial=0)),
        n_rows=int(counts.sum()),
        boxes=Boxes(brick=table.brick, block=table.block, corners=table.corners),
    )


def sample_rule(
    options: RenderOptions, grid: GridSpec, *, weigh: bool = False, differentiate: bool = False
) -> SampleRule:
    """What happens at a sample; `weigh` and `differentiate` as in `SampleRule`."""
    named = options.depth_density
    light = Light.ADDS_UP if options.model == "nvol" else Light.MULTIPLIES
    if options.last_sample_opaque:
        light = Light.OPAQUE_END
    return SampleRule(
        step_size=options.step_size,
        sigma_thresh=options.sigma_thresh,
        stop_thresh=options.stop_thresh,
        near_clip=options.near_clip,
        far_cap=math.inf if options.far_cap is None else options.far_cap / 2.0**grid.level,
        spheric_clip=options.spheric_clip,
        light=light,
        aovs=Aovs.of(options.outputs),
        depth_density=grid.half_density if named is None else named,
        weigh=weigh,
        differentiate=differentiate,
    )


@dataclass(slots=True)
class _Kept:
    """What there is, made when it is first needed."""

    residency: Residency | None = None
    pool: tuple[int, int] | None = None
    fetcher: BrickFetcher | None = None
    staging: Staging | None = None
    backdrop: Backdrop | None = None
    cache_bytes: int = 0
    read_before: int = 0
    """Bytes read by fetchers that are gone."""


class Session:
    """Makes each thing when it is first needed, and again where a picture needs another size."""

    def __init__(
        self,
        store: SceneStore,
        options: RenderOptions,
        table: BoxTable,
        scene: SceneShape,
        integrator: Integrator,
        *,
        host_bytes: int,
        weights: RowWeights | None = None,
        resident: bool = False,
        leaving_bytes: int = 0,
        back_ray_bytes: int = 0,
    ) -> None:
        """Keep the weights of samples in `weights`; what else is told of bricks that leave the pool takes
        `leaving_bytes` of the host, and what goes back `back_ray_bytes` for each ray. Allocates nothing on
        the device. With `resident`, a pool that does not hold all that has boxes in the `table` is refused."""
        self.store = store
        self.options = options
        self.table = table
        self.integrator = integrator
        self.host_bytes = host_bytes
        self.aovs = Aovs.of(options.outputs)
        self._scene = scene
        self._weights = weights
        self.leaving: Leaving | None = None if weights is None else self._keep_weights
        """Told of bricks that leave the pool; may be set between pictures."""
        self._leaving_bytes = leaving_bytes + (weights.held_bytes if weights is not None else 0)
        self._rooms = rooms_for(store, scene, integrator)
        host = HostPlanner(
            store,
            table,
            integrator.host_costs(PAIRS_AT_ONCE),
            buffer_bytes=self._leaving_bytes + self._rooms.nbytes,
            n_held=self._rooms.n_held,
            n_threads=integrator.n_threads,
            allowed_bytes=host_bytes,
            n_aovs=self.aovs.n_columns,
            back_ray_bytes=back_ray_bytes,
        )
        self.host_planner = host
        self.planner = Planner(store, table, integrator, host, resident=resident)
        self.pages = pages_of(store.tables.row_start)
        self.ndc = choose_ndc(options, store.root.meta).camera
        """See `ChosenNdc.camera`."""
        self._kept = _Kept()

    def close(self) -> None:
        """Give back the device arrays, the cache and the threads."""
        if self._kept.staging is not None:
            self._kept.staging.close()
            self._kept.staging = None
        self._drop_fetcher()
        if self._kept.backdrop is not None:
            self._kept.backdrop.close()
            self._kept.backdrop = None
        self.integrator.close()
        self._kept.residency = None

    def projected(self, rays: RaySource) -> RaySource:
        """World rays as they are drawn."""
        return projected(rays, self.ndc)

    def begin(self) -> None:
        """From here on, what is counted belongs to the next thing that is drawn: planning it, too."""
        self.integrator.take_counts()
        self.integrator.take_host_peaks()

    @property
    def use(self) -> PoolUse:
        """See `Renderer.use`."""
        residency, fetcher = self._kept.residency, self._kept.fetcher
        return PoolUse(
            bricks=0 if residency is None else int((residency.slot_of != EMPTY).sum()),
            slots=0 if residency is None or self._kept.pool is None else self._kept.pool[0],
            bytes_read=self._bytes_read,
            chunks_coming=0 if fetcher is None else fetcher.n_reading,
        )

    def interrupt(self) -> None:
        """Have `draw` end soon, with any error; called by other threads."""
        self.integrator.interrupt()
        staging, fetcher = self._kept.staging, self._kept.fetcher
        if staging is not None and fetcher is not None:
            staging.interrupt()
            fetcher.wake()

    def draw(
        self,
        layout: Layout,
        lots: Iterator[Lot],
        held: dict[str, int],
        oversight: Oversight = UNWATCHED,
    ) -> FrameStats:
        """Draw lots of rays, one after another; returns what it cost, wall time apart.

        Parameters
        ----------
        held : host bytes of the caller's own arrays, by what they are for

        Raises
        ------
        BrickCorrupt : a brick that they need is damaged. DeviceError : the device failed.
        RenderCancelled : they are not wanted any more.
        """
        integrator, read = self.integrator, self._bytes_read
        host = HostLedger()
        for kind, size in held.items():
            host.note(kind, size)
        with self._frame(layout, host, oversight) as frame:
            for lot in lots:
                oversight.begin_lot(lot.n_rays)
                try:
                    integrator.begin(lot.rays, layout.sizes.n_tiles)
                    for view in lot.views():
                        frame.draw(view, is_all=lot.has_one_view)
                    if lot.meanwhile is not None:
                        lot.meanwhile()
                    oversight.check()
                    self._finish(lot, host, layout.host.background_bytes)
                    if lot.then is not None:
                        lot.then(frame, layout)
                except BaseException:
                    if self._kept.backdrop is not None:
                        self._kept.backdrop.stop()
                    raise
                finally:
                    integrator.drop()
                oversight.end_lot()
                frame.counts["bands"] += 1
        for kind, size in integrator.take_host_peaks().items():
            host.note(kind, size)
        return FrameStats(
            **frame.counts,
            **integrator.take_counts(),
            backend=integrator.name,
            precision=integrator.precision,
            bytes_read=self._bytes_read - read,
            planned_device_bytes=sum(layout.device_items.values()),
            allowed_device_bytes=integrator.allowed_bytes,
            peak_host_bytes=host.peak_bytes,
            planned_host_bytes=layout.host.planned_bytes,
            allowed_host_bytes=self.host_bytes,
        )

    def _finish(self, lot: Lot, host: HostLedger, background_bytes: int) -> None:
        """Hand on what the integrator drew, with what lies behind it."""
        place, behind = lot.place, lot.behind
        if behind is None:
            place, behind = self.behind(lot.rays, place, background_bytes)
        if self._kept.backdrop is not None:
            host.note("background", self._kept.backdrop.nbytes)
        self.integrator.finish(behind, place)

    def behind(
        self, rays: RaySource, place: Place, background_bytes: int
    ) -> tuple[Place, NDArray[np.float32]]:
        """What takes tiles of `rays` on their way to `place`, and the colour [3] that they are to be
        finished with: the background's, or black where layers and background are put behind there."""
        backdrop = self.backdrop(background_bytes)
        if backdrop is None:
            return place, np.array(self.options.background_rgb, np.float32)
        return backdrop.behind(rays, place), np.zeros(3, np.float32)

    def backdrop(self, allowed_bytes: int) -> Backdrop | None:
        """The scene's background layers, texels in `allowed_bytes`; None where it has none."""
        kept = self._kept
        if kept.backdrop is not None and kept.backdrop.texels.nbytes > allowed_bytes:
            kept.backdrop.close()
            kept.backdrop = None
        if kept.backdrop is None and self.store.root.meta.background is not None:
            kept.backdrop = Backdrop(
                Texels(self.store.root, self.options, allowed_bytes=allowed_bytes),
                self.options.background_rgb,
                n_threads=self.integrator.n_threads,
            )
        return kept.backdrop

    @contextmanager
    def _frame(self, layout: Layout, host: HostLedger, oversight: Oversight) -> Iterator[Frame]:
        """Everything that drawing takes; what is kept of it is counted."""
        residency, fetcher = self._residency_of(layout), self._fetcher_of(layout.host)
        staging = self._staging()
        for_good = self.planner.holds_all(layout.sizes)
        supply = BrickSupply(
            self.store,
            fetcher,
            residency,
            staging,
            batch_bricks=self.integrator.batch_bricks,
            filled_by=partial(self._rooms.filled_by, fetcher),
            most_filled=self._rooms.most(fetcher, for_good=for_good),
            for_good=for_good,
        )
        try:
            sizes, pages = layout.sizes, self.pages
            yield Frame(self.integrator, supply, host, sizes, pages, oversight, self.leaving)
        except BaseException as error:
            # An upload that fails, or is interrupted, takes the pool with it that it was given.
            if self.integrator.pool_is_lost or isinstance(error, DeviceError):
                self._kept.residency = None
            raise
        basis_bytes = self._scene.basis.nbytes
        host.note("tables", self.store.table_bytes + self.table.nbytes + basis_bytes)
        composed_ray = _COMPOSED_RAY + self.aovs.n_columns * _COMPOSED_COLUMN
        host.note("composed", layout.sizes.n_tiles * TILE_RAYS * composed_ray)
        host.note("cache", fetcher.counters.peak_cache_bytes)
        host.note("staging buffers", staging.nbytes)
        host.note("leaving", self._leaving_bytes)

    def _residency_of(self, layout: Layout) -> Residency:
        """The table of the pool; a picture that takes more beside the pool gets another one."""
        kept, sizes = self._kept, (layout.sizes.n_slots, layout.sizes.n_pages)
        if kept.residency is None or kept.pool != sizes:
            self.let_go()
            kept.residency = None
            self.integrator.make_pool(*sizes)
            kept.residency = Residency(self.pages, n_slots=sizes[0], n_pages=sizes[1])
            kept.pool = sizes
            self.planner.fix_pool(*sizes)
        return kept.residency

    def resident(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Bricks in the pool [r], and the slot of each."""
        if self._kept.residency is None:
            return np.empty(0, np.int64), np.empty(0, np.int32)
        return self._kept.residency.resident()

    def let_go(self) -> None:
        """Tell `leaving` of all bricks in the pool, as if they left it."""
        if self.leaving is not None:
            self.leaving(*self.resident())

    def _keep_weights(self, bricks: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
        assert self._weights is not None
        for first in range(0, len(bricks), BRICKS_AT_ONCE):
            some = slice(first, first + BRICKS_AT_ONCE)
            self._weights.keep(bricks[some], self.integrator.weights(slots[some]))

    def _fetcher_of(self, host: HostPlan) -> BrickFetcher:
        kept = self._kept
        if kept.cache_bytes > host.cache_bytes:
            self._drop_fetcher()
        if kept.fetcher is None:
            kept.cache_bytes = host.cache_bytes
            kept.fetcher = BrickFetcher(
                self.store,
                cache_bytes=host.cache_bytes,
                n_threads=self.integrator.n_threads,
                n_held=self._rooms.n_held,
                copy=fastest_copies(),
            )
        return kept.fetcher

    def _staging(self) -> Staging:
        if self._kept.staging is None:
            self._kept.staging = Staging(self._rooms.make())
        return self._kept.staging

    @property
    def _bytes_read(self) -> int:
        kept = self._kept
        return kept.read_before + (kept.fetcher.counters.bytes_read if kept.fetcher else 0)

    def _drop_fetcher(self) -> None:
        kept = self._kept
        if kept.fetcher is not None:
            kept.fetcher.close()
            kept.read_before += kept.fetcher.counters.bytes_read
            kept.fetcher = None
