"""Rays for `reference`, float64: of a camera, in normalised device coordinates, and how far they go."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["box_bounds", "camera_rays", "ndc_rays", "sphere_bounds"]

Float64 = NDArray[np.float64]


def camera_rays(
    c2w: ArrayLike, fx: float, fy: float, cx: float, cy: float, width: int, height: int
) -> tuple[Float64, Float64]:
    """Origins and unit directions [height * width, 3] (world) of a pinhole camera, row by row.

    OpenCV axes: x right, y down, z forward; pixel (0, 0) has its centre at (0.5, 0.5).
    """
    pose = np.asarray(c2w, np.float64)
    row, column = np.mgrid[:height, :width]
    local = np.stack([(column + 0.5 - cx) / fx, (row + 0.5 - cy) / fy, np.ones(row.shape)], -1)
    dirs = local.reshape(-1, 3) @ pose[:3, :3].T
    dirs /= np.linalg.norm(dirs, axis=1, keepdims=True)
    return np.broadcast_to(pose[:3, 3], dirs.shape).copy(), dirs


def ndc_rays(origins: Float64, dirs: Float64, ndc: tuple[float, ...]) -> tuple[Float64, Float64]:
    """Rays [n, 3] in normalised device coordinates of a camera of (width, height, fx[, fy]) pixels
    (svox2 ``utils.convert_to_ndc``): moved to the plane z = 1, then projected."""
    width, height, fx = ndc[:3]
    fy = ndc[3] if len(ndc) > 3 else fx
    a, b = 2.0 * fx / width, 2.0 * fy / height
    o = origins + ((1.0 - origins[:, 2]) / dirs[:, 2])[:, None] * dirs
    (ox, oy, oz), (dx, dy, dz) = o.T, dirs.T
    start = np.stack([a * ox / oz, b * oy / oz, 1.0 - 2.0 / oz], -1)
    course = np.stack([a * (dx / dz - ox / oz), b * (dy / dz - oy / oz), 2.0 / oz], -1)
    return start, course


def box_bounds(origins: Float64, dirs: Float64, size: Float64) -> tuple[Float64, Float64]:
    """Where lines [n, 3] enter and leave the box [-0.5, size - 0.5], in units of `dirs`.

    A component of exactly 0 puts no bound on the line, even outside the box on that axis.
    """
    moving = dirs != 0.0
    safe = np.where(moving, dirs, 1.0)
    one, other = (-0.5 - origins) / safe, (size - 0.5 - origins) / safe
    enter = np.where(moving, np.minimum(one, other), -np.inf).max(1)
    leave = np.where(moving, np.maximum(one, other), np.inf).min(1)
    return enter, leave


def sphere_bounds(
    origins: Float64, dirs: Float64, size: Float64, inner: float
) -> tuple[Float64, Float64]:
    """Where lines [n, 3] enter the ellipsoid of `inner` times the radius, and leave that inscribed
    in the box, in units of `dirs`; lines that miss either leave before they enter."""
    o, v = (origins + 0.5) / size * 2.0 - 1.0, dirs / size * 2.0
    # Nearest point to the centre first: half a chord is then a difference of squares of radii.
    square = (v * v).sum(1)
    nearest = -(o * v).sum(1) / square
    apart = ((o + nearest[:, None] * v) ** 2).sum(1)
    chord = [(radius**2 - apart) / square for radius in (inner, 1.0)]
    met = np.minimum(*chord) >= 0.0
    half = [np.sqrt(np.maximum(part, 0.0)) for part in chord]
    enter = np.where(met, nearest - half[0], np.inf)
    return enter, np.where(met, nearest + half[1], -np.inf)
