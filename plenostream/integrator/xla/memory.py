"""Bytes that the integrator takes, from the shapes of its arrays and the kernels' own accounts."""

from __future__ import annotations

from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import (
    DeviceCosts,
    HostCosts,
    RaySource,
    SceneShape,
    Sizes,
)
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.programs import Program, Programs
from plenostream.integrator.xla.structs import (
    CALL_ITEMS,
    TILE_STEP,
    WALK_TILES,
    StagedShape,
    n_bytes,
)
from plenostream.integrator.xla.workers import QUEUED_CALLS

__all__ = ["SMALL", "Memory"]

SMALL = Sizes(n_tiles=TILE_STEP, n_slots=32, n_pages=2048)
"""Sizes that all scenes share."""
_LEAST_LOT = {"cpu": 2560}
_LEAST_LOT_ELSEWHERE = 1 << 30
"""Tiles that are worth a lot of their own, on a platform. A GPU has the memory, and each lot costs the
host some milliseconds."""
_REPORTS = 6
"""Reports of live tiles that are kept at once: two are used late, four wait in a worker's queue."""
_SCALARS = 64_000
"""Scalars, counters and results of calls that wait."""

# Bytes for each of ..., at the worst moment, temporaries of NumPy included.
_STAGED_PAGE = 48
"""... page that comes in: where its rows lie, and where they go."""
_PAIR = 176
"""... pair while it is made and packed."""
_WALKED = 20
"""... block that a ray may have passed."""


class Memory:
    """What an integrator with these programs takes; allocates nothing."""

    def __init__(
        self,
        device: Device,
        programs: Programs,
        scene: SceneShape,
        walk: tuple[int, int],
        kept_bytes: int,
        staged: StagedShape,
    ) -> None:
        """Take `walk`, words of the map of blocks and steps through it."""
        self._device = device
        self._programs = programs
        self._structs = programs.structs
        self._scene = scene
        self._walk_words, self._walk_steps = walk
        self._kept = kept_bytes
        self._staged = staged
        self._bricks = n_bytes(self._structs.staged_bricks(staged))
        self._rows = n_bytes(self._structs.staged_rows(staged))
        self._call = n_bytes(self._structs.call())

    def device_costs(self, rays: RaySource) -> DeviceCosts:
        """See `Integrator.device_costs`."""
        device, structs = self._device, self._structs
        one, more_slots, more_pages = (n_bytes(structs.pool(*s)) for s in ((1, 1), (2, 1), (1, 2)))
        tile = n_bytes(structs.rays(1)) + n_bytes(structs.state(2)) - n_bytes(structs.state(1))
        tile += n_bytes(structs.source(rays, 1)[0]) + _REPORTS * n_bytes(structs.report(1))
        fixed = {
            "uploads in flight": device.n_staged * (self._bricks + self._rows),
            "work items in flight": device.n_parts * self._call,
            # What a GPU lets wait, with its arguments; on a CPU nothing does.
            "waiting in the queue": (device.n_queued - 1) * self._call,
            "scalars and reports": _SCALARS,
            "basis": self._scene.basis.nbytes,
        }
        if device.lost_bytes:
            fixed["lost in blocks of the allocator"] = device.lost_bytes
        if rays.packets:
            tile += n_bytes(structs.keys(1))
            passed = device.n_parts * n_bytes(structs.passed(self._walk_steps))
            fixed["walk through the grid"] = n_bytes(structs.walk(self._walk_words)) + passed
        return DeviceCosts(
            slot_bytes=more_slots - one,
            page_bytes=more_pages - one,
            tile_bytes=tile,
            tile_step=TILE_STEP * device.n_parts,
            fixed=fixed,
            n_parts=device.n_parts,
            part_bytes=self._call,
            least_lot=_LEAST_LOT.get(device.platform, _LEAST_LOT_ELSEWHERE),
            any_pool=False,
        )

    def temporary_bytes(self, sizes: Sizes | None, rays: RaySource) -> int:
        """See `Integrator.temporary_bytes`."""
        parts = self._device.n_parts
        if sizes is None:
            sizes, tiles = SMALL, SMALL.n_tiles
        else:
            tiles = sizes.n_tiles // parts
        parallel, alone = self._programs_of(tiles, sizes, rays)
        return parts * max(p.temp_bytes for p in parallel) + max(p.temp_bytes for p in alone)

    def _programs_of(
        self, tiles: int, sizes: Sizes, rays: RaySource
    ) -> tuple[list[Program], list[Program]]:
        """Those that all parts run at once, and those that run alone."""
        p, pool = self._programs, (sizes.n_slots, sizes.n_pages)
        parallel = [
            p.integrate(tiles, *pool),
            p.live_tiles(tiles),
            p.compose(tiles),
            p.set_up(rays, tiles),
        ]
        if rays.packets:
            parallel += [p.keys(tiles), p.walk(tiles, self._walk_words, self._walk_steps)]
        return parallel, [
            p.write_bricks(sizes.n_slots, self._staged),
            p.write_rows(sizes.n_pages, self._staged),
            p.empty_pool(*pool),
        ]

    def host_costs(self, pairs_at_once: int) -> HostCosts:
        """See `Integrator.host_costs`."""
        scene, n_parts = self._scene, self._device.n_parts
        # Beside those that wait: the ones that are ready for the next wave.
        per_part = -(-2 * pairs_at_once // (n_parts * CALL_ITEMS)) + 1
        blocks = n_bytes(self._structs.call()[1])
        entries = WALK_TILES * TILE_RAYS * min(self._walk_steps, max(len(scene.boxes.brick), 1))
        return HostCosts(
            kept_bytes=self._kept,
            # Masks, and tables with what it takes to make them; the rows stay where they are.
            staging_bytes=self._bricks - 4 * self._staged.rows + self._staged.pages * _STAGED_PAGE,
            queue_bytes=n_parts * ((QUEUED_CALLS + per_part) * self._call + blocks),
            pair_bytes=_PAIR,
            packet_bytes=n_parts * entries * _WALKED,
            most_boxes=min(TILE_RAYS * self._walk_steps, len(scene.boxes.brick)),
            least_tiles=TILE_STEP * n_parts,
            n_parts=n_parts,
        )
