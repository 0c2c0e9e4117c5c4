"""Spellings of poses, angles of view and sizes, and the kinds of files that have them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_files import write_json, write_png_header

from plenostream.cameras import Camera, load_cameras, look_at_camera
from plenostream.cameras.lenses import Equirectangular, Fisheye, Lens
from plenostream.errors import CameraError

TO_OPENGL = np.diag([1.0, -1, -1, 1])
EXPECTED = look_at_camera((3.0, -2.0, 1.5), (0.1, 0.2, 0.3)).c2w
OPENCV = np.concatenate([EXPECTED, [[0, 0, 0, 1]]])
OPENGL = OPENCV @ TO_OPENGL
PIXELS = {"fl_x": 50.0, "w": 40, "h": 20}


def load(folder: Path, document: dict[str, Any], **options: Any) -> list[Camera]:
    path = folder / "transforms.json"
    path.write_text(json.dumps(document))
    return load_cameras(path, **options)


class TestPoses:
    @pytest.mark.parametrize(
        "key", ["transform_matrix", "camera_to_world", "c2w", "pose", "w2c", "world_to_camera"]
    )
    @pytest.mark.parametrize("rows", [3, 4])
    @pytest.mark.parametrize("flat", [False, True], ids=["table", "flat"])
    def test_of_every_spelling_and_shape_are_the_same(
        self, tmp_path: Path, key: str, rows: int, flat: bool
    ) -> None:
        matrix = (np.linalg.inv(OPENGL) if key.startswith("w") else OPENGL)[:rows]
        pose = (matrix.ravel() if flat else matrix).tolist()
        (camera,) = load(tmp_path, {**PIXELS, "frames": [{key: pose}]})
        np.testing.assert_allclose(camera.c2w, EXPECTED, atol=1e-12)

    def test_beside_fx_have_opencv_axes(self, tmp_path: Path) -> None:
        frame = {"fx": 50, "fy": 50, "cx": 20, "cy": 10, "w": 40, "h": 20}
        pose = np.linalg.inv(OPENCV).tolist()
        (camera,) = load(tmp_path, {"frames": [{**frame, "w2c": pose}]})
        np.testing.assert_allclose(camera.c2w, EXPECTED, atol=1e-12)

    @pytest.mark.parametrize("said", ["OpenCV", "opengl: y up"])
    def test_have_the_axes_that_the_file_says(self, tmp_path: Path, said: str) -> None:
        pose = (OPENCV if said == "OpenCV" else OPENGL).tolist()
        (camera,) = load(tmp_path, {**PIXELS, "convention": said, "frames": [{"c2w": pose}]})
        np.testing.assert_allclose(camera.c2w, EXPECTED, atol=1e-12)

    def test_twice_are_fine_where_they_agree_and_refused_where_not(self, tmp_path: Path) -> None:
        frame = {"transform_matrix": OPENGL.tolist(), "w2c": np.linalg.inv(OPENGL).tolist()}
        load(tmp_path, {**PIXELS, "frames": [frame]})
        with pytest.raises(CameraError, match="`transform_matrix` and `w2c` are different"):
            load(tmp_path, {**PIXELS, "frames": [{**frame, "w2c": OPENGL.tolist()}]})

    @pytest.mark.parametrize("pose", [[1.0] * 15, [1.0] * 16, "text", [["a"]], 5], ids=str)
    def test_that_are_none_are_refused_by_name(self, tmp_path: Path, pose: object) -> None:
        with pytest.raises(CameraError, match="`w2c`"):
            load(tmp_path, {**PIXELS, "frames": [{"w2c": pose}]})


class TestAnglesOfView:
    @pytest.mark.parametrize(
        ("values", "focal"),
        [
            ({"camera_angle_y": 0.7}, (10 / math.tan(0.35),) * 2),
            ({"camera_angle_x": 0.7}, (20 / math.tan(0.35),) * 2),
            (
                {"camera_angle_x": 0.7, "camera_angle_y": 0.7},
                (20 / math.tan(0.35), 10 / math.tan(0.35)),
            ),
            ({"fovy": 40}, (10 / math.tan(math.radians(20)),) * 2),
            ({"x_fov": 40}, (20 / math.tan(math.radians(20)),) * 2),
            ({"fl_y": 33, "camera_angle_y": 0.1}, (33, 33)),
        ],
        ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
    )
    def test_of_either_axis_hold_for_both_without_another(
        self, tmp_path: Path, values: dict[str, float], focal: tuple[float, float]
    ) -> None:
        frame = {"transform_matrix": OPENGL.tolist()}
        (camera,) = load(tmp_path, {"w": 40, "h": 20, **values, "frames": [frame]})
        assert (camera.fx, camera.fy) == pytest.approx(focal)

    @pytest.mark.parametrize(
        "values",
        [
            {"camera_angle_y": 4}, {"camera_angle_y": 0}, {"camera_angle_x": "1"}, {"fovx": 180},
            {"fovx": 40, "fl_x": 500}, {"fx": 40, "fl_x": 41}, {"camera_angle_x": 1e-320},
        ],
        ids=str,
    )  # fmt: skip
    def test_that_cannot_be_or_contradict_are_refused(
        self, tmp_path: Path, values: dict[str, Any]
    ) -> None:
        frame = {"transform_matrix": OPENGL.tolist()}
        with pytest.raises(CameraError):
            load(tmp_path, {"w": 40, "h": 20, **values, "frames": [frame]})

    def test_of_a_frame_win_over_a_focal_length_of_the_file(self, tmp_path: Path) -> None:
        frame = {"transform_matrix": OPENGL.tolist(), "camera_angle_x": 0.7}
        (camera,) = load(tmp_path, {**PIXELS, "frames": [frame]})
        assert camera.fx == pytest.approx(20 / math.tan(0.35))


class TestCameraPaths:
    DOCUMENT = {
        "camera_type": "perspective", "render_height": 20, "render_width": 40, "fps": 24,
        "seconds": 1, "is_cycle": False, "smoothness_value": 0, "crop": None,
        "keyframes": [{"matrix": "[]", "fov": 50}],
    }  # fmt: skip

    def test_have_vertical_angles_in_degrees_and_square_pixels(self, tmp_path: Path) -> None:
        entry = {"camera_to_world": OPENGL.ravel().tolist(), "fov": 40, "aspect": 1}
        (camera,) = load(tmp_path, {**self.DOCUMENT, "camera_path": [entry]})
        assert camera.fx == camera.fy == pytest.approx(10 / math.tan(math.radians(20)))
        assert (camera.width, camera.height, camera.cx, camera.cy) == (40, 20, 20, 10)
        np.testing.assert_allclose(camera.c2w, EXPECTED, atol=1e-12)

    @pytest.mark.parametrize(
        ("model", "lens", "focal"),
        [
            ("fisheye", Fisheye(), 10 / math.tan(math.radians(20))),
            ("equirectangular", Equirectangular(), 40 / (2 * math.pi)),
        ],
    )
    def test_of_wide_lenses_are_read(
        self, tmp_path: Path, model: str, lens: Lens, focal: float
    ) -> None:
        entry = {"camera_to_world": OPENGL.ravel().tolist(), "fov": 40}
        document = {**self.DOCUMENT, "camera_type": model, "camera_path": [entry]}
        (camera,) = load_cameras(write_json(tmp_path / "path.json", document))
        assert camera.lens == lens
        assert camera.fx == pytest.approx(focal)

    @pytest.mark.parametrize("model", ["omnidirectional", "vr180", 5])
    def test_of_other_lenses_are_refused_by_name(self, tmp_path: Path, model: object) -> None:
        entry = {"camera_to_world": OPENGL.ravel().tolist(), "fov": 40}
        document = {**self.DOCUMENT, "camera_type": model, "camera_path": [entry]}
        with pytest.raises(CameraError, match=f"camera_type.*{model}"):
            load(tmp_path, document)


class TestSizes:
    def frames(self, *names: str) -> list[dict[str, Any]]:
        return [{"file_path": name, "transform_matrix": OPENGL.tolist()} for name in names]

    def test_of_each_frame_are_its_own(self, tmp_path: Path) -> None:
        frames = self.frames("a", "b")
        frames[0].update(w=32, h=30, fl_x=50)
        frames[1].update(w=48, h=40, fl_x=80)
        cameras = load(tmp_path, {"frames": frames})
        assert [(c.width, c.height, c.fx, c.cx) for c in cameras] == [
            (32, 30, 50, 16),
            (48, 40, 80, 24),
        ]

    def test_of_each_frame_are_those_of_its_own_picture(self, tmp_path: Path) -> None:
        write_png_header(tmp_path / "a.png", 32, 30)
        write_png_header(tmp_path / "in" / "b.png", 48, 40)
        document = {"camera_angle_x": 0.7, "frames": self.frames("a", ".\\in\\b", "none")}
        cameras = load(tmp_path, document, views="0-1")
        assert [(c.width, c.height) for c in cameras] == [(32, 30), (48, 40)]
        assert cameras[1].fx == pytest.approx(24 / math.tan(0.35))

    @pytest.mark.parametrize(
        "name", ["none", "images\\none.png", "a\x1b", "\0", "\ud800"], ids=repr
    )
    def test_of_a_picture_that_is_named_and_missing_are_asked_for(
        self, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(CameraError, match="is no PNG or JPEG picture.*--size") as caught:
            load(tmp_path, {"camera_angle_x": 0.7, "frames": self.frames(name)})
        assert str(caught.value).isprintable()

    def test_asked_for_are_those_of_a_picture_that_is_missing(self, tmp_path: Path) -> None:
        document = {"camera_angle_x": 0.7, "frames": self.frames("none")}
        (camera,) = load(tmp_path, document, size=(40, 20))
        assert camera.fx == camera.fy == pytest.approx(20 / math.tan(0.35))

    def test_are_800_by_800_where_no_picture_is_named(self, tmp_path: Path) -> None:
        frame = {"transform_matrix": OPENGL.tolist()}
        (camera,) = load(tmp_path, {"camera_angle_x": 0.7, "frames": [frame]})
        assert (camera.width, camera.height) == (800, 800)
