"""Data sets on the command line: what they are found to be, paths between views, evaluation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from paper import Paper, names, run


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
    assert run("render", "s", tmp_path / "out", *asked, "--frames", "0,2") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "cameras: NSVF folder, 2 views"
    assert [camera.eye_world[0] for camera in paper.cameras] == [2, 6]
    assert names(tmp_path / "out") == ["frame_0000.png", "frame_0002.png"]


def test_plan_says_it_too(paper: Paper, data_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "s", "--cameras", data_set, "--path", "interpolate", "--path-frames", 5) == 0
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
    assert run("render", "s", f"{tmp_path}/o/", *asked, "--path-frames", 8) == 0
    for camera in paper.cameras:
        np.testing.assert_allclose(camera.project([(2, 0, 0)]), [(8, 6)], atol=1e-9)
    for number in range(3):
        turned = [[1, 0, 0, number], [0, -1, 0, 0], [0, 0, -1, -4], [0, 0, 0, 1]]
        np.savetxt(data_set / "pose" / f"1_{number}.txt", turned)
    assert run("render", "s", f"{tmp_path}/p/", *asked) == 2
    assert "the middle of the scene is not before them" in capsys.readouterr().err


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
    asked = ("evaluate", "s", "--cameras", data_set, "--poses", "as-written", "--frames", "1-2")
    assert run(*asked, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [picture["name"] for picture in told["pictures"]] == ["1 1_1.png", "2 1_2.png"]
    assert told["mean"]["psnr"] == pytest.approx(-20 * math.log10(0.1), abs=1e-3)
    assert [camera.eye_world[0] for camera in paper.cameras] == [2, 3]
    assert run(*asked) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "cameras: NSVF folder"
