"""Bytes that a walk takes, from the shapes of its arrays and the programs' own accounts."""

from __future__ import annotations

from dataclasses import replace

from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import DeviceCosts, HostCosts, RaySource, SceneShape, Sizes
from plenostream.integrator.warp.boxmap import map_bytes
from plenostream.integrator.warp.programs import PAGES_TAKEN, SLOTS_READ, WalkPrograms
from plenostream.integrator.xla.device import Device
from plenostream.integrator.xla.memory import SMALL, Memory
from plenostream.integrator.xla.programs import Program
from plenostream.integrator.xla.structs import TILE_STEP, StagedShape, n_bytes
from plenostream.integrator.xla.workers import QUEUED_CALLS

__all__ = ["WalkMemory"]

_RESULT_TILE = 20 * TILE_RAYS
"""Colour, depth and alpha of a tile, beside the state that they are made of."""
_COMPOSED_TILE = 640
"""Temporaries, per tile, of the programs that report and compose: two numbers a ray, and a little."""
_LEAST_TEMPORARIES = 1_000_000
"""What is planned for temporaries at least: setting up a few tiles takes less than setting up many,
and the smallest budget must not depend on how many there are."""
_MAKING_MAP = 4
"""Host bytes, per byte of the map, while it is made."""


class WalkMemory(Memory):
    """What a walk with these programs takes; allocates nothing."""

    def __init__(
        self,
        device: Device,
        programs: WalkPrograms,
        scene: SceneShape,
        walk: tuple[int, int],
        staged: StagedShape,
        *,
        weigh: bool,
        differentiate: bool,
    ) -> None:
        """Take `walk` as `Memory` does."""
        self._weigh, self._differentiate = weigh, differentiate
        self._map = map_bytes(scene.boxes, scene.bricks)
        self._slots = n_bytes(programs.walks.slots())
        self._walks = programs
        # Rays are set up in blocks of tiles: two of them take what any number does, and so the
        # smallest budget is the same for all pictures. On a CPU blocks are small, and what one takes
        # is less than the least that is planned.
        blocks = 2 if device.platform != "cpu" else 1
        self._set_up_tiles = blocks * programs.tiles_at_once
        kept = scene.boxes.nbytes + _MAKING_MAP * self._map
        super().__init__(device, programs, scene, walk, kept, staged)

    def device_costs(self, rays: RaySource) -> DeviceCosts:
        """See `Integrator.device_costs`."""
        costs, walks = super().device_costs(rays), self._walks.walks
        fixed = dict(costs.fixed)
        fixed.pop("work items in flight")
        fixed["waiting in the queue"] = (self._device.n_queued - 1) * self._slots
        fixed["map of boxes"] = self._map + self._slots
        fixed["scalars and reports"] += n_bytes(walks.state(0))
        weights_slot = back_tile = back_page = 0
        if self._weigh:
            weights_slot = n_bytes(walks.weights(1))
            fixed["weights handed over"] = n_bytes(walks.weights(SLOTS_READ))
        if self._differentiate:
            back_tile = 2 * n_bytes(walks.back(1, 0))  # the next rays' come before these go
            back_page = n_bytes(walks.back(0, 1))
            # Beside what is taken: its pages while they are gathered, and on their way to the host.
            fixed["derivatives handed over"] = 2 * n_bytes(walks.back(0, PAGES_TAKEN))
        state = n_bytes(walks.state(1)) - n_bytes(walks.state(0))
        xla_state = n_bytes(self._structs.state(2)) - n_bytes(self._structs.state(1))
        return replace(
            costs,
            slot_bytes=costs.slot_bytes + weights_slot,
            page_bytes=costs.page_bytes + back_page,
            tile_bytes=back_tile
            + costs.tile_bytes
            - xla_state
            + state
            + _RESULT_TILE
            + _COMPOSED_TILE,
            tile_step=TILE_STEP,
            fixed=fixed,
            part_bytes=0,
        )

    def temporary_bytes(self, sizes: Sizes | None, rays: RaySource) -> int:
        """See `Integrator.temporary_bytes`; what grows with the tiles is counted by the tile."""
        sizes, p = sizes or SMALL, self._walks
        drawing, alone = self._programs_of(sizes.n_tiles, sizes, rays)
        growing = (p.live_walks(sizes.n_tiles), p.compose_walk(sizes.n_tiles))
        beside = max(program.temp_bytes for program in growing) - sizes.n_tiles * _COMPOSED_TILE
        others = max(program.temp_bytes for program in drawing if program not in growing)
        most = max(beside, others, _LEAST_TEMPORARIES)
        return most + max(program.temp_bytes for program in alone)

    def _programs_of(
        self, tiles: int, sizes: Sizes, rays: RaySource
    ) -> tuple[list[Program], list[Program]]:
        """See `Memory._programs_of`."""
        p, pool = self._walks, (sizes.n_slots, sizes.n_pages)
        drawing = [
            p.weigh_rays(tiles, *pool) if self._weigh else p.walk_rays(tiles, *pool),
            p.live_walks(tiles),
            p.compose_walk(tiles),
            p.set_up(rays, max(tiles, self._set_up_tiles)),
        ]
        if self._weigh:
            drawing += [p.clear_weights(sizes.n_slots), p.read_weights(sizes.n_slots)]
        if self._differentiate:
            drawing += [p.walk_back(tiles, *pool), p.take_derivatives(sizes.n_pages)]
        if rays.packets:
            drawing += [p.keys(tiles), p.walk(tiles, self._walk_words, self._walk_steps)]
        return drawing, [
            p.write_bricks(sizes.n_slots, self._staged),
            p.write_rows(sizes.n_pages, self._staged),
            p.empty_pool(*pool),
        ]

    def host_costs(self, pairs_at_once: int) -> HostCosts:
        """See `Integrator.host_costs`; there are no pairs."""
        costs = super().host_costs(pairs_at_once)
        # Those that wait, those that are ready for the next wave, and those that are on the device.
        return replace(costs, queue_bytes=(QUEUED_CALLS + 2) * self._slots, pair_bytes=0)
