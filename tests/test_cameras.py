"""Cameras: what is accepted, what is refused, and that each convention ends in OpenCV axes."""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plenostream.cameras import (
    Camera,
    load_cameras,
    look_at_camera,
    orbit_cameras,
)
from plenostream.cameras.image_size import read_image_size
from plenostream.errors import CameraError, InvalidInput
from plenostream.grid import GridSpec
from plenostream.rules import parse_frames

IDENTITY = np.eye(4).tolist()
ANGLE = 0.6911112070083618


def make_camera(**changes: Any) -> Camera:
    values: dict[str, Any] = {
        "c2w": np.eye(4), "fx": 50.0, "fy": 60.0, "cx": 20.0, "cy": 10.0, "width": 40, "height": 20,
    }  # fmt: skip
    return Camera(**{**values, **changes})


def write_json(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def write_png_header(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height))


def project(camera: Camera, point_world: NDArray[np.float64]) -> tuple[float, float, float]:
    """Column, row and depth of a point in the picture, by the definition in `Camera`."""
    x, y, z = camera.c2w[:, :3].T @ (point_world - camera.eye_world)
    return camera.fx * x / z + camera.cx, camera.fy * y / z + camera.cy, z


@pytest.fixture
def transforms(tmp_path: Path) -> Path:
    """A NeRF-synthetic file of 13 frames at x = 0, 3, 6, ..."""
    frames = []
    for number in range(13):
        matrix = np.eye(4)
        matrix[0, 3] = 3.0 * number
        frames.append({"file_path": f"./train/r_{number}", "transform_matrix": matrix.tolist()})
    return write_json(tmp_path / "transforms.json", {"camera_angle_x": ANGLE, "frames": frames})


class TestCamera:
    @pytest.mark.parametrize("shape", [(3, 4), (4, 4)], ids=str)
    def test_takes_a_matrix_of_three_or_four_rows(self, shape: tuple[int, int]) -> None:
        assert make_camera(c2w=np.eye(4)[: shape[0]]).c2w.shape == (3, 4)

    def test_keeps_its_own_read_only_copy_of_the_matrix(self) -> None:
        matrix = np.eye(4)
        camera = make_camera(c2w=matrix)
        matrix[0, 3] = 7.0
        assert camera.eye_world[0] == 0.0
        with pytest.raises(ValueError, match="read-only"):
            camera.c2w[0, 3] = 1.0

    def test_accepts_rotations_rounded_to_three_decimals(self) -> None:
        exact = look_at_camera((3.0, -2.0, 1.5), (0.1, 0.2, 0.3)).c2w
        make_camera(c2w=np.round(exact, 3))

    @pytest.mark.parametrize(
        ("c2w", "message"),
        [
            (5.0, "a single number"),
            ([[1, 0], [0, 1]], "is 2x2"),
            (np.eye(5), "is 5x5"),
            ([[1, 0, 0, 0], [0, 1, 0], [0, 0, 1, 0]], "not a table"),
            ([["a"] * 4] * 4, "not a table"),
            (np.diag([1, math.nan, 1, 1]), "holds nan in row 1, column 1"),
            (np.diag([1, 1, 1, 2]), "ends in the row 0 0 0 2"),
            (np.diag([2, 2, 2, 1]), "lengths 2, 2, 2"),
            (np.diag([1e300, 1, 1, 1]), r"lengths 1e\+300, 1, 1"),
            (np.zeros((3, 4)), "lengths 0, 0, 0"),
            ([[1, 0.6, 0, 0], [0, 0.8, 0, 0], [0, 0, 1, 0]], "right angles"),
            (np.diag([1, 1, -1, 1]), "mirrors"),
        ],
    )
    def test_refuses_matrices_that_are_no_pose(self, c2w: object, message: str) -> None:
        with pytest.raises(CameraError, match=message):
            make_camera(c2w=c2w)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"fx": 0.0}, "fx is 0.0"),
            ({"fy": -1.0}, "fy is -1.0"),
            ({"cx": math.inf}, "cx is inf"),
            ({"cy": math.nan}, "cy is nan"),
            ({"fx": "50"}, "fx is '50'"),
            ({"fx": 10**400}, "fx is inf"),
            ({"width": 0}, "width is 0"),
            ({"height": 70_000}, "height is 70000"),
            ({"width": 40.0}, "width is 40.0"),
            ({"height": True}, "height is True"),
        ],
        ids=lambda value: None if isinstance(value, dict) else value,
    )
    def test_refuses_intrinsics_that_cannot_be(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(CameraError, match=message):
            make_camera(**changes)

    def test_resizing_keeps_every_ray_through_the_same_part_of_the_picture(self) -> None:
        camera = make_camera()
        wide = camera.resized(120, 30)
        assert (wide.width, wide.height) == (120, 30)
        column, row, _ = project(camera, np.array([0.3, -0.2, 2.0]))
        column_wide, row_wide, _ = project(wide, np.array([0.3, -0.2, 2.0]))
        np.testing.assert_allclose([column_wide / 3, row_wide / 1.5], [column, row], rtol=1e-12)


class TestPlacement:
    @given(st.tuples(*[st.floats(-10, 10)] * 3), st.tuples(*[st.floats(-10, 10)] * 3))
    def test_look_at_puts_the_target_in_the_middle_and_up_up(
        self, eye: tuple[float, float, float], target: tuple[float, float, float]
    ) -> None:
        gap = np.subtract(target, eye)
        if math.hypot(*gap) < 1e-3:
            return
        camera = look_at_camera(eye, target, size=(64, 48))
        column, row, depth = project(camera, np.asarray(target))
        np.testing.assert_allclose([column, row], [32.0, 24.0], atol=1e-6)
        np.testing.assert_allclose(depth, math.hypot(*gap), rtol=1e-9)
        if math.hypot(gap[0], gap[1]) > 1e-3 * abs(gap[2]):
            _, row_above, _ = project(camera, np.asarray(target) + np.array([0, 0, 1e-4 * depth]))
            assert row_above < row

    def test_look_at_straight_down_has_y_at_the_top(self) -> None:
        camera = look_at_camera((0, 0, 3), (0, 0, 0), size=(64, 64))
        column, row, _ = project(camera, np.array([0.1, 0.2, 0.0]))
        assert column > 32 > row

    def test_field_of_view_is_horizontal(self) -> None:
        camera = look_at_camera((0, -1, 0), (0, 0, 0), fov_degrees=90, size=(200, 100))
        column, _, _ = project(camera, np.array([1.0, 0.0, 0.0]))
        assert column == pytest.approx(200)
        assert camera.fx == camera.fy == pytest.approx(100)

    def test_a_picture_of_unknown_size_is_800_by_800(self) -> None:
        camera = look_at_camera((1, 2, 3), (0, 0, 0))
        assert (camera.width, camera.height) == (800, 800)

    @pytest.mark.parametrize("elevation", [-90.0, -40.0, 0.0, 30.0, 75.0, 90.0])
    @pytest.mark.parametrize("size", [(100, 100), (300, 80), (60, 200)], ids=str)
    def test_orbit_shows_the_whole_box_from_every_side(
        self, elevation: float, size: tuple[int, int]
    ) -> None:
        grid = GridSpec(size=(4, 5, 6), radius=(1.0, 2.5, 0.4), center=(3.0, -1.0, 2.0))
        corners = np.array(grid.center) + np.array(grid.radius) * (
            np.stack(np.meshgrid(*[[-1, 1]] * 3), -1).reshape(-1, 3)
        )
        cameras = orbit_cameras(grid, 36, elevation_degrees=elevation, fov_degrees=50, size=size)
        for camera in cameras:
            for corner in corners:
                column, row, depth = project(camera, corner)
                assert depth > 0
                assert -1e-9 <= column <= size[0] + 1e-9
                assert -1e-9 <= row <= size[1] + 1e-9

    def test_orbit_default_distance_is_the_nearest_that_shows_a_column_whole(self) -> None:
        # Seen level, the cylinder around the box touches the picture's left and right edges.
        grid = GridSpec(size=(4, 4, 4), radius=(1.0, 1.0, 1e-3))
        (camera,) = orbit_cameras(grid, 1, elevation_degrees=0, fov_degrees=60)
        assert math.hypot(*camera.eye_world) == pytest.approx(math.sqrt(2) / math.sin(math.pi / 6))

    def test_orbit_goes_round_counter_clockwise_from_plus_x_at_the_distance_asked_for(self) -> None:
        grid = GridSpec(size=(4, 4, 4), center=(0.0, 0.0, 5.0))
        cameras = orbit_cameras(grid, 4, elevation_degrees=0, distance=3.0)
        eyes = np.array([camera.eye_world for camera in cameras])
        expected = [(3, 0, 5), (0, 3, 5), (-3, 0, 5), (0, -3, 5)]
        np.testing.assert_allclose(eyes, expected, atol=1e-12)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"n": 0}, "^n is 0"),
            ({"elevation_degrees": 91.0}, "elevation_degrees is 91"),
            ({"elevation_degrees": math.nan}, "elevation_degrees is nan"),
            ({"distance": -1.0}, "distance is -1"),
            ({"fov_degrees": 180.0}, "fov_degrees is 180"),
            ({"size": (0, 5)}, "size is"),
        ],
        ids=lambda value: None if isinstance(value, dict) else value,
    )
    def test_orbit_refuses_what_cannot_be(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            orbit_cameras(GridSpec(size=(2, 2, 2)), **{"n": 3, **changes})

    @pytest.mark.parametrize(
        "target", [(1, 2, 3), (1, 2), (1, 2, math.inf), ("a", 1, 2)], ids=["eye", "2", "inf", "a"]
    )
    def test_look_at_refuses_a_target_that_gives_no_direction(self, target: Any) -> None:
        with pytest.raises(InvalidInput):
            look_at_camera((1, 2, 3), target)


class TestFrames:
    def test_runs_and_numbers_keep_their_order(self) -> None:
        assert parse_frames("8-10, 0,3") == [range(8, 11), range(0, 1), range(3, 4)]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not a frame"),
            ("1,,2", "is not a frame"),
            ("-3", "is not a frame"),
            ("1-", "is not a frame"),
            ("1.5", "is not a frame"),
            ("a-b", "is not a frame"),
            ("\N{SUPERSCRIPT TWO}", "is not a frame"),
            ("9" * 5000, "is not a frame"),
            ("5-3", "ends before it begins"),
            ("1,0-4", "named before"),
            ("2,2", "named before"),
        ],
    )
    def test_text_that_names_no_frames_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(InvalidInput, match=message):
            parse_frames(text)

    @pytest.mark.parametrize("frames", ["0,3,8-12", [0, 3, 8, 9, 10, 11, 12]], ids=["text", "list"])
    def test_chosen_frames_are_loaded_in_order(self, transforms: Path, frames: Any) -> None:
        cameras = load_cameras(transforms, frames=frames, scene_scale=1)
        assert [c.eye_world[0] / 3 for c in cameras] == [0, 3, 8, 9, 10, 11, 12]

    @pytest.mark.parametrize(("frames", "wrong"), [("13", 13), ("4-999999999999", 13), ("99", 99)])
    def test_a_frame_beyond_the_file_is_refused_with_the_count(
        self, transforms: Path, frames: str, wrong: int
    ) -> None:
        with pytest.raises(InvalidInput, match=rf"frame {wrong} .* has 13 \(0 to 12\)"):
            load_cameras(transforms, frames=frames)


class TestNerfSynthetic:
    def test_auto_scale_is_two_thirds(self, transforms: Path) -> None:
        assert load_cameras(transforms)[1].eye_world[0] == pytest.approx(2.0)
        assert load_cameras(transforms, scene_scale=1.0)[1].eye_world[0] == 3.0

    def test_opengl_axes_become_opencv_axes(self, transforms: Path) -> None:
        # At rest an OpenGL camera looks along -z with y up.
        camera = load_cameras(transforms)[0]
        np.testing.assert_array_equal(camera.c2w[:, :3], np.diag([1, -1, -1]))

    def test_is_800_by_800_without_pictures_and_without_a_size(self, transforms: Path) -> None:
        camera = load_cameras(transforms)[0]
        assert (camera.width, camera.height, camera.cx, camera.cy) == (800, 800, 400, 400)
        assert camera.fx == camera.fy == pytest.approx(1111.1110311937682)

    def test_takes_the_size_of_its_pictures(self, transforms: Path) -> None:
        write_png_header(transforms.parent / "train" / "r_3.png", 300, 200)
        camera = load_cameras(transforms)[0]
        assert (camera.width, camera.height) == (300, 200)
        assert camera.fx == pytest.approx(150 / math.tan(ANGLE / 2))

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
            ({"k1": 0.05}, "k1 = 0.05"),
            ({"p2": -1e-3}, "p2 = -0.001"),
            ({"camera_model": "OPENCV_FISHEYE"}, "'OPENCV_FISHEYE'"),
            ({"camera_model": ["x"]}, "lens model"),
            ({"is_fisheye": True}, "is_fisheye"),
        ],
        ids=lambda value: None if isinstance(value, dict) else value,
    )
    @pytest.mark.parametrize("place", ["file", "frame"])
    def test_of_a_lens_that_is_no_pinhole_are_refused_by_name(
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
            ({"transform_matrix": [[True, 0, 0, 0]] * 4}, "holds 'True'"),
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


class TestViews:
    def test_of_the_recorded_cases_load_as_they_are(self, shared: Path) -> None:
        cameras = load_cameras(shared / "reference" / "26_camera" / "cameras.json")
        assert [(c.width, c.height) for c in cameras] == [(48, 32), (32, 40), (24, 24)]
        assert (cameras[0].fx, cameras[0].fy, cameras[0].cx, cameras[0].cy) == (55, 47, 22.3, 17.9)
        np.testing.assert_allclose(cameras[1].eye_world, [-0.4, -2.9, 0.3], atol=1e-6)


class TestBadFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not JSON"),
            ("{", "is not JSON"),
            ("[" * 100_000, "is not JSON"),
            ('{"frames": [' + "9" * 5000 + "]}", "is not JSON"),
            ("[]", "holds no JSON object, but a list"),
            ("{}", "neither `frames`"),
            ('{"frames": []}', "at least one"),
            ('{"frames": 5}', "at least one"),
            ('{"frames": [5]}', "frame 0 is no JSON object, but a number"),
            (
                '{"camera_angle_x": 4, "frames": [{"transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}',
                "0 to pi",
            ),
            (
                '{"frames": [{"transform_matrix": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}',
                "neither `fl_x` nor",
            ),
            ('{"views": [{"c2w": [[1,0,0,0],[0,1,0,0],[0,0,1,0]]}]}', "there is no `fx`"),
        ],
    )
    def test_that_hold_no_cameras_are_refused(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        path = tmp_path / "cameras.json"
        path.write_text(text)
        with pytest.raises(CameraError, match=message):
            load_cameras(path)

    def test_that_are_not_text_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "cameras.json"
        path.write_bytes(b"\xff\xfe\x00\x80" * 10)
        with pytest.raises(CameraError, match="is not JSON"):
            load_cameras(path)

    def test_that_are_not_there_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match="is not there"):
            load_cameras(tmp_path / "none.json")

    def test_that_are_folders_or_pipes_are_refused_without_waiting(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path, tmp_path / "pipe"):
            with pytest.raises(CameraError, match="is not a file"):
                load_cameras(path)

    def test_pictures_named_by_a_file_are_never_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        entry = {"file_path": "pipe", "transform_matrix": IDENTITY}
        path = write_json(tmp_path / "t.json", {"camera_angle_x": 1, "frames": [entry]})
        assert load_cameras(path)[0].width == 800

    @pytest.mark.parametrize("scale", [0, -1.0, math.nan, math.inf, "2/3", True])
    def test_a_scale_that_means_nothing_is_refused(self, transforms: Path, scale: Any) -> None:
        with pytest.raises(InvalidInput, match="scene_scale"):
            load_cameras(transforms, scene_scale=scale)


class TestImageSize:
    def test_of_a_jpeg_is_read_from_its_frame_segment(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        app = b"\xff\xe0\x00\x06JFIF"
        table = b"\xff\xc4\x00\x04\x01\x02"
        path.write_bytes(b"\xff\xd8" + app + table + b"\xff\xc2\x00\x11\x08\x01\x2c\x01\x90")
        assert read_image_size(path) == (400, 300)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x89PNG\r\n\x1a\n\0\0",
            b"\xff\xd8\xff\xe0",
            b"\xff\xd8\0\0\0\0",
            b"GIF89a" + b"0" * 30,
        ],
        ids=["empty", "short png", "short jpeg", "no segment", "gif"],
    )
    def test_of_anything_else_is_unknown(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(content)
        assert read_image_size(path) is None
