"""Paths and views out of viewers (instant-ngp, Open3D), and plain matrices."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_files import write_json
from numpy.typing import NDArray

import plenostream as ps
from plenostream.cameras import Asked, read_cameras
from plenostream.errors import CameraError, InvalidInput

POSES = [
    ps.look_at_camera((2.0, 1.0, 1.5), (0.1, 0, 0)).c2w,
    ps.look_at_camera((-2.0, 0.4, -0.5), (0, 0.3, 0)).c2w,
]


def square(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([pose, (0, 0, 0, 1)])


class TestNgpPath:
    def test_keyframe_of_its_viewer_is_a_view_of_the_data_set(self, tmp_path: Path) -> None:
        # The view that its viewer starts with: at (0.5, 0.5, -0.5) of its own world, looking along
        # z there, which is y of the data set.
        keyframe = {"R": [0, 0, 0, 1], "T": [0.5, 0.5, -0.5], "slice": 0, "scale": 1, "fov": 50.625,
                    "aperture_size": 0}  # fmt: skip
        path = write_json(tmp_path / "p.json", {"time": 0.5, "path": [keyframe]})
        found = read_cameras(path, Asked(size=(64, 48)))
        camera = found.views[0].camera
        assert found.found == "instant-ngp camera path"
        np.testing.assert_allclose(camera.eye_world, [-1 / 0.33, 0, 0], atol=1e-12)
        np.testing.assert_allclose(camera.c2w[:, 2], [1, 0, 0], atol=1e-12)  # z there is x here
        np.testing.assert_allclose(camera.c2w[:, 0], [0, 1, 0], atol=1e-12)  # x there is y here
        assert camera.fx == camera.fy == pytest.approx(24 / np.tan(np.radians(50.625 / 2)))

    def test_quaternion_need_not_be_of_length_1(self, tmp_path: Path) -> None:
        def first(r: list[float]) -> NDArray[np.float64]:
            keyframes = [{"R": r, "T": [0, 0, 0], "fov": 40}]
            path = write_json(tmp_path / "p.json", {"path": keyframes})
            return ps.load_cameras(path)[0].c2w

        np.testing.assert_allclose(first([1, 2, 3, 4]), first([0.5, 1, 1.5, 2]), atol=1e-12)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("R", [0, 0, 0, 0], "frame 1: `R` is .* expected a quaternion"),
            ("R", [0, 0, 1], "`R` is .* expected 4 numbers"),
            ("T", [0, 0, "a"], "`T` is .* expected 3 numbers"),
            ("T", [0, 0, 1e300], "`T` is .* expected 3 numbers"),
            ("fov", 180, "`fov` is 180"),
            ("fov", None, "`fov` is None"),
            ("aperture_size", 0.1, "'aperture_size' = 0.1 is not drawn"),
            ("glow_mode", 2, "'glow_mode' = 2 is not drawn"),
            ("lens", "fisheye", "'lens' = 'fisheye' is not understood"),
        ],
    )
    def test_wrong_keyframe_is_named(
        self, tmp_path: Path, key: str, value: Any, message: str
    ) -> None:
        good = {"R": [0, 0, 0, 1], "T": [0.5, 0.5, -0.5], "fov": 50}
        path = write_json(tmp_path / "p.json", {"path": [good, good | {key: value}]})
        with pytest.raises(CameraError, match=message):
            ps.load_cameras(path)

    def test_unknown_key_is_refused(self, tmp_path: Path) -> None:
        good = {"R": [0, 0, 0, 1], "T": [0.5, 0.5, -0.5], "fov": 50}
        path = write_json(tmp_path / "p.json", {"path": [good], "mirror": True})
        with pytest.raises(CameraError, match="the key 'mirror' is not understood"):
            ps.load_cameras(path)


def open3d_camera(pose: NDArray[np.float64]) -> dict[str, Any]:
    """As Open3D writes it: column by column, pixels counted from the first one's centre."""
    return {
        "class_name": "PinholeCameraParameters",
        "version_major": 1,
        "extrinsic": np.linalg.inv(square(pose)).T.reshape(-1).tolist(),
        "intrinsic": {
            "width": 64,
            "height": 48,
            "intrinsic_matrix": [50.0, 0, 0, 0, 51.0, 0, 31.5, 23.5, 1],
        },
    }


class TestOpen3d:
    def test_trajectory_is_read(self, tmp_path: Path) -> None:
        document = {
            "class_name": "PinholeCameraTrajectory",
            "parameters": [open3d_camera(pose) for pose in POSES],
        }
        path = write_json(tmp_path / "t.json", document)
        for camera, pose in zip(ps.load_cameras(path), POSES, strict=True):
            np.testing.assert_allclose(camera.c2w, pose, atol=1e-12)
            # 31.5 there is the middle of 64 pixels, which is 32 here.
            assert (*camera.intrinsics, camera.width, camera.height) == (50, 51, 32, 24, 64, 48)

    def test_what_open3d_writes_itself_is_read(self, tmp_path: Path) -> None:
        open3d = pytest.importorskip("open3d", exc_type=ImportError)
        trajectory = open3d.camera.PinholeCameraTrajectory()
        written = []
        for number, pose in enumerate(POSES):
            camera = open3d.camera.PinholeCameraParameters()
            lens = (64 + number, 48, 50.25, 51.5, 30.0, 22.75 + number)
            camera.intrinsic = open3d.camera.PinholeCameraIntrinsic(*lens)
            camera.extrinsic = np.linalg.inv(square(pose))
            written.append(camera)
        trajectory.parameters = written
        path, single = tmp_path / "t.json", tmp_path / "c.json"
        assert open3d.io.write_pinhole_camera_trajectory(str(path), trajectory)
        assert open3d.io.write_pinhole_camera_parameters(str(single), written[1])
        found = read_cameras(path, Asked())
        assert found.is_path
        cameras = [view.camera for view in found.views]
        for camera, pose, theirs in zip(cameras, POSES, written, strict=True):
            np.testing.assert_allclose(camera.c2w, pose, atol=1e-12)
            size = theirs.intrinsic.width, theirs.intrinsic.height
            assert (camera.width, camera.height) == size
            # Where its own matrices put a point, counted from the middle of the first pixel.
            seen = theirs.intrinsic.intrinsic_matrix @ (theirs.extrinsic @ (0.1, 0.2, 0.3, 1))[:3]
            there = seen[:2] / seen[2] + 0.5
            np.testing.assert_allclose(camera.project([(0.1, 0.2, 0.3)])[0], there, atol=1e-9)
        (alone,) = ps.load_cameras(single)
        assert np.array_equal(alone.c2w, cameras[1].c2w)

    def test_single_camera_is_read(self, tmp_path: Path) -> None:
        path = write_json(tmp_path / "c.json", open3d_camera(POSES[1]))
        np.testing.assert_allclose(ps.load_cameras(path)[0].c2w, POSES[1], atol=1e-12)

    @pytest.mark.parametrize(
        ("place", "value", "message"),
        [
            (("extrinsic",), [1] * 9, "`extrinsic` is .* expected 16 numbers"),
            (("extrinsic",), [2.0] * 16, "`extrinsic` .*0 0 0 1"),
            (("intrinsic",), 5, "no `intrinsic`"),
            (("intrinsic", "width"), None, "`width` is None"),
            (("intrinsic", "intrinsic_matrix"), [50, 1, 0, 0, 51, 0, 32, 24, 1], "has a skew"),
            (("intrinsic", "intrinsic_matrix"), "x", "expected 9 numbers"),
        ],
    )
    def test_wrong_value_is_named(
        self, tmp_path: Path, place: tuple[str, ...], value: Any, message: str
    ) -> None:
        entry = copy.deepcopy(open3d_camera(POSES[0]))
        inside = entry
        for key in place[:-1]:
            inside = inside[key]
        inside[place[-1]] = value
        path = write_json(
            tmp_path / "t.json", {"class_name": "PinholeCameraTrajectory", "parameters": [entry]}
        )
        with pytest.raises(CameraError, match=f"frame 0: .*{message}"):
            ps.load_cameras(path)


class TestMatrices:
    @pytest.mark.parametrize("axes", ["opencv-c2w", "opencv-w2c", "opengl-c2w", "opengl-w2c"])
    @pytest.mark.parametrize("form", ["4x4", "3x4", "lines", "npy", "npy 3x4", "npy 12"])
    def test_mean_what_is_said_of_them(self, tmp_path: Path, axes: str, form: str) -> None:
        matrices = [square(pose) for pose in POSES]
        if axes.startswith("opengl"):
            matrices = [m @ np.diag([1, -1, -1, 1]) for m in matrices]
        if axes.endswith("w2c"):
            matrices = [np.linalg.inv(m) for m in matrices]
        listed = np.stack(matrices)
        path = tmp_path / ("m.npy" if form.startswith("npy") else "m.txt")
        if form.startswith("npy"):
            shaped = {
                "npy": listed,
                "npy 3x4": listed[:, :3],
                "npy 12": listed[:, :3].reshape(2, 12),
            }
            np.save(path, shaped[form])
        else:
            rows = {"4x4": listed, "3x4": listed[:, :3], "lines": listed.reshape(2, 1, 16)}[form]
            blocks = ["\n".join(" ".join(map(repr, row.tolist())) for row in m) for m in rows]
            path.write_text("# two views\n" + "\n\n".join(blocks) + "  # end\n")
        cameras = ps.load_cameras(path, camera_axes=axes, size=(64, 48), fov_degrees=60)
        for camera, pose in zip(cameras, POSES, strict=True):
            np.testing.assert_allclose(camera.c2w, pose, atol=1e-12)
            assert camera.fx == pytest.approx(32 / np.tan(np.radians(30)))

    def test_are_refused_where_nothing_is_said(self, tmp_path: Path) -> None:
        np.save(tmp_path / "m.npy", square(POSES[0]))
        with pytest.raises(InvalidInput, match="--camera-axes, one of opencv-c2w"):
            ps.load_cameras(tmp_path / "m.npy")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "m.txt holds no row"),
            ("1 2 3\n", "line 1 holds no row"),
            ("1 0 0 0\n0 1 0 0\n", "2 rows; expected 3 for each"),
            ("\n1 0 0 0\n0 1 0 0\n0 0 2 0\n", "line 2: the matrix is not a rotation"),
            ("1 0 0 0\n0 1 0 x\n", "line 2: 'x' is not a finite number"),
        ],
    )
    def test_line_that_is_wrong_is_named(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "m.txt").write_text(text)
        with pytest.raises(CameraError, match=message):
            ps.load_cameras(tmp_path / "m.txt", camera_axes="opencv-c2w")


class TestFormatsFound:
    def test_folder_of_several_formats_says_what_else_is_there(self, tmp_path: Path) -> None:
        entry = {"transform_matrix": np.eye(4).tolist()}
        write_json(tmp_path / "transforms.json", {"camera_angle_x": 0.7, "frames": [entry]})
        (tmp_path / "cameras.txt").write_text("1 PINHOLE 64 48 70 70 32 24\n")
        (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 3 1 a.png\n\n")
        found = read_cameras(tmp_path, Asked())
        assert found.found == (
            "NeRF-synthetic transforms (also there: colmap; see --camera-format)"
        )
        assert read_cameras(tmp_path, Asked(), "colmap").found == "COLMAP model (text)"

    def test_path_that_is_not_of_the_format_that_was_said_is_refused(self, tmp_path: Path) -> None:
        for name in ("colmap", "llff", "nsvf", "json"):
            with pytest.raises(CameraError, match=f"is not of the format {name}"):
                read_cameras(tmp_path, Asked(), name)
        with pytest.raises(InvalidInput, match="camera_format is 'blender'; expected one of"):
            read_cameras(tmp_path, Asked(), "blender")

    def test_folder_of_several_splits_says_which_can_be_named(self, tmp_path: Path) -> None:
        for split in ("train", "test"):
            write_json(tmp_path / f"transforms_{split}.json", {})
        with pytest.raises(
            CameraError, match="transforms_test.json, transforms_train.json: name one"
        ):
            ps.load_cameras(tmp_path)

    def test_nerf_synthetic_poses_as_written_are_not_scaled(self, transforms: Path) -> None:
        trained, written = (
            ps.load_cameras(transforms, size=(8, 8), poses=poses)[2].eye_world[0]
            for poses in ("svox2", "as-written")
        )
        assert (trained, written) == (pytest.approx(4), 6)
