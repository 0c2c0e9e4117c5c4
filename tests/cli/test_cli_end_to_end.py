"""The commands on real scenes: what they write is what the library gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest
from paper import run

import plenostream as ps
from plenostream.cameras import look_at_camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.results import RenderResult
from plenostream.scene import open_scene
from plenostream.testing.checkpoints import CheckpointArrays

VIEW = ("--look-from", "2.5,1,0.5", "--look-at", "0,0,0", "--size", "48x32")


@pytest.fixture(scope="module")
def scene(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene that the command line converted."""
    target = tmp_path_factory.mktemp("cli") / "tiny.zarr"
    assert run("convert", tiny_checkpoint, target, "--brick-size", 8, "--quiet") == 0
    return target


@pytest.fixture(scope="module")
def from_library(scene: Path) -> RenderResult:
    """The view of `VIEW`, black background, float32."""
    camera = look_at_camera((2.5, 1.0, 0.5), (0, 0, 0), size=(48, 32))
    options, stream = RenderOptions(background=0.0), StreamOptions(precision="float32")
    with open_scene(scene) as opened, Renderer(opened, options=options, stream=stream) as renderer:
        return renderer.render(camera)


def test_convert_reports_and_replaces_nothing_unless_told(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "s.zarr"
    assert run("convert", tiny_checkpoint, target) == 0
    told = capsys.readouterr()
    assert "bricks" in told.out
    assert told.err.splitlines()[-1].endswith("100 %")
    assert run("convert", tiny_checkpoint, target) == 1
    assert "plenostream: error: " in capsys.readouterr().err
    assert run("convert", tiny_checkpoint, target, "--overwrite", "-q") == 0


def test_convert_of_something_else_ends_in_1_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.npz").write_text("not an archive")
    assert run("convert", tmp_path / "notes.npz", tmp_path / "s.zarr", "-q") == 1
    assert capsys.readouterr().err.startswith("plenostream: error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.npz"]


def test_info_tells_the_grid_as_text_and_as_json(
    scene: Path, tiny: CheckpointArrays, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", scene) == 0
    assert "tiny.npz" in capsys.readouterr().out
    assert run("info", scene, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["grid_size"] == list(tiny.links.shape)
    assert told["n_voxels"] == np.count_nonzero(tiny.links >= 0)


def test_info_tells_what_a_checkpoint_holds_as_text_and_as_json(
    tiny_checkpoint: Path, tiny: CheckpointArrays, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("info", tiny_checkpoint) == 0
    assert f"{tiny_checkpoint}: svox2 checkpoint" in capsys.readouterr().out
    assert run("info", tiny_checkpoint, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == ps.open_checkpoint(tiny_checkpoint).to_dict()
    assert told["grid_size"] == list(tiny.links.shape)
    assert (told["n_rows"], told["basis_dim"]) == (len(tiny.sh), tiny.sh.shape[1] // 3)
    held = {key: (array["dtype"], array["bytes"]) for key, array in told["arrays"].items()}
    with np.load(tiny_checkpoint) as file:
        for key, (dtype, n_bytes) in held.items():
            assert (file[key].dtype, file[key].nbytes) == (np.dtype(dtype), n_bytes)


def test_verify_ends_in_0_for_a_whole_scene(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", scene, "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_verify_ends_in_1_naming_what_is_damaged_and_a_render_stops(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "s.zarr"
    run("convert", tiny_checkpoint, target, "-q")
    (target / "rows" / "sh" / "c" / "0" / "0").unlink()
    capsys.readouterr()
    assert run("verify", target) == 1
    assert "rows/sh" in capsys.readouterr().out
    assert run("verify", target, "--json") == 1
    assert json.loads(capsys.readouterr().out)["damaged_bricks"] != []
    assert run("render", target, tmp_path / "a.png", *VIEW) == 1
    assert "rows/sh" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


@pytest.mark.parametrize("command", [["info"], ["verify"], ["plan", *VIEW]], ids=lambda c: c[0])
def test_what_is_no_scene_ends_in_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    for place in (tmp_path / "none", tmp_path):
        assert run(command[0], place, *command[1:]) == 1
        assert str(place) in capsys.readouterr().err


def test_render_writes_what_the_library_gives(
    scene: Path, tmp_path: Path, from_library: RenderResult
) -> None:
    flags = (*VIEW, "--background", "black", "--precision", "float32", "-q")
    flags += ("--outputs", "rgb,alpha,depth")
    assert run("render", scene, tmp_path / "a.npy", *flags) == 0
    values = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(values[..., :3], from_library.rgb)
    np.testing.assert_array_equal(values[..., 3], from_library.alpha)
    np.testing.assert_array_equal(np.load(tmp_path / "a_depth.npy"), from_library.depth)
    assert run("render", scene, tmp_path / "a.exr", *flags, "--overwrite") == 0
    channels = OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True).channels()
    np.testing.assert_array_equal(channels["Z"].pixels, from_library.depth)


def test_render_of_an_orbit_makes_a_film_and_a_record_within_the_budget(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("render", scene, tmp_path / "a.mp4", "--orbit", 5, "--size", "48x32",
               "--device-memory", "64MB", "--stats", tmp_path / "s.json") == 0  # fmt: skip
    with av.open(str(tmp_path / "a.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 5
    told = json.loads((tmp_path / "s.json").read_text())
    assert len(told["frames"]) == 5
    assert 0 < told["peak_device_bytes"] <= told["planned_device_bytes"] <= 64_000_000
    assert told["allowed_device_bytes"] == 64_000_000
    assert "allowed 64 MB" in capsys.readouterr().out


@pytest.mark.slow
def test_plan_tells_the_smallest_budget_and_render_refuses_a_smaller_one(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", scene, *VIEW, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["planned_device_bytes"] <= told["allowed_device_bytes"] == 8_000_000_000
    assert told["working_set_bytes"] > 0
    smallest = told["smallest_budget_bytes"]
    budget = ("--device-memory", str(smallest))
    assert run("render", scene, tmp_path / "a.png", *VIEW, *budget, "-q") == 0
    too_small = ("--device-memory", str(smallest // 2), "--overwrite")
    assert run("render", scene, tmp_path / "a.png", *VIEW, *too_small) == 3
    assert "at least" in capsys.readouterr().err
    assert cv2.imread(str(tmp_path / "a.png")) is not None


def test_a_view_out_of_the_scene_is_background(
    make_scene: Callable[..., Path], tiny: CheckpointArrays, tmp_path: Path
) -> None:
    flags = ("--look-from", "3,0,0", "--look-at", "9,0,0", "--size", "8x8", "--background", "0.5")
    assert run("render", make_scene(tiny), tmp_path / "a.npy", *flags, "-q") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.float32(0.5))
