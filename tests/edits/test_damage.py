"""Sound chunks in each other's places are found on every way out of a scene, as when it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plenostream as ps
from plenostream import edits
from plenostream.format.verify import verify
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.scenes import write_checkpoint_plain

WAYS: dict[str, Callable[[Path, Path], Any]] = {
    "add_levels": lambda scene, out: edits.add_levels(scene, out, levels=1),
    "crop": lambda scene, out: edits.crop(scene, out, [-2.0] * 3 + [2.0] * 3, keep_grid=True),
    "merge": lambda scene, out: edits.merge([scene, scene], out),
    "prune": lambda scene, out: edits.prune(scene, out, min_density=0.1),
    "resample": lambda scene, out: edits.resample(scene, out, 0.5),
    "transform": lambda scene, out: edits.transform(scene, out, radius=(2.0, 2.0, 2.0)),
    "npz": lambda scene, out: ps.export_scene(scene, out.with_suffix(".npz")),
    "points": lambda scene, out: ps.export_scene(scene, out.with_suffix(".ply")),
    "mesh": lambda scene, out: ps.export_scene(scene, out.with_suffix(".obj")),
    "volume": lambda scene, out: ps.export_scene(scene, out.with_suffix(".zarr")),
}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("array", ["rows/density", "rows/sh"])
@pytest.mark.parametrize("way", WAYS)
def test_damaged_brick_is_named_and_nothing_is_written(
    tiny: CheckpointArrays, tmp_path: Path, way: str, array: str
) -> None:
    scene = tmp_path / "scene.zarr"
    write_checkpoint_plain(scene, tiny, brick_size=8)
    one, two = sorted(path for path in (scene / array / "c").rglob("*") if path.is_file())[:2]
    one.write_bytes(two.read_bytes())
    damaged = {brick for fault in verify(scene).faults for brick in fault.bricks}
    with pytest.raises(ps.BrickCorrupt, match="does not match its digest") as raised:
        WAYS[way](scene, tmp_path / "out")
    assert raised.value.brick_id in damaged
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")]
