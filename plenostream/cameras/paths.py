"""Paths between the views of a data set: through all of them, or a spiral before them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.camera import Camera
from plenostream.cameras.quaternions import course_of_rotations
from plenostream.cameras.similarity import mean_pose
from plenostream.errors import InvalidInput
from plenostream.options import FRAMES

__all__ = ["interpolated_cameras", "spiral_cameras"]

_TURNS, _RISES = 2, 1
"""Of svox2's spiral: turns around the middle, and times that it goes forward and back."""
_REACH = 90
"""Percentile of the cameras' distances from their middle, axis by axis, that the spiral keeps to."""


def interpolated_cameras(cameras: Sequence[Camera], n: int) -> list[Camera]:
    """`n` cameras on a smooth course that begins at the first camera and ends at the last.

    It passes each camera, from one to the next in equal times. Positions lie on the natural cubic
    spline; rotations on `quaternions.course_of_rotations`; focal lengths and principal points
    change evenly from one camera to the next.

    Raises
    ------
    InvalidInput : fewer than two cameras, of different sizes or lenses; `n` against
        `options.FRAMES`.
    """
    n = FRAMES.check("n", n)
    if len(cameras) < 2:
        raise InvalidInput("a path leads from one view to others; there is one view only")
    first = cameras[0]
    for number, camera in enumerate(cameras):
        if (camera.width, camera.height) != (first.width, first.height):
            raise InvalidInput(
                f"views 0 and {number} of the path have {first.width}x{first.height} and "
                f"{camera.width}x{camera.height} pixels; give all of them one size with --size"
            )
        if camera.lens != first.lens:
            raise InvalidInput(f"views 0 and {number} of the path have different lenses")
    poses = np.stack([camera.c2w for camera in cameras])
    times = np.linspace(0.0, len(cameras) - 1, n)
    rotations = course_of_rotations(poses[:, :, :3], times)
    eyes = _natural_spline(poses[:, :, 3], times)
    keys = np.stack([camera.intrinsics for camera in cameras])
    intrinsics = [np.interp(times, np.arange(len(keys)), column) for column in keys.T]
    return [
        replace(first, c2w=np.column_stack([rotation, eye]), fx=fx, fy=fy, cx=cx, cy=cy)
        for rotation, eye, fx, fy, cx, cy in zip(rotations, eyes, *intrinsics, strict=True)
    ]


def spiral_cameras(cameras: Sequence[Camera], n: int, *, focus: float) -> list[Camera]:
    """`n` cameras on a spiral in the middle of others, all looking at one point before them.

    Source: svox2, `opt/util/load_llff.py`, `render_path_spiral` (after LLFF): two turns, with radii
    that keep to where the cameras are. Picture and lens are those of the first camera.

    Parameters
    ----------
    focus : distance (world units) of that point from the middle, along the cameras' mean direction

    Raises
    ------
    InvalidInput : no point before the cameras; `n` against `options.FRAMES`.
    CameraError : cameras without a mean direction.
    """
    n = FRAMES.check("n", n)
    if not focus > 0:
        raise InvalidInput(
            "a spiral looks at a point before the cameras, and the middle of the scene is not before "
            "them; --path interpolate and --orbit go around a scene"
        )
    poses = np.stack([camera.c2w for camera in cameras])
    axes, middle = mean_pose(poses)
    reach = np.percentile(np.abs((poses[:, :, 3] - middle) @ axes), _REACH, axis=0)
    target, down = middle + focus * axes[:, 2], poses[:, :, 1].sum(axis=0)
    path = []
    for turn in 2 * math.pi * np.arange(n) / n:
        angle = _TURNS * turn
        offset = np.array([math.cos(angle), math.sin(angle), math.sin(_RISES * turn)]) * reach
        eye = middle + axes @ offset
        forward = (target - eye) / np.linalg.norm(target - eye)
        right = np.cross(down, forward)
        right /= np.linalg.norm(right)
        pose = np.stack([right, np.cross(forward, right), forward, eye], axis=1)
        path.append(replace(cameras[0], c2w=pose))
    return path


def _natural_spline(points: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [m, 3] at `times` of the cubic spline that is point i of [n, 3] at time i.

    Its second derivative is 0 at both ends. They solve ``s[i-1] + 4 s[i] + s[i+1] = 6 (p[i-1] - 2 p[i]
    + p[i+1])``, by elimination front to back and substitution back to front.
    """
    n = len(points)
    right = 6 * (points[:-2] - 2 * points[1:-1] + points[2:])
    factors = np.zeros(n)
    second = np.zeros_like(points)
    for i in range(1, n - 1):
        factors[i] = 1 / (4 - factors[i - 1])
        second[i] = (right[i - 1] - second[i - 1]) * factors[i]
    for i in range(n - 2, 0, -1):
        second[i] -= factors[i] * second[i + 1]
    i = np.minimum(times.astype(int), n - 2)
    b = (times - i)[:, None]
    a = 1 - b
    bent = ((a**3 - a) * second[i] + (b**3 - b) * second[i + 1]) / 6
    course: NDArray[np.float64] = a * points[i] + b * points[i + 1] + bent
    return course
