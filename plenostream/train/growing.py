"""From one stage to the next: voxels that matter stay, and a finer grid takes their place.

1. Densities are interpolated at the voxels of the finer grid, a plane at a time.
2. The training views are drawn with these densities; each voxel gets the largest weight that a sample
   beside it has in any of them (`svox2.resample` with cameras, and `grid_weight_render`).
3. Voxels that reach a weight stay, and those around them; there are no more than memory allows.
4. Coefficients are interpolated at these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.sight import tile_corners
from plenostream.field.dilation import dilated
from plenostream.field.grid import GridSpec
from plenostream.options import RenderOptions, StreamOptions
from plenostream.results import Progress
from plenostream.train.rows import TrainedRows
from plenostream.train.tiles import camera_tiles
from plenostream.train.voxel_set import ABSENT, VoxelSet
from plenostream.train.walk import TILES_AT_ONCE, Walk

__all__ = [
    "Views",
    "covered",
    "finer_voxels",
    "heavy_voxels",
    "interpolated_rows",
    "weights_of",
]

_ROWS_AT_ONCE = 1 << 15
_PIXELS_A_VOXEL = 2
"""Pixels along an edge of a picture, for each voxel of an axis, that weights are taken from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Views:
    """The views that say which voxels matter, and how they are drawn."""

    cameras: Sequence[Camera]
    render: RenderOptions
    stream: StreamOptions
    tell: Progress


class _Axis:
    """Where the voxels of a finer axis lie between those of a coarser one.

    Both divide the same length: voxel i of n lies at ``(i + 0.5) m / n - 0.5`` of m voxels, and beyond
    the first and last of these stands what they have.
    """

    def __init__(self, coarse: int, fine: int) -> None:
        at = np.clip((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0.0, coarse - 1.0)
        self.low = np.minimum(at.astype(np.int64), max(coarse - 2, 0))
        self.high = np.minimum(self.low + 1, coarse - 1)
        self.share = (at - self.low).astype(np.float32)


def _axes(coarse: GridSpec, fine: GridSpec) -> tuple[_Axis, _Axis, _Axis]:
    x, y, z = (_Axis(*sizes) for sizes in zip(coarse.size, fine.size, strict=True))
    return x, y, z


def _density_planes(
    voxel_set: VoxelSet, density: NDArray[np.float32], fine: GridSpec
) -> Iterator[NDArray[np.float32]]:
    """Densities [Y, Z] of a finer grid, plane by plane along x; 0 where no voxel is."""
    dense = np.zeros(voxel_set.grid.size, np.float32)
    dense.reshape(-1)[voxel_set.places] = density
    x, y, z = _axes(voxel_set.grid, fine)
    for number in range(fine.size[0]):
        plane = _mixed(dense[x.low[number]], dense[x.high[number]], x.share[number])
        plane = _mixed(plane[y.low], plane[y.high], y.share[:, None])
        yield _mixed(plane[:, z.low], plane[:, z.high], z.share)


def _mixed(
    one: NDArray[np.float32], other: NDArray[np.float32], share: NDArray[np.float32] | np.float32
) -> NDArray[np.float32]:
    return one + share * (other - one)


def interpolated_rows(
    voxel_set: VoxelSet, rows: TrainedRows, active: NDArray[np.bool_], fine: GridSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Densities [n] and coefficients [n, 3 K] of the active voxels [X, Y, Z] of a finer grid."""
    row_at = np.full(int(np.prod(voxel_set.grid.size)), ABSENT, np.int32)
    row_at[voxel_set.places] = np.arange(voxel_set.n_voxels, dtype=np.int32)
    axes = _axes(voxel_set.grid, fine)
    strides = (voxel_set.grid.size[1] * voxel_set.grid.size[2], voxel_set.grid.size[2], 1)
    places = np.flatnonzero(active)
    density = np.zeros(len(places), np.float32)
    sh = np.zeros((len(places), rows.columns), np.float32)
    for first in range(0, len(places), _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        at = np.unravel_index(places[part], fine.size)
        for corner in np.ndindex(2, 2, 2):
            place = np.zeros(len(at[0]), np.int64)
            weight = np.ones(len(at[0]), np.float32)
            for axis, side, voxel, stride in zip(axes, corner, at, strides, strict=True):
                place += (axis.high if side else axis.low)[voxel] * stride
                weight *= axis.share[voxel] if side else 1.0 - axis.share[voxel]
            row = row_at[place]
            there = np.flatnonzero((row != ABSENT) & (weight > 0.0))
            density[part][there] += weight[there] * rows.density[row[there]]
            sh[part][there] += weight[there, None] * rows.sh[row[there]]
    return density, sh


def finer_voxels(
    voxel_set: VoxelSet, density: NDArray[np.float32], fine: GridSpec, *, brick_size: int, most: int
) -> tuple[VoxelSet, NDArray[np.float32]]:
    """The voxels of a finer grid that views may depend on, and their densities [n]; those of least
    density are left out where there are more than `most`."""
    found = VoxelSet.of(_dense_voxels(voxel_set, density, fine, most), fine, brick_size)
    values = np.empty(found.n_voxels, np.float32)
    plane_voxels = fine.size[1] * fine.size[2]
    ends = np.searchsorted(found.places, np.arange(fine.size[0] + 1) * plane_voxels)
    for number, plane in enumerate(_density_planes(voxel_set, density, fine)):
        mine = slice(ends[number], ends[number + 1])
        values[mine] = plane.reshape(-1)[found.places[mine] - number * plane_voxels]
    return found, values


def weights_of(
    voxel_set: VoxelSet, density: NDArray[np.float32], views: Views
) -> NDArray[np.float32]:
    """The largest weight [n], 0 to 1, that each voxel of these densities [n] has in any of the views."""
    # Colours make no difference to weights: one function a channel is the least that there is.
    rows = TrainedRows.new(density, np.zeros((voxel_set.n_voxels, 3), np.float32), squares=False)
    weights = np.zeros(voxel_set.n_voxels, np.float32)
    voxels = voxel_set.bricks.voxels
    walk: Walk

    def keep(bricks: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
        for first in range(0, len(bricks), TILES_AT_ONCE):
            some = bricks[first : first + TILES_AT_ONCE]
            seen = walk.integrator.weights(slots[first : first + TILES_AT_ONCE])
            bits = np.unpackbits(voxel_set.mask[some], axis=1, bitorder="little", count=voxels)
            np.maximum.at(weights, voxel_set.owners(some), seen[bits.view(np.bool_)])

    with Walk(voxel_set, rows, views.render, views.stream, weigh=True, leaving=keep) as walk:
        for number, view in enumerate(views.cameras):
            camera = _no_finer(view, voxel_set.grid)
            corners = tile_corners(camera, 0, camera.height)
            for first in range(0, len(corners), TILES_AT_ONCE):
                walk.draw(camera_tiles(camera, corners[first : first + TILES_AT_ONCE]))
            views.tell("weights", number + 1, len(views.cameras))
        walk.collect_leaving()
    return weights


def _dense_voxels(
    voxel_set: VoxelSet, density: NDArray[np.float32], fine: GridSpec, most: int
) -> NDArray[np.bool_]:
    """Voxels [X, Y, Z] of a positive density, and those around them; of least densities some are left
    out where there are more than `most`."""
    least = 0.0
    while True:
        positive = np.zeros(fine.size, np.bool_)
        for number, plane in enumerate(_density_planes(voxel_set, density, fine)):
            positive[number] = plane > least
        positive = dilated(positive, 1)
        if np.count_nonzero(positive) <= most or not positive.any():
            return positive
        above = density[density > least]
        least = float(np.quantile(above, 0.1)) if len(above) else np.inf


def _no_finer(camera: Camera, grid: GridSpec) -> Camera:
    """The camera with no more pixels than show each voxel once or twice."""
    share = _PIXELS_A_VOXEL * max(grid.size) / max(camera.width, camera.height)
    if share >= 1.0:
        return camera
    return camera.resized(*(max(1, round(share * edge)) for edge in (camera.width, camera.height)))


def covered(voxel_set: VoxelSet, fine: GridSpec) -> NDArray[np.bool_]:
    """Voxels [X, Y, Z] of another grid that interpolate some of a set of voxels."""
    found = np.zeros(fine.size, np.bool_)
    ones = np.ones(voxel_set.n_voxels, np.float32)
    for number, plane in enumerate(_density_planes(voxel_set, ones, fine)):
        found[number] = plane > 0.0
    return found


def heavy_voxels(
    voxel_set: VoxelSet,
    weights: NDArray[np.float32],
    least: float,
    *,
    times: int,
    most: int | None = None,
) -> NDArray[np.bool_]:
    """Voxels [X, Y, Z] whose weight reaches `least`, dilated so many times; a larger weight where there
    would be more voxels than `most`."""
    chosen = np.zeros(voxel_set.grid.size, np.bool_)
    while True:
        chosen.reshape(-1)[voxel_set.places] = weights >= least
        grown = dilated(chosen, times)
        n = int(np.count_nonzero(grown))
        if most is None or n <= most or not chosen.any():
            return grown
        # In proportion, for a beginning: what is dilated has no simple order.
        heavy = np.sort(weights[weights >= least])
        cut = int(len(heavy) * max(1.0 - most / n, 0.02))
        least = float(np.nextafter(heavy[min(cut, len(heavy) - 1)], np.float32(2.0)))
