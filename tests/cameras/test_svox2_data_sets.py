"""LLFF and NSVF data sets: what the files mean, and where svox2's loaders put the cameras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from camera_files import write_png_header
from numpy.typing import NDArray

import plenostream as ps
from plenostream.cameras import Asked, load_pictured, read_cameras
from plenostream.errors import CameraError, InvalidInput

TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
"""A rotation: where the data set stands is no axis of the world's."""
FAR = np.array([4.0, -2.0, 7.0])


def elsewhere(pose: NDArray[np.float64], scale: float, at: float = 1) -> NDArray[np.float64]:
    return np.column_stack([TURN @ pose[:, :3], TURN @ pose[:, 3] * scale + at * FAR])


def ring(n: int = 8) -> list[NDArray[np.float64]]:
    """Cameras at distance 2 around the origin, +z up."""
    angles = 2 * np.pi * np.arange(n) / n
    eyes = [(1.6 * np.cos(a), 1.6 * np.sin(a), 1.2) for a in angles]
    return [ps.look_at_camera(eye, (0, 0, 0)).c2w for eye in eyes]


def write_nsvf(folder: Path, poses: list[NDArray[np.float64]], intrinsics: str) -> Path:
    (folder / "pose").mkdir(parents=True, exist_ok=True)
    for number, pose in enumerate(poses):
        np.savetxt(folder / "pose" / f"0_{number}.txt", pose, fmt="%.17g")
    (folder / "intrinsics.txt").write_text(intrinsics)
    return folder


DEEPVOXELS = "50 31 25 0.\n0. 0. 0.\n0.\n1.\n48 64\n"
MATRIX = "50 0 31 0\n0 52 25 0\n0 0 1 0\n0 0 0 1\n"


class TestNsvf:
    def test_cameras_are_brought_around_the_origin(self, tmp_path: Path) -> None:
        poses = [elsewhere(pose, 3.7, at=0) for pose in ring()]
        cameras = ps.load_cameras(write_nsvf(tmp_path, poses, DEEPVOXELS))
        for camera in cameras:
            assert np.linalg.norm(camera.eye_world) == pytest.approx(0.95)
            assert camera.eye_world[1] == pytest.approx(-0.95 * 0.6)  # 1.2 of 2 above, and up is -y
            np.testing.assert_allclose(camera.c2w[:, 2], -camera.eye_world / 0.95, atol=1e-9)
        gaps = [cameras[i].eye_world - cameras[i - 1].eye_world for i in range(8)]
        chord = 0.95 * 0.8 * 2 * np.sin(np.pi / 8)
        np.testing.assert_allclose(np.linalg.norm(gaps, axis=1), chord, atol=1e-9)

    def test_camera_stands_where_svox2_has_it(self, tmp_path: Path) -> None:
        # Recorded from svox2's `similarity_from_cameras` and `cam_scale_factor` 0.95. Far from the
        # origin of the file it does not find the middle of the ring, and nor do we.
        recorded = [
            [-1.0, 0.0, 0.0, 0.242816719],
            [0.0, 0.8, 0.6, -0.569101686],
            [0.0, 0.6, -0.8, 0.870725579],
        ]
        write_nsvf(tmp_path, [elsewhere(pose, 3.7) for pose in ring()], DEEPVOXELS)
        np.testing.assert_allclose(ps.load_cameras(tmp_path)[2].c2w, recorded, atol=1e-8)

    def test_whole_set_says_where_a_part_of_it_stands(self, tmp_path: Path) -> None:
        write_nsvf(tmp_path, [elsewhere(pose, 3.7) for pose in ring()], DEEPVOXELS)
        part = ps.load_cameras(tmp_path, views=[3])[0]
        np.testing.assert_array_equal(part.c2w, ps.load_cameras(tmp_path)[3].c2w)

    def test_scale_replaces_svox2s_and_as_written_moves_nothing(self, tmp_path: Path) -> None:
        poses = [elsewhere(pose, 3.7, at=0) for pose in ring()]
        write_nsvf(tmp_path, poses, DEEPVOXELS)
        scaled = ps.load_cameras(tmp_path, scene_scale=0.9)[0]
        assert np.linalg.norm(scaled.eye_world) == pytest.approx(0.9)
        written = ps.load_cameras(tmp_path, poses="as-written")[1]
        np.testing.assert_allclose(written.c2w, poses[1], atol=1e-12)

    def test_box_brings_its_middle_to_the_origin(self, tmp_path: Path) -> None:
        write_nsvf(tmp_path, [elsewhere(pose, 3.7) for pose in ring()], DEEPVOXELS)
        (tmp_path / "bbox.txt").write_text("3 -4 6 5 2 8 0.4\n")
        camera = ps.load_cameras(tmp_path, poses="svox2-bbox")[2]
        wanted = (elsewhere(ring()[2], 3.7)[:, 3] - (4, -1, 7)) / 3 / 1.2
        np.testing.assert_allclose(camera.eye_world, wanted, atol=1e-12)

    def test_intrinsics_are_a_matrix_or_five_lines(self, tmp_path: Path) -> None:
        camera = ps.load_cameras(write_nsvf(tmp_path / "a", ring(), DEEPVOXELS))[0]
        assert (*camera.intrinsics, camera.width, camera.height) == (50, 50, 31, 25, 64, 48)
        write_nsvf(tmp_path / "b", ring(), MATRIX)
        for number in range(8):
            write_png_header(tmp_path / "b" / "rgb" / f"0_{number}.png", 62, 50)
        view = load_pictured(tmp_path / "b")[5]
        camera = view.camera
        assert (*camera.intrinsics, camera.width, camera.height) == (50, 52, 31, 25, 62, 50)
        assert view.picture == tmp_path / "b" / "rgb" / "0_5.png"

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("intrinsics.txt", MATRIX, "nothing says how large the picture is"),
            ("intrinsics.txt", "1 2\n", "intrinsics.txt is no matrix"),
            ("intrinsics.txt", "", "intrinsics.txt is no matrix"),
            ("intrinsics.txt", "50 a 3\n", "intrinsics.txt, line 1: 'a' is not a finite number"),
            ("intrinsics.txt", "50 1e999 3\n", "'1e999' is not a finite number"),
            ("pose/0_2.txt", "1 0 0 0\n", "0_2.txt: it holds 4 numbers"),
            ("pose/0_2.txt", "2 0 0 0\n0 1 0 0\n0 0 1 0\n", "0_2.txt: .*not a rotation"),
        ],
    )
    def test_wrong_file_is_named(self, tmp_path: Path, name: str, text: str, message: str) -> None:
        write_nsvf(tmp_path, ring(), DEEPVOXELS)
        (tmp_path / name).write_text(text)
        with pytest.raises(CameraError, match=message):
            ps.load_cameras(tmp_path)

    def test_cameras_in_one_point_are_refused(self, tmp_path: Path) -> None:
        poses = [np.column_stack([pose[:, :3], (0, 0, 0)]) for pose in ring()]
        with pytest.raises(CameraError, match="stand in one point"):
            ps.load_cameras(write_nsvf(tmp_path, poses, DEEPVOXELS))

    def test_box_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        write_nsvf(tmp_path, ring(), DEEPVOXELS)
        with pytest.raises(CameraError, match="bbox.txt is not there"):
            ps.load_cameras(tmp_path, poses="svox2-bbox")


def forward() -> list[NDArray[np.float64]]:
    """Four cameras side by side in a square of 0.4, looking along -z, +y up (OpenCV axes)."""
    rotation = np.diag([1.0, -1.0, -1.0])
    eyes = [(x, y, 0.0) for x in (-0.2, 0.2) for y in (-0.2, 0.2)]
    return [np.column_stack([rotation, eye]) for eye in eyes]


def llff_rows(poses: list[NDArray[np.float64]], *, hwf: Any = (48, 64, 50)) -> NDArray[np.float64]:
    rows = []
    for number, pose in enumerate(poses):
        columns = [pose[:, 1], pose[:, 0], -pose[:, 2], pose[:, 3], *([hwf] if hwf else [])]
        rows.append([*np.stack(columns, axis=1).reshape(-1), 2.0 + number, 10.0])
    return np.array(rows)


class TestLlff:
    def test_mean_camera_is_brought_to_the_origin_as_svox2_does(self, tmp_path: Path) -> None:
        np.save(tmp_path / "poses_bounds.npy", llff_rows([elsewhere(p, 1.0) for p in forward()]))
        found = read_cameras(tmp_path, Asked())
        scale = 1 / (0.75 * 2)
        for view, pose in zip(found.views, forward(), strict=True):
            # x right, y down, z forward: y of the square turns round.
            wanted = pose[:, 3] * (scale, -scale, -scale)
            np.testing.assert_allclose(view.camera.eye_world, wanted, atol=1e-9)
            np.testing.assert_allclose(view.camera.c2w[:, :3], np.eye(3), atol=1e-9)
        # svox2: 0.9 of the nearest depth, 5 times the farthest, a quarter and three quarters.
        assert found.focus == pytest.approx(1 / (0.25 / (0.9 * 2) + 0.75 / (5 * 10)) * scale)
        camera = found.views[0].camera
        assert (*camera.intrinsics, camera.width, camera.height) == (50, 50, 32, 24, 64, 48)

    def test_as_written_moves_nothing(self, tmp_path: Path) -> None:
        poses = [elsewhere(p, 1.0) for p in forward()]
        np.save(tmp_path / "poses_bounds.npy", llff_rows(poses))
        cameras = ps.load_cameras(tmp_path / "poses_bounds.npy", poses="as-written", scene_scale=2)
        np.testing.assert_allclose(cameras[3].eye_world, poses[3][:, 3] * 2, atol=1e-12)
        np.testing.assert_allclose(cameras[3].c2w[:, :3], poses[3][:, :3], atol=1e-12)

    def test_intrinsics_beside_it_are_read(self, tmp_path: Path) -> None:
        np.save(tmp_path / "poses_bounds.npy", llff_rows(forward(), hwf=None))
        np.save(tmp_path / "hwf_cxcy.npy", np.array([48, 64, 50, 51, 30, 20.0]))
        camera = ps.load_cameras(tmp_path)[0]
        assert (*camera.intrinsics, camera.width, camera.height) == (50, 51, 30, 20, 64, 48)

    def test_pictures_belong_to_views_by_their_order_if_there_are_as_many(
        self, tmp_path: Path
    ) -> None:
        np.save(tmp_path / "poses_bounds.npy", llff_rows(forward()))
        for name in "dbac":
            write_png_header(tmp_path / "images" / f"{name}.png", 64, 48)
        assert [view.name for view in load_pictured(tmp_path)] == [
            "a.png",
            "b.png",
            "c.png",
            "d.png",
        ]
        write_png_header(tmp_path / "images" / "e.png", 64, 48)
        assert [view.picture for view in load_pictured(tmp_path)] == [None] * 4

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda rows: rows[:, 1:], "expected a row of 17 numbers"),
            (lambda rows: rows[:0], "expected a row of 17 numbers"),
            (lambda rows: rows * (1, *[1] * 14, -1, 1), "frame 0: the depths are -2 to 10"),
            (lambda rows: rows * (1, *[1] * 15, 0), "frame 0: the depths are 2 to 0"),
            (lambda rows: rows * 1.5, "frame 0: .* not a rotation"),
            (lambda rows: rows * np.nan, "values that are not finite"),
            (lambda rows: rows + [0, 0, 0, 0, 0.5, *[0] * 12], "64x48.5; expected whole numbers"),
            (lambda rows: rows.astype(complex), "type complex128"),
        ],
    )
    def test_wrong_array_is_refused(self, tmp_path: Path, change: Any, message: str) -> None:
        np.save(tmp_path / "poses_bounds.npy", change(llff_rows(forward())))
        with pytest.raises(CameraError, match=message):
            ps.load_cameras(tmp_path)

    def test_array_cut_short_anywhere_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "poses_bounds.npy"
        np.save(path, llff_rows(forward()))
        data = path.read_bytes()
        for n_bytes in range(len(data)):
            path.write_bytes(data[:n_bytes])
            with pytest.raises(CameraError, match=r"poses_bounds.npy"):
                ps.load_cameras(path)

    def test_box_belongs_to_nsvf(self, tmp_path: Path) -> None:
        np.save(tmp_path / "poses_bounds.npy", llff_rows(forward()))
        with pytest.raises(InvalidInput, match="svox2-bbox, which is for NSVF"):
            ps.load_cameras(tmp_path, poses="svox2-bbox")
