"""tools/bench seams: what it looks at is what the renderer draws, and the field that it compares has no jump."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.edits import add_levels
from plenostream.engine.footprint import level_reach
from plenostream.format.opening import open_level
from plenostream.testing.checkpoints import random_checkpoint
from plenostream.testing.pictures import open_renderer, rays_of
from plenostream.testing.scenes import write_checkpoint_plain

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.mixed import MixedLevels  # noqa: E402

CAMERA = ps.look_at_camera((1.6, 1.1, 0.7), (0, 0, 0), size=(48, 40), fov_degrees=70)
FOOTPRINT = 8.0
"""Of which the picture has bricks of two levels."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seams")
    arrays = random_checkpoint(3, size=(33, 17, 25), active_share=0.3)
    write_checkpoint_plain(folder / "plain", arrays, brick_size=8)
    add_levels(folder / "plain", folder / "scene", levels=1)
    return folder / "scene"


def test_pictures_are_the_renderers_and_the_faces_have_no_jump_with_coarser_values(
    scene: Path,
) -> None:
    options = {"level": "auto", "pixel_footprint": FOOTPRINT, "background": 0.0}
    with open_renderer(scene, options=options, precision="float32") as renderer:
        drawn = renderer.render(CAMERA).rgb.reshape(-1, 3)
    with ps.open_scene(scene) as opened:
        mixed = MixedLevels([open_level(opened.store, level) for level in (0, 1)])
        eye = opened.grid.world_to_grid(CAMERA.eye_world)
        cut = mixed.cut(eye, level_reach(CAMERA, opened.grid, 1, FOOTPRINT))
    rays = rays_of(CAMERA)
    own, coarser = (mixed.see(*rays, cut, coarser=coarser) for coarser in (False, True))
    off = np.abs(own.rgb - drawn).max(axis=1) > 2e-4
    assert off.mean() < 0.005  # samples on the face of a brick may go either way
    differ = (own.rgb != coarser.rgb).any(axis=1)
    assert 0.01 < differ.mean() < 0.9
    assert not (differ & ~own.meets).any()

    # A face between a brick of level 0 and one of level 1, from both sides.
    axis, low = next(
        (axis, place) for axis in range(3) for place in np.argwhere(np.diff(cut, axis=axis) != 0)
    )
    face = (low + np.random.default_rng(1).random((100, 3))) * 8.0
    face[:, axis] = 8.0 * (low[axis] + 1)
    sides = []
    for hair in (-1e-9, 1e-9):
        at = face + hair * np.eye(3)[axis]
        level = cut[tuple((at[0] // 8).astype(int))]
        sides.append(mixed.density(int(level), at / 2.0**level, cut, coarser=True))
    np.testing.assert_allclose(*sides, atol=1e-4)
    assert np.ptp(sides[0]) > 1.0
