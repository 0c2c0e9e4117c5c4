"""What the commands hand to the library, write, and print."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from paper import Paper, names, run

from plenostream.cli.summary import totals
from plenostream.options import ConvertOptions
from plenostream.results import FrameStats


class TestRender:
    def test_says_where_the_picture_is_and_what_it_cost(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "a.png"
        assert run("render", "s", out, "--look-from", "3,0,0", "--size", "6x4") == 0
        assert paper.scenes == ["s"]
        told = capsys.readouterr().out.splitlines()
        assert told[0] == f"{out}: 1 frame, 6x4"
        assert told[1].startswith("time: ")
        assert told[2:] == [
            "device memory: peak 1 MB, planned 8 MB, allowed 512 MB",
            "bricks: 4 in view, 3 read (2 MB), 0 hidden, 0 evicted",
        ]
        assert cv2.imread(str(out)).shape == (4, 6, 3)

    def test_quiet_says_nothing(
        self, paper: Paper, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for before, after in (["--quiet"], []), ([], ["-q"]):
            run(*before, "render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4",
                "--overwrite", *after)  # fmt: skip
        assert capfd.readouterr() == ("", "")
        assert len(paper.cameras) == 2

    def test_names_frames_by_their_number_in_the_file(
        self, paper: Paper, tmp_path: Path, camera_file: Path
    ) -> None:
        assert run("render", "s", f"{tmp_path}/out/", "--cameras", camera_file, "--views", "0,8-9",
                   "--size", "4x4", "--outputs", "rgb,alpha,depth") == 0  # fmt: skip
        assert [name for name in names(tmp_path / "out") if "depth" not in name] == [
            "frame_0000.png", "frame_0008.png", "frame_0009.png",
        ]  # fmt: skip
        pixels = cv2.imread(str(tmp_path / "out" / "frame_0008.png"), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (4, 4, 4)

    def test_says_which_depths_the_colours_stand_for(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paper.alpha = 0.8
        run("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4", "--outputs", "depth")
        told = capsys.readouterr().out
        assert "colours of depth (turbo): red 2.5, blue 2.5 (world units)" in told

    def test_without_a_background_pictures_and_films_are_transparent(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        where = ("--orbit", 1, "--size", "6x4", "--background", "none")
        assert run("render", "s", tmp_path / "a.png", *where, "--png-bits", 16) == 0
        pixels = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
        assert (pixels.shape, pixels.dtype) == ((4, 6, 4), np.uint16)
        assert (pixels[..., 3] == round(0.25 * 65_535)).all()
        assert paper.options is not None
        assert (paper.options.outputs, paper.options.background_rgb) == (("rgb", "alpha"), (0,) * 3)
        capsys.readouterr()
        assert run("render", "s", tmp_path / "a.webm", *where) == 0
        assert "film: transparent" in capsys.readouterr().out
        assert run("render", "s", tmp_path / "a.npy", *where, "--outputs", "depth") == 0
        assert np.load(tmp_path / "a.npy").shape == (4, 6)

    def test_looks_at_the_middle_of_the_scene_unless_told(
        self, paper: Paper, tmp_path: Path
    ) -> None:
        run("render", "s", tmp_path / "a.png", "--look-from", "-2,0,0", "--size", "4x4")
        np.testing.assert_allclose(paper.cameras[0].c2w[:, 2], [1, 0, 0], atol=1e-12)

    def test_makes_a_film_of_an_orbit(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("render", "s", tmp_path / "a.mp4", "--orbit", 3, "--size", "16x16") == 0
        assert names(tmp_path) == ["a.mp4"]
        told = capsys.readouterr()
        assert "a.mp4: 3 frames, 16x16" in told.out
        assert "frames/s" in told.out
        assert "rendering: 3 of 3" in told.err

    def test_refuses_more_pixels_than_a_format_has_before_the_work(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        size = ("--orbit", 1, "--size", "16384x1")
        assert run("render", "s", tmp_path / "a.webp", *size) == 2
        assert "has up to 16383 pixels along an edge" in capsys.readouterr().err
        assert paper.cameras == []

    def test_replaces_nothing_unless_told(
        self, paper: Paper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "a.png").write_text("mine")
        arguments = ("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4")
        assert run(*arguments) == 1
        assert "exists; name another place, or replace it with --overwrite" in (
            capsys.readouterr().err
        )
        assert paper.cameras == []
        assert run(*arguments, "--overwrite") == 0
        assert cv2.imread(str(tmp_path / "a.png")) is not None


class TestStats:
    def test_hold_the_totals_and_each_frame(
        self, paper: Paper, tmp_path: Path, camera_file: Path
    ) -> None:
        stats = tmp_path / "stats.json"
        assert run("render", "s", tmp_path / "out", "--cameras", camera_file, "--views", "3,5",
                   "--size", "4x4", "--stats", stats) == 0  # fmt: skip
        told = json.loads(stats.read_text())
        assert {f.name for f in fields(FrameStats)} <= set(told)
        assert (told["bricks_read"], told["peak_device_bytes"]) == (6, 2_000_000)
        assert [frame["frame"] for frame in told["frames"]] == [3, 5]

    def test_of_several_frames_add_up_but_bounds_do_not(self) -> None:
        frames = [
            FrameStats(waves=2, peak_device_bytes=7, allowed_device_bytes=9).to_dict(),
            FrameStats(waves=3, peak_device_bytes=5, allowed_device_bytes=9).to_dict(),
        ]
        both = totals(frames)
        assert both["waves"] == 5
        assert both["peak_device_bytes"] == 7
        assert both["allowed_device_bytes"] == 9

    def test_that_are_there_are_found_before_the_work(self, paper: Paper, tmp_path: Path) -> None:
        (tmp_path / "stats.json").write_text("mine")
        assert run("render", "s", tmp_path / "a.png", "--orbit", 1, "--size", "4x4",
                   "--stats", tmp_path / "stats.json") == 1  # fmt: skip
        assert paper.cameras == []
        assert names(tmp_path) == ["stats.json"]


class TestPlan:
    def test_of_several_views_tells_the_one_that_takes_most(
        self, paper: Paper, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("plan", "s", "--orbit", 3) == 0
        assert capsys.readouterr().out == "of 3 views, number 2 takes most:\ntakes 3000000\n"

    def test_as_json_has_the_largest_of_each_bound(
        self, paper: Paper, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("plan", "s", "--orbit", 2, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert told["planned_device_bytes"] == 2_000_000
        assert told["smallest_budget_bytes"] == 9
        assert [each["planned_device_bytes"] for each in told["frames"]] == [1_000_000, 2_000_000]


class TestConvert:
    def test_hands_its_flags_to_the_library_and_prints_the_report(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        asked: dict[str, Any] = {}

        def fake(source: str, target: str, options: ConvertOptions, progress: Any) -> Any:
            asked.update(source=source, target=target, options=options)
            progress("packing", 4, 8)
            return SimpleNamespace(lines=lambda: ["two", "lines"])

        monkeypatch.setattr("plenostream.importers.svox2.convert.convert", fake)
        assert run("convert", "a.npz", "s.zarr", "--codec", "lz4", "--overwrite") == 0
        told = capsys.readouterr()
        assert told.out == "two\nlines\n"
        assert told.err == "packing:  50 %\n"
        options = ConvertOptions(codec="lz4", overwrite=True)
        assert asked == {"source": "a.npz", "target": "s.zarr", "options": options}
