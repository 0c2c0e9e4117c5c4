"""Plain matrices, a view each, as text or .npy: what they mean is said by who names them.

Text: numbers, with comments after a #. A matrix is one line of 12 or 16 numbers, or three or four
lines of four. An array is [n, 4, 4], [n, 3, 4], [n, 12], [n, 16], or a single matrix. Which way they
lead, and the camera's axes, has to be said (`options.CAMERA_AXES`); the lens is a pinhole.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.camera import Camera, checked_pose
from plenostream.cameras.formats.numbers import array_of, rows_of
from plenostream.cameras.formats.placed import FileView, check_count, placed_views, refuse_bounds
from plenostream.cameras.placement import DEFAULT_FOV_DEGREES, DEFAULT_SIZE
from plenostream.cameras.similarity import Similarity
from plenostream.cameras.views import Asked, CameraSet
from plenostream.errors import CameraError, InvalidInput
from plenostream.options import CAMERA_AXES

__all__ = ["ENDINGS", "read_matrices"]

ENDINGS = (".npy", ".txt")


def read_matrices(path: Path, asked: Asked) -> CameraSet:
    """The views that matrices stand for.

    Raises
    ------
    InvalidInput : nothing says which way they lead. CameraError : no matrices; names the line or
        the view.
    """
    refuse_bounds(asked, "a file of matrices")
    matrices = _of_array(path) if path.suffix.lower() == ".npy" else _of_text(path)
    if asked.camera_axes is None:
        raise InvalidInput(
            f"{path} holds plain matrices, which do not say what they mean; say it with "
            f"--camera-axes, {CAMERA_AXES.expected}"
        )
    axes, _, way = asked.camera_axes.partition("-")
    width, height = asked.size or DEFAULT_SIZE
    fov = DEFAULT_FOV_DEGREES if asked.fov_degrees is None else asked.fov_degrees
    focal = width / 2 / math.tan(math.radians(fov) / 2)
    views = []
    for where, matrix in matrices:
        pose = np.array(checked_pose(matrix, f"{path}, {where}: the matrix"))
        if way == "w2c":
            rotation = pose[:, :3].T
            pose = np.concatenate([rotation, -rotation @ pose[:, 3:]], axis=1)
        if axes == "opengl":
            pose[:, 1:3] *= -1
        camera = Camera(pose, focal, focal, width / 2, height / 2, width, height)
        views.append(FileView(camera=camera))
    return CameraSet(
        found=f"matrices, {asked.camera_axes}",
        views=placed_views(path, views, asked, Similarity.scaled(asked.scale or 1.0)),
    )


def _of_array(path: Path) -> list[tuple[str, NDArray[np.float64]]]:
    values = array_of(path, what="camera file")
    if values.ndim == 2 and values.shape[1] == 4:
        values = values[None]
    elif values.ndim == 2 and values.shape[1] in (12, 16):
        values = values.reshape(len(values), -1, 4)
    if values.ndim != 3 or values.shape[1:] not in ((3, 4), (4, 4)) or not len(values):
        raise CameraError(f"{path} has the shape {values.shape}; expected [n, 4, 4] or [n, 3, 4]")
    check_count(path, len(values), path.stat().st_size)
    return [(f"view {number}", matrix) for number, matrix in enumerate(values)]


def _of_text(path: Path) -> list[tuple[str, NDArray[np.float64]]]:
    found: list[tuple[str, NDArray[np.float64]]] = []
    rows = rows_of(path, what="camera file")
    check_count(path, len(rows) // 4, path.stat().st_size)
    if rows and all(len(row) in (12, 16) for _, row in rows):
        return [(f"line {line}", np.array(row).reshape(-1, 4)) for line, row in rows]
    wrong = next((line for line, row in rows if len(row) != 4), None)
    if not rows or wrong is not None:
        where = f"{path}, line {wrong}" if rows else str(path)
        raise CameraError(f"{where} holds no row of a matrix: expected 4, 12 or 16 numbers a line")
    # A fourth row of a matrix is 0 0 0 1, which is no row of a 3x4 one's rotation.
    height = 4 if len(rows) % 4 == 0 and _is_last(rows[3][1]) else 3
    if len(rows) % height:
        raise CameraError(f"{path} holds {len(rows)} rows; expected {height} for each matrix")
    for first in range(0, len(rows), height):
        matrix = np.array([row for _, row in rows[first : first + height]])
        found.append((f"line {rows[first][0]}", matrix))
    return found


def _is_last(row: list[float]) -> bool:
    return row[:3] == [0.0, 0.0, 0.0]
