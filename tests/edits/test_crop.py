"""`crop` keeps the voxels of a box as they are, and where they are in the world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dense import assert_holds, cut_out, part_of

import plenostream as ps
from plenostream.edits import crop
from plenostream.errors import InvalidInput, OutputError, StoreExists
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.pictures import open_renderer, rays_around
from plenostream.testing.scenes import write_checkpoint_plain, zip_scene

SOURCE = random_checkpoint(
    5, size=(70, 30, 22), radius=(1.0, 0.8, 1.3), center=(0.1, 0.0, -0.2), active_share=0.1
)


@pytest.fixture(scope="module", params=[8, 16])
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, small_chunks: None
) -> tuple[Path, int]:
    path = tmp_path_factory.mktemp("scene") / "s.zarr"
    write_checkpoint_plain(path, SOURCE, brick_size=request.param)
    return path, request.param


BOXES = {
    "bricks": ([16, 0, 0], [64, 16, 22]),
    "across bricks": ([3, 5, 7], [58, 29, 21]),
    "two voxels": ([8, 8, 8], [10, 10, 10]),
    "everything": ([0, 0, 0], [70, 30, 22]),
}


@pytest.mark.parametrize("name", BOXES)
def test_voxels_of_the_box_stay_as_they_are(
    scene: tuple[Path, int], name: str, tmp_path: Path
) -> None:
    path, brick_size = scene
    lower, upper = BOXES[name]
    crop(path, tmp_path / "out", (*lower, *upper), units="voxels")
    assert_holds(tmp_path / "out", cut_out(SOURCE, lower, upper), tmp_path, brick_size)


def test_grid_that_is_kept_is_empty_outside_the_box(
    scene: tuple[Path, int], tmp_path: Path
) -> None:
    path, brick_size = scene
    lower, upper = [3, 5, 7], [58, 29, 21]
    crop(path, tmp_path / "out", (*lower, *upper), units="voxels", keep_grid=True)
    assert_holds(tmp_path / "out", part_of(SOURCE, lower, upper), tmp_path, brick_size)


def test_box_in_the_world_keeps_the_cells_that_it_touches(
    scene: tuple[Path, int], tmp_path: Path
) -> None:
    path, brick_size = scene
    low, high = SOURCE.grid.grid_to_world([[9.25, 4.0, 2.5], [30.5, 20.75, 200.0]]).tolist()
    crop(path, tmp_path / "out", (*low, *high))
    assert_holds(tmp_path / "out", cut_out(SOURCE, [9, 4, 2], [32, 22, 22]), tmp_path, brick_size)


def test_zip_files_are_cropped_too(scene: tuple[Path, int], tmp_path: Path) -> None:
    path, brick_size = scene
    zipped = zip_scene(path, tmp_path / "s.zip")
    crop(zipped, tmp_path / "out", (0, 0, 0, 20, 20, 20), units="voxels")
    assert_holds(tmp_path / "out", cut_out(SOURCE, [0, 0, 0], [20, 20, 20]), tmp_path, brick_size)


def test_picture_is_that_of_the_box(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    # The lower half: what a ray meets in it, it meets in the whole scene, if it comes from below
    # and is cut off where the half ends.
    crop(
        make_scene(gyroid), tmp_path / "kept", (0, 0, 0, 48, 48, 20), units="voxels", keep_grid=True
    )
    crop(make_scene(gyroid), tmp_path / "cut", (0, 0, 0, 48, 48, 20), units="voxels")
    write_checkpoint_plain(tmp_path / "plain", part_of(gyroid, [0, 0, 0], [48, 48, 20]))
    origins, dirs = rays_around(3, 800)
    seen = {}
    for name in ("kept", "cut", "plain"):
        with open_renderer(
            tmp_path / name, options={"step_size": 0.05}, precision="float32"
        ) as renderer:
            seen[name] = renderer.render_rays(origins, dirs)
    np.testing.assert_array_equal(seen["kept"].rgb, seen["plain"].rgb)
    assert 0.2 < (seen["cut"].alpha > 0.5).mean() < 0.9
    # The grid that is kept has a skin of half a cell above the box; steps begin elsewhere.
    assert np.median(np.abs(seen["cut"].rgb - seen["plain"].rgb)) < 1e-3


def test_history_says_what_was_done_and_to_which_scene(
    scene: tuple[Path, int], tmp_path: Path
) -> None:
    path, _ = scene
    crop(path, tmp_path / "a", (0, 0, 0, 40, 30, 22), units="voxels")
    crop(tmp_path / "a", tmp_path / "b", (8, 8, 8, 24, 24, 20), units="voxels", keep_grid=True)
    with ps.open_scene(path) as before, ps.open_scene(tmp_path / "b") as after:
        assert after.meta.source_digest == before.meta.source_digest
        assert after.meta.source_name == before.meta.source_name
        first, second = after.meta.history
    assert first.startswith("crop to voxels (0, 0, 0) to (40, 30, 22); of s.zarr (")
    assert before.meta.tables_digest in first
    assert second.startswith("crop to voxels (8, 8, 8) to (24, 24, 20), grid kept; of a (")


REFUSED: dict[str, tuple[Any, dict[str, Any], str]] = {
    "five numbers": ((0, 0, 0, 1, 1), {}, "expected six numbers"),
    "corners the other way": ((1, 1, 1, 0, 2, 2), {}, "the first three below the others"),
    "no units": ((0, 0, 0, 1, 1, 1), {"units": "metres"}, "units is 'metres'"),
    "half a voxel": ((0, 0, 0, 4.5, 4, 4), {"units": "voxels"}, "whole numbers of voxels"),
    "beyond the grid": ((0, 0, 0, 71, 4, 4), {"units": "voxels"}, r"voxels 0 to \(70, 30, 22\)"),
    "one voxel": ((4, 4, 4, 5, 6, 6), {"units": "voxels"}, "less than two voxels"),
    "elsewhere": ((7, 7, 7, 8, 8, 8), {}, "less than two voxels"),
    "other options": ((0, 0, 0, 1, 1, 1), {"options": ps.ConvertOptions()}, "expected EditOptions"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_box_is_refused(scene: tuple[Path, int], name: str, tmp_path: Path) -> None:
    box, said, message = REFUSED[name]
    with pytest.raises(InvalidInput, match=message):
        crop(scene[0], tmp_path / "out", box, **said)
    assert list(tmp_path.iterdir()) == []


def test_target_is_no_scene_that_is_there_already(scene: tuple[Path, int], tmp_path: Path) -> None:
    box = (0, 0, 0, 8, 8, 8)
    overwrite = ps.EditOptions(overwrite=True)
    with pytest.raises(OutputError, match="written over the scene"):
        crop(scene[0], scene[0], box, overwrite, units="voxels")
    crop(scene[0], tmp_path / "out", box, units="voxels")
    with pytest.raises(StoreExists):
        crop(scene[0], tmp_path / "out", box, units="voxels")
    crop(scene[0], tmp_path / "out", box, overwrite, units="voxels")
