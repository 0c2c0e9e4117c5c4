"""What a camera's band of pixels, or a lot of packets, sees of a scene."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.cameras.lenses import Orthographic, Pinhole
from plenostream.field.grid import BLOCK_SIZE, BrickGrid, GridSpec
from plenostream.field.tiles import TILE, TILE_RAYS
from plenostream.plan import (
    BoxTable,
    CameraView,
    ConeScreen,
    PacketView,
    ParallelScreen,
    PinholeScreen,
    Screen,
    TileCones,
    shells_of,
    tile_cones,
)

__all__ = ["Look", "box_of", "camera_view", "packet_view", "screen_of", "tile_corners"]

_TILES_AT_ONCE = 256
"""Tiles whose rays are made at once; bounds the host's temporaries."""
_PARALLEL = 1e-12
"""Part of a direction that its component along an axis may miss 0 by where it is 0 on the device."""


def tile_corners(
    camera: Camera, top: int, bottom: int, tiles: slice | NDArray[np.int64] = slice(None)
) -> NDArray[np.int32]:
    """Column and row [t, 2] of the first pixel of each tile of the pixel rows [top, bottom), or of some
    of these `tiles`."""
    columns, rows = -(-camera.width // TILE), -(-(bottom - top) // TILE)
    row, column = np.divmod(np.arange(rows * columns)[tiles], columns)
    return np.stack([column * TILE, row * TILE + top], -1).astype(np.int32)


def camera_view(
    table: BoxTable,
    index: NDArray[np.int32],
    grid: GridSpec,
    bricks: BrickGrid,
    camera: Camera,
    *,
    top: int,
    bottom: int,
    left_out: NDArray[np.bool_] | None = None,
) -> CameraView:
    """What the pixel rows [top, bottom) of a camera see; `index` [n, 3] is ``bricks/index``, and bricks
    that are `left_out` [n] are not in view."""
    eye = grid.world_to_grid(camera.eye_world)
    screen = screen_of(grid, camera, top=top, bottom=bottom)
    if isinstance(camera.lens, Orthographic):
        signs = np.where(camera.c2w[:, 2] < 0, -1, 1)
        origin = np.zeros(3, np.int64)
        return CameraView(
            table,
            screen,
            eye_block=origin,
            brick_shells=shells_of(index, origin, signs),
            signs=signs,
            left_out=left_out,
        )
    shape = np.array(bricks.shape, np.int64)
    eye_block = box_of(eye, BLOCK_SIZE, shape * bricks.blocks_per_axis)
    eye_brick = box_of(eye, bricks.brick_size, shape)
    shells = shells_of(index, eye_brick)
    return CameraView(table, screen, eye_block=eye_block, brick_shells=shells, left_out=left_out)


def screen_of(grid: GridSpec, camera: Camera, *, top: int, bottom: int) -> Screen:
    """Where the pixel rows [top, bottom) of a camera see boxes."""
    eye = grid.world_to_grid(camera.eye_world)
    to_camera = np.linalg.inv(camera.c2w[:, :3])
    # In shortest edges of a voxel: what is near does not depend on the unit of length.
    edges = grid.scale.max() / grid.scale
    if isinstance(camera.lens, Pinhole | Orthographic):
        parallel = isinstance(camera.lens, Orthographic)
        return (ParallelScreen if parallel else PinholeScreen)(
            size=grid.size,
            eye_grid=eye,
            to_camera=to_camera / grid.scale if parallel else to_camera * edges,
            intrinsics=(camera.fx, camera.fy, camera.cx, camera.cy),
            pixels=(0, top, camera.width, bottom),
            tile=TILE,
        )
    cones = _cones(Look(camera))
    rows = slice(top // TILE, -(-bottom // TILE))
    tiles = TileCones(cones.axis[rows], cones.angle[rows])
    border = _border(grid, camera, eye, tiles, top, bottom)
    return ConeScreen.of_tiles(grid.size, eye, to_camera * edges, border, tiles)


class Look:
    """A camera apart from its pose, as a key: what its tiles see in camera axes."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self._key = (camera.lens, *camera.intrinsics.tolist(), camera.width, camera.height)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Look) and self._key == other._key


@lru_cache(maxsize=2)
def _cones(look: Look) -> TileCones:
    """The cones of all tiles of a picture, the same for every pose: views along a path share them."""
    camera = look.camera
    corners = tile_corners(camera, 0, camera.height)
    _, *arrays = camera.ray_arrays
    parts = []
    for first in range(0, len(corners), _TILES_AT_ONCE):
        some = corners[first : first + _TILES_AT_ONCE]
        _, directions, seen = camera.lens.make(np, some, np.eye(3, 4), *arrays)
        parts.append(
            tile_cones(directions.T.reshape(-1, TILE_RAYS, 3), seen.reshape(-1, TILE_RAYS))
        )
    axis, angle = (np.concatenate(part) for part in zip(*parts, strict=True))
    shape = (-(-camera.height // TILE), -(-camera.width // TILE))
    return TileCones(axis.reshape(*shape, 3), angle.reshape(shape))


def _border(
    grid: GridSpec,
    camera: Camera,
    eye: NDArray[np.float64],
    tiles: TileCones,
    top: int,
    bottom: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where boxes at the border end: at the eye's side of an axis along which a ray does not move,
    since its positions are clamped to the border (see `PinholeScreen`)."""
    below, above = np.full(3, -0.5), np.array(grid.size) - 0.5
    corners = tile_corners(camera, top, bottom)
    for axis in np.flatnonzero((eye < below) | (eye > above)):
        across = camera.c2w[axis, :3]
        # Only tiles whose cone reaches the plane across the axis can have such a ray.
        height = np.abs(tiles.axis @ across) / np.linalg.norm(across)
        near = corners[(np.arcsin(np.minimum(height, 1.0)) <= tiles.angle).reshape(-1)]
        for first in range(0, len(near), _TILES_AT_ONCE):
            some = near[first : first + _TILES_AT_ONCE]
            _, directions, seen = camera.lens.make(np, some, *camera.ray_arrays)
            still = np.abs(directions[axis]) <= _PARALLEL * np.abs(directions).max(0)
            if (still & seen).any():
                below[axis] = min(below[axis], eye[axis])
                above[axis] = max(above[axis], eye[axis])
                break
    return below, above


def box_of(
    point_grid: NDArray[np.float64], edge: int, shape: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The box of `edge` cells that holds a point, or the one at the border nearest to it.

    Boxes at the border reach outward without end, so the eye's box is always one of them.
    """
    inside = np.clip(point_grid, 0.0, shape * edge)
    return np.minimum(np.floor(inside / edge).astype(np.int64), shape - 1)


def packet_view(
    table: BoxTable,
    index: NDArray[np.int32],
    octant: int,
    packet: NDArray[np.int64],
    box: NDArray[np.int64],
) -> PacketView:
    """What packets of rays of one octant (bit a set: axis a falls) see: pairs [i] of packet and box."""
    signs = np.array([-1 if octant >> axis & 1 else 1 for axis in range(3)], np.int64)
    origin = np.zeros(3, np.int64)
    return PacketView(
        table,
        packet,
        box,
        shells_of(table.block[box], origin, signs),
        shells_of(index, origin, signs),
    )
