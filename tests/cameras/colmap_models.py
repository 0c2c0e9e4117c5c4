"""COLMAP models made by COLMAP's own library, pycolmap."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

__all__ = ["PARAMETERS", "write_model"]

PARAMETERS: Mapping[str, tuple[float, ...]] = {
    "SIMPLE_PINHOLE": (70.0, 31.0, 25.0),
    "PINHOLE": (70.0, 66.0, 31.0, 25.0),
    "SIMPLE_RADIAL": (70.0, 31.0, 25.0, -0.1),
    "RADIAL": (70.0, 31.0, 25.0, -0.1, 0.03),
    "OPENCV": (70.0, 66.0, 31.0, 25.0, -0.1, 0.03, 0.01, -0.02),
    "FULL_OPENCV": (70.0, 66.0, 31.0, 25.0, 0.1, 0.03, 0.01, -0.02, 0.02, 0.05, 0.01, 0.002),
    "SIMPLE_FISHEYE": (40.0, 31.0, 25.0),
    "FISHEYE": (40.0, 38.0, 31.0, 25.0),
    "SIMPLE_RADIAL_FISHEYE": (40.0, 31.0, 25.0, 0.05),
    "RADIAL_FISHEYE": (40.0, 31.0, 25.0, 0.05, -0.01),
    "OPENCV_FISHEYE": (40.0, 38.0, 31.0, 25.0, 0.05, -0.01, 0.003, -0.0005),
    "EQUIRECTANGULAR": (64.0, 48.0),
}
"""Parameters of a picture of 64x48 pixels, for each model that is read."""


def write_model(
    folder: Path,
    model: str,
    parameters: tuple[float, ...],
    poses: Mapping[str, NDArray[np.float64]],
    *,
    text: bool = False,
) -> Any:
    """Write a model of one camera and images of these names and poses [3, 4] (camera to world).

    Returns pycolmap's camera; the test is skipped where pycolmap is not installed.
    """
    pycolmap = pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    made = pycolmap.Reconstruction()
    camera = pycolmap.Camera(
        model=model, width=64, height=48, params=np.array(parameters), camera_id=3
    )
    made.add_camera_with_trivial_rig(camera)
    for number, (name, c2w) in enumerate(poses.items(), start=7):
        turn = pycolmap.Rotation3d(np.ascontiguousarray(c2w[:, :3].T))
        image = pycolmap.Image(name=name, camera_id=3, image_id=number)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(np.array([5.0, 6.0]))] * number)
        made.add_image_with_trivial_frame(image, pycolmap.Rigid3d(turn, -c2w[:, :3].T @ c2w[:, 3]))
    folder.mkdir(parents=True, exist_ok=True)
    made.write_text(folder) if text else made.write_binary(folder)
    return camera
