"""NSVF folders: `pose/NAME.txt`, `intrinsics.txt`, perhaps `bbox.txt`, and pictures.

A pose is a matrix 4x4 or 3x4, camera to world, OpenCV axes. `intrinsics.txt` is a matrix 4x4 or 3x3,
or DeepVoxels' five lines that begin with focal length, column and row of the principal point and end
in height and width. `bbox.txt` begins with the least and the greatest corner of a box around the
scene. Views are in the order of their names. Source: NSVF's README; svox2, `nsvf_dataset.py`.

svox2 trains on poses moved by `similarity.around_cameras`, of all files in `pose/`, and scaled by
0.95 (its flag `--cam_scale_factor`); with `--normalize_by_bbox`, by `similarity.around_bounds` and
1 / 1.2.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.camera import Camera
from plenostream.cameras.formats.numbers import rows_of
from plenostream.cameras.formats.placed import FileView, pictures_in, placed_views
from plenostream.cameras.image_size import read_image_size
from plenostream.cameras.similarity import Similarity, around_bounds, around_cameras
from plenostream.cameras.views import Asked, CameraSet
from plenostream.errors import CameraError

__all__ = ["pose_folder", "read_nsvf"]

_POSES = ("poses", "pose")
_PICTURES = ("images", "image", "rgb")
_SCALES = {"svox2": 0.95, "svox2-bbox": 1 / 1.2, "as-written": 1.0}
"""What positions are multiplied by, unless told."""


def pose_folder(folder: Path) -> Path | None:
    """Where the poses of an NSVF folder lie; None where it is none."""
    return next((folder / name for name in _POSES if (folder / name).is_dir()), None)


def read_nsvf(folder: Path, asked: Asked) -> CameraSet:
    """The views of an NSVF folder.

    Raises
    ------
    CameraError : a file that is missing or not as it should be; names it, and the line.
    """
    asked.require_only_matrices_say("an NSVF folder")
    poses = pose_folder(folder)
    files = sorted(poses.glob("*.txt")) if poses is not None else []
    if not files:
        raise CameraError(f"the folder {folder} has no pose/*.txt")
    focal, size = _intrinsics(folder / "intrinsics.txt")
    _, pictures = pictures_in(folder, _PICTURES)
    picture_of = {picture.stem: picture for picture in pictures}
    views = []
    for path in files:
        picture = picture_of.get(path.stem)
        own = read_image_size(picture) if picture is not None else None
        shape = own or size
        if shape is None:
            raise CameraError(
                f"{path}: nothing says how large the picture is: there is no picture "
                f"{path.stem} in {folder}, and intrinsics.txt does not say it"
            )
        try:
            width, height = shape
            camera = Camera(_matrix(path), *focal, width=width, height=height)
        except CameraError as error:
            raise CameraError(f"{path}: {error}") from error
        views.append(FileView(camera=camera, name=path.stem, picture=picture))
    try:
        similarity = _similarity(folder, views, asked.poses)
    except CameraError as error:
        raise CameraError(f"{folder}: {error}") from error
    similarity = similarity.further(asked.scale or _SCALES[asked.poses])
    return CameraSet(found="NSVF folder", views=placed_views(folder, views, asked, similarity))


def _similarity(folder: Path, views: list[FileView], poses: str) -> Similarity:
    if poses == "svox2":
        return around_cameras(np.stack([view.camera.c2w for view in views]))
    if poses == "svox2-bbox":
        path = folder / "bbox.txt"
        numbers = [number for _, row in rows_of(path, what="box") for number in row]
        if len(numbers) < 6:
            raise CameraError(f"{path} holds {len(numbers)} numbers; expected two corners")
        return around_bounds(np.array(numbers[:3]), np.array(numbers[3:6]))
    return Similarity.scaled(1.0)


def _matrix(path: Path) -> NDArray[np.float64]:
    numbers = [number for _, row in rows_of(path, what="pose") for number in row]
    if len(numbers) not in (12, 16):
        raise CameraError(f"it holds {len(numbers)} numbers; expected a matrix of 4x4 or 3x4")
    return np.array(numbers).reshape(-1, 4)


def _intrinsics(
    path: Path,
) -> tuple[tuple[float, float, float, float], tuple[int, int] | None]:
    """fx, fy, cx, cy in pixels, and width and height where the file says them."""
    rows = [row for _, row in rows_of(path, what="intrinsics")]
    lengths = [len(row) for row in rows]
    if lengths in ([4] * 4, [4] * 3, [3] * 3):
        return (rows[0][0], rows[1][1], rows[0][2], rows[1][2]), None
    if len(rows) < 1 or lengths[0] not in (3, 4):
        raise CameraError(
            f"{path} is no matrix of 4x4 or 3x3 numbers, nor begins with focal length and principal "
            "point"
        )
    focal, cx, cy = rows[0][:3]
    last = rows[-1]
    whole = len(rows) > 1 and len(last) == 2 and all(edge == int(edge) for edge in last)
    return (focal, focal, cx, cy), (int(last[1]), int(last[0])) if whole else None
