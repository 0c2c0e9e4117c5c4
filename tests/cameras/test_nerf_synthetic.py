"""NeRF-synthetic files: scale, axes and the cameras of a trained model."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from plenostream.cameras import load_cameras

IDENTITY = np.eye(4).tolist()
ANGLE = 0.6911112070083618


def write_json(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def write_png_header(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height))


@pytest.fixture
def transforms(tmp_path: Path) -> Path:
    """A NeRF-synthetic file of 13 frames at x = 0, 3, 6, ..."""
    frames = []
    for number in range(13):
        matrix = np.eye(4)
        matrix[0, 3] = 3.0 * number
        frames.append({"file_path": f"./train/r_{number}", "transform_matrix": matrix.tolist()})
    return write_json(tmp_path / "transforms.json", {"camera_angle_x": ANGLE, "frames": frames})


class TestNerfSynthetic:
    def test_auto_scale_is_two_thirds(self, transforms: Path) -> None:
        assert load_cameras(transforms, size=(8, 8))[1].eye_world[0] == pytest.approx(2.0)
        assert load_cameras(transforms, scene_scale=1.0, size=(8, 8))[1].eye_world[0] == 3.0

    def test_opengl_axes_become_opencv_axes(self, transforms: Path) -> None:
        # At rest an OpenGL camera looks along -z with y up.
        camera = load_cameras(transforms, size=(8, 8))[0]
        np.testing.assert_array_equal(camera.c2w[:, :3], np.diag([1, -1, -1]))

    def test_size_asked_for_wins_over_that_of_its_pictures(self, transforms: Path) -> None:
        write_png_header(transforms.parent / "train" / "r_0.png", 300, 200)
        camera = load_cameras(transforms, size=(150, 100))[0]
        assert (camera.width, camera.height) == (150, 100)
        assert camera.fx == pytest.approx(75 / math.tan(ANGLE / 2))

    def test_gives_the_recorded_cameras_of_the_trained_model(self, shared: Path) -> None:
        loaded = load_cameras(
            shared / "models" / "still_cameras.json", frames="0,5,11", size=(200, 200)
        )
        recorded = load_cameras(shared / "reference" / "30_still_128" / "cameras.json")
        for ours, theirs in zip(loaded, recorded, strict=True):
            np.testing.assert_allclose(ours.c2w, theirs.c2w, atol=1e-6)  # recorded in float32
            assert (ours.width, ours.height) == (theirs.width, theirs.height)
            np.testing.assert_allclose(
                [ours.fx, ours.fy, ours.cx, ours.cy], [theirs.fx, theirs.fy, theirs.cx, theirs.cy]
            )
