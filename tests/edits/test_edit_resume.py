"""An edit that was cut off goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import plenostream as ps
from plenostream import edits
from plenostream.testing.checkpoints import CheckpointArrays


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
