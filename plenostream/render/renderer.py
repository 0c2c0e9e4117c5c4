"""The renderer: keeps bricks on the device, and draws pictures and rays from them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.budget import RenderPlan
from plenostream.cameras import Camera
from plenostream.device import Device
from plenostream.errors import InvalidInput
from plenostream.kernels.geometry import TILE, TILE_RAYS, GridArrays, entry_bits
from plenostream.kernels.state import WaveScalars
from plenostream.kernels.tuning import kernel_shape
from plenostream.options import RenderOptions, StreamOptions
from plenostream.pool import BrickPool
from plenostream.prefetch import BrickFetcher
from plenostream.programs import Programs
from plenostream.render.frame import Frame, Workers
from plenostream.render.host import HostLedger, HostPlan, HostPlanner
from plenostream.render.packets import Packets, walk_pairs
from plenostream.render.planner import Planner, Sizes
from plenostream.render.results import RayResult, RenderResult
from plenostream.render.sight import camera_view, packet_view, parallel_pixels
from plenostream.residency import Residency
from plenostream.schedule import BlockMap, View, build_boxes, map_blocks
from plenostream.stats import FrameStats
from plenostream.store.reader import SceneStore

__all__ = ["Renderer"]


class Renderer:
    """Renders a scene inside a device and a host budget; a context manager.

    Bricks stay on the device from one picture to the next. Not safe for use from several threads
    at once. After an error in a picture (a damaged brick, say) it can be used on.
    """

    def __init__(
        self,
        scene: Any,
        options: RenderOptions | None = None,
        stream: StreamOptions | None = None,
    ) -> None:
        """Prepare to render `scene` (a `Scene` or `SceneStore`); allocates nothing on the device.

        Raises
        ------
        BudgetError : more device memory is allowed than the device grants.
        DeviceError : JAX has no device.
        """
        self.options = options or RenderOptions()
        self.stream = stream or StreamOptions()
        self._store: SceneStore = getattr(scene, "store", scene)
        meta, tables = self._store.meta, self._store.tables
        self._device = Device(self.stream.device_bytes, self.stream.n_threads)
        self._shape = kernel_shape(
            self._device.platform,
            brick_size=meta.brick_size,
            basis_dim=meta.basis_dim,
            entry_bits=entry_bits(meta.grid.size),
        )
        dtype = jnp.dtype(self.stream.precision)
        self._programs = Programs(self._device, self._shape, dtype)
        self._table = build_boxes(tables.index, tables.boxes, tables.occupied, meta.bricks)
        self._planner = Planner(
            self._store, self._device, self._programs, self._shape, itemsize=dtype.itemsize
        )
        self._host = HostPlanner(
            self._store,
            self._table,
            self._shape,
            itemsize=dtype.itemsize,
            n_parts=self._device.n_parts,
            n_threads=self._device.n_threads,
            allowed_bytes=self.stream.host_bytes,
        )
        self._workers = Workers(self._device.n_parts)
        self._pool: BrickPool | None = None
        self._residency: Residency | None = None
        self._fetcher: BrickFetcher | None = None
        self._cache_bytes = 0
        self._read_before = 0
        self._blocks: BlockMap | None = None
        self._occupied_blocks: jax.Array | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the device arrays, the cache and the threads."""
        self._closed = True
        self._workers.close()
        self._drop_fetcher()
        self._pool = self._residency = self._blocks = self._occupied_blocks = None

    def _refuse_closed(self) -> None:
        if self._closed:
            raise InvalidInput("this renderer is closed; make another one to render")

    def _drop_fetcher(self) -> None:
        if self._fetcher is not None:
            self._fetcher.close()
            self._read_before += self._fetcher.bytes_read
            self._fetcher = None

    @property
    def _bytes_read(self) -> int:
        """Compressed bytes fetched since the renderer was made."""
        return self._read_before + (self._fetcher.bytes_read if self._fetcher else 0)

    def plan(self, camera: Camera) -> RenderPlan:
        """What a picture will take; allocates nothing, neither on the device nor for bricks.

        Raises
        ------
        BudgetError : it does not fit; the error names the smallest budget that works.
        """
        self._refuse_closed()
        sizes, items, needs = self._planner.picture(camera.width, camera.height)
        host = self._host.picture(camera.width * camera.height, sizes.tiles * self._device.n_parts)
        views = (self._view(camera, *rows) for rows in _bands(camera, sizes))
        return self._planner.plan(sizes, items, needs, host, self._host.allowed_bytes, views)

    def render(self, camera: Camera) -> RenderResult:
        """The picture that `camera` takes.

        Raises
        ------
        BudgetError : it does not fit; nothing was read. BrickCorrupt : a brick that it needs is
        damaged; the error names it. DeviceError : the device failed.
        """
        with self._measured() as stats:
            sizes, items, _ = self._planner.picture(camera.width, camera.height)
            n_tiles = sizes.tiles * self._device.n_parts
            host = self._host.picture(camera.width * camera.height, n_tiles)
            frame = self._frame(sizes, items, host, stats)
            image = np.empty((camera.height, camera.width, 5), np.float32)
            frame.host.note("picture", 2 * image.nbytes)
            for top, bottom in _bands(camera, sizes):
                self._draw_band(frame, camera, top, image[top:bottom], stats)
            self._measure_host(frame, stats)
            beside = parallel_pixels(camera, self._store.meta.grid)
            if len(beside):
                rays = _pixel_rays(camera, beside)
                values = self._draw_rays(*rays, stats, held_bytes=2 * image.nbytes)
                image.reshape(-1, 5)[beside] = values
        return RenderResult(
            rgb=np.ascontiguousarray(image[..., :3]),
            alpha=np.ascontiguousarray(image[..., 3]),
            depth=np.ascontiguousarray(image[..., 4]),
            stats=stats,
        )

    def render_rays(self, origins: ArrayLike, directions: ArrayLike) -> RayResult:
        """Colours of any rays.

        Parameters
        ----------
        origins, directions : [n, 3], world space; directions of any length above zero

        Raises
        ------
        InvalidInput : shapes or values that mean nothing. Else as `render`.
        """
        start, course = _checked_rays(origins, directions)
        with self._measured() as stats:
            values = self._draw_rays(start, course, stats, held_bytes=0)
        rgb, alpha, depth = values[:, :3], values[:, 3], values[:, 4]
        return RayResult(
            rgb=np.ascontiguousarray(rgb),
            alpha=np.ascontiguousarray(alpha),
            depth=np.ascontiguousarray(depth),
            stats=stats,
        )

    # The steps of a picture, in order.

    @contextmanager
    def _measured(self) -> Iterator[FrameStats]:
        """Counters of a frame: those that are differences of totals are taken here."""
        self._refuse_closed()
        stats = FrameStats()
        began = time.perf_counter()
        compiles = self._programs.n_compiles
        read = self._bytes_read
        self._device.ledger.take_peak()
        yield stats
        stats.compiles = self._programs.n_compiles - compiles
        stats.bytes_read = self._bytes_read - read
        stats.peak_device_bytes = self._device.ledger.take_peak()
        stats.seconds = time.perf_counter() - began

    def _view(self, camera: Camera, top: int, bottom: int) -> View:
        meta, index = self._store.meta, self._store.tables.index
        return camera_view(
            self._table, index, meta.grid, meta.bricks, camera, top=top, bottom=bottom
        )

    def _draw_band(
        self, frame: Frame, camera: Camera, top: int, band: NDArray[np.float32], stats: FrameStats
    ) -> None:
        """Draw the pixel rows from `top` into `band` [rows, width, 5]."""
        with self._workers:
            self._set_up_pinhole(camera, top, frame.sizes)
            frame.draw(self._view(camera, top, top + len(band)), stats)
            composed = self._composed(frame, stats)
        _untile(composed, band)
        stats.bands += 1

    def _frame(
        self,
        sizes: Sizes,
        device_items: dict[str, int],
        host: HostPlan,
        stats: FrameStats,
    ) -> Frame:
        """Everything that drawing takes; makes the pool and the cache where there are none that fit."""
        if self._pool and (self._pool.n_slots, self._pool.n_pages) != (
            sizes.n_slots,
            sizes.n_pages,
        ):
            # This picture takes more beside the pool. The old one goes first: never are there two.
            self._pool = self._residency = None
        if self._fetcher and self._cache_bytes > host.cache_bytes:
            self._drop_fetcher()
        if self._pool is None:
            self._pool = BrickPool(
                self._device, self._programs, n_slots=sizes.n_slots, n_pages=sizes.n_pages
            )
            self._planner.fix_pool(sizes.n_slots, sizes.n_pages)
            self._residency = Residency(
                self._planner.pages, n_slots=sizes.n_slots, n_pages=sizes.n_pages
            )
        if self._fetcher is None:
            self._cache_bytes = host.cache_bytes
            self._fetcher = BrickFetcher(
                self._store, cache_bytes=host.cache_bytes, n_threads=self._device.n_threads
            )
        assert self._residency is not None
        stats.planned_device_bytes = max(stats.planned_device_bytes, sum(device_items.values()))
        stats.allowed_device_bytes = self._device.allowed_bytes
        stats.planned_host_bytes = max(stats.planned_host_bytes, host.planned_bytes)
        stats.allowed_host_bytes = self._host.allowed_bytes
        ledger = HostLedger()
        ledger.note("tables", self._store.tables.nbytes + self._table.nbytes)
        return Frame(
            store=self._store,
            table=self._table,
            device=self._device,
            programs=self._programs,
            shape=self._shape,
            pool=self._pool,
            residency=self._residency,
            fetcher=self._fetcher,
            workers=self._workers,
            host=ledger,
            pages=self._planner.pages,
            scalars=self._scalars(),
            sizes=sizes,
        )

    def _scalars(self) -> WaveScalars:
        put, grid, options = self._device.put, self._store.meta.grid, self.options
        return WaveScalars(
            size=put(np.array(grid.size, np.int32)),
            world_per_grid=put((1.0 / grid.scale).astype(np.float32)),
            step=put(np.float64(options.step_size)),
            sigma_thresh=put(np.float32(options.sigma_thresh)),
            stop_thresh=put(np.float32(options.stop_thresh)),
        )

    def _grid_arrays(self) -> tuple[GridArrays, jax.Array, jax.Array]:
        put, grid = self._device.put, self._store.meta.grid
        arrays = GridArrays(
            size=put(np.array(grid.size, np.float64)),
            scale=put(grid.scale),
            offset=put(grid.offset),
        )
        return (
            arrays,
            put(np.float64(self.options.step_size)),
            put(np.float64(self.options.near_clip)),
        )

    def _set_up_pinhole(self, camera: Camera, top: int, sizes: Sizes) -> None:
        """Give each worker the rays of its tiles of a band."""
        put, n_parts = self._device.put, self._device.n_parts
        columns = -(-camera.width // TILE)
        rows = min(sizes.band_rows, -(-(camera.height - top) // TILE))
        number = np.arange(rows * columns)
        corner = np.stack([number % columns * TILE, number // columns * TILE + top], -1)
        pose = (
            put(camera.c2w),
            put(np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float64)),
            put(np.array([camera.width, camera.height], np.int32)),
            *self._grid_arrays(),
        )
        for part, worker in enumerate(self._workers.all):
            # Tiles beyond the picture have no pixel in it, so their rays have no samples.
            tiles = np.full((sizes.tiles, 2), -1, np.int32)
            mine = corner[part::n_parts]
            tiles[: len(mine)] = mine
            worker.submit(
                self._start, worker, self._programs.pinhole(sizes.tiles), sizes, tiles, pose
            )

    def _start(self, worker: Any, program: Any, sizes: Sizes, tiles: Any, rest: Any) -> None:
        """Runs in a worker's thread."""
        worker.rays = program(self._device.put(tiles), *rest)
        worker.state = self._programs.fresh(sizes.tiles)()

    def _composed(self, frame: Frame, stats: FrameStats) -> NDArray[np.float32]:
        """Colour, alpha and depth of the rays of all workers, [tiles, 64, 5] in tile order."""
        frame.counted(stats)
        program = self._programs.compose(frame.sizes.tiles)
        background = self._device.put(np.float32(self.options.background))
        scalars = frame.scalars
        results = [
            worker.submit(
                program, worker.state, worker.rays, scalars.world_per_grid, scalars.step, background
            )
            for worker in self._workers.all
        ]
        parts = [np.asarray(self._device.get(result.result())) for result in results]
        tiled = [part.reshape(-1, TILE_RAYS, 5) for part in parts]
        joined = np.stack(tiled, axis=1).reshape(-1, TILE_RAYS, 5)
        frame.host.note("composed", 2 * joined.nbytes)
        return joined

    def _measure_host(self, frame: Frame, stats: FrameStats) -> None:
        assert self._fetcher is not None
        frame.host.note("cache", self._fetcher.peak_cache_bytes)
        stats.peak_host_bytes = max(stats.peak_host_bytes, frame.host.peak_bytes)

    def _draw_rays(
        self,
        origins: NDArray[np.float64],
        directions: NDArray[np.float64],
        stats: FrameStats,
        *,
        held_bytes: int,
    ) -> NDArray[np.float32]:
        """Colour, alpha and depth [n, 5] of rays [n, 3], in lots that fit the budgets.

        `held_bytes` of host memory are in use by the caller.
        """
        values = np.empty((len(origins), 5), np.float32)
        if not len(origins):
            return values
        sizes, items, _ = self._planner.rays(self._host.rays_at_once(len(origins)))
        room = sizes.tiles * self._device.n_parts
        host = self._host.rays(len(origins), room, held_bytes=held_bytes)
        frame = self._frame(sizes, items, host, stats)
        frame.host.note("caller", held_bytes + origins.nbytes + directions.nbytes + values.nbytes)
        self._map_blocks()
        # Each of eight octants may leave one packet that is not full.
        lot = (room - 8) * TILE_RAYS
        for first in range(0, len(origins), lot):
            part = slice(first, first + lot)
            values[part] = self._draw_lot(frame, origins[part], directions[part], stats)
        self._measure_host(frame, stats)
        return values

    def _draw_lot(
        self,
        frame: Frame,
        origins: NDArray[np.float64],
        directions: NDArray[np.float64],
        stats: FrameStats,
    ) -> NDArray[np.float32]:
        sizes = frame.sizes
        packets = Packets(self._device, self._programs, self._grid_arrays(), sizes.tiles)
        values = np.empty((len(origins), 5), np.float32)
        values[:] = (*[self.options.background] * 3, 0.0, 0.0)
        for octant, members in packets.octants(self._workers, origins, directions):
            with self._workers:
                packets.set_up(self._workers, origins[members], directions[members])
                for worker in self._workers.all:
                    worker.state = self._programs.fresh(sizes.tiles)()
                self._draw_packets(frame, octant, -(-len(members) // TILE_RAYS), stats)
                drawn = self._composed(frame, stats).reshape(-1, 5)
            values[members] = drawn[: len(members)]
            stats.bands += 1
        return values

    def _draw_packets(self, frame: Frame, octant: int, n_packets: int, stats: FrameStats) -> None:
        """Bring the workers' packets of rays, all of one octant, through what they meet."""
        planner, sizes, blocks = self._planner, frame.sizes, self._blocks
        assert blocks is not None
        assert self._occupied_blocks is not None
        put = self._device.put
        portions = walk_pairs(
            self._workers,
            self._device,
            self._programs.walk(sizes.tiles, planner.walk_words, planner.walk_steps),
            (
                self._occupied_blocks,
                put(np.array(blocks.shape, np.int32)),
                put(np.float64(self.options.step_size)),
            ),
            n_packets=n_packets,
            n_blocks=blocks.n_blocks,
            at_once=self._host.pairs_at_once(sizes.tiles * self._device.n_parts),
        )
        for packet, block in portions:
            view = packet_view(
                self._table, self._store.tables.index, octant, packet, blocks.boxes_of(block)
            )
            frame.draw(view, stats)

    def _map_blocks(self) -> None:
        """Put the map of occupied blocks on the device, once."""
        if self._blocks is None:
            self._blocks = map_blocks(self._table, self._store.meta.bricks)
            self._occupied_blocks = self._device.put(self._blocks.bits(self._planner.walk_words))


def _checked_rays(
    origins: ArrayLike, directions: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    start, course = np.asarray(origins, np.float64), np.asarray(directions, np.float64)
    for name, value in (("origins", start), ("directions", course)):
        if value.ndim != 2 or value.shape[1] != 3:
            raise InvalidInput(f"{name} has the shape {value.shape}; expected [n, 3]")
        if not np.isfinite(value).all():
            row = int(np.argwhere(~np.isfinite(value))[0, 0])
            raise InvalidInput(f"{name} of ray {row} is {value[row]}; expected finite numbers")
    if len(start) != len(course):
        raise InvalidInput(f"there are {len(start)} origins and {len(course)} directions")
    still = np.flatnonzero((course == 0).all(-1))
    if len(still):
        raise InvalidInput(f"the direction of ray {still[0]} is zero; expected any other")
    return start, course


def _pixel_rays(
    camera: Camera, pixels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World rays [p, 3] of pixels (row * width + column)."""
    x = (pixels % camera.width + 0.5 - camera.cx) / camera.fx
    y = (pixels // camera.width + 0.5 - camera.cy) / camera.fy
    across, down, ahead = camera.c2w[:, 0], camera.c2w[:, 1], camera.c2w[:, 2]
    directions = x[:, None] * across + y[:, None] * down + ahead
    return np.broadcast_to(camera.eye_world, directions.shape).copy(), directions


def _untile(tiles: NDArray[np.float32], band: NDArray[np.float32]) -> None:
    """Tiles [t, 64, 5] into the pixels of a band [height, width, 5]."""
    height, width, channels = band.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    grid = tiles[: rows * columns].reshape(rows, columns, TILE, TILE, channels)
    whole = grid.transpose(0, 2, 1, 3, 4).reshape(rows * TILE, columns * TILE, channels)
    band[:] = whole[:height, :width]


def _bands(camera: Camera, sizes: Sizes) -> Iterator[tuple[int, int]]:
    """Pixel rows [top, bottom) that are drawn together."""
    height = sizes.band_rows * TILE
    for top in range(0, camera.height, height):
        yield top, min(top + height, camera.height)
