"""LLFF's `poses_bounds.npy`: views that look one way, with the depths between which the scene lies.

A row a view: a matrix [3, 5], row by row, then the nearest and the farthest depth. Its columns are
the camera's down, right and backward axes, its position, and height, width and focal length in
pixels; the principal point is the middle of the picture. Source: LLFF's own README. Beside
`hwf_cxcy.npy` (height, width, fx, fy, cx, cy for all views), which svox2 reads, the matrix is [3, 4].

svox2's scenes of such data stand in the recentred world of `similarity.before_cameras`, and their
rays are those of normalised device coordinates, whose reference camera is that of the first view
(svox2, `opt/util/llff_dataset.py`: ``2 fx / width``, which no scaling of the pictures changes). The
views are in the order of their pictures' names, since the file has none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.camera import Camera
from plenostream.cameras.formats.numbers import array_of
from plenostream.cameras.formats.placed import (
    FileView,
    check_count,
    pictures_in,
    placed_views,
    refuse_bounds,
)
from plenostream.cameras.similarity import Similarity, before_cameras
from plenostream.cameras.views import Asked, CameraSet
from plenostream.errors import CameraError

__all__ = ["FILE_NAME", "read_llff"]

FILE_NAME = "poses_bounds.npy"
_FOLDERS = ("images", "images_2", "images_4", "images_8")
_CLOSER, _FARTHER, _FAR_SHARE = 0.9, 5.0, 0.75
"""svox2's spiral looks at the depth whose inverse is that of 0.9 times the nearest depth and of 5
times the farthest, the latter by three quarters."""


def read_llff(path: Path, asked: Asked) -> CameraSet:
    """The views of a `poses_bounds.npy`.

    Raises
    ------
    CameraError : a file that is not such an array; names view and value.
    """
    asked.require_only_matrices_say("LLFF's poses_bounds.npy")
    refuse_bounds(asked, "LLFF's poses_bounds.npy")
    rows = array_of(path, what="camera file")
    intrinsics = _intrinsics(path.with_name("hwf_cxcy.npy"))
    columns = 5 if intrinsics is None else 4
    if rows.ndim != 2 or rows.shape[1] != 3 * columns + 2 or not len(rows):
        raise CameraError(
            f"{path} has the shape {rows.shape}; expected a row of {3 * columns + 2} numbers a view"
        )
    check_count(path, len(rows), rows.nbytes)
    matrices, depths = rows[:, :-2].reshape(-1, 3, columns), rows[:, -2:]
    if not (depths[:, 0] > 0).all() or not (depths[:, 1] >= depths[:, 0]).all():
        number = int(np.argmin((depths[:, 0] > 0) & (depths[:, 1] >= depths[:, 0])))
        raise CameraError(
            f"{path}: frame {number}: the depths are {depths[number, 0]:g} to "
            f"{depths[number, 1]:g}; expected a rising pair above zero"
        )
    _, pictures = pictures_in(path.parent, _FOLDERS)
    pictures.sort(key=lambda picture: _sort_key(picture.name))
    named = len(pictures) == len(rows)
    views = []
    for number, matrix in enumerate(matrices):
        said = _hwf(matrix[:, 4]) if intrinsics is None else intrinsics
        picture = pictures[number] if named else None
        try:
            camera = _camera(matrix, said)
        except CameraError as error:
            raise CameraError(f"{path}: frame {number}: {error}") from error
        name = picture.name if picture is not None else ""
        views.append(FileView(camera=camera, name=name, picture=picture))
    similarity = Similarity.scaled(1.0)
    if asked.poses == "svox2":
        poses = np.stack([view.camera.c2w for view in views])
        try:
            similarity = before_cameras(poses, float(depths[:, 0].min()))
        except CameraError as error:
            raise CameraError(f"{path}: {error}") from error
    similarity = similarity.further(asked.scale or 1.0)
    near, far = depths[:, 0].min() * _CLOSER, depths[:, 1].max() * _FARTHER
    focus = similarity.scale / ((1 - _FAR_SHARE) / near + _FAR_SHARE / far)
    return CameraSet(
        found="LLFF poses_bounds.npy",
        views=placed_views(path, views, asked, similarity),
        focus=float(focus),
        ndc=_reference(views[0].camera) if asked.poses == "svox2" else None,
    )


def _reference(camera: Camera) -> tuple[float, float, float, float]:
    return camera.width, camera.height, camera.fx, camera.fy


def _camera(matrix: NDArray[np.float64], said: tuple[float, ...]) -> Camera:
    height, width, fx, fy, cx, cy = said
    if height != int(height) or width != int(width):
        raise CameraError(f"the picture's size is {width:g}x{height:g}; expected whole numbers")
    down, right, backward, eye = matrix[:, :4].T
    return Camera(
        c2w=np.stack([right, down, -backward, eye], axis=1),
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        width=int(width),
        height=int(height),
    )


def _hwf(column: NDArray[np.float64]) -> tuple[float, ...]:
    height, width, focal = column.tolist()
    return height, width, focal, focal, width / 2, height / 2


def _intrinsics(path: Path) -> tuple[float, ...] | None:
    """Height, width, fx, fy, cx, cy of all views; None where the file is not there."""
    if not path.is_file():
        return None
    values = array_of(path, what="camera file")
    if values.size != 6:
        raise CameraError(f"{path} has the shape {values.shape}; expected 6 numbers")
    return tuple(values.reshape(-1).tolist())


def _sort_key(name: str) -> str:
    """svox2's: a letter and an underscore in front do not count."""
    return name[2:] if name[1:2] == "_" else name
