"""A PlenOctree in memory: its voxels for a scene, and its picture by svox's own rules.

The rules are those of `trace_ray` in ``svox/csrc/rt_kernel.cu``: a ray goes from leaf to leaf; in
each it travels the length of the leaf and `step_size` (1e-3 of the cube) more, with the leaf's
density and with the colour sigmoid(sum of Y c) from the ray's direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.grid import GridSpec
from plenostream.importers.arrays.boxes import Triple, VoxelBox
from plenostream.importers.resampled.colours import fitted_coefficients, harmonics, sigmoid
from plenostream.importers.resampled.model import spread_colours

__all__ = ["Octree", "OctreeLevels", "levels_of"]

_STEP = 1e-3
"""svox's own default of `step_size`."""
_OPAQUE = 1e-7
"""Light that is not followed further; svox follows it to the end of the cube."""
_TILE = 16
"""Voxels an axis of what is known to be empty."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OctreeLevels:
    """The leaves of a tree, level by level from the root's eight cells on."""

    size: int
    """Cells of the deepest level, an axis."""
    leaves: tuple[NDArray[np.int64], ...]
    """Numbers of the leaves' cells (node * 8 + cell), for each level."""
    places: tuple[NDArray[np.int32], ...]
    """Their places [n, 3], in cells of the level."""

    @property
    def n_bytes(self) -> int:
        """Bytes of the arrays."""
        return sum(a.nbytes for a in self.leaves) + sum(a.nbytes for a in self.places)


def levels_of(child: NDArray[np.int32], *, most: int) -> OctreeLevels:
    """The levels of a tree with links `child` [n, 2, 2, 2].

    Raises
    ------
    ValueError : a link that leads nowhere or to a node that another leads to; more levels than `most`.
    """
    links = child.reshape(len(child), 8)
    cells = np.stack(np.unravel_index(np.arange(8), (2, 2, 2)), axis=1).astype(np.int32)
    met = np.zeros(len(child), np.bool_)
    nodes, corner = np.zeros(1, np.int64), np.zeros((1, 3), np.int32)
    leaves: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int32]] = []
    while len(nodes):
        if len(leaves) == most:
            raise ValueError(f"the tree has more than {most} levels")
        met[nodes] = True
        place = (2 * corner[:, None, :] + cells).reshape(-1, 3)
        below = links[nodes].reshape(-1).astype(np.int64)
        target = np.repeat(nodes, 8) + below
        inner = below != 0
        leaves.append((nodes[:, None] * 8 + np.arange(8)).reshape(-1)[~inner])
        places.append(place[~inner])
        nodes, corner = target[inner], place[inner]
        if len(nodes) and not (nodes.min() >= 0 and nodes.max() < len(child)):
            raise ValueError("a link leads out of the tree")
        if met[nodes].any() or len(np.unique(nodes)) < len(nodes):
            raise ValueError("two links lead to one node")
    return OctreeLevels(size=2 ** len(leaves), leaves=tuple(leaves), places=tuple(places))


class Octree:
    """A `ForeignModel`: links, values and what is empty."""

    def __init__(
        self,
        *,
        grid: GridSpec,
        basis_dim: int,
        child: NDArray[np.int32],
        values: NDArray[np.float16],
        levels: OctreeLevels,
    ) -> None:
        self._grid, self._dim, self._levels = grid, basis_dim, levels
        self._child, self._values = child.reshape(-1), values
        self._tiles = self._filled_tiles()

    def _filled_tiles(self) -> NDArray[np.bool_]:
        """Which cubes of _TILE^3 voxels hold a density above 0."""
        n_tiles = max(1, self._levels.size // _TILE)
        tiles = np.zeros((n_tiles,) * 3, np.bool_)
        cells = 1
        for leaves, places in zip(self._levels.leaves, self._levels.places, strict=True):
            cells *= 2
            filled = places[self._values[leaves, -1] > 0]
            if cells >= n_tiles:
                tiles[tuple((filled // (cells // n_tiles)).T)] = True
            else:
                edge = n_tiles // cells
                for x, y, z in (filled * edge).tolist():
                    tiles[x : x + edge, y : y + edge, z : z + edge] = True
        return tiles

    def box(self, lower: Triple, upper: Triple) -> Any:
        """Densities and coefficients of the voxels of a box; see `write_scene`.

        A voxel has the values of the leaf that it lies in.
        """
        box = VoxelBox(lower, upper)
        around = box.grown(self._grid.size)  # a voxel takes its colour from its neighbours
        x, y, z = (
            slice(a // _TILE, (b - 1) // _TILE + 1)
            for a, b in zip(around.lower, around.upper, strict=True)
        )
        if not self._tiles[x, y, z].any():
            return None
        if max(box.shape) > 2 * _TILE + 2:
            return ...
        size = self._levels.size
        axes = [
            (np.arange(a, b) + 0.5) / size for a, b in zip(around.lower, around.upper, strict=True)
        ]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        leaf, _ = self._leaves_at(points)
        density = self._values[leaf, -1].astype(np.float32)
        filled = density > 0
        coefficients = np.zeros((len(leaf), 3 * self._dim), np.float32)
        coefficients[filled] = fitted_coefficients(self._values[leaf[filled], :-1], self._dim)
        colours = spread_colours(
            filled.reshape(around.shape), coefficients.reshape(*around.shape, -1)
        )
        part = box.within(around)
        return np.maximum(density, 0).reshape(around.shape)[part], colours[part]

    def _leaves_at(
        self, points: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Cells of the leaves at points [n, 3] of the cube, and how many of them make up an axis."""
        rest = np.clip(points, 0.0, 1.0 - 1e-6)
        node = np.zeros(len(points), np.int64)
        cells = np.full(len(points), 2.0)
        leaf = np.zeros(len(points), np.int64)
        going = np.arange(len(points))
        while len(going):
            rest[going] *= 2
            cell = np.floor(rest[going])
            rest[going] -= cell
            leaf[going] = node[going] * 8 + (cell @ [4, 2, 1]).astype(np.int64)
            skip = self._child[leaf[going]]
            going = going[skip != 0]
            node[going] += skip[skip != 0]
            cells[going] *= 2
        return leaf, cells

    def see(self, origins: NDArray[np.float64], dirs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Colours [n, 3] of rays on white by svox's rules, with its own defaults."""
        views = dirs / np.linalg.norm(dirs, axis=1, keepdims=True)
        basis = harmonics(views, self._dim)
        radius, center = np.asarray(self._grid.radius), np.asarray(self._grid.center)
        origin = 0.5 * (1 - center / radius) + origins * 0.5 / radius
        scaled = views * 0.5 / radius
        world_per_t = 1 / np.linalg.norm(scaled, axis=1)
        inverse = 1 / (scaled * world_per_t[:, None] + 1e-9)
        scaled = scaled * world_per_t[:, None]
        t, t_end = _through_cube(origin, inverse)
        rgb, light = np.zeros((len(views), 3)), np.ones(len(views))
        going = np.flatnonzero(t < t_end)
        while len(going):
            points = origin[going] + t[going, None] * scaled[going]
            leaf, cells = self._leaves_at(points)
            # Where in its leaf a point is: svox's query leaves that behind.
            within = np.clip(points, 0.0, 1.0 - 1e-6) * cells[:, None] % 1.0
            enter, leave = _through_cube(within, inverse[going])
            length = (leave - enter) / cells + _STEP
            sigma = self._values[leaf, -1].astype(np.float64)
            dense = np.flatnonzero(sigma > 0)
            ray = going[dense]
            left = np.exp(-length[dense] * world_per_t[ray] * sigma[dense])
            sh = self._values[leaf[dense], :-1].astype(np.float64).reshape(-1, 3, self._dim)
            colour = sigmoid(np.einsum("ncd,nd->nc", sh, basis[ray]))
            rgb[ray] += (light[ray] * (1 - left))[:, None] * colour
            light[ray] *= left
            t[going] += length
            going = going[(t[going] < t_end[going]) & (light[going] > _OPAQUE)]
        return rgb + light[:, None]


def _through_cube(
    origin: NDArray[np.float64], inverse: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where rays enter the cube [0, 1]^3, not before 0, and where they leave it, [n]."""
    one, other = -origin * inverse, (1 - origin) * inverse
    enter = np.maximum(np.minimum(one, other).max(axis=1), 0.0)
    return enter, np.maximum(one, other).min(axis=1)
