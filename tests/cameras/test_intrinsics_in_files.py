"""Intrinsics that a file says in pixels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_files import IDENTITY, write_json

from plenostream.cameras import Camera, load_cameras
from plenostream.errors import CameraError


class TestIntrinsicsInFile:
    DOCUMENT = {
        "camera_angle_x": 1.0, "fl_x": 500.0, "fl_y": 510.0, "cx": 321.5, "cy": 239.0,
        "w": 640, "h": 480.0, "k1": 0.0, "p2": 0, "camera_model": "OPENCV", "aabb_scale": 16,
        "frames": [{"file_path": "images/0001.jpg", "transform_matrix": IDENTITY}],
    }  # fmt: skip

    def load(self, tmp_path: Path, *, frame: dict[str, Any] | None = None, **top: Any) -> Camera:
        document = {**self.DOCUMENT, **top}
        document["frames"] = [{**self.DOCUMENT["frames"][0], **(frame or {})}]  # type: ignore[index]
        return load_cameras(write_json(tmp_path / "transforms.json", document))[0]

    def test_are_taken_as_they_are_and_positions_are_not_scaled(self, tmp_path: Path) -> None:
        matrix = np.eye(4)
        matrix[:3, 3] = 1, 2, 3
        camera = self.load(tmp_path, frame={"transform_matrix": matrix.tolist()})
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 510, 321.5, 239)
        assert (camera.width, camera.height) == (640, 480)
        np.testing.assert_array_equal(camera.eye_world, [1, 2, 3])

    def test_of_a_frame_win_over_those_of_the_file(self, tmp_path: Path) -> None:
        camera = self.load(tmp_path, frame={"fl_x": 700.0, "w": 100, "cx": 50})
        assert (camera.fx, camera.fy, camera.width, camera.cx) == (700, 510, 100, 50)

    def test_are_scaled_with_the_size(self, tmp_path: Path) -> None:
        path = write_json(tmp_path / "t.json", self.DOCUMENT)
        camera = load_cameras(path, size=(320, 960))[0]
        assert (camera.fx, camera.fy, camera.cx, camera.cy) == (250, 1020, 160.75, 478)

    def test_without_second_focal_length_and_centre_are_square_and_central(
        self, tmp_path: Path
    ) -> None:
        document = {k: v for k, v in self.DOCUMENT.items() if k not in ("fl_y", "cx", "cy")}
        camera = load_cameras(write_json(tmp_path / "t.json", document))[0]
        assert (camera.fy, camera.cx, camera.cy) == (500, 320, 240)

    def test_in_pixels_of_an_unknown_size_are_refused(self, tmp_path: Path) -> None:
        document = {k: v for k, v in self.DOCUMENT.items() if k not in ("w", "h")}
        with pytest.raises(CameraError, match="neither `w` and `h`"):
            load_cameras(write_json(tmp_path / "t.json", document))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"k4": 0.05}, "`k4` = 0.05"),
            ({"p3": -1e-3}, "`p3` = -0.001"),
            ({"camera_model": "THIN_PRISM_FISHEYE"}, "'THIN_PRISM_FISHEYE'"),
            ({"camera_model": ["x"]}, "lens model"),
            ({"is_fisheye": "yes"}, "is_fisheye"),
        ],
        ids=lambda value: None if isinstance(value, dict) else value,
    )
    @pytest.mark.parametrize("place", ["file", "frame"])
    def test_of_a_lens_that_is_not_read_are_refused_by_name(
        self, tmp_path: Path, place: str, changes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(CameraError, match=message):
            self.load(tmp_path, **(changes if place == "file" else {"frame": changes}))

    @pytest.mark.parametrize(
        ("frame", "message"),
        [
            ({"transform_matrix": None}, "there is no `transform_matrix`"),
            ({"transform_matrix": [[1, 2], [3, 4]]}, "not a table"),
            ({"transform_matrix": {"0": 1}}, "not a table"),
            ({"transform_matrix": [["1", 0, 0, 0]] * 4}, "holds '1'"),
            ({"transform_matrix": [[True, 0, 0, 0]] * 4}, "holds True"),
            ({"transform_matrix": [[10**400, 0, 0, 0]] * 4}, "too large"),
            ({"transform_matrix": np.diag([3, 3, 3, 1]).tolist()}, "lengths 3, 3, 3"),
            ({"fl_x": math.nan}, "`fl_x` is nan"),
            ({"fl_y": "500"}, "`fl_y` is '500'"),
            ({"cx": math.inf}, "`cx` is inf"),
            ({"w": 640.5}, "`w` is 640.5"),
            ({"h": -1}, "height is -1"),
            ({"w": 1e30}, "width is 1"),
        ],
        ids=lambda value: None if isinstance(value, dict) else value,
    )
    def test_that_cannot_be_are_refused_naming_file_and_frame(
        self, tmp_path: Path, frame: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(CameraError, match=message) as caught:
            self.load(tmp_path, frame=frame)
        assert str(caught.value).startswith(f"{tmp_path / 'transforms.json'}: frame 0 ('images/")
