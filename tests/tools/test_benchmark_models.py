"""tools/bench: its models, the checkpoint of many copies, and what it is compared with."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plenostream.cameras import Camera
from plenostream.errors import PlenostreamError
from plenostream.options import RenderOptions
from plenostream.testing.checkpoints import CheckpointArrays

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from benchmarks.baseline import build_baseline  # noqa: E402
from benchmarks.checkout import other_checkout  # noqa: E402
from benchmarks.models import TILED, Folders, present  # noqa: E402
from benchmarks.tiling import copy_offset, tile_checkpoint  # noqa: E402

COPIES = 2


@pytest.fixture(scope="module")
def tiled(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tiled") / "tiled.npz"
    tile_checkpoint(tiny_checkpoint, target, copies=COPIES)
    return target


def test_every_copy_has_the_values_of_the_model_in_its_place(
    tiny: CheckpointArrays, tiled: Path
) -> None:
    with np.load(tiled) as whole:
        links, density, sh = whole["links"], whole["density_data"], whole["sh_data"]
        np.testing.assert_array_equal(whole["radius"], np.multiply(tiny.radius, COPIES))
    active = np.tile(tiny.links, (COPIES,) * 3) >= 0
    np.testing.assert_array_equal(links[active], np.arange(len(density)))
    assert (links[~active] == -1).all()
    rows = np.tile(tiny.links, (COPIES,) * 3)[active]
    np.testing.assert_array_equal(density, tiny.density[rows, None])
    np.testing.assert_array_equal(sh, tiny.sh[rows])


def test_voxels_of_a_copy_are_where_its_offset_says(tiny: CheckpointArrays) -> None:
    x, y, z = np.multiply(tiny.size, COPIES).tolist()
    rx, ry, rz = np.multiply(tiny.radius, COPIES).tolist()
    whole = replace(tiny.grid, size=(x, y, z), radius=(rx, ry, rz))
    place, voxel = (1, 0, 1), np.array([3.0, 5.0, 7.0])
    in_whole = voxel + np.array(place) * np.array(tiny.size)
    expected = tiny.grid.grid_to_world(voxel) + copy_offset(tiny.radius, COPIES, place)
    np.testing.assert_allclose(whole.grid_to_world(in_whole), expected, atol=1e-12)


def test_models_that_are_neither_here_nor_can_be_made_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    (root / "data").mkdir(parents=True)
    (root / "data" / "still_128.npz").touch()
    folders = Folders(root, root / ".bench")
    assert present(folders) == ["still_128"]
    folders.made.mkdir()
    (folders.made / "still_512.npz").touch()
    assert present(folders) == ["still_128", "still_512", TILED]


def test_native_baseline_that_is_not_here_is_left_out_and_said_why(tmp_path: Path) -> None:
    said: list[str] = []
    assert build_baseline(tmp_path / "no", tmp_path / "built", said.append) is None
    assert "left out" in said[0]


def test_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    camera = Camera(c2w=np.eye(4), fx=8.0, fy=8.0, cx=4.0, cy=4.0, width=8, height=8)
    with (
        pytest.raises(PlenostreamError, match="is no checkout"),
        other_checkout(tmp_path, "scene.zarr", camera, RenderOptions()),
    ):
        pass
