"""An integrator in plain NumPy: slow, float64, one thread; for the host loop's own tests.

It keeps what arrives as it is, walks the samples of each tile box by box, and says what it takes as
any other does. It shares the lattice with the others, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from plenostream.field.finished import Finished, Place
from plenostream.field.tiles import TILE_RAYS, Pairs
from plenostream.integrator.interface import (
    OPAQUE_LENGTH,
    PAGE_ROWS,
    Arrivals,
    DeviceCosts,
    HostCosts,
    Light,
    LossByRays,
    RaySource,
    Report,
    RowDerivatives,
    SampleRule,
    SceneShape,
    Sizes,
)
from plenostream.integrator.lattice import GridArrays, Spacing, lattice
from plenostream.integrator.loss import add_in_portions
from plenostream.integrator.staging_memory import plain_memory
from plenostream.testing.plain_back import BackSamples, PlainBack

__all__ = ["PlainIntegrator"]

_RAY_NUMBERS = 17
"""float64 numbers kept of a ray beside its functions and AOVs."""


class PlainIntegrator:
    """See `integrator.interface.Integrator`."""

    name, precision, n_threads = "plain", "float32", 1
    batch_bricks, batch_rows = 8, 4096
    takes_in_place = False

    def __init__(self, scene: SceneShape, rule: SampleRule, *, allowed_bytes: int) -> None:
        self.allowed_bytes = allowed_bytes
        self._scene, self._rule = scene, rule
        self._density: NDArray[np.float64] | None = None
        self._coming: Iterator[Arrivals] = iter(())
        self._counts = {"bytes_uploaded": 0, "samples_marched": 0, "items": 0}
        self._peak = 0

    def device_costs(self, rays: RaySource) -> DeviceCosts:
        voxels, columns = self._scene.bricks.voxels, 3 * self._scene.basis_dim
        return DeviceCosts(
            slot_bytes=voxels * (16 + 8 * self._rule.weigh + 8 * self._rule.differentiate) + 24,
            page_bytes=PAGE_ROWS * columns * 8 * (1 + self._rule.differentiate),
            tile_bytes=TILE_RAYS
            * 8
            * (_RAY_NUMBERS + self._scene.basis_dim + self._rule.aovs.n_columns),
            tile_step=4,
            fixed={},
            n_parts=1,
            part_bytes=0,
            least_lot=1 << 30,
            any_pool=True,
        )

    def temporary_bytes(self, sizes: Sizes | None, rays: RaySource) -> int:
        return 0

    def host_costs(self, pairs_at_once: int) -> HostCosts:
        n_boxes = len(self._scene.boxes.brick)
        return HostCosts(
            kept_bytes=self._scene.boxes.nbytes,
            staging_bytes=0,
            queue_bytes=0,
            pair_bytes=64,
            packet_bytes=0,
            most_boxes=n_boxes,
            least_tiles=4,
            n_parts=1,
        )

    def make_pool(self, n_slots: int, n_pages: int) -> None:
        voxels = self._scene.bricks.voxels
        self._density = np.zeros((n_slots, voxels))
        self._row_of = np.zeros((n_slots, voxels), np.int64)
        self._corner = np.zeros((n_slots, 3), np.int64)
        self._weight = np.zeros((n_slots if self._rule.weigh else 0, voxels))
        self._rows = np.zeros((n_pages * PAGE_ROWS, 3 * self._scene.basis_dim))
        self._back = PlainBack(self._rule, self._row_of, self._rows)

    @property
    def pool_is_lost(self) -> bool:
        return self._density is None

    def begin_back(self, rays: RaySource, n_tiles: int, loss: LossByRays) -> None:
        self.begin(rays, n_tiles)
        self._back.begin(loss)

    def begin(self, rays: RaySource, n_tiles: int) -> None:
        self._back.end()
        grid = self._scene.grid
        arrays = GridArrays(grid.extent, grid.margin, grid.scale, grid.offset)
        origins, dirs, valid = rays.make(np, *rays.per_tile, *rays.shared)
        rule = self._rule
        spacing = Spacing(rule.step_size, rule.near_clip, rule.far_cap)
        self._lattice = lattice(
            np, origins, dirs, valid, arrays, spacing, spheric_clip=rule.spheric_clip
        )
        unit = dirs / np.linalg.norm(dirs, axis=0)
        basis = self._scene.basis
        self._basis = np.stack(basis.functions(np, unit, *basis.arrays), 1)
        self._per_t = np.linalg.norm(self._lattice.direction / grid.scale[:, None], axis=0)
        n = dirs.shape[1]
        self._trans, self._colour, self._depth = np.ones(n), np.zeros((n, 3)), np.zeros(n)
        self._left = np.ones(n)
        self._aovs = np.repeat(rule.aovs.nothing[None].astype(np.float64), n, axis=0)
        self._n_tiles = rays.n_tiles
        costs, pool = self.device_costs(rays), 0
        if self._density is not None:
            pool = self._density.nbytes + self._row_of.nbytes + self._rows.nbytes
            pool += self._weight.nbytes + self._back.nbytes
        self._peak = max(self._peak, pool + n_tiles * costs.tile_bytes)

    def octant_keys(self) -> NDArray[np.int64]:
        falls = self._lattice.direction < 0
        octant = falls[0] + 2 * falls[1] + 4 * falls[2].astype(np.int64)
        return np.where(self._lattice.n_samples > 0, octant, 8) << 32

    def boxes_met(self, n_packets: int, at_once: int) -> Iterator[tuple[NDArray[np.int64], ...]]:
        box = np.arange(len(self._scene.boxes.brick))
        for packet in range(n_packets):  # any of them, which is always right
            yield np.full(len(box), packet), box

    def staging_memory(self, n_bytes: int) -> NDArray[np.uint8]:
        return plain_memory(n_bytes)

    def take_in(self, arrivals: Iterator[Arrivals]) -> None:
        self._coming = arrivals

    def advance(self, pairs: Iterable[Pairs], slot_of: NDArray[np.int32]) -> None:
        for arrived in self._coming:
            self._put(arrived)
        for some in pairs:
            self._counts["items"] += len(some.tile)
            for tile, box in zip(some.tile.tolist(), some.box.tolist(), strict=True):
                brick = int(self._scene.boxes.brick[box])
                self._march(tile, self._scene.boxes.corners[box], int(slot_of[brick]))

    def _put(self, some: Arrivals) -> None:
        assert self._density is not None
        voxels, page = self._scene.bricks.voxels, 0
        for b, slot in enumerate(some.slots):
            rows = slice(some.row_start[b], some.row_start[b + 1])
            n = rows.stop - rows.start
            pages = some.pages[page : page + -(-n // PAGE_ROWS)]
            page += len(pages)
            places = (pages[:, None] * PAGE_ROWS + np.arange(PAGE_ROWS)).reshape(-1)[:n]
            active = np.unpackbits(some.mask[b], count=voxels, bitorder="little").view(bool)
            self._density[slot], self._row_of[slot] = 0.0, 0
            self._density[slot, active], self._row_of[slot, active] = (
                some.density.only[rows],
                places,
            )
            self._rows[places] = some.sh.only[rows]
            self._weight[slot : slot + 1] = 0.0
            self._back.clear(slot)
            self._corner[slot] = some.index[b] * self._scene.bricks.brick_size
        self._counts["bytes_uploaded"] += some.nbytes

    def _march(self, tile: int, corners: NDArray[np.uint8], slot: int) -> None:
        """Bring the rays of a tile through a box: sample by sample, all rays at once."""
        assert self._density is not None
        rays = np.arange(tile * TILE_RAYS, (tile + 1) * TILE_RAYS)
        last = np.array(self._scene.grid.size) - 1
        edge = self._scene.bricks.edge
        entry, along = self._lattice.entry[:, rays], self._lattice.direction[:, rays]
        for k in range(int(self._lattice.n_samples[rays].max(initial=0))):
            position = entry + k * self._rule.step_size * along
            position = np.clip(position, 0.0, last[:, None]).T
            cell = np.minimum(np.floor(position).astype(int), last - 1)
            local = cell - self._corner[slot]
            inside = ((local >= corners[:3]) & (local < corners[3:])).all(1)
            inside &= (k < self._lattice.n_samples[rays]) & (self._trans[rays] > 0)
            if inside.any():
                within = (position - cell)[inside]
                self._sample(k, rays[inside], local[inside], within, slot, edge)

    def _sample(
        self,
        k: int,
        rays: NDArray[np.int64],
        local: NDArray[np.int64],
        within: NDArray[np.float64],
        slot: int,
        edge: int,
    ) -> None:
        assert self._density is not None
        rule, sigma = self._rule, np.zeros(len(rays))
        coefficients = np.zeros((len(rays), self._rows.shape[1]))
        slopes = np.zeros((len(rays), 3))
        for offset in np.ndindex(2, 2, 2):
            shares = np.where(offset, within, 1.0 - within)
            weight = shares.prod(1)
            voxel = ((local + offset) * (edge * edge, edge, 1)).sum(1)
            density = self._density[slot, voxel]
            sigma += weight * density
            for axis in range(3):
                others = np.delete(shares, axis, axis=1).prod(1)
                slopes[:, axis] += others * density * (1.0 if offset[axis] else -1.0)
            coefficients += weight[:, None] * self._rows[self._row_of[slot, voxel]]
        self._counts["samples_marched"] += len(rays)
        counts = np.where(sigma > rule.sigma_thresh, sigma, 0.0)
        length = rule.step_size * self._per_t[rays]
        passes = np.exp(-counts * length)
        by_channel = coefficients.reshape(len(rays), 3, -1) * self._basis[rays, None]
        signed = by_channel.sum(-1) + 0.5
        colour = np.maximum(signed, 0.0)
        t = self._lattice.t_min[rays] + k * rule.step_size
        weight = self._trans[rays] * (1.0 - passes)
        self._depth[rays] += weight * t * self._per_t[rays]
        trans = self._trans[rays] * passes
        self._gather(rays, counts, weight, slopes, trans, t * self._per_t[rays])
        self._trans[rays] = np.where(trans < rule.stop_thresh, 0.0, trans)
        before = self._left[rays]
        if rule.light is Light.OPAQUE_END:
            is_last = k == self._lattice.n_samples[rays] - 1
            length = np.where(is_last, OPAQUE_LENGTH, length)
            passes = np.where(is_last, np.exp(-counts * OPAQUE_LENGTH), passes)
        taken = before * (1.0 - passes)
        ended = before * passes < rule.stop_thresh
        if rule.light is Light.ADDS_UP:
            taken = np.minimum(1.0 - passes, before)
            ended = self._trans[rays] == 0.0
        if rule.weigh:
            first = (local * (edge * edge, edge, 1)).sum(1)
            for offset in np.ndindex(2, 2, 2):
                voxel = first + np.dot(offset, (edge * edge, edge, 1))
                np.maximum.at(self._weight[slot], voxel, taken)
        self._colour[rays] += taken[:, None] * colour
        if self._back.is_on:
            first = (local * (edge * edge, edge, 1)).sum(1)
            self._back.add(
                BackSamples(
                    rays=rays,
                    slot=slot,
                    voxels=first[:, None]
                    + np.array(list(np.ndindex(2, 2, 2))) @ (edge * edge, edge, 1),
                    within=within,
                    sigma=counts,
                    length=length,
                    weight=taken,
                    after=before * passes,
                    signed=signed,
                    seen=self._colour[rays],
                    basis=self._basis[rays],
                )
            )
        self._left[rays] = np.where(ended, 0.0, before - taken)

    def _gather(
        self,
        rays: NDArray[np.int64],
        counts: NDArray[np.float64],
        weight: NDArray[np.float64],
        slopes: NDArray[np.float64],
        trans: NDArray[np.float64],
        depth: NDArray[np.float64],
    ) -> None:
        """AOVs of samples of density `counts` at `depth` (world units), 0 for those that do not
        count; density rises by `slopes` [n, 3] a voxel, and `trans` is what is left behind them."""
        aovs, rule = self._rule.aovs, self._rule
        found = {"median-depth": trans < 0.5, "density-depth": counts > rule.depth_density}
        for name in aovs.names:
            column = self._aovs[:, aovs.first(name)]
            if name in found:
                first = found[name] & (counts > 0.0) & np.isnan(column[rays])
                column[rays[first]] = depth[first]
            elif name == "cost":
                column[rays] += counts > 0.0
            elif name == "mean-depth":
                column[rays] += weight
            else:
                start = aovs.first(name)
                rise = slopes * self._scene.grid.scale
                self._aovs[rays, start : start + 3] -= weight[:, None] * rise

    def report(self) -> Report:
        alive = (self._trans > 0) & (self._lattice.n_samples > 0)
        live = alive.reshape(-1, TILE_RAYS).any(1)
        return lambda: live

    def weights(self, slots: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._weight[slots].astype(np.float32)

    def derivatives(
        self, slots: NDArray[np.int32], into: RowDerivatives | None = None
    ) -> RowDerivatives:
        return self._back.take(slots, into)

    def add_derivatives(
        self, slots: NDArray[np.int32], owner: NDArray[np.int32], into: RowDerivatives
    ) -> None:
        add_in_portions(self.derivatives, slots, owner, into)

    def finish(self, background: NDArray[np.float32], place: Place) -> None:
        colour = self._colour + self._left[:, None] * background
        values = (colour, self._depth[:, None], 1.0 - self._left[:, None], self._aovs)
        tile = np.arange(self._n_tiles)
        rgb, depth, alpha, aovs = (
            v.astype(np.float32).reshape(len(tile), TILE_RAYS, v.shape[1]) for v in values
        )
        place(Finished(tile=tile, rgb=rgb, depth=depth[..., 0], alpha=alpha[..., 0], aovs=aovs))

    def interrupt(self) -> None:
        pass

    def drop(self) -> None:
        self._coming = iter(())

    def close(self) -> None:
        self.drop()
        self._density = None

    def take_counts(self) -> dict[str, int]:
        counts, self._counts = self._counts, dict.fromkeys(self._counts, 0)
        peak, self._peak = self._peak, 0
        return {**counts, "peak_device_bytes": peak}

    def take_host_peaks(self) -> dict[str, int]:
        return {}
