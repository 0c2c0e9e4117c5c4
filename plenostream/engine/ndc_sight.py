"""What a camera's band of pixels sees of a scene in normalised device coordinates.

Lines stay lines there, so rays from one eye still have a point in common, the eye's place: all of
them leave it or, where the eye lies behind infinity, come to it. An eye at z = 0 makes them parallel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cameras.camera import SHORTEST_FOCAL
from plenostream.cameras.lenses import Orthographic, Pinhole
from plenostream.engine.sight import box_of, tile_corners
from plenostream.field.grid import BLOCK_SIZE, BrickGrid, GridSpec
from plenostream.field.ndc import Ndc, in_ndc, ndc_factors, ndc_rays
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.plan import (
    BoxTable,
    BundleScreen,
    CameraView,
    TileBundles,
    bundle_levels,
    shells_of,
    tile_bundles,
)

__all__ = ["Meeting", "meeting_of", "ndc_view"]

_TILES_AT_ONCE = 256
"""Tiles whose rays are made at once; bounds the host's temporaries."""
_PARALLEL = 1e-9
"""Distance from z = 0, or from across the z axis, at which rays count as parallel."""


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """What the rays of a camera have in common."""

    point_grid: NDArray[np.float64] | None
    """[3]: the point that they meet in; None where they are parallel."""
    towards: bool
    """Whether they come to it; else they leave it."""
    signs: NDArray[np.int64]
    """[3]: of their direction where they are parallel."""


def meeting_of(camera: Camera, grid: GridSpec, ndc: Ndc) -> Meeting | None:
    """What the rays have in common; None where they pass the point inside the volume, and so have no
    order of bricks."""
    x, y, z = camera.eye_world if camera.lens.has_eye else camera.c2w[:, 2]
    w = 1.0 if camera.lens.has_eye else 0.0
    a, b = ndc_factors(ndc)
    # The projection of (x, y, z, w) in homogeneous coordinates, whose last one is z.
    image = np.array([a * x, b * y, z - 2.0 * w])
    if abs(z) < _PARALLEL:
        return Meeting(None, False, np.where(image > 0, -1, 1)) if w else None
    point = grid.world_to_grid(image / z)
    # All rays move up along z, from -1 on.
    if point[2] <= -0.5:
        return Meeting(point, False, np.ones(3, np.int64))
    if point[2] >= grid.extent[2] - grid.margin:
        return Meeting(point, True, np.ones(3, np.int64))
    return None


def ndc_view(
    table: BoxTable,
    index: NDArray[np.int32],
    grid: GridSpec,
    bricks: BrickGrid,
    camera: Camera,
    ndc: Ndc,
    meeting: Meeting,
    *,
    top: int,
    bottom: int,
) -> CameraView:
    """What the pixel rows [top, bottom) of a camera see; `index` [n, 3] is ``bricks/index``."""
    screen = BundleScreen(grid.size, bundle_levels(_bundles(camera, grid, ndc, top, bottom)))
    if meeting.point_grid is None:
        origin = np.zeros(3, np.int64)
        shells = shells_of(index, origin, meeting.signs)
        return CameraView(table, screen, eye_block=origin, brick_shells=shells, signs=meeting.signs)
    shape = np.array(bricks.shape, np.int64)
    return CameraView(
        table,
        screen,
        eye_block=box_of(meeting.point_grid, BLOCK_SIZE, shape * bricks.blocks_per_axis),
        brick_shells=shells_of(index, box_of(meeting.point_grid, bricks.brick_size, shape)),
        towards=meeting.towards,
    )


def _bundles(camera: Camera, grid: GridSpec, ndc: Ndc, top: int, bottom: int) -> TileBundles:
    """Those of the tiles of the pixel rows [top, bottom)."""
    rows, columns = -(-(bottom - top) // TILE), -(-camera.width // TILE)
    bounds = _bounds_by_corners(camera, grid, ndc, (rows, columns), top)
    if bounds is None:
        bounds = _bounds_by_rays(camera, grid, ndc, top, bottom)
    low, high = (bound.reshape(rows, columns, 2, 3) for bound in bounds)
    return TileBundles(low, high)


def _bounds_by_corners(
    camera: Camera, grid: GridSpec, ndc: Ndc, shape: tuple[int, int], top: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Bounds [t, 2, 3] of [rows, columns] of tiles by the rays of their corners alone: of linear lenses
    no ray between them lies beyond, as long as all look to one side. None for others."""
    if not isinstance(camera.lens, Pinhole | Orthographic):
        return None
    if min(camera.fx, camera.fy) < TILE * SHORTEST_FOCAL:
        return None
    corners = replace(
        camera,
        fx=camera.fx / TILE,
        fy=camera.fy / TILE,
        cx=camera.cx / TILE + 0.5,
        cy=(camera.cy - top) / TILE + 0.5,
        width=shape[1] + 1,
        height=shape[0] + 1,
    )
    origins, directions, seen = corners.rays()
    if directions[..., 2].min() <= 0.0 <= directions[..., 2].max():
        return None
    flat = (origins.reshape(-1, 3).T, directions.reshape(-1, 3).T, seen.reshape(-1))
    brought = _in_grid(grid, *ndc_rays(np, *flat, ndc_factors(ndc))[:2])
    fours = []
    for rays in brought:
        at = rays.reshape(3, shape[0] + 1, shape[1] + 1)
        four = (at[:, :-1, :-1], at[:, :-1, 1:], at[:, 1:, :-1], at[:, 1:, 1:])
        fours.append(np.stack(four, -1).reshape(3, -1, 4))
    return tile_bundles(fours[0], fours[1], np.ones(fours[0].shape[1:], bool))


def _bounds_by_rays(
    camera: Camera, grid: GridSpec, ndc: Ndc, top: int, bottom: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds [t, 2, 3] of the tiles of the pixel rows [top, bottom)."""
    corners, make = tile_corners(camera, top, bottom), in_ndc(camera.lens.make)
    shared, parts = (*camera.ray_arrays, ndc_factors(ndc)), []
    for first in range(0, len(corners), _TILES_AT_ONCE):
        origins, directions, seen = make(np, corners[first : first + _TILES_AT_ONCE], *shared)
        start, course = (
            part.reshape(3, -1, TILE_RAYS) for part in _in_grid(grid, origins, directions)
        )
        parts.append(tile_bundles(start, course, seen.reshape(-1, TILE_RAYS)))
    low, high = (np.concatenate(bounds) for bounds in zip(*parts, strict=True))
    return low, high


def _in_grid(
    grid: GridSpec, origins: NDArray[np.float64], directions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rays [3, r] of the world in grid coordinates."""
    scale = grid.scale[:, None]
    return origins * scale + grid.offset[:, None], directions * scale
