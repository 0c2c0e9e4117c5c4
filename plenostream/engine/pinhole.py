"""Pictures that a pinhole camera takes, drawn in bands of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.frame import Frame
from plenostream.engine.planner import Sizes
from plenostream.engine.resources import Resources
from plenostream.engine.sight import camera_view
from plenostream.engine.workers import Worker
from plenostream.integrator.xla.kernels.geometry import TILE
from plenostream.integrator.xla.programs import Program
from plenostream.plan import View
from plenostream.plan.budget import RenderPlan
from plenostream.results import FrameStats

__all__ = ["draw_picture", "plan_picture"]


def plan_picture(resources: Resources, camera: Camera) -> RenderPlan:
    """What `draw_picture` will take; raises BudgetError where it does not fit."""
    sizes, items, needs = resources.planner.picture(camera.width, camera.height)
    n_tiles = sizes.tiles * resources.device.n_parts
    host = resources.host_planner.picture(camera.width * camera.height, n_tiles)
    views = (_view(resources, camera, *rows) for rows in _bands(camera, sizes))
    allowed = resources.host_planner.allowed_bytes
    return resources.planner.plan(sizes, items, needs, host, allowed, views)


def draw_picture(resources: Resources, camera: Camera, stats: FrameStats) -> Pixels:
    """The picture that a camera takes."""
    sizes, items, _ = resources.planner.picture(camera.width, camera.height)
    n_tiles = sizes.tiles * resources.device.n_parts
    host = resources.host_planner.picture(camera.width * camera.height, n_tiles)
    pixels = Pixels.empty(camera)
    with resources.frame(sizes, items, host, stats) as frame:
        # Twice, where the picture has to be cut out of its tiles in the end.
        frame.host.note("picture", 2 * pixels.nbytes)
        for top, bottom in _bands(camera, sizes):
            _draw_band(resources, frame, camera, top, bottom, pixels, stats)
            stats.bands += 1
    return pixels.cut(camera)


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture in the making."""

    rgb: NDArray[np.float32]
    """[height, width, 3]."""
    alpha: NDArray[np.float32]
    """[height, width]."""
    depth: NDArray[np.float32]
    """[height, width]."""

    @classmethod
    def empty(cls, camera: Camera) -> Self:
        """Room for all tiles that a camera's picture lies in."""
        size = -(-camera.height // TILE) * TILE, -(-camera.width // TILE) * TILE
        return cls(*(np.empty(shape, np.float32) for shape in ((*size, 3), size, size)))

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.rgb.nbytes + self.alpha.nbytes + self.depth.nbytes

    def put(
        self, number: NDArray[np.int64], values: NDArray[np.float32], alpha: NDArray[np.float32]
    ) -> None:
        """Fill in tiles: colour and depth [t, 64, 4], alpha [t, 64]; `number` [t] counts the tiles
        row by row."""
        row, column = np.divmod(number, self.alpha.shape[1] // TILE)
        for whole, part in (
            (self.rgb, values[..., :3]),
            (self.alpha, alpha),
            (self.depth, values[..., 3]),
        ):
            rows, columns = (length // TILE for length in whole.shape[:2])
            tiled = whole.reshape(rows, TILE, columns, TILE, *whole.shape[2:])
            tiled[row, :, column] = part.reshape(-1, TILE, TILE, *part.shape[2:])

    def cut(self, camera: Camera) -> Self:
        """The picture without what its tiles reach beyond it."""
        arrays = (self.rgb, self.alpha, self.depth)
        cut = (array[: camera.height, : camera.width] for array in arrays)
        return type(self)(*(np.ascontiguousarray(array) for array in cut))


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
    bottom: int,
    pixels: Pixels,
    stats: FrameStats,
) -> None:
    """Draw the pixel rows [top, bottom)."""
    columns, rows = -(-camera.width // TILE), -(-(bottom - top) // TILE)
    numbers = top // TILE * columns + np.arange(rows * columns)
    n_parts = len(resources.workers.all)

    def place(part: int, values: NDArray[np.float32], alpha: NDArray[np.float32]) -> None:
        mine = numbers[part::n_parts]
        pixels.put(mine, values[: len(mine)], alpha[: len(mine)])

    with resources.workers:
        _set_up(resources, camera, top, bottom - top, frame.sizes)
        frame.draw(_view(resources, camera, top, bottom), stats)
        frame.compose(place, stats)


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
