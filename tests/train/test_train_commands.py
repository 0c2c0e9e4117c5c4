"""`plenostream train` and `refine`, from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plenostream.cameras import PicturedCamera
from plenostream.cli.main import main
from plenostream.format.opening import open_store

QUICK = "--rays 640 --views-a-step 5 --threads 1 --basis-dim 1".split()


@pytest.fixture(scope="module")
def photographs(toy_views: list[PicturedCamera], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's views as a NeRF-synthetic file beside their photographs."""
    frames = []
    for view in toy_views:
        pose = np.eye(4)
        pose[:3] = view.camera.c2w
        pose[:3, 1:3] *= -1.0
        frames.append({"file_path": str(view.picture), "transform_matrix": pose.tolist()})
    camera = toy_views[0].camera
    angle = 2.0 * np.arctan(0.5 * camera.width / camera.fx)
    place = tmp_path_factory.mktemp("photographs") / "transforms_train.json"
    document = {"camera_angle_x": angle, "scene_scale": 1.0, "frames": frames}
    place.write_text(json.dumps(document))
    return place


def test_scene_is_trained_and_then_refined(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, stats, sheet = tmp_path / "a.zarr", tmp_path / "a.json", tmp_path / "a.png"
    flags = ["--size", "32", "--steps", "4", "--stats", stats, "--sheet", sheet, *QUICK]
    assert main(["train", *map(str, [photographs, scene, *flags])]) == 0
    told = capsys.readouterr()
    assert "trained 4 steps in 0:" in told.out
    assert "training 32" in told.err
    assert json.loads(stats.read_text())["readings"][-1]["step"] == 4
    assert sheet.stat().st_size > 0
    better = tmp_path / "b.zarr"
    refining = [scene, photographs, better, "--steps", "2", "--rays", "640", "--threads", "1"]
    assert main(["refine", *map(str, refining), "--test", str(photographs), "-q"]) == 0
    told = capsys.readouterr()
    assert told.out + told.err == ""
    with open_store(scene) as first, open_store(better) as second:
        assert (
            0 < second.meta.n_voxels <= first.meta.n_voxels
        )  # what turned invisible is not stored


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--stats", "{}/none/a.json"], "there is no folder"),
        (["--stats", "{}/a.png", "--sheet", "{}/a.png"], "over the file of --stats"),
        (["--sheet", "{}/a.jpg"], "ends in .png"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_training(
    photographs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    named = [flag.format(tmp_path) for flag in flags]
    assert main(["train", str(photographs), str(tmp_path / "a.zarr"), *named, *QUICK]) in (1, 2)
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
