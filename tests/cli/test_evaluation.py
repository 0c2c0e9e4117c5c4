"""`evaluate` and `compare`: what they compare, and what they print."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from paper import Paper, names, run

pytest.importorskip("skimage", reason="scikit-image is not installed")


def write_grey(path: Path, value: int, *, size: tuple[int, int] = (16, 12)) -> None:
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), value, np.uint8))


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Three views, of which the last has no photograph."""
    frames = [
        {"file_path": f"photos/r_{n}", "transform_matrix": np.eye(4).tolist()} for n in range(3)
    ]
    for number, value in (0, 128), (1, 153):
        write_grey(tmp_path / "photos" / f"r_{number}.png", value)
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"camera_angle_x": 0.7, "w": 32, "h": 24, "frames": frames}))
    return path


def db(difference: float) -> float:
    return -20 * math.log10(difference)


class TestEvaluate:
    def test_compares_each_view_with_its_photograph_at_the_photographs_size(
        self, paper: Paper, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        # The renderer of paper draws 0.5.
        assert run("evaluate", "s", "--cameras", data_set, "--views", "0-1", "--json",
                   "--save", tmp_path / "out") == 0  # fmt: skip
        told = json.loads(capsys.readouterr().out)
        assert [(c.width, c.height) for c in paper.cameras] == [(16, 12)] * 2
        assert [p["name"] for p in told["pictures"]] == ["0 r_0.png", "1 r_1.png"]
        scores = [p["psnr"] for p in told["pictures"]]
        assert scores == pytest.approx([db(128 / 255 - 0.5), db(0.6 - 0.5)], abs=1e-3)
        assert told["mean"]["psnr"] == pytest.approx(sum(scores) / 2)
        assert names(tmp_path / "out") == ["frame_0000.png", "frame_0001.png"]
        assert cv2.imread(str(tmp_path / "out" / "frame_0001.png")).shape == (12, 48, 3)

    def test_prints_a_table_with_the_mean_last(
        self, paper: Paper, data_set: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("evaluate", "s", "-q", "--cameras", data_set, "--views", "0-1") == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split()[:3] == ["picture", "PSNR", "(dB)"]
        assert [line.split()[0] for line in lines[1:]] == ["0", "1", "mean"]
        assert lines[2].split()[2] == "20.00"

    def test_names_the_views_that_have_no_photograph(
        self, paper: Paper, data_set: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("evaluate", "s", "--cameras", data_set) == 2
        said = capsys.readouterr().err
        assert "1 of 3 views" in said
        assert "--views 0,1 have one" in said
        assert paper.cameras == []

    def test_photograph_of_another_shape_is_refused(
        self, paper: Paper, data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_grey(tmp_path / "photos" / "r_0.png", 9, size=(16, 16))
        assert run("evaluate", "s", "--cameras", data_set, "--views", 0) == 2
        assert "16x16 pixels, and its camera 32x24" in capsys.readouterr().err

    def test_saved_pictures_are_not_written_over_others_unasked(
        self, paper: Paper, data_set: Path, tmp_path: Path
    ) -> None:
        write_grey(tmp_path / "out" / "frame_0000.png", 0)
        asked = ("evaluate", "s", "--cameras", data_set, "--views", 0, "--save", tmp_path / "out")
        assert run(*asked) == 1
        assert paper.cameras == []
        assert run(*asked, "--overwrite") == 0


class TestCompare:
    def test_two_pictures(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_grey(tmp_path / "a.png", 0)
        write_grey(tmp_path / "b.png", 51)
        assert run("compare", tmp_path / "a.png", tmp_path / "b.png") == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[1].split()[:2] == ["b.png", f"{db(0.2):.2f}"]

    def test_lpips_where_it_is_there(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        write_grey(tmp_path / "a.png", 0)
        asked = ("compare", tmp_path / "a.png", tmp_path / "a.png", "--lpips", "alex")
        with monkeypatch.context() as without:
            without.setitem(sys.modules, "lpips", None)
            assert run(*asked) == 1
        assert "LPIPS is computed with the package lpips" in capsys.readouterr().err
        monkeypatch.setattr(
            "plenostream.export.perceptual.choose_perceptual",
            lambda asked: (lambda a, b: 0.25, asked),
        )
        assert run(*asked) == 0
        head, line = capsys.readouterr().out.splitlines()
        assert head.endswith("SSIM (scikit-image)  LPIPS (alex)")
        assert line.endswith("        0.2500")
        assert run(*asked, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["lpips_network"], told["mean"]["lpips"]) == ("alex", 0.25)

    def test_two_folders_by_the_names_of_their_pictures(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in range(2):
            write_grey(tmp_path / "a" / f"{number}.png", 100)
            (tmp_path / "b").mkdir(exist_ok=True)
            np.save(tmp_path / "b" / f"{number}.npy", np.full((12, 16, 3), 100 / 255, np.float32))
        assert run("compare", tmp_path / "a", tmp_path / "b", "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert [p["name"] for p in told["pictures"]] == ["0", "1"]
        assert told["mean"]["ssim_svox2"] == pytest.approx(1)

    def test_folders_that_do_not_hold_the_same_are_refused(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_grey(tmp_path / "a" / "0.png", 1)
        write_grey(tmp_path / "b" / "1.png", 1)
        assert run("compare", tmp_path / "a", tmp_path / "b") == 2
        assert "0 is in one of them only" in capsys.readouterr().err
        assert run("compare", tmp_path / "a", tmp_path / "b" / "1.png") == 2


def test_region_is_that_part_of_every_picture(paper: Paper, tmp_path: Path) -> None:
    assert run("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "40x30",
               "--region", "4,5,20,10") == 0  # fmt: skip
    (camera,) = paper.cameras
    assert (camera.width, camera.height, camera.cx, camera.cy) == (20, 10, 16, 10)


def test_region_beyond_the_picture_is_refused(
    paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "40x30",
               "--region", "30,0,20,10") == 2  # fmt: skip
    assert "40x30" in capsys.readouterr().err
