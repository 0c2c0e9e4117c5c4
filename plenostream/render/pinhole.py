"""Pictures that a pinhole camera takes, drawn in bands of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.budget import RenderPlan
from plenostream.cameras import Camera
from plenostream.kernels.geometry import TILE
from plenostream.programs import Program
from plenostream.render.frame import Frame
from plenostream.render.planner import Sizes
from plenostream.render.rays import draw_rays
from plenostream.render.resources import Resources
from plenostream.render.sight import camera_view, parallel_pixels
from plenostream.render.workers import Worker
from plenostream.schedule import View
from plenostream.stats import FrameStats

__all__ = ["draw_picture", "plan_picture"]


def plan_picture(resources: Resources, camera: Camera) -> RenderPlan:
    """What `draw_picture` will take; raises BudgetError where it does not fit."""
    sizes, items, needs = resources.planner.picture(camera.width, camera.height)
    n_tiles = sizes.tiles * resources.device.n_parts
    host = resources.host_planner.picture(camera.width * camera.height, n_tiles)
    views = (_view(resources, camera, *rows) for rows in _bands(camera, sizes))
    allowed = resources.host_planner.allowed_bytes
    return resources.planner.plan(sizes, items, needs, host, allowed, views)


def draw_picture(resources: Resources, camera: Camera, stats: FrameStats) -> NDArray[np.float32]:
    """Red, green, blue, alpha and depth [height, width, 5]."""
    sizes, items, _ = resources.planner.picture(camera.width, camera.height)
    n_tiles = sizes.tiles * resources.device.n_parts
    host = resources.host_planner.picture(camera.width * camera.height, n_tiles)
    image = np.empty((camera.height, camera.width, 5), np.float32)
    # Twice: the picture is cut into colour, alpha and depth in the end.
    held_bytes = 2 * image.nbytes
    with resources.frame(sizes, items, host, stats) as frame:
        frame.host.note("picture", held_bytes)
        for top, bottom in _bands(camera, sizes):
            _draw_band(resources, frame, camera, top, image[top:bottom], stats)
            stats.bands += 1
    beside = parallel_pixels(camera, resources.store.meta.grid)
    if len(beside):
        rays = _pixel_rays(camera, beside)
        values = draw_rays(resources, *rays, stats, held_bytes=held_bytes)
        image.reshape(-1, 5)[beside] = values
    return image


def _bands(camera: Camera, sizes: Sizes) -> Iterator[tuple[int, int]]:
    """Pixel rows [top, bottom) that are drawn together."""
    height = sizes.band_rows * TILE
    for top in range(0, camera.height, height):
        yield top, min(top + height, camera.height)


def _view(resources: Resources, camera: Camera, top: int, bottom: int) -> View:
    meta, index = resources.store.meta, resources.store.tables.index
    return camera_view(
        resources.table, index, meta.grid, meta.bricks, camera, top=top, bottom=bottom
    )


def _draw_band(
    resources: Resources,
    frame: Frame,
    camera: Camera,
    top: int,
    band: NDArray[np.float32],
    stats: FrameStats,
) -> None:
    """Draw the pixel rows from `top` into `band` [rows, width, 5]."""
    with resources.workers:
        _set_up(resources, camera, top, len(band), frame.sizes)
        frame.draw(_view(resources, camera, top, top + len(band)), stats)
        composed = frame.composed(stats)
    _untile(composed, band)


def _set_up(resources: Resources, camera: Camera, top: int, height: int, sizes: Sizes) -> None:
    """Give each worker the rays of its tiles of a band."""
    put, workers = resources.device.put, resources.workers.all
    columns, rows = -(-camera.width // TILE), -(-height // TILE)
    number = np.arange(rows * columns)
    corner = np.stack([number % columns * TILE, number // columns * TILE + top], -1)
    pose = (
        put(camera.c2w),
        put(np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float64)),
        put(np.array([camera.width, camera.height], np.int32)),
        *resources.grid_arrays(),
    )
    pinhole, fresh = resources.programs.pinhole(sizes.tiles), resources.programs.fresh(sizes.tiles)

    def start(worker: Worker, program: Program, tiles: NDArray[np.int32], *rest: Any) -> None:
        worker.rays = program(put(tiles), *rest)
        worker.state = fresh()

    for part, worker in enumerate(workers):
        # Places that no tile is dealt to lie left of the picture, so their rays have no samples.
        tiles = np.full((sizes.tiles, 2), -TILE, np.int32)
        mine = corner[part :: len(workers)]
        tiles[: len(mine)] = mine
        worker.submit(start, worker, pinhole, tiles, *pose)


def _untile(tiles: NDArray[np.float32], band: NDArray[np.float32]) -> None:
    """Tiles [t, 64, 5] into the pixels of a band [height, width, 5]."""
    height, width, channels = band.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    grid = tiles[: rows * columns].reshape(rows, columns, TILE, TILE, channels)
    whole = grid.transpose(0, 2, 1, 3, 4).reshape(rows * TILE, columns * TILE, channels)
    band[:] = whole[:height, :width]


def _pixel_rays(
    camera: Camera, pixels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """World rays [p, 3] of pixels (row * width + column)."""
    x = (pixels % camera.width + 0.5 - camera.cx) / camera.fx
    y = (pixels // camera.width + 0.5 - camera.cy) / camera.fy
    across, down, ahead = camera.c2w[:, 0], camera.c2w[:, 1], camera.c2w[:, 2]
    directions = x[:, None] * across + y[:, None] * down + ahead
    return np.broadcast_to(camera.eye_world, directions.shape).copy(), directions
