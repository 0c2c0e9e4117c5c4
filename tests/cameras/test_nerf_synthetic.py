"""NeRF-synthetic files: scale, axes and the cameras of a trained model."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from camera_files import ANGLE, write_png_header

from plenostream.cameras import load_cameras


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
            shared / "models" / "still_cameras.json", views="0,5,11", size=(200, 200)
        )
        recorded = load_cameras(shared / "reference" / "30_still_128" / "cameras.json")
        for ours, theirs in zip(loaded, recorded, strict=True):
            np.testing.assert_allclose(ours.c2w, theirs.c2w, atol=1e-6)  # recorded in float32
            assert (ours.width, ours.height) == (theirs.width, theirs.height)
            np.testing.assert_allclose(
                [ours.fx, ours.fy, ours.cx, ours.cy], [theirs.fx, theirs.fy, theirs.cx, theirs.cy]
            )
