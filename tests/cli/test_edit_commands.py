"""The commands that make scenes of scenes hand on what they are told; `info` says what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from paper import run

import plenostream as ps
from plenostream.testing.checkpoints import CheckpointArrays

USAGE = Path(__file__).resolve().parents[2] / "docs" / "usage.md"


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


def described(path: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> dict[str, Any]:
    """What `info --json` prints."""
    capsys.readouterr()
    assert run("info", path, "--json", *flags) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_scene_that_was_cut_and_merged_is_the_same(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, box in {"a": "0,0,0,20,48,48", "b": "20,0,0,48,48,48"}.items():
        assert run("crop", scene, tmp_path / name, "--box", box, "--units", "voxels") == 0
    told = capsys.readouterr()
    assert "bricks" in told.out
    assert "gather: 100 %" in told.err
    assert run("merge", tmp_path / "a", tmp_path / "b", tmp_path / "c", "-q") == 0
    assert run("merge", tmp_path / "a", tmp_path / "b", tmp_path / "d", "-q", "--shift", "20,0,0",
               "--overlap", "first", "--host-memory", "300MB") == 0  # fmt: skip
    one, merged, shifted = (described(p, capsys) for p in (scene, tmp_path / "c", tmp_path / "d"))
    for name in ("n_voxels", "n_rows", "grid_size", "bounds", "bricks_by_rows", "source_digest"):
        assert merged[name] == shifted[name] == one[name], name
    assert len(merged["history"]) == 3
    assert one["history"] == []


def test_each_command_makes_its_scene(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = described(scene, capsys)
    assert run("prune", scene, tmp_path / "p", "--min-density", 39) == 0
    assert run("resample", scene, tmp_path / "r", "--factor", 0.5) == 0
    assert run("transform", scene, tmp_path / "t", "--center", "-1,2,3", "--radius", "1,1,2") == 0
    assert run("crop", scene, tmp_path / "c", "--box", "-1,-1,-1,0,0,0", "--keep-grid") == 0
    found = {name: described(tmp_path / name, capsys) for name in "prtc"}
    assert found["p"]["n_voxels"] < before["n_voxels"]
    assert found["r"]["grid_size"] == [24, 24, 24]
    assert run("resample", scene, tmp_path / "g", "--grid", "20,48,60") == 0
    assert described(tmp_path / "g", capsys)["grid_size"] == [20, 48, 60]
    assert (found["t"]["center"], found["t"]["radius"]) == ([-1, 2, 3], [1, 1, 2])
    assert found["c"]["grid_size"] == [48, 48, 48]
    for name in "prtc":
        assert ps.verify(tmp_path / name).ok
        assert len(found[name]["history"]) == 1


def test_pruning_by_weight_says_its_error(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = ("--orbit", 3, "--size", "64x48", "--step-size", 1)
    assert run("prune", scene, tmp_path / "a", "--min-weight", 0, *views) == 0
    told = capsys.readouterr()
    assert "none: the pictures of 3 views are the same" in told.out
    assert "views after: 100 %" in told.err
    assert run("prune", scene, tmp_path / "b", "--min-weight", 0.3, *views) == 0
    assert re.search(r"error +PSNR \d+\.\d\d dB over 3 views", capsys.readouterr().out)
    assert run("prune", scene, tmp_path / "c", "--min-weight", 0.3) == 2
    assert run("prune", scene, tmp_path / "c", "--size", "64x48") == 2
    assert "name the cameras in one way" in capsys.readouterr().err


def test_what_is_missing_is_usage(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("crop", scene, tmp_path / "c") == 2
    assert "Missing option '--box'" in capsys.readouterr().err
    assert run("merge", tmp_path / "c") == 2
    assert run("merge", scene, tmp_path / "c") == 2
    assert "expected two scenes or more" in capsys.readouterr().err
    assert run("info", "model.npz", "--histogram") == 2
    assert run("info", scene, "--preview", tmp_path / "a.jpg") == 2
    assert list(tmp_path.iterdir()) == []


def test_an_edit_that_does_not_fit_its_memory_ends_in_3(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("prune", scene, tmp_path / "p", "--host-memory", "10MB") == 3
    assert "10 MB are allowed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_keys_of_info_are_those_of_the_page(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    section = USAGE.read_text().split("## What a scene holds")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(described(scene, capsys))


def test_histogram_counts_every_voxel_once(
    scene: Path, gyroid: CheckpointArrays, capsys: pytest.CaptureFixture[str]
) -> None:
    found = described(scene, capsys, "--histogram")["density_histogram"]
    assert found["n_not_positive"] == np.count_nonzero(gyroid.density <= 0)
    assert sum(found["voxels"]) == np.count_nonzero(gyroid.density > 0)
    for low, high, n in zip(found["edges"], found["edges"][1:], found["voxels"], strict=False):
        assert np.count_nonzero((gyroid.density > low) & (gyroid.density <= high)) == n
    assert run("info", scene, "--histogram") == 0
    told = capsys.readouterr().out
    assert re.search(rf"none +{found['n_not_positive']} +#", told)
    assert "bricks by rows" in told


def test_preview_is_a_sheet_of_six_views(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sheet.png"
    assert run("info", scene, "--preview", out) == 0
    assert f"preview    {out}" in capsys.readouterr().out
    pixels = cv2.imread(str(out))
    assert pixels.shape == (512, 768, 3)
    views = [pixels[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256, 512)]
    assert all((view < 250).any(axis=-1).mean() > 0.2 for view in views)
    assert len({view.tobytes() for view in views}) == 6
    assert run("info", scene, "--preview", out) == 1
    assert run("info", scene, "--preview", out, "--overwrite") == 0
