"""Photographs of a scene that are known to be right: pictures of it along a spiral, as a data set.

View i of n looks at the middle of the grid from ``2.7`` times its radius. It stands at the height
``h = -0.2 + 1.1 (i + s) / n`` of the unit sphere (s is 0.5 for those to learn from, and 0.25 for those
that are held back) and at the azimuth ``i`` golden angles, so the spiral winds from a little below the
horizon to near the top, and no two views stand close together.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from benchmarks.timing import Say
from plenostream.cameras import Camera, look_at_camera
from plenostream.export.picture_files import write_png
from plenostream.export.pixels import colour_8bit
from plenostream.field.grid import GridSpec
from plenostream.renderer import Renderer
from plenostream.scene import open_scene

__all__ = ["TEST", "TRAIN", "photograph", "spiral"]

TRAIN, TEST = "transforms_train.json", "transforms_test.json"
_DISTANCE = 2.7
_LOWEST, _HEIGHTS = -0.2, 1.1
_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
_FOV_DEGREES = 39.6
_OPENGL = np.diag([1.0, -1.0, -1.0])
"""From the camera axes of NeRF-synthetic files to ours: y down, z forward."""


def spiral(grid: GridSpec, n: int, shift: float, size: tuple[int, int]) -> list[Camera]:
    """The views of a spiral around a grid."""
    center = np.asarray(grid.center)
    cameras = []
    for i in range(n):
        height, azimuth = _LOWEST + _HEIGHTS * (i + shift) / n, i * _GOLDEN_ANGLE + shift
        level = math.sqrt(1.0 - height * height)
        towards = np.array([level * math.cos(azimuth), level * math.sin(azimuth), height])
        eye = center + _DISTANCE * np.asarray(grid.radius) * towards
        cameras.append(look_at_camera(eye, center, fov_degrees=_FOV_DEGREES, size=size))
    return cameras


def photograph(
    place: str, folder: Path, *, views: int, held: int, size: tuple[int, int], say: Say
) -> None:
    """Draw the views of a scene on white into `folder`, with their cameras as NeRF-synthetic files."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_scene(place) as scene, Renderer(scene) as renderer:
        for name, n, shift in (("train", views, 0.5), ("test", held, 0.25)):
            cameras = spiral(scene.grid, n, shift, size)
            (folder / name).mkdir(exist_ok=True)
            for number, camera in enumerate(cameras):
                pixels = colour_8bit(renderer.render(camera).rgb)
                write_png(folder / name / f"r_{number}.png", pixels, overwrite=True)
                if number % 10 == 0:
                    say(f"photographs: {name} {number} of {n}")
            frames = [
                {"file_path": f"./{name}/r_{number}", "transform_matrix": _matrix(camera)}
                for number, camera in enumerate(cameras)
            ]
            document = {
                "camera_angle_x": math.radians(_FOV_DEGREES),
                "scene_scale": 1.0,
                "frames": frames,
            }
            (folder / f"transforms_{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def _matrix(camera: Camera) -> list[list[float]]:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = camera.c2w[:, :3] @ _OPENGL, camera.eye_world
    return pose.tolist()
