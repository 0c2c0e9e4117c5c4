"""Rays through the bricks of a set of voxels whose rows change: forward, and back.

Bricks come from the rows (`supply`), not from a scene. Tiles go together as long as the bricks that they meet fit
the pool; a tile that alone meets more is taken through them part by part, as often as one of its rays
waits. A ray stops at a brick that is not there (see `Integrator`), so any order will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.frame import Leaving
from plenostream.engine.session import sample_rule
from plenostream.field.finished import Finished
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.backends import ChosenBackend, Terms, open_integrator
from plenostream.integrator.interface import Integrator, LossByRays
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan import PAIRS_AT_ONCE
from plenostream.plan.budget import DeviceNeeds, divide_device
from plenostream.process.closing import Closing
from plenostream.stream.residency import Residency
from plenostream.stream.supply import pages_of
from plenostream.train.rows import TrainedRows
from plenostream.train.supply import RowSupply
from plenostream.train.tiles import RayTiles
from plenostream.train.voxel_set import VoxelSet

__all__ = ["TILES_AT_ONCE", "Loss", "Walk", "WalkPlan"]

TILES_AT_ONCE = 512
"""Tiles that go together, at most."""
Loss = Callable[[slice, NDArray[np.float32], NDArray[np.float32]], LossByRays]
"""Given which tiles they are, their colours [t, 64, 3] on black and alpha [t, 64]."""
_Seen = Callable[[slice, NDArray[np.float32], NDArray[np.float32]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkPlan:
    """What a walk takes of the device."""

    items: dict[str, int]
    """Bytes by what they are for."""
    n_slots: int
    n_pages: int
    n_tiles: int

    @property
    def n_bytes(self) -> int:
        """All together."""
        return sum(self.items.values())


class Walk(Closing):
    """An integrator, and a pool that is filled from rows; a context manager."""

    def __init__(
        self,
        voxel_set: VoxelSet,
        rows: TrainedRows,
        options: RenderOptions,
        stream: StreamOptions,
        *,
        differentiate: bool = False,
        weigh: bool = False,
        leaving: Leaving | None = None,
    ) -> None:
        """Take the `rows` of the voxels.

        Raises
        ------
        BudgetError : not even the largest brick fits. DeviceError : see `open_integrator`.
        """
        self._voxel_set, self._rows, self._leaving = voxel_set, rows, leaving
        scene = voxel_set.shape(rows.columns // 3)
        terms = Terms(
            scene=scene,
            rule=sample_rule(options, voxel_set.grid, weigh=weigh, differentiate=differentiate),
            precision="float16" if stream.precision == "auto" else stream.precision,
            device=stream.device,
            allowed_bytes=stream.device_bytes,
            n_threads=stream.n_threads,
        )
        self.integrator: Integrator
        self.backend: ChosenBackend
        self.integrator, self.backend = open_integrator(stream.backend, terms)
        self._pages = pages_of(voxel_set.row_start)
        with ExitStack() as unmade:
            unmade.callback(self.integrator.close)
            self.plan = self._planned()
            self.integrator.make_pool(self.plan.n_slots, self.plan.n_pages)
            self._residency = Residency(
                self._pages, n_slots=self.plan.n_slots, n_pages=self.plan.n_pages
            )
            unmade.pop_all()
        self._supply = RowSupply(
            voxel_set,
            rows,
            self.integrator,
            self._residency,
            n_staged=scene.staged_rows(self.integrator.batch_rows),
            leaving=leaving,
        )

    def _planned(self) -> WalkPlan:
        integrator = self.integrator
        kind = _no_tiles().source()
        costs = integrator.device_costs(kind)
        step = costs.tile_step
        columns = -(-TILES_AT_ONCE // step) * step
        temporaries = integrator.temporary_bytes(None, kind)
        needs = DeviceNeeds(
            slot_bytes=costs.slot_bytes,
            page_bytes=costs.page_bytes,
            tile_bytes=costs.tile_bytes,
            fixed_bytes=sum(costs.fixed.values()) + temporaries,
            n_bricks=self._voxel_set.n_bricks,
            n_pages=int(self._pages.sum()),
            largest_pages=int(self._pages.max(initial=0)),
            tile_rows=1,
            tile_columns=columns,
            n_parts=costs.n_parts,
            tile_step=step // costs.n_parts,
            part_bytes=costs.part_bytes,
        )
        division = divide_device(needs, integrator.allowed_bytes)
        items = {
            "pool: bricks": division.n_slots * costs.slot_bytes,
            "pool: colour rows": division.n_pages * costs.page_bytes,
            "ray state and output": columns * costs.tile_bytes,
            "kernel temporaries": temporaries,
            **costs.fixed,
        }
        return WalkPlan(
            items=items, n_slots=division.n_slots, n_pages=division.n_pages, n_tiles=columns
        )

    def close(self) -> None:
        """Give back the device and the threads."""
        self.integrator.close()

    # What changes

    def changed(self, bricks: NDArray[np.int64] | NDArray[np.int32]) -> None:
        """The rows of voxels that these bricks hold have other numbers now."""
        self._supply.changed(bricks)

    def collect_leaving(self) -> None:
        """Tell of all bricks in the pool, as if they left."""
        if self._leaving is not None:
            self._leaving(*self._residency.resident())

    # Rays

    def draw(self, tiles: RayTiles) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Colours [t, 64, 3] of tiles on black, and alpha [t, 64]."""
        rgb = np.empty((len(tiles), TILE_RAYS, 3), np.float32)
        alpha = np.empty((len(tiles), TILE_RAYS), np.float32)

        def keep(part: slice, colours: NDArray[np.float32], opaque: NDArray[np.float32]) -> None:
            rgb[part], alpha[part] = colours, opaque

        for part in _parts(len(tiles), self.plan.n_tiles):
            self._go(tiles, part, keep, None)
        return rgb, alpha

    def learn(self, tiles: RayTiles, loss: Loss) -> NDArray[np.int64]:
        """Draw tiles, and add derivatives of a loss to the rows; the bricks that were met."""
        met: list[NDArray[np.int64]] = []
        for part in _parts(len(tiles), self.plan.n_tiles):
            met += self._go(tiles, part, None, loss)
        return np.unique(np.concatenate(met)) if met else np.empty(0, np.int64)

    def _go(
        self, tiles: RayTiles, part: slice, seen: _Seen | None, loss: Loss | None
    ) -> list[NDArray[np.int64]]:
        """Take some tiles through what they meet, together or in halves; the bricks that they met."""
        integrator, rays = self.integrator, tiles.some(part).source()
        try:
            integrator.begin(rays, self.plan.n_tiles)
            met = self._met(rays.n_tiles)
            if self._fits(met) or rays.n_tiles == 1:
                waves = list(self._waves(met))
                self._residency.begin_frame(met)
                self._advance(waves, None)
                rgb, alpha = self._finished(rays.n_tiles)
                if seen is not None:
                    seen(part, rgb, alpha)
                if loss is not None:
                    integrator.begin_back(rays, self.plan.n_tiles, loss(part, rgb, alpha))
                    self._advance(waves, self._collect)
                return [met]
        finally:
            integrator.drop()
        middle = (part.start + part.stop) // 2
        halves = slice(part.start, middle), slice(middle, part.stop)
        return [bricks for half in halves for bricks in self._go(tiles, half, seen, loss)]

    def _met(self, n_tiles: int) -> NDArray[np.int64]:
        """Bricks that the tiles may meet, rising."""
        met = np.zeros(self._voxel_set.n_bricks, bool)
        for _, box in self.integrator.boxes_met(n_tiles, PAIRS_AT_ONCE):
            met[self._voxel_set.table.brick[box]] = True
        return np.flatnonzero(met)

    def _fits(self, bricks: NDArray[np.int64]) -> bool:
        pages = int(self._pages[bricks].sum())
        return len(bricks) <= self.plan.n_slots and pages < self.plan.n_pages

    def _waves(self, bricks: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Bricks in portions that fit the pool."""
        ends = np.cumsum(self._pages[bricks])
        start = 0
        while start < len(bricks):
            before = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, before + self.plan.n_pages - 1, "right"))
            stop = min(max(stop, start + 1), start + self.plan.n_slots)
            yield bricks[start:stop]
            start = stop

    def _advance(
        self,
        waves: list[NDArray[np.int64]],
        after: Callable[[NDArray[np.int64]], None] | None,
    ) -> None:
        """Take the rays through waves of bricks, again while some wait; `after` each is called."""
        while True:
            for wave in waves:
                self.integrator.take_in(self._supply.arrivals(wave))
                self.integrator.advance(iter(()), self._residency.slot_of)
                if after is not None:
                    after(wave)
            if len(waves) <= 1 or not self.integrator.report()().any():
                return

    def _collect(self, wave: NDArray[np.int64]) -> None:
        """Add the derivatives by the rows of bricks to those of their owners."""
        slots, owners = self._residency.slot_of[wave], self._voxel_set.owners(wave)
        self.integrator.add_derivatives(slots, owners, self._rows.by)

    def _finished(self, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rgb = np.zeros((self.plan.n_tiles, TILE_RAYS, 3), np.float32)
        alpha = np.zeros((self.plan.n_tiles, TILE_RAYS), np.float32)

        def place(tiles: Finished) -> None:
            rgb[tiles.tile], alpha[tiles.tile] = tiles.rgb, tiles.alpha

        self.integrator.finish(np.zeros(3, np.float32), place)
        return rgb[:n], alpha[:n]


def _parts(n: int, most: int) -> list[slice]:
    return [slice(first, min(first + most, n)) for first in range(0, n, most)]


def _no_tiles() -> RayTiles:
    ones = np.ones((1, TILE_RAYS, 3))
    return RayTiles(origins=ones, directions=ones, valid=np.zeros((1, TILE_RAYS), bool))
