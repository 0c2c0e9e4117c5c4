"""From a scene, rays and two allowances to sizes: what `Renderer.plan` says and then keeps to."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from plenostream.engine.host import HostPlan, HostPlanner, RaysAtOnce
from plenostream.errors import InternalError
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import PAGE_ROWS, DeviceCosts, Integrator, RaySource, Sizes
from plenostream.plan import BoxTable
from plenostream.plan.budget import DeviceDivision, DeviceNeeds, divide_device
from plenostream.stream.supply import pages_of

__all__ = ["Layout", "Planner"]

_SPARE_TEMPORARIES = 65_536
_MOST_PLACES = (1 << 31) - 1
"""Voxels of a pool, and rows of its pages: kernels count them with 32 bits."""
_SPARE_SHARE = 64
"""Bytes by which the temporaries of programs of other sizes may differ, or a part of them if that is
more: on an H200, those of `xla` were 38.5 MB and, for fewer rays, 0.2 MB more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How something is drawn within the allowances: made once, and kept to."""

    sizes: Sizes
    band_rows: int
    """Rows of tiles that can be drawn together, whatever they show; for arbitrary rays all are one row."""
    device_items: dict[str, int]
    """Device bytes by what they are for."""
    smallest_device_bytes: int
    """The smallest device allowance that works."""
    host: HostPlan


class Planner:
    """Knows the scene's counts and what the integrator takes; allocates nothing."""

    def __init__(
        self,
        store: SceneStore,
        table: BoxTable,
        integrator: Integrator,
        host: HostPlanner,
        *,
        resident: bool = False,
    ) -> None:
        """Where it is to be `resident`, all that has boxes in the `table` has its place in the pool."""
        self._resident = resident
        self._integrator = integrator
        self._host = host
        self._allowed = integrator.allowed_bytes
        occupied = pages_of(store.tables.row_start)[table.bricks]
        self._voxels = store.meta.bricks.voxels
        self._n_bricks = len(occupied)
        self._n_pages = int(occupied.sum())
        self._largest = int(occupied.max(initial=0))
        self._pool: tuple[int, int] | None = None
        self._divided_before: dict[
            Hashable, tuple[DeviceDivision, dict[str, int], DeviceNeeds]
        ] = {}

    def fix_pool(self, n_slots: int, n_pages: int) -> None:
        """From now on, the pool exists with these sizes."""
        self._pool = (n_slots, n_pages)

    def holds_all(self, sizes: Sizes) -> bool:
        """Whether a pool has room for all bricks that can be drawn, so that none ever has to leave."""
        return sizes.n_slots >= self._n_bricks and sizes.n_pages > self._n_pages

    def picture(
        self, rays: RaySource, width: int, height: int, *, samples: int, whole: bool = False
    ) -> Layout:
        """A picture of `width` x `height` pixels, `samples` rays along each edge of a pixel; `whole`: with
        room for the rays of all its tiles, if there is any way.

        Raises BudgetError where it does not fit.
        """
        columns, rows = -(-width * samples // TILE), -(-height * samples // TILE)
        division, device_items, needs = self._divided(rays, rows, columns, whole=whole)
        sizes = _sizes(needs, division)
        return Layout(
            sizes=sizes,
            band_rows=division.band_rows,
            device_items=device_items,
            smallest_device_bytes=needs.smallest_bytes,
            host=self._host.picture(width * height, sizes.n_tiles),
        )

    def packets(self, rays: RaySource, n: int) -> tuple[Layout, RaysAtOnce]:
        """`n` arbitrary rays, and how many of them are drawn together; raises BudgetError where
        they do not fit."""
        step = self._integrator.device_costs(rays).tile_step
        at_once = self._host.rays_at_once(n, least_tiles=step)
        packets = -(-n // TILE_RAYS) + 8  # each octant may leave a packet that is not full
        # A power of two rows: calls with other numbers of rays then share compiled programs.
        rows = 1 << max(0, (-(-packets // step) - 1).bit_length())
        while rows > 1 and rows * step > at_once.tiles:
            rows //= 2
        division, device_items, needs = self._divided(rays, rows, step, whole=True)
        sizes = _sizes(needs, division)
        at_once = RaysAtOnce(tiles=sizes.n_tiles, pairs=at_once.pairs)
        layout = Layout(
            sizes=sizes,
            band_rows=division.band_rows,
            device_items=device_items,
            smallest_device_bytes=needs.smallest_bytes,
            host=self._host.rays(n, at_once),
        )
        return layout, at_once

    def _divided(
        self, rays: RaySource, tile_rows: int, columns: int, *, whole: bool
    ) -> tuple[DeviceDivision, dict[str, int], DeviceNeeds]:
        """How the device's allowance is divided, bytes by item, and what it was divided by.

        The same again for what was planned before, while the pool is the one of then: with a pool
        in place there is another way to divide, and its programs would be compiled for nothing.
        """
        key = (rays.make, tile_rows, columns, whole)
        before = self._divided_before.get(key)
        if before is None or self._pool not in (None, (before[0].n_slots, before[0].n_pages)):
            costs = self._integrator.device_costs(rays)
            if whole:
                costs = replace(costs, least_lot=tile_rows * columns)
            before = self._divided_before[key] = self._divide(rays, costs, tile_rows, columns)
        return before

    def _divide(
        self, rays: RaySource, costs: DeviceCosts, tile_rows: int, columns: int
    ) -> tuple[DeviceDivision, dict[str, int], DeviceNeeds]:
        # Temporaries hardly depend on how many rays or slots there are. So where the budget is
        # tight, and sizes depend on them in turn, look at programs of small sizes first, which
        # all renderers of such scenes share.
        temps = 0
        if not self._ample(costs, tile_rows, columns):
            temps = _with_spare(self._integrator.temporary_bytes(None, rays))
        for _ in range(4):
            needs = self._needs(costs, tile_rows, columns, temps)
            division = divide_device(needs, self._allowed, pool=self._pool)
            taken = self._integrator.temporary_bytes(_sizes(needs, division), rays)
            if taken <= temps:
                return division, _items(costs, _sizes(needs, division), temps), needs
            temps = _with_spare(taken)
        raise InternalError("the kernels' temporaries grow with every plan")

    def _ample(self, costs: DeviceCosts, tile_rows: int, columns: int) -> bool:
        """Whether temporaries of a tenth of the budget would make no difference to the sizes."""
        none = self._needs(costs, tile_rows, columns, 0)
        many = self._needs(costs, tile_rows, columns, self._allowed // 10)
        if many.smallest_bytes > self._allowed:
            return False
        divided = [divide_device(needs, self._allowed, pool=self._pool) for needs in (none, many)]
        return divided[0] == divided[1]

    def _needs(self, costs: DeviceCosts, rows: int, columns: int, temps: int) -> DeviceNeeds:
        return DeviceNeeds(
            slot_bytes=costs.slot_bytes,
            page_bytes=costs.page_bytes,
            tile_bytes=costs.tile_bytes,
            fixed_bytes=sum(costs.fixed.values()) + temps,
            n_bricks=self._n_bricks,
            n_pages=self._n_pages,
            largest_pages=self._largest,
            tile_rows=rows,
            tile_columns=columns,
            n_parts=costs.n_parts,
            tile_step=costs.tile_step // costs.n_parts,
            # Most of the temporaries are those of programs that run in all parts at once.
            part_bytes=temps // costs.n_parts + costs.part_bytes,
            least_lot=costs.least_lot,
            any_pool=costs.any_pool,
            resident=self._resident,
            most_slots=_MOST_PLACES // self._voxels,
            most_pages=_MOST_PLACES // PAGE_ROWS,
        )


def _with_spare(temps: int) -> int:
    """Temporaries of programs of about these sizes; where there are none, there are none."""
    return temps + max(_SPARE_TEMPORARIES, temps // _SPARE_SHARE) if temps else 0


def _sizes(needs: DeviceNeeds, division: DeviceDivision) -> Sizes:
    return Sizes(
        n_tiles=needs.tiles_per_part(division.band_rows) * needs.n_parts,
        n_slots=division.n_slots,
        n_pages=division.n_pages,
    )


def _items(costs: DeviceCosts, sizes: Sizes, temps: int) -> dict[str, int]:
    """Device bytes by what they are for."""
    return {
        "pool: bricks": sizes.n_slots * costs.slot_bytes,
        "pool: colour rows": sizes.n_pages * costs.page_bytes,
        "ray state and output": sizes.n_tiles * costs.tile_bytes,
        "kernel temporaries": temps,
        **costs.fixed,
    }
