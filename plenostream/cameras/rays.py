"""Rays through the pixels of a camera, over NumPy or JAX: what an integrator calls on its device."""

from __future__ import annotations

from typing import Any

from plenostream.field.tiles import TILE, TILE_RAYS

__all__ = ["pinhole_rays", "plane_points", "seen_rays"]


def pinhole_rays(
    xp: Any, corners: Any, c2w: Any, intrinsics: Any, pixels: Any
) -> tuple[Any, Any, Any]:
    """World rays through the pixels of tiles.

    Parameters
    ----------
    xp : the array namespace, numpy or jax.numpy
    corners : [n, 2] i32     column and row of the first pixel of each tile
    c2w : [3, 4] f64         camera to world, OpenCV axes (x right, y down, z forward)
    intrinsics : [4] f64     fx, fy, cx, cy in pixels; pixel centres lie at + 0.5
    pixels : [2] i32         width and height of the picture

    Returns
    -------
    origins, dirs_world : [3, n * 64] f64, directions of any length; valid : [n * 64] bool,
    false for places of a tile beyond the picture.
    """
    x, y, valid = plane_points(xp, corners, intrinsics, pixels)
    dirs = x * c2w[:, 0:1] + y * c2w[:, 1:2] + c2w[:, 2:3]
    origins = xp.broadcast_to(c2w[:, 3:4], dirs.shape)
    return origins, dirs, valid


def plane_points(xp: Any, corners: Any, intrinsics: Any, pixels: Any) -> tuple[Any, Any, Any]:
    """Points x, y [1, n * 64] f64 of the camera's plane, and which of them are pixels [n * 64].

    Parameters as `pinhole_rays`.
    """
    lane = xp.arange(TILE_RAYS, dtype=xp.int32)[None]
    column = corners[:, 0:1] + lane % TILE
    row = corners[:, 1:2] + lane // TILE
    valid = (column < pixels[0]) & (row < pixels[1]) & (column >= 0)
    x = (column.astype(xp.float64) + 0.5 - intrinsics[2]) / intrinsics[0]
    y = (row.astype(xp.float64) + 0.5 - intrinsics[3]) / intrinsics[1]
    return x.reshape(1, -1), y.reshape(1, -1), valid.reshape(-1)


def seen_rays(
    xp: Any, c2w: Any, course: tuple[Any, Any, Any], seen: Any, valid: Any
) -> tuple[Any, Any, Any]:
    """World rays from the camera's centre along `course`, x, y, z [1, r] in camera axes.

    Where the lens sees nothing (`seen` [1, r] is false) there is no ray, and the pixel stays
    transparent.
    """
    x, y = (xp.where(seen, part, 0.0) for part in course[:2])
    z = xp.where(seen, course[2], 1.0)
    dirs = x * c2w[:, 0:1] + y * c2w[:, 1:2] + z * c2w[:, 2:3]
    origins = xp.broadcast_to(c2w[:, 3:4], dirs.shape)
    return origins, dirs, valid & seen.reshape(-1)
