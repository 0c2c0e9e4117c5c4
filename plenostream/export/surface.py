"""The surface where density reaches a level: marching cubes brick by brick, with one vertex an edge.

1. Each brick is cut by marching cubes on densities that are limited around the level, which leaves
   every vertex well inside an edge between two voxels: the edge is known without doubt.
2. Place, normal and colour follow from the brick's values along that edge.
3. Bricks that share an edge make the same vertex: it is found by the edge's number. Vertices on the
   faces of bricks are remembered while a brick that may share them is still to come.

Voxels without a row, and those beyond the grid, have density 0: the surface is closed. Where it
would reach out of the grid it is drawn back to the outermost voxel centres, where pictures end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import PlenostreamError
from plenostream.export.bricks import BrickReader, refuse_beyond
from plenostream.export.points import unit_vectors
from plenostream.format.layout import SLAB_BRICKS
from plenostream.results import Progress

__all__ = ["Surface", "surface_pieces"]

_NO_SKIMAGE = (
    "meshes are made with scikit-image, which cannot be loaded here ({reason}). It comes with "
    "`pip install 'plenostream[mesh]'`"
)
_NEAREST = 1e-3
"""Share of the level by which limited densities differ from it at least: vertices then lie at least
a thousandth of an edge from its ends."""
_INSIDE = 2e-4
"""Voxels from the nearest voxel plane beyond which a coordinate is inside an edge."""
_VERTEX_BYTES = 160
"""Of a batch: key, place, normal, colour, and copies that welding makes of them."""
_FACE_BYTES = 72
_LARGEST_BATCH = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """A part of a surface; vertices are counted on from those of the parts before it."""

    places: NDArray[np.float64]
    """World positions of the new vertices [v, 3]."""
    normals: NDArray[np.float32]
    """Where density falls most [v, 3], world axes, unit length (0 where it does not change)."""
    colours: NDArray[np.float32]
    """Colour [v, 3] from outside, 0 to 1."""
    faces: NDArray[np.int64]
    """Vertices of triangles [f, 3], counter-clockwise from outside; older parts' among them."""


MarchingCubes = Callable[..., tuple[NDArray[np.float32], NDArray[np.int32], Any, Any]]


def surface_pieces(
    reader: BrickReader, *, level: float, host_bytes: int, tell: Progress
) -> Iterator[Surface]:
    """Parts of the surface where density reaches `level` (per world unit, above 0).

    Source: W. Lorensen and H. Cline, Marching cubes, 1987; in scikit-image. Of its two tables that of
    Lewiner (2003) was seen to give four triangles to one edge, which this one never did.

    Raises
    ------
    PlenostreamError : scikit-image is not installed.
    BudgetError : what is remembered of the surface takes more than `host_bytes`.
    BrickCorrupt : a chunk of the scene is damaged.
    """
    try:
        # Late: it is an extra, and takes a second.
        from skimage.measure import marching_cubes
    except ImportError as error:
        raise PlenostreamError(_NO_SKIMAGE.format(reason=error)) from error
    fixed = reader.planned_bytes()
    refuse_beyond(2 * fixed, host_bytes, what="making a mesh")
    batch_bytes = min((host_bytes - fixed) // 2, _LARGEST_BATCH)
    reader.check_all(tell)
    weld = _Weld(reader)
    batch: list[_BrickSurface] = []
    n_bytes, slab = 0, 0
    for brick in range(reader.n_bricks):
        here = int(reader.store.tables.index[brick, 0]) // SLAB_BRICKS
        if batch and (n_bytes >= batch_bytes or here != slab):
            yield weld.join(batch)
            batch, n_bytes = [], 0
            refuse_beyond(
                fixed + batch_bytes + weld.planned_bytes(), host_bytes, what="making a mesh"
            )
        if here != slab:
            slab = here
            weld.forget_before(slab * SLAB_BRICKS * reader.bricks.brick_size)
        found = _cut(reader, brick, level, marching_cubes)
        if found is not None:
            batch.append(found)
            n_bytes += len(found.keys) * _VERTEX_BYTES + len(found.faces) * _FACE_BYTES
        tell("surface", brick + 1, reader.n_bricks)
    if batch:
        yield weld.join(batch)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _BrickSurface:
    """The surface in one brick; `keys` [v] are the numbers of the vertices' edges."""

    keys: NDArray[np.int64]
    places: NDArray[np.float64]
    normals: NDArray[np.float32]
    colours: NDArray[np.float32]
    faces: NDArray[np.int64]


class _Weld:
    """Gives the vertices of all bricks their numbers, one an edge."""

    def __init__(self, reader: BrickReader) -> None:
        self._reader = reader
        self._n = 0
        self._keys = np.empty(0, np.int64)
        """Edges on faces of bricks that are to come, rising."""
        self._numbers = np.empty(0, np.int64)

    def planned_bytes(self) -> int:
        """Bytes that are held between two batches, and those of their sorting."""
        return 6 * self._keys.nbytes

    def join(self, batch: list[_BrickSurface]) -> Surface:
        """The surfaces of some bricks as one."""
        lengths = np.array([len(part.keys) for part in batch])
        before = np.cumsum(lengths) - lengths
        keys = np.concatenate([part.keys for part in batch])
        edges, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        at = np.searchsorted(self._keys, edges)
        known = np.zeros(len(edges), np.bool_)
        reached = at < len(self._keys)
        known[reached] = self._keys[at[reached]] == edges[reached]
        numbers = np.empty(len(edges), np.int64)
        numbers[known] = self._numbers[at[known]]
        numbers[~known] = self._n + np.arange(np.count_nonzero(~known))
        self._n += int(np.count_nonzero(~known))
        faces = np.concatenate(
            [part.faces + start for part, start in zip(batch, before.tolist(), strict=True)]
        )
        shared = ~known & _on_faces(edges, self._reader)
        self._remember(edges[shared], numbers[shared])
        new = first[~known]
        return Surface(
            places=np.concatenate([part.places for part in batch])[new],
            normals=np.concatenate([part.normals for part in batch])[new],
            colours=np.concatenate([part.colours for part in batch])[new],
            faces=numbers[inverse][faces],
        )

    def forget_before(self, x: int) -> None:
        """Drop the edges that begin before plane `x`: no brick that is to come has them."""
        low, _ = _edge_of(self._keys, self._reader)
        kept = low[:, 0] >= x
        self._keys, self._numbers = self._keys[kept], self._numbers[kept]

    def _remember(self, keys: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        joined = np.concatenate([self._keys, keys])
        order = np.argsort(joined, kind="stable")
        self._keys = joined[order]
        self._numbers = np.concatenate([self._numbers, numbers])[order]


def _cut(
    reader: BrickReader, brick: int, level: float, marching_cubes: MarchingCubes
) -> _BrickSurface | None:
    """The surface in a brick; None where there is none."""
    if not reader.store.tables.density_max[brick] >= level:
        return None
    density = reader.density(brick).astype(np.float64)
    at_end = reader.store.tables.index[brick] == reader.last
    border = [
        (int(at == 0), int(end))
        for at, end in zip(reader.store.tables.index[brick].tolist(), at_end.tolist(), strict=True)
    ]
    density = np.pad(density, border)
    limited = np.clip(density / level - 1, -1, 1)
    limited = np.where(np.abs(limited) < _NEAREST, np.copysign(_NEAREST, limited), limited)
    if not (limited > 0).any() or not (limited < 0).any():
        return None
    vertices, faces, _, _ = marching_cubes(limited.astype(np.float32), 0.0, method="lorensen")
    local = vertices.astype(np.float64)
    whole = np.rint(local)
    between = np.abs(local - whole) > _INSIDE
    assert (between.sum(axis=1) == 1).all(), "a vertex on no edge, or on several"
    axis = between.argmax(axis=1)
    low = np.where(between, np.floor(local), whole).astype(np.int64)
    exact = low.astype(np.float64)
    exact[np.arange(len(low)), axis] += _crossing(density, low, axis, level)
    first = reader.corner(brick) - np.array([lower for lower, _ in border])
    # Back into the grid, and from there into the brick without its border.
    places_grid = np.clip(exact + first, 0, np.asarray(reader.bricks.size) - 1)
    normals, colours = _look(reader, brick, places_grid - reader.corner(brick))
    return _BrickSurface(
        keys=_edge_key(low + first, axis, reader),
        places=reader.meta.grid.grid_to_world(places_grid),
        normals=normals,
        colours=colours,
        # scikit-image's are clockwise from outside.
        faces=faces[:, ::-1].astype(np.int64),
    )


def _crossing(
    density: NDArray[np.float64], low: NDArray[np.int64], axis: NDArray[np.int64], level: float
) -> NDArray[np.float64]:
    """Where along its edge [v], 0 to 1, density is `level`."""
    high = low.copy()
    high[np.arange(len(low)), axis] += 1
    begin, end = density[tuple(low.T)], density[tuple(high.T)]
    difference = end - begin
    share = (level - begin) / np.where(difference != 0, difference, 1)
    limited: NDArray[np.float64] = np.clip(share, 0, 1)
    return limited


def _look(
    reader: BrickReader, brick: int, places_local: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normals and colours [v, 3] at places [v, 3] in a brick.

    Coefficients are interpolated with the density of their voxels as weight, so that what hardly
    absorbs has no say, and are evaluated for a ray that comes along the normal from outside.
    """
    density, gradient = reader.density(brick), reader.gradient(brick)
    sh = reader.rows(brick, "rows/sh")
    active = reader.active(brick)
    row_of = np.where(active, np.cumsum(active.reshape(-1)).reshape(active.shape) - 1, -1)
    low = np.minimum(np.floor(places_local).astype(np.int64), np.asarray(density.shape) - 2)
    low = np.maximum(low, 0)
    share = places_local - low
    falling = np.zeros((len(low), 3))
    coefficients = np.zeros((len(low), sh.shape[1]))
    total = np.zeros(len(low))
    for corner in np.ndindex(2, 2, 2):
        voxel = tuple((low + corner).T)
        part = np.where(np.asarray(corner) == 1, share, 1 - share).prod(axis=1)
        falling -= part[:, None] * gradient[voxel]
        weight = part * np.maximum(density[voxel], 0)
        used = weight > 0
        rows = row_of[voxel][used]
        coefficients[used] += weight[used, None] * sh[rows].astype(np.float64)
        total += weight
    coefficients /= np.where(total > 0, total, 1)[:, None]
    normals = unit_vectors(falling)
    return normals.astype(np.float32), reader.colours.along(coefficients, -normals)


def _sides(reader: BrickReader) -> tuple[int, int]:
    """Voxels along y and z with one beyond each end, where edges of a closed surface may begin."""
    _, size_y, size_z = reader.bricks.size
    return size_y + 2, size_z + 2


def _edge_key(
    low_grid: NDArray[np.int64], axis: NDArray[np.int64], reader: BrickReader
) -> NDArray[np.int64]:
    """Number of the edge from voxel `low_grid` [v, 3] along `axis` [v]."""
    side_y, side_z = _sides(reader)
    x, y, z = (low_grid + 1).T
    key: NDArray[np.int64] = ((x * side_y + y) * side_z + z) * 3 + axis
    return key


def _edge_of(
    keys: NDArray[np.int64], reader: BrickReader
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Voxel [v, 3] and axis [v] of edges."""
    side_y, side_z = _sides(reader)
    voxel, axis = np.divmod(keys, 3)
    rest, z = np.divmod(voxel, side_z)
    x, y = np.divmod(rest, side_y)
    return np.stack([x, y, z], axis=-1) - 1, axis


def _on_faces(keys: NDArray[np.int64], reader: BrickReader) -> NDArray[np.bool_]:
    """Which edges lie in a plane between bricks."""
    low, axis = _edge_of(keys, reader)
    between: NDArray[Any] = low % reader.bricks.brick_size == 0
    between[np.arange(len(keys)), axis] = False
    return np.asarray(between.any(axis=1))
