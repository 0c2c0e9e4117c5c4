"""Camera files, with two pictures beside them."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.json_cases import mutate_json
from fuzzing.target import Raw
from plenostream.cameras import load_cameras

__all__ = ["CameraFiles"]

_TURNED = [[1, 0, 0, 0.5], [0, 0, -1, -3], [0, 1, 0, 0], [0, 0, 0, 1]]
_LENS = {"k1": 0.0, "k2": 0, "p1": 0.0, "p2": 0.0, "camera_model": "OPENCV"}
_SEEDS: tuple[dict[str, Any], ...] = (
    {
        "camera_angle_x": 0.69,
        "frames": [
            {"file_path": "./a", "rotation": 0.01, "transform_matrix": _TURNED},
            {"file_path": "b.jpg", "transform_matrix": _TURNED},
        ],
    },
    {
        **{"fl_x": 90.0, "fl_y": 91.0, "cx": 40, "cy": 30.5, "w": 80, "h": 60, **_LENS},
        "aabb_scale": 4,
        "frames": [{"file_path": "images\\a.png", "transform_matrix": _TURNED[:3]}],
    },
    {
        "fl_x": 90.0,
        "frames": [
            {"file_path": "a.png", "transform_matrix": _TURNED},
            {"file_path": "b.jpg", "fl_x": 70, "w": 8, "h": 9, "transform_matrix": _TURNED},
        ],
    },
    {
        "views": [
            {"c2w": _TURNED, "fx": 9, "fy": 9, "cx": 4.0, "cy": 3.0, "width": 8, "height": 6},
            {"c2w": _TURNED[:3], "fx": 9, "fy": 9, "cx": 4, "cy": 3, "width": 8.0, "height": 6},
        ]
    },
    {
        "camera_type": "perspective",
        "render_height": 60,
        "render_width": 80,
        "seconds": 2.0,
        "camera_path": [{"camera_to_world": sum(_TURNED, []), "fov": 50.0, "aspect": 1.33}],
    },
    {
        "time": 0.0,
        "path": [{"R": [0.0, 0.6, 0.0, 0.8], "T": [0.5, 0.5, -0.5], "fov": 50.0, "scale": 1.0}] * 2,
    },
    {
        "class_name": "PinholeCameraTrajectory",
        "parameters": [
            {
                "class_name": "PinholeCameraParameters",
                "extrinsic": [1, 0, 0, 0, 0, 0, -1, 0, 0, 1, 0, 0, 0.5, -3, 0, 1],
                "intrinsic": {
                    "width": 8,
                    "height": 6,
                    "intrinsic_matrix": [9, 0, 0, 0, 9, 0, 3.5, 2.5, 1],
                },
            }
        ],
    },
)
_KEYS = (
    *("frames", "views", "camera_path", "camera_to_world", "c2w", "w2c", "world_to_camera", "fov"),
    *("transform_matrix", "camera_angle_x", "camera_angle_y", "fl_x", "fl_y", "cx", "cy", "w", "h"),
    *(
        "width",
        "height",
        "fx",
        "fy",
        "k1",
        "k2",
        "k3",
        "k4",
        "k5",
        "k6",
        "p1",
        "p2",
        "camera_model",
    ),
    *(
        "is_fisheye",
        "lens",
        "file_path",
        "distortion_params",
        "ftheta_p0",
        "latlong",
        "orthographic",
    ),
    *("camera_type", "render_width", "render_height", "aspect", "aabb_scale", "scale", "offset"),
    *("path", "R", "T", "class_name", "parameters", "extrinsic", "intrinsic", "intrinsic_matrix"),
    *("time", "keyframes", "fps", "seconds", "applied_transform", "applied_scale", "ply_file_path"),
)


class CameraFiles:
    """See `Target`: `load_cameras`."""

    name = "cameras"

    def seeds(self) -> list[bytes]:
        return [json.dumps(seed).encode() for seed in _SEEDS]

    def mutate(self, case: bytes, rng: random.Random, raw: Raw) -> bytes:
        return mutate_json(case, rng, raw, _KEYS)

    def read(self, case: bytes, folder: Path) -> None:
        path = folder / "cameras.json"
        path.write_bytes(case)
        for name, content in (("a.png", _png(13, 11)), ("b.jpg", _jpeg(7, 5))):
            if not (folder / name).exists():
                (folder / name).write_bytes(content)
        for camera in load_cameras(path):
            assert np.isfinite(camera.c2w).all(), "a matrix is not finite"
            assert camera.width >= 1, "a picture has no pixels"
            assert np.isfinite([camera.fx, camera.fy]).all(), "a focal length is not finite"


def _png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + bytes(9)


def _jpeg(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xc0\0\x0b\x08" + struct.pack(">HH", height, width)
