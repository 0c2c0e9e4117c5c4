"""From a scene, a picture and two allowances to sizes: what `Renderer.plan` says and then keeps to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.host import HostPlan
from plenostream.errors import InternalError
from plenostream.format.reader import SceneStore
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.kernels.geometry import TILE, TILE_RAYS
from plenostream.integrator.xla.kernels.state import PAGE_ROWS, KernelShape
from plenostream.integrator.xla.pool import upload_bytes
from plenostream.integrator.xla.programs import (
    CALL_BLOCKS,
    CALL_ITEMS,
    TILE_STEP,
    WALK_TILES,
    Programs,
)
from plenostream.plan import View, plan_waves, walk_size
from plenostream.plan.budget import DeviceDivision, DeviceNeeds, RenderPlan, divide_device

__all__ = ["Planner", "Sizes", "pages_of"]

_RAY_BYTES = 32 + 20
"""Constants and state of a ray; what comes of it takes the place of the state."""
_WORLD_RAY_BYTES = 24 + 24 + 1 + 8
"""Origin, direction, flag and sort key of a ray that does not come from a camera."""
_REPORTS = 6
"""Reports of live tiles that are kept at once: two are used late, four wait in a worker's queue."""
_SMALL = 64_000
"""Scalars, counters and reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The shapes that a renderer works with for one kind of picture."""

    tiles: int
    """Tiles of rays of each part."""
    band_rows: int
    """Rows of tiles drawn together; for arbitrary rays all are one row."""
    n_slots: int
    n_pages: int


_SMALL_SIZES = Sizes(tiles=TILE_STEP, band_rows=1, n_slots=32, n_pages=2048)
_SPARE_TEMPORARIES = 65_536
"""Bytes by which the temporaries of programs of other sizes may differ."""


def pages_of(row_start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pages that the colour rows of each brick take, [n]."""
    return -(-np.diff(row_start) // PAGE_ROWS)


class Planner:
    """Knows the scene's counts and the kernels' temporaries; allocates nothing."""

    def __init__(
        self,
        store: SceneStore,
        device: Device,
        programs: Programs,
        shape: KernelShape,
        *,
        itemsize: int,
    ) -> None:
        self.pages = pages_of(store.tables.row_start)
        self._store = store
        self._device = device
        self._programs = programs
        self._shape = shape
        self._itemsize = itemsize
        occupied = self.pages[store.tables.occupied]
        self._n_bricks = len(occupied)
        self._n_pages = int(occupied.sum())
        self._largest = int(occupied.max(initial=0))
        self._pool: tuple[int, int] | None = None
        self.walk_words, self.walk_steps = walk_size(store.meta.bricks)

    def fix_pool(self, n_slots: int, n_pages: int) -> None:
        """From now on, the pool exists with these sizes."""
        self._pool = (n_slots, n_pages)

    @property
    def slot_bytes(self) -> int:
        """A brick's densities, row numbers and origin on the device."""
        return self._shape.voxels * (2 * self._itemsize + 4) + 12

    @property
    def page_bytes(self) -> int:
        """A page of colour rows on the device."""
        return PAGE_ROWS * self._shape.layout.width * self._itemsize

    def working_set_bytes(self, bricks: NDArray[np.int64]) -> int:
        """Pool bytes of these bricks."""
        return len(bricks) * self.slot_bytes + int(self.pages[bricks].sum()) * self.page_bytes

    def picture(self, width: int, height: int) -> tuple[Sizes, dict[str, int], DeviceNeeds]:
        """Sizes and device bytes by item for pictures of `width` x `height` pixels."""
        columns, rows = -(-width // TILE), -(-height // TILE)
        return self._sizes(rows, columns, rays=False)

    @property
    def least_ray_tiles(self) -> int:
        """Tiles that arbitrary rays take at least, few as they may be."""
        return TILE_STEP * self._device.n_parts

    def rays(self, n: int, most_tiles: int) -> tuple[Sizes, dict[str, int], DeviceNeeds]:
        """Sizes and device bytes by item for `n` arbitrary rays, `most_tiles` * 64 at a time."""
        packets = -(-n // TILE_RAYS) + 8  # each octant may leave a packet that is not full
        # A power of two rows: calls with other numbers of rays then share compiled programs.
        rows = 1 << max(0, (-(-packets // self.least_ray_tiles) - 1).bit_length())
        while rows > 1 and rows * self.least_ray_tiles > most_tiles:
            rows //= 2
        return self._sizes(rows, self.least_ray_tiles, rays=True)

    def _sizes(
        self, tile_rows: int, columns: int, *, rays: bool
    ) -> tuple[Sizes, dict[str, int], DeviceNeeds]:
        # Temporaries hardly depend on how many rays or slots there are. So where the budget is
        # tight, and sizes depend on them in turn, look at programs of small sizes first, which
        # all renderers of such scenes share.
        temps = 0
        if not self._ample(tile_rows, columns, rays=rays):
            temps = self._temporaries(_SMALL_SIZES, rays=rays) + _SPARE_TEMPORARIES
        for _ in range(4):
            needs = self._needs(tile_rows, columns, temps, rays=rays)
            sizes = self._divided(needs)
            found = self._temporaries(sizes, rays=rays)
            if found <= temps:
                return sizes, self._device_items(sizes, temps, rays=rays), needs
            temps = found + _SPARE_TEMPORARIES
        raise InternalError("the kernels' temporaries grow with every plan")

    def _ample(self, tile_rows: int, columns: int, *, rays: bool) -> bool:
        """Whether temporaries of a tenth of the budget would make no difference to the sizes."""
        none = self._needs(tile_rows, columns, 0, rays=rays)
        many = self._needs(tile_rows, columns, self._device.allowed_bytes // 10, rays=rays)
        if many.smallest_bytes > self._device.allowed_bytes:
            return False
        return self._divided(none) == self._divided(many)

    def _divided(self, needs: DeviceNeeds) -> Sizes:
        division = self._divide(needs)
        return Sizes(
            tiles=needs.tiles_per_part(division.band_rows),
            band_rows=division.band_rows,
            n_slots=division.n_slots,
            n_pages=division.n_pages,
        )

    def _divide(self, needs: DeviceNeeds) -> DeviceDivision:
        allowed = self._device.allowed_bytes
        if self._pool is None:
            return divide_device(needs, allowed)
        return divide_device(needs, allowed, pool=self._pool)

    def _temporaries(self, sizes: Sizes, *, rays: bool) -> int:
        p, tiles, pool = self._programs, sizes.tiles, (sizes.n_slots, sizes.n_pages)
        parallel = [
            p.integrate(tiles, *pool),
            p.live_tiles(tiles),
            p.compose(tiles),
            p.fresh(tiles),
        ]
        if rays:
            parallel += [
                p.world_rays(tiles),
                p.keys(tiles),
                p.walk(tiles, self.walk_words, self.walk_steps),
            ]
        else:
            parallel.append(p.pinhole(tiles))
        alone = [p.write_bricks(*pool), p.write_rows(*pool), p.empty_pool(*pool)]
        return self._device.n_parts * max(q.temp_bytes for q in parallel) + max(
            q.temp_bytes for q in alone
        )

    def _in_flight(self) -> dict[str, int]:
        columns = 3 * self._shape.basis_dim
        bricks, pages = upload_bytes(self._shape.voxels, columns, self._itemsize)
        call = (CALL_ITEMS + self._shape.items) * 16 + CALL_BLOCKS * 8 + 4
        return {
            "uploads in flight": 2 * (bricks + pages),
            "work items in flight": self._device.n_parts * call,
            # What a GPU lets wait, with its arguments; on a CPU nothing does.
            "waiting in the queue": (self._device.n_queued - 1) * max(bricks, pages, call),
            "scalars and reports": _SMALL,
        }

    def _walk_bytes(self) -> int:
        per_part = self.walk_steps * WALK_TILES * TILE_RAYS * 4
        return self.walk_words * 4 + per_part * self._device.n_parts

    def _needs(self, rows: int, columns: int, temps: int, *, rays: bool) -> DeviceNeeds:
        per_ray = _RAY_BYTES + (_WORLD_RAY_BYTES if rays else 0)
        in_flight = self._in_flight()
        fixed = sum(in_flight.values()) + temps + (self._walk_bytes() if rays else 0)
        # Most of the temporaries are those of programs that run in all parts at once.
        by_parts = temps + in_flight["work items in flight"]
        return DeviceNeeds(
            slot_bytes=self.slot_bytes,
            page_bytes=self.page_bytes,
            tile_bytes=TILE_RAYS * per_ray + 8 + _REPORTS,
            fixed_bytes=fixed,
            n_bricks=self._n_bricks,
            n_pages=self._n_pages,
            largest_pages=self._largest,
            tile_rows=rows,
            tile_columns=columns,
            n_parts=self._device.n_parts,
            tile_step=TILE_STEP,
            part_bytes=by_parts // self._device.n_parts,
        )

    def _device_items(self, sizes: Sizes, temps: int, *, rays: bool) -> dict[str, int]:
        n_rays = sizes.tiles * TILE_RAYS * self._device.n_parts
        per_ray = _RAY_BYTES + (_WORLD_RAY_BYTES if rays else 0)
        items = {
            "pool: bricks": sizes.n_slots * self.slot_bytes,
            "pool: colour rows": sizes.n_pages * self.page_bytes,
            "ray state and output": n_rays * per_ray + n_rays // TILE_RAYS * (8 + _REPORTS),
            "kernel temporaries": temps,
            **self._in_flight(),
        }
        if rays:
            items["walk through the grid"] = self._walk_bytes()
        return items

    def plan(
        self,
        sizes: Sizes,
        device_items: dict[str, int],
        needs: DeviceNeeds,
        host: HostPlan,
        allowed_host_bytes: int,
        views: Iterable[View],
    ) -> RenderPlan:
        """Put together what was found, with what the views of all bands show, one after another."""
        waves, shown = 0, np.zeros(len(self.pages), bool)
        for view in views:
            pages = self.pages[view.bricks]
            room = {"n_slots": sizes.n_slots, "n_pages": sizes.n_pages - 1}
            waves += len(plan_waves(view.shells, pages, **room))
            shown[view.bricks] = True
        seen = np.flatnonzero(shown)
        return RenderPlan(
            device_items=device_items,
            host_items=host.items,
            allowed_device_bytes=self._device.allowed_bytes,
            allowed_host_bytes=allowed_host_bytes,
            smallest_budget_bytes=needs.smallest_bytes,
            smallest_host_bytes=host.needs.smallest_bytes,
            working_set_bytes=self.working_set_bytes(seen),
            n_slots=sizes.n_slots,
            n_bands=-(-needs.tile_rows // sizes.band_rows),
            bricks_visible=len(seen),
            waves=waves,
        )
