"""Data sets on the command line: what they are found to be, paths between views, evaluation."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from paper import Paper, names, run

from plenostream.field.grid import GridSpec


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """An NSVF folder of three views at x = 1, 2, 3, looking along z, with photographs."""
    folder = tmp_path / "data"
    (folder / "pose").mkdir(parents=True)
    (folder / "rgb").mkdir()
    for number in range(3):
        pose = np.eye(4)
        pose[:3, 3] = (number + 1, 0, -4)
        np.savetxt(folder / "pose" / f"1_{number}.txt", pose)
        cv2.imwrite(str(folder / "rgb" / f"1_{number}.png"), np.full((12, 16, 3), 153, np.uint8))
    (folder / "intrinsics.txt").write_text("20 0 8 0\n0 20 6 0\n0 0 1 0\n0 0 0 1\n")
    return folder


def test_render_says_what_the_path_was_found_to_be(
    paper: Paper, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--cameras", data_set, "--poses", "as-written", "--scene-scale", 2)
    assert run("render", "s", tmp_path / "out", *asked, "--views", "0,2") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "cameras: NSVF folder, 2 views"
    assert [camera.eye_world[0] for camera in paper.cameras] == [2, 6]
    assert names(tmp_path / "out") == ["frame_0000.png", "frame_0002.png"]


def test_plan_says_it_too(paper: Paper, data_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "s", "--cameras", data_set, "--path", "interpolate", "--frames", 5) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "of 5 views, number 4 takes most:"
    assert told[-1] == "cameras: NSVF folder, 3 views; path: interpolate, 5 frames"


def test_format_that_was_said_is_taken(
    paper: Paper, data_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", "s", "--cameras", data_set, "--camera-format", "colmap") == 1
    assert "is not of the format colmap" in capsys.readouterr().err
    assert run("plan", "s", "--cameras", data_set, "--camera-format", "nsvf") == 0


def test_spiral_looks_at_the_middle_of_the_scene(
    paper: Paper, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # The scene of paper has its middle at (0.5, 0, 0), 4 before the cameras.
    asked = ("--cameras", data_set, "--poses", "as-written", "--path", "spiral")
    assert run("render", "s", f"{tmp_path}/o/", *asked, "--frames", 8) == 0
    for camera in paper.cameras:
        np.testing.assert_allclose(camera.project([(2, 0, 0)]), [(8, 6)], atol=1e-9)
    for number in range(3):
        turned = [[1, 0, 0, number], [0, -1, 0, 0], [0, 0, -1, -4], [0, 0, 0, 1]]
        np.savetxt(data_set / "pose" / f"1_{number}.txt", turned)
    assert run("render", "s", f"{tmp_path}/p/", *asked) == 2
    assert "the middle of the scene is not before them" in capsys.readouterr().err


class TestPathFiles:
    def test_pictures_of_a_nerfstudio_path_are_drawn_as_they_are(
        self,
        paper: Paper,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        poses = [[[1, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 0]] for x in (0, 1, 5)]
        entries = [{"camera_to_world": pose, "fov": 50} for pose in poses]
        document = {"camera_path": entries, "render_width": 32, "render_height": 24, "fps": 12.5}
        Path("p.json").write_text(json.dumps(document))
        assert run("render", "s", "a.mp4", "--path", "p.json") == 0
        assert [camera.eye_world[0] for camera in paper.cameras] == [0, 1, 5]
        with av.open("a.mp4") as film:
            assert film.streams.video[0].average_rate == Fraction(25, 2)
        told = capsys.readouterr().out
        assert "cameras: nerfstudio camera path, 3 views\n" in told
        paper.cameras.clear()
        assert run("render", "s", "o/", "--path", "p.json", "--views", "0-1", "--frames", 3) == 0
        eyes = [camera.eye_world[0] for camera in paper.cameras]
        assert eyes == pytest.approx([0, 0.5, 1], abs=1e-9)

    def test_course_leads_through_keyframes_and_views(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        keyframes = [{"R": [0, 0, 0, 1], "T": [0.5, 0.5, z], "fov": 50} for z in (0.5, 0.83)]
        path = tmp_path / "base_cam.json"
        path.write_text(json.dumps({"path": keyframes, "time": 0}))
        assert run("plan", "s", "--path", path) == 0
        told = capsys.readouterr().out.splitlines()
        assert (
            told[-1] == "cameras: instant-ngp camera path, 2 views; path: interpolate, 120 frames"
        )
        eyes = np.array([camera.eye_world for camera in paper.cameras])
        np.testing.assert_allclose(eyes[:, 0], np.linspace(0, 1, 120), atol=1e-9)


@pytest.fixture
def llff(tmp_path: Path) -> Path:
    """Two views of pictures of 100x50, focal length 80, that look along -z of the file."""
    rows = []
    for x in (-0.1, 0.1):
        matrix = np.array([[0, 1, 0, x, 50], [-1, 0, 0, 0, 100], [0, 0, 1, 0, 80]], float)
        rows.append([*matrix.reshape(-1), 1.0, 9.0])
    np.save(tmp_path / "poses_bounds.npy", rows)
    (tmp_path / "images").mkdir()
    for number in range(2):
        cv2.imwrite(f"{tmp_path}/images/{number}.png", np.full((50, 100, 3), 128, np.uint8))
    return tmp_path


class TestForwardFacingDataSets:
    # svox2 has 250 pixels more on each side of the pictures that it trains with, here of 20x10.
    PLACED = GridSpec(size=(8, 8, 8), radius=(1 + 500 / 20, 1 + 500 / 10, 1.0))

    @pytest.mark.parametrize(
        ("flags", "taken", "said"),
        [
            ((), (100, 50, 80, 80), "ndc: 100,50,80, as svox2 trains such a data set"),
            (("--ndc", "off"), "off", None),
            (("--ndc", "20,10,16"), (20, 10, 16, 16), None),
            (("--poses", "as-written"), None, None),
        ],
    )
    def test_give_a_scene_that_names_none_their_coordinates(
        self,
        paper: Paper,
        llff: Path,
        capsys: pytest.CaptureFixture[str],
        flags: tuple[str, ...],
        taken: object,
        said: str | None,
    ) -> None:
        paper.grid = self.PLACED
        assert run("render", "s", llff / "out", "--cameras", llff, "--size", "20x10", *flags) == 0
        assert paper.options is not None
        assert paper.options.ndc == taken
        told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("ndc: ")]
        assert [line.startswith(said or " ") for line in told] == [True] * (said is not None)

    def test_evaluation_and_json_say_so_too(
        self, paper: Paper, llff: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pytest.importorskip("skimage", reason="scikit-image is not installed")
        paper.grid = self.PLACED
        asked = ("--cameras", llff, "--json")
        assert run("evaluate", "s", *asked) == 0
        assert paper.options is not None
        assert paper.options.ndc == (100, 50, 80, 80)
        told = capsys.readouterr()
        assert json.loads(told.out)["mean"]["psnr"] > 50
        assert "ndc: 100,50,80, as svox2" in told.err
        assert run("plan", "s", *asked) == 0
        assert "ndc: 100,50,80, as svox2" in capsys.readouterr().err

    def test_leave_a_scene_alone_that_lies_elsewhere_or_names_its_own(
        self, paper: Paper, llff: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("plan", "s", "--cameras", llff) == 0
        assert paper.options is not None
        assert paper.options.ndc is None
        assert "ndc: none, though" in capsys.readouterr().out
        paper.ndc, paper.grid = (20.0, 10.0, 16.0, 16.0), self.PLACED
        assert run("plan", "s", "--cameras", llff) == 0
        assert paper.options.ndc is None
        assert "ndc: " not in capsys.readouterr().out

    def test_of_another_shape_are_refused(
        self, paper: Paper, llff: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper.grid = GridSpec(size=(8, 8, 8), radius=(1.5, 1.6, 1.0))
        assert run("plan", "s", "--cameras", llff) == 2
        assert "1.200 times as wide as high, and those" in capsys.readouterr().err

    def test_spiral_without_a_place_in_the_world_is_refused(
        self, paper: Paper, data_set: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper.ndc = (100.0, 50.0, 80.0, 80.0)
        assert run("plan", "s", "--cameras", data_set, "--path", "spiral") == 2
        assert "do not say where its middle is" in capsys.readouterr().err


def test_field_of_view_is_for_plain_matrices(
    paper: Paper, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", "s", "--cameras", data_set, "--fov", 50) == 2
    assert "fov_degrees is for plain matrices" in capsys.readouterr().err
    np.save(tmp_path / "m.npy", np.eye(4))
    asked = ("--cameras", tmp_path / "m.npy", "--fov", 90, "--size", "8x8")
    assert run("plan", "s", *asked) == 2
    assert "--camera-axes" in capsys.readouterr().err
    assert run("plan", "s", *asked, "--camera-axes", "opengl-c2w") == 0
    assert paper.cameras[0].fx == pytest.approx(4)
    assert paper.cameras[0].c2w[2, 2] == -1


def test_evaluate_compares_with_the_pictures_of_a_data_set(
    paper: Paper, data_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    asked = ("evaluate", "s", "--cameras", data_set, "--poses", "as-written", "--views", "1-2")
    assert run(*asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [picture["name"] for picture in told["pictures"]] == ["1 1_1.png", "2 1_2.png"]
    assert told["mean"]["psnr"] == pytest.approx(-20 * math.log10(0.1), abs=1e-3)
    assert [camera.eye_world[0] for camera in paper.cameras] == [2, 3]
    assert run(*asked) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "cameras: NSVF folder"
