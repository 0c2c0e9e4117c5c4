"""`transform` changes where a scene is, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dense import assert_holds

import plenostream as ps
from plenostream.edits import transform
from plenostream.errors import InvalidInput
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer, rays_around


def test_voxels_stay_and_the_frame_is_another(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    radius, center = (0.3, 400.0, 2.0), (5.0, -2.0, 0.0)
    report = transform(make_scene(gyroid), tmp_path / "out", radius=radius, center=center)
    moved = replace(gyroid, radius=radius, center=center)
    assert_holds(tmp_path / "out", moved, tmp_path, 16)
    with ps.open_scene(tmp_path / "out") as scene:
        assert (scene.grid.radius, scene.grid.center) == (radius, center)
        assert scene.meta.history[0].startswith("transform from radius (1.0, 1.0, 1.0) and center")
        assert report.density_rounding == scene.meta.density_rounding


def test_a_moved_scene_has_the_same_picture_from_a_moved_place(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    transform(make_scene(gyroid), tmp_path / "out", center=(8.0, -4.0, 0.5))
    origins, dirs = rays_around(2, 500)
    with open_renderer(make_scene(gyroid)) as renderer:
        expected = renderer.render_rays(origins, dirs)
    with open_renderer(tmp_path / "out") as renderer:
        seen = renderer.render_rays(origins + [8.0, -4.0, 0.5], dirs)
    assert (expected.alpha > 0.5).mean() > 0.2
    np.testing.assert_allclose(seen.rgb, expected.rgb, atol=1e-4)
    np.testing.assert_allclose(seen.depth, expected.depth, atol=1e-3)


def test_frames_that_are_none_are_refused(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    scene = make_scene(gyroid)
    with pytest.raises(InvalidInput, match="neither radius nor center"):
        transform(scene, tmp_path / "out")
    with pytest.raises(InvalidInput, match="radius is"):
        transform(scene, tmp_path / "out", radius=(1.0, 0.0, 1.0))
    with pytest.raises(InvalidInput, match="center is"):
        transform(scene, tmp_path / "out", center=(1.0, float("nan"), 1.0))
    assert list(tmp_path.iterdir()) == []
