"""What a camera's band of pixels, or a lot of packets, sees of a scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.field.grid import BLOCK_SIZE, BrickGrid, GridSpec
from plenostream.field.tiles import TILE
from plenostream.plan import BoxTable, PacketView, PinholeView, Screen, shells_of

__all__ = ["camera_view", "packet_view"]


def _box_of(
    point_grid: NDArray[np.float64], edge: int, shape: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The box of `edge` cells that holds a point, or the one at the border nearest to it.

    Boxes at the border reach outward without end, so the eye's box is always one of them.
    """
    inside = np.clip(point_grid, 0.0, shape * edge)
    return np.minimum(np.floor(inside / edge).astype(np.int64), shape - 1)


def camera_view(
    table: BoxTable,
    index: NDArray[np.int32],
    grid: GridSpec,
    bricks: BrickGrid,
    camera: Camera,
    *,
    top: int,
    bottom: int,
) -> PinholeView:
    """What the pixel rows [top, bottom) of a camera see; `index` [n, 3] is ``bricks/index``."""
    eye = grid.world_to_grid(camera.eye_world)
    # In shortest edges of a voxel: what is near does not depend on the unit of length.
    edges = grid.scale.max() / grid.scale
    screen = Screen(
        size=grid.size,
        eye_grid=eye,
        to_camera=np.linalg.inv(camera.c2w[:, :3]) * edges,
        intrinsics=(camera.fx, camera.fy, camera.cx, camera.cy),
        pixels=(0, top, camera.width, bottom),
        tile=TILE,
    )
    shape = np.array(bricks.shape, np.int64)
    eye_block = _box_of(eye, BLOCK_SIZE, shape * bricks.blocks_per_axis)
    eye_brick = _box_of(eye, bricks.brick_size, shape)
    return PinholeView(table, screen, eye_block=eye_block, brick_shells=shells_of(index, eye_brick))


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
