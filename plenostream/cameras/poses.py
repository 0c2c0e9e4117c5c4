"""The pose of an entry, whatever its spelling, direction and axes: camera to world, OpenCV axes.

Which way a matrix leads is said by its key. Which axes the camera has is said by the kind of file
(the table in `frame_lists`) or by its key `convention`; `transform_matrix` and `camera_to_world` are
OpenGL's in every reader there is. So a `w2c` beside instant-ngp's names (`fl_x`, `camera_angle_x`)
is the inverse of what `transform_matrix` would be; one beside `fx` and `fy` is the extrinsic matrix
of computer vision, as the renderings written as ``opencv_cameras.json`` have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.camera import checked_pose
from plenostream.cameras.kinds import POSE_KEYS
from plenostream.cameras.values import is_number
from plenostream.errors import CameraError, shown

__all__ = ["pose_of_entry"]

AGREEMENT = 1e-3
"""Difference of two poses of one entry that is taken for rounding, relative to the distance."""

_ALWAYS_OPENGL = ("transform_matrix", "camera_to_world")


def pose_of_entry(values: Mapping[str, Any], *, is_opencv: bool) -> NDArray[np.float64]:
    """Camera to world [3, 4], OpenCV axes, from whichever keys are there.

    Parameters
    ----------
    is_opencv : whether the axes of poses are OpenCV's (x right, y down, z forward) rather than
        OpenGL's (x right, y up, z backward), where the key does not say so itself

    Raises
    ------
    CameraError : no pose, one that is no rotation and translation, or two that differ.
    """
    keys = [key for key in POSE_KEYS if key in values]
    if not keys:
        raise CameraError(f"there is no `{'c2w' if is_opencv else 'transform_matrix'}`")
    poses = {key: _pose(values, key, is_opencv=is_opencv) for key in keys}
    first = poses[keys[0]]
    for key, pose in poses.items():
        if np.abs(pose - first).max() > AGREEMENT * (1 + np.abs(first[:, 3]).max()):
            raise CameraError(f"`{keys[0]}` and `{key}` are different poses; expected one")
    return first


def _pose(values: Mapping[str, Any], key: str, *, is_opencv: bool) -> NDArray[np.float64]:
    pose = np.array(checked_pose(_table(values[key], key), f"`{key}`"))
    if POSE_KEYS[key]:
        # The inverse of a rotation is its transpose, also where rounding left it not quite one.
        rotation = pose[:, :3].T
        pose = np.concatenate([rotation, -rotation @ pose[:, 3:]], axis=1)
    if key in _ALWAYS_OPENGL or not is_opencv:
        pose[:, 1:3] *= -1
    return pose


def _table(rows: object, key: str) -> list[Any]:
    """The numbers of a matrix, row by row; also from 12 or 16 of them in one list."""
    if isinstance(rows, list) and len(rows) in (12, 16):
        rows = [rows[i : i + 4] for i in range(0, len(rows), 4)]
    table = rows if isinstance(rows, list) else []
    columns = [len(row) if isinstance(row, list) else 0 for row in table]
    if columns not in ([4] * 4, [4] * 3):
        raise CameraError(f"`{key}` is not a table of 4x4 or 3x4 numbers, nor a list of 16 or 12")
    for row in table:
        for value in row:
            if not is_number(value):
                raise CameraError(f"`{key}` holds {shown(value)}; expected numbers")
    return table
