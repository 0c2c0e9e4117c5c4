"""Pictures of level auto in plain NumPy, with two ways of what lies on faces between levels.

Slow, and shares nothing with the integrators: for asking what a picture would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream import reference
from plenostream.format.reader import SceneStore
from plenostream.plan import bricks_drawn

__all__ = ["MixedLevels", "Seen"]

_RAYS_AT_ONCE = 512
_SAMPLES_AT_ONCE = 1 << 16
"""Whose coefficients are blended together."""
_STEP = 0.5
_LEAST_WEIGHT = 1e-6
"""Of a sample whose colour is worked out."""
_LEAST_LIGHT = 1e-2
"""That a ray has left where it counts as one that meets a face."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What rays saw."""

    rgb: Floats
    """[n, 3] on black."""
    meets: NDArray[np.bool_]
    """[n]: those that took a sample beside a face between levels, with light left."""


class _Voxels:
    """All voxels of a level, found by brick and place in it."""

    def __init__(self, store: SceneStore) -> None:
        meta, tables = store.meta, store.tables
        self.size, self.bricks = np.array(meta.grid.size), meta.bricks
        self._brick_at = np.full(self.bricks.shape, -1, np.int64)
        self._brick_at[tuple(tables.index.T)] = np.arange(len(tables.index))
        mask = np.unpackbits(tables.mask, axis=1, bitorder="little", count=self.bricks.voxels)
        rank = mask.cumsum(axis=1, dtype=np.int32) - 1 + tables.row_start[:-1, None]
        self._row = np.where(mask == 1, rank, -1).astype(np.int32)
        self._density = store.read_array("rows/density")[:, None]
        self._sh = store.read_array("rows/sh")

    def cells(self, place: Floats) -> Ints:
        """The cells [m, 3] that places [m, 3] lie in."""
        return np.clip(np.floor(place).astype(np.int64), 0, self.size - 2)

    def corners(self, cell: Ints, *, of_density: bool) -> NDArray[np.float64]:
        """Values [m, 8, c] at the corners of cells [m, 3], 0 where no voxel is stored."""
        edge = self.bricks.brick_size
        brick = self._brick_at[tuple((cell // edge).T)]
        local = (cell % edge)[:, None] + _CORNERS
        number = (local[..., 0] * (edge + 1) + local[..., 1]) * (edge + 1) + local[..., 2]
        row = np.where(brick[:, None] >= 0, self._row[np.maximum(brick, 0)[:, None], number], -1)
        table = self._density if of_density else self._sh
        values: Floats = table[np.maximum(row, 0)].astype(np.float64)
        values[row < 0] = 0.0
        return values

    def at(self, place: Floats, *, of_density: bool) -> Floats:
        """Values [m, c] between the voxels."""
        cell = self.cells(place)
        return _blended(self.corners(cell, of_density=of_density), place - cell)


_CORNERS = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(8, 3)


def _blended(corners: Floats, within: Floats) -> Floats:
    shares = np.where(_CORNERS == 1, within[:, None], 1.0 - within[:, None]).prod(axis=-1)
    blended: Floats = (shares[:, None] @ corners)[:, 0]
    return blended


class MixedLevels:
    """A scene whose places are each drawn from one of its levels."""

    def __init__(self, stores: Sequence[SceneStore]) -> None:
        """Take the levels of a scene, all of whose voxels are read."""
        self._grid, self._bricks = stores[0].meta.grid, stores[0].meta.bricks
        self._levels = [_Voxels(store) for store in stores]

    def cut(self, eye_grid: Floats, reach: Floats) -> NDArray[np.int64]:
        """The level that each brick of level 0 is drawn from, [bricks], for `bricks_drawn`'s reach."""
        index = np.moveaxis(np.indices(self._bricks.shape), 0, -1).reshape(-1, 3).astype(np.int32)
        found = np.zeros(self._bricks.shape, np.int64)
        for level in range(1, len(self._levels)):
            drawn = bricks_drawn(
                index >> level,
                level,
                brick_size=self._bricks.brick_size,
                eye_grid=eye_grid,
                voxel_edges=1.0 / self._grid.scale,
                reach=reach,
            )
            found.reshape(-1)[drawn] = level
        return found

    def see(self, origins: Floats, dirs: Floats, cut: Ints, *, coarser: bool) -> Seen:
        """What rays [n, 3] see of the levels of a `cut`: where bricks of two meet, the finer one has
        its own voxels on the face, or with `coarser` what the coarser level is there."""
        parts = [
            self._see(
                origins[first : first + _RAYS_AT_ONCE],
                dirs[first : first + _RAYS_AT_ONCE],
                cut,
                coarser,
            )
            for first in range(0, len(origins), _RAYS_AT_ONCE)
        ]
        return Seen(
            rgb=np.concatenate([part.rgb for part in parts]),
            meets=np.concatenate([part.meets for part in parts]),
        )

    def _see(self, origins: Floats, dirs: Floats, cut: Ints, coarser: bool) -> Seen:
        grid, size = self._grid, np.array(self._grid.size)
        start = grid.world_to_grid(origins)
        along = dirs * grid.scale
        per_t = 1.0 / np.linalg.norm(along, axis=1)
        along *= per_t[:, None]
        with np.errstate(divide="ignore"):
            faces = np.stack([(-0.5 - start) / along, (size - 0.5 - start) / along])
        enter, leave = np.maximum(faces.min(0).max(1), 0.0), faces.max(0).min(1)
        n_samples = np.maximum(np.floor((leave - enter) / _STEP).astype(np.int64) + 1, 0)
        t = enter[:, None] + _STEP * np.arange(n_samples.max(initial=0))
        place = np.clip(start[:, None] + t[..., None] * along[:, None], 0, size - 1)
        level = cut[
            tuple((self._levels[0].cells(place) // self._bricks.brick_size).transpose(2, 0, 1))
        ]
        number = np.arange(t.shape[1])
        taken = (number < n_samples[:, None]) & (number % 2**level == 0)
        tau, beside = np.zeros(t.shape), np.zeros(t.shape, np.bool_)
        where = {}
        for each in range(len(self._levels)):
            ray, k = np.nonzero(taken & (level == each))
            at = place[ray, k] / 2.0**each
            sigma, meets = self._sigma(each, at, cut, coarser)
            tau[ray, k] = np.where(sigma > 1e-10, sigma, 0.0) * _STEP * 2**each * per_t[ray]
            beside[ray, k] = meets
            where[each] = ray, k, at
        depth = np.cumsum(tau, axis=1)
        light = np.exp(-(depth - tau))
        weight = light * -np.expm1(-tau)
        rgb = np.zeros((len(origins), 3))
        for each, (ray, k, at) in where.items():
            shown = np.flatnonzero(weight[ray, k] > _LEAST_WEIGHT)
            for some in np.array_split(shown, len(shown) // _SAMPLES_AT_ONCE + 1):
                colour = self._colour(each, at[some], dirs[ray[some]], cut, coarser)
                np.add.at(rgb, ray[some], weight[ray[some], k[some]][:, None] * colour)
        return Seen(rgb=rgb, meets=(beside & (light > _LEAST_LIGHT)).any(axis=1))

    def density(self, level: int, at: Floats, cut: Ints, *, coarser: bool) -> Floats:
        """Densities [m] at places [m, 3] of a level's grid, all in bricks that are drawn from it."""
        return self._sigma(level, at, cut, coarser)[0]

    def _sigma(
        self, level: int, at: Floats, cut: Ints, coarser: bool
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Densities at places [m, 3] of a level, and which of them have a corner on a face to a coarser
        one and something around them."""
        voxels = self._levels[level]
        cell = voxels.cells(at)
        corners = voxels.corners(cell, of_density=True)
        replaced = list(self._replaced(level, cell, cut))
        meets = np.zeros(len(at), np.bool_)
        for place, corner, values in self._values(replaced, of_density=True):
            meets[place[(values[:, 0] > 0) | (corners[place] > 0).any(axis=(1, 2))]] = True
            if coarser:
                corners[place, corner] = values
        return _blended(corners, at - cell)[:, 0], meets

    def _colour(self, level: int, at: Floats, dirs: Floats, cut: Ints, coarser: bool) -> Floats:
        voxels = self._levels[level]
        cell = voxels.cells(at)
        corners = voxels.corners(cell, of_density=False)
        if coarser:
            replaced = list(self._replaced(level, cell, cut))
            for place, corner, values in self._values(replaced, of_density=False):
                corners[place, corner] = values
        blended = _blended(corners, at - cell).reshape(len(at), 3, corners.shape[-1] // 3)
        basis = reference.sh_basis(dirs, blended.shape[-1])
        colour: Floats = np.maximum((blended * basis[:, None]).sum(axis=-1) + 0.5, 0.0)
        return colour

    def _replaced(
        self, level: int, cell: Ints, cut: Ints
    ) -> Iterator[tuple[int, Ints, Ints, Floats]]:
        """The corners of cells that lie on a face to a coarser level: that level, numbers of cells and
        corners, and where they lie in its grid [i, 3]."""
        edge, most = self._bricks.brick_size, np.array(self._bricks.shape) - 1
        inside = cell % edge
        near = np.flatnonzero(((inside == 0) | (inside == edge - 1)).any(axis=1))
        voxel = (cell[near][:, None] + _CORNERS) * 2**level
        sides = [np.clip((voxel - back) // edge, 0, most) for back in (1, 0)]
        coarsest = np.zeros(voxel.shape[:2], np.int64)
        for x, y, z in _CORNERS:
            touching = sides[x][..., 0], sides[y][..., 1], sides[z][..., 2]
            coarsest = np.maximum(coarsest, cut[touching])
        for other in range(level + 1, len(self._levels)):
            number, corner = np.nonzero(coarsest == other)
            yield other, near[number], corner, voxel[number, corner] / 2.0**other

    def _values(
        self, replaced: list[tuple[int, Ints, Ints, Floats]], *, of_density: bool
    ) -> Iterator[tuple[Ints, Ints, Floats]]:
        for other, place, corner, at in replaced:
            if len(place):
                yield place, corner, self._levels[other].at(at, of_density=of_density)
