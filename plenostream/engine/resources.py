"""What a renderer keeps from one picture to the next: kernels, pool, cache, threads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np

from plenostream.engine.frame import Frame
from plenostream.engine.host import HostLedger, HostPlan, HostPlanner
from plenostream.engine.planner import Planner, Sizes
from plenostream.engine.workers import Workers
from plenostream.errors import DeviceError, InvalidInput
from plenostream.field.grid import GridSpec
from plenostream.field.precision import choose_precision, density_unit
from plenostream.format.reader import SceneStore
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.geometry import GridArrays, entry_bits
from plenostream.integrator.xla.kernels.state import WaveScalars
from plenostream.integrator.xla.kernels.tuning import kernel_shape
from plenostream.integrator.xla.named_device import named_device
from plenostream.integrator.xla.pool import BrickPool
from plenostream.integrator.xla.programs import Programs
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan import BlockMap, build_boxes, map_blocks
from plenostream.results import FrameStats
from plenostream.stream import BrickFetcher
from plenostream.stream.residency import Residency

__all__ = ["Resources"]

_MOST_SAMPLES = 1 << 22
"""Samples on a ray that the kernels can tell apart: their numbers are made in float32."""


class Resources:
    """Makes each thing when it is first needed, and again where a picture needs another size."""

    def __init__(self, store: SceneStore, options: RenderOptions, stream: StreamOptions) -> None:
        """Allocates nothing on the device. Raises BudgetError and DeviceError, see `Device`."""
        meta, tables = store.meta, store.tables
        _check_step(meta.grid, options.step_size)
        self._unit = density_unit(meta.grid)
        self.store = store
        self.options = options
        self.device = Device(
            stream.device_bytes, stream.n_threads, device=named_device(stream.device)
        )
        self.table = build_boxes(tables.index, tables.boxes, tables.occupied, meta.bricks)
        self._shape = kernel_shape(
            self.device.platform,
            brick_size=meta.brick_size,
            basis_dim=meta.basis_dim,
            entry_bits=entry_bits(meta.grid.size),
        )
        self.precision = choose_precision(
            stream.precision,
            sh_bound=tables.sh_bound[tables.occupied],
            sh_dtype=meta.sh_dtype,
            threshold=options.sigma_thresh * options.step_size / float(meta.grid.scale.min()),
        )
        dtype = jnp.dtype(self.precision.name)
        self.programs = Programs(self.device, self._shape, dtype)
        self.planner = Planner(
            store, self.device, self.programs, self._shape, itemsize=dtype.itemsize
        )
        self.host_planner = HostPlanner(
            store,
            self.table,
            self._shape,
            itemsize=dtype.itemsize,
            n_parts=self.device.n_parts,
            n_threads=self.device.n_threads,
            allowed_bytes=stream.host_bytes,
        )
        self.workers = Workers(self.device.n_parts)
        self._pool: BrickPool | None = None
        self._residency: Residency | None = None
        self._fetcher: BrickFetcher | None = None
        self._cache_bytes = 0
        self._read_before = 0
        self._blocks: tuple[BlockMap, jax.Array] | None = None

    def close(self) -> None:
        """Give back the device arrays, the cache and the threads."""
        self.workers.close()
        self._drop_fetcher()
        self._pool = self._residency = self._blocks = None

    @contextmanager
    def measured(self, stats: FrameStats) -> Iterator[None]:
        """Count what is a difference of totals: compilations, bytes read, the device's peak."""
        compiles, read = self.programs.n_compiles, self._bytes_read
        self.device.ledger.take_peak()
        yield
        stats.compiles = self.programs.n_compiles - compiles
        stats.bytes_read = self._bytes_read - read
        stats.peak_device_bytes = self.device.ledger.take_peak()

    @property
    def _bytes_read(self) -> int:
        return self._read_before + (self._fetcher.bytes_read if self._fetcher else 0)

    def _drop_fetcher(self) -> None:
        if self._fetcher is not None:
            self._fetcher.close()
            self._read_before += self._fetcher.bytes_read
            self._fetcher = None

    @contextmanager
    def frame(
        self,
        sizes: Sizes,
        device_items: dict[str, int],
        host: HostPlan,
        stats: FrameStats,
    ) -> Iterator[Frame]:
        """Everything that drawing takes, for these sizes; what the host had to hold is counted."""
        pool, residency = self._pool_of(sizes)
        fetcher = self._fetcher_of(host)
        stats.planned_device_bytes = max(stats.planned_device_bytes, sum(device_items.values()))
        stats.precision = self.precision.name
        stats.allowed_device_bytes = self.device.allowed_bytes
        stats.planned_host_bytes = max(stats.planned_host_bytes, host.planned_bytes)
        stats.allowed_host_bytes = self.host_planner.allowed_bytes
        ledger = HostLedger()
        ledger.note("tables", self.store.tables.nbytes + self.table.nbytes)
        frame = Frame(
            store=self.store,
            table=self.table,
            device=self.device,
            programs=self.programs,
            shape=self._shape,
            pool=pool,
            residency=residency,
            fetcher=fetcher,
            workers=self.workers,
            host=ledger,
            pages=self.planner.pages,
            scalars=self._scalars(),
            unit=self._unit,
            background=self.device.put(np.array(self.options.background_rgb, np.float32)),
            sizes=sizes,
            n_ahead=host.n_ahead,
        )
        try:
            yield frame
        except BaseException as error:
            # An upload that fails, or is interrupted, takes the pool with it that it was given.
            if pool.is_lost or isinstance(error, DeviceError):
                self._pool = self._residency = None
            raise
        ledger.note("cache", fetcher.peak_cache_bytes)
        stats.peak_host_bytes = max(stats.peak_host_bytes, ledger.peak_bytes)

    def _pool_of(self, sizes: Sizes) -> tuple[BrickPool, Residency]:
        n_slots, n_pages = sizes.n_slots, sizes.n_pages
        if self._pool is not None and (self._pool.n_slots, self._pool.n_pages) != (
            n_slots,
            n_pages,
        ):
            # This picture takes more beside the pool. The old one goes first: there are never two.
            self._pool = self._residency = None
        if self._pool is None or self._residency is None:
            self._pool = BrickPool(self.device, self.programs, n_slots=n_slots, n_pages=n_pages)
            self._residency = Residency(self.planner.pages, n_slots=n_slots, n_pages=n_pages)
            self.planner.fix_pool(n_slots, n_pages)
        return self._pool, self._residency

    def _fetcher_of(self, host: HostPlan) -> BrickFetcher:
        if self._cache_bytes > host.cache_bytes:
            self._drop_fetcher()
        if self._fetcher is None:
            self._cache_bytes = host.cache_bytes
            self._fetcher = BrickFetcher(
                self.store, cache_bytes=host.cache_bytes, n_threads=self.device.n_threads
            )
        return self._fetcher

    def blocks(self) -> tuple[BlockMap, jax.Array]:
        """The occupied blocks, and the map of them on the device."""
        if self._blocks is None:
            blocks = map_blocks(self.table, self.store.meta.bricks)
            self._blocks = blocks, self.device.put(blocks.bits(self.planner.walk_words))
        return self._blocks

    def _scalars(self) -> WaveScalars:
        put, grid, options = self.device.put, self.store.meta.grid, self.options
        return WaveScalars(
            size=put(np.array(grid.size, np.int32)),
            units_per_grid=put((1.0 / grid.scale / self._unit).astype(np.float32)),
            unit=put(np.float32(self._unit)),
            step=put(np.float64(options.step_size)),
            sigma_thresh=put(np.float32(options.sigma_thresh * self._unit)),
            stop_thresh=put(np.float32(options.stop_thresh)),
        )

    def grid_arrays(self) -> tuple[GridArrays, jax.Array, jax.Array]:
        """Grid, step and near clip: the last arguments of the programs that set rays up."""
        put, grid, options = self.device.put, self.store.meta.grid, self.options
        size = put(np.array(grid.size, np.float64))
        arrays = GridArrays(size=size, scale=put(grid.scale), offset=put(grid.offset))
        return arrays, put(np.float64(options.step_size)), put(np.float64(options.near_clip))


def _check_step(grid: GridSpec, step_size: float) -> None:
    diagonal = math.hypot(*grid.size)
    if diagonal / step_size >= _MOST_SAMPLES:
        least = diagonal / _MOST_SAMPLES
        raise InvalidInput(
            f"step_size is {step_size}; in a grid of {grid.size} voxels it must be above {least:.2g}"
        )
