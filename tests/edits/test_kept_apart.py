"""What edits cannot keep they refuse by name, and one that was cut off goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plenostream as ps
from plenostream import edits
from plenostream.errors import InvalidInput
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.extras import layer_arrays, save_with, texture_arrays

EXTRAS: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {
    "background layers": (layer_arrays(1), 9, {}),
    "a learned basis": (texture_arrays(2, dim=4), 4, {}),
    "normalised device coordinates": ({}, 9, {"ndc": (100, 80, 90, 90)}),
}
EDITS: dict[str, Callable[[Path, Path], object]] = {
    "crop": lambda scene, out: edits.crop(scene, out, (-0.5,) * 3 + (0.5,) * 3),
    "merge": lambda scene, out: edits.merge([scene, scene], out),
    "prune": edits.prune,
    "resample": lambda scene, out: edits.resample(scene, out, 2),
    "transform": lambda scene, out: edits.transform(scene, out, center=(1, 1, 1)),
}


@pytest.mark.parametrize("extra", EXTRAS)
def test_scenes_with_more_than_voxels_are_refused_by_name(tmp_path: Path, extra: str) -> None:
    arrays, dim, options = EXTRAS[extra]
    checkpoint = random_checkpoint(1, basis_dim=dim)
    source = save_with(tmp_path / "c.npz", checkpoint, **arrays)
    ps.convert(source, tmp_path / "s", ps.ConvertOptions(**options))
    for edit in EDITS.values():
        with pytest.raises(InvalidInput, match=f"s has {extra}, which edits do not keep"):
            edit(tmp_path / "s", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_edit_that_was_cut_off_goes_on(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    scene = make_scene(gyroid, brick_size=8)
    steps: list[tuple[str, int]] = []

    def stop(step: str, done: int, total: int) -> None:
        steps.append((step, done))
        if (step, done) == ("pack", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        edits.prune(scene, tmp_path / "out", progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == [".out.partial"]
    gathered = [done for step, done in steps if step == "gather"]
    again: list[str] = []
    edits.prune(
        scene,
        tmp_path / "out",
        ps.EditOptions(resume=True),
        progress=lambda step, done, total: again.append(step),
    )
    assert gathered
    assert "gather" not in again
    edits.prune(scene, tmp_path / "whole")
    for one in sorted((tmp_path / "whole").rglob("*")):
        other = tmp_path / "out" / one.relative_to(tmp_path / "whole")
        assert other.is_dir() if one.is_dir() else one.read_bytes() == other.read_bytes()
