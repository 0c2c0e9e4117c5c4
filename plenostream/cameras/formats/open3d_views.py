"""Open3D's camera trajectories and single cameras (`PinholeCameraTrajectory`, ...), as JSON.

Matrices are written column by column: `extrinsic` is 4x4, world to camera, OpenCV axes;
`intrinsic_matrix` is 3x3. Open3D counts pixels from the centre of the first one: half a pixel is
added to its principal point (its viewer writes ``width / 2 - 0.5``). Source: Open3D,
`camera/PinholeCameraParameters`, `visualization/ViewControl`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.camera import Camera, checked_pose
from plenostream.cameras.formats.placed import FileView, placed_views, refuse_bounds
from plenostream.cameras.similarity import Similarity
from plenostream.cameras.values import finite_number, one_pixels
from plenostream.cameras.views import Asked, CameraSet
from plenostream.errors import CameraError, shown

__all__ = ["is_open3d", "read_open3d"]

_TRAJECTORY, _SINGLE = "PinholeCameraTrajectory", "PinholeCameraParameters"
_HALF_A_PIXEL = 0.5


def is_open3d(document: dict[str, Any]) -> bool:
    """Whether a JSON document is one of Open3D's."""
    return document.get("class_name") in (_TRAJECTORY, _SINGLE)


def read_open3d(path: Path, document: dict[str, Any], asked: Asked) -> CameraSet:
    """The views of a document that was read from `path`.

    Raises
    ------
    CameraError : a matrix that is none; names the view.
    """
    asked.require_only_matrices_say("an Open3D trajectory")
    refuse_bounds(asked, "an Open3D trajectory")
    entries = [document]
    if document["class_name"] == _TRAJECTORY:
        entries = document.get("parameters", [])
        if not isinstance(entries, list) or not entries:
            raise CameraError(f"{path}: `parameters` is not a list of at least one camera")
    views = []
    for number, entry in enumerate(entries):
        try:
            views.append(FileView(camera=_camera(entry)))
        except CameraError as error:
            raise CameraError(f"{path}: frame {number}: {error}") from error
    return CameraSet(
        found="Open3D camera trajectory",
        is_path=document["class_name"] == _TRAJECTORY,
        views=placed_views(path, views, asked, Similarity.scaled(asked.scale or 1.0)),
    )


def _camera(entry: Any) -> Camera:
    intrinsic = entry.get("intrinsic") if isinstance(entry, dict) else None
    if not isinstance(intrinsic, dict):
        raise CameraError("there is no `intrinsic`, a JSON object")
    w2c = checked_pose(_matrix(entry, "extrinsic", 4), "`extrinsic`")
    k = _matrix(intrinsic, "intrinsic_matrix", 3)
    others = (k[0, 1], k[1, 0], k[2, 0], k[2, 1], k[2, 2] - 1)
    if any(others):
        raise CameraError("`intrinsic_matrix` has a skew, or more than a focal length and a centre")
    width, height = (one_pixels(intrinsic, (edge,)) for edge in ("width", "height"))
    if width is None or height is None:
        raise CameraError("`intrinsic` has no `width` and `height`")
    rotation = w2c[:, :3].T
    return Camera(
        c2w=np.concatenate([rotation, -rotation @ w2c[:, 3:]], axis=1),
        fx=float(k[0, 0]),
        fy=float(k[1, 1]),
        cx=float(k[0, 2]) + _HALF_A_PIXEL,
        cy=float(k[1, 2]) + _HALF_A_PIXEL,
        width=width,
        height=height,
    )


def _matrix(values: dict[str, Any], key: str, edge: int) -> NDArray[np.float64]:
    """A matrix that is written column by column."""
    listed = values.get(key)
    numbers = [finite_number(v) for v in listed] if isinstance(listed, list) else []
    if len(numbers) != edge * edge or None in numbers:
        raise CameraError(f"`{key}` is {shown(listed)}; expected {edge * edge} numbers")
    return np.array(numbers, np.float64).reshape(edge, edge).T
