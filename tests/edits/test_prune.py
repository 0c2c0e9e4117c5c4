"""`prune` keeps dense voxels and what is around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dense import assert_holds, dense

from plenostream.edits import prune
from plenostream.errors import InvalidInput
from plenostream.testing.checkpoints import CheckpointArrays, from_dense, random_checkpoint
from plenostream.testing.pictures import open_renderer, rays_around
from plenostream.testing.scenes import write_checkpoint_plain

SOURCE = random_checkpoint(9, size=(40, 24, 22), active_share=0.02)


def grown(voxels: np.ndarray) -> np.ndarray:
    """These voxels and the 26 around each."""
    out = np.zeros_like(voxels)
    for x, y, z in np.argwhere(voxels):
        out[max(0, x - 1) : x + 2, max(0, y - 1) : y + 2, max(0, z - 1) : z + 2] = True
    return out


@pytest.mark.parametrize("min_density", [0.0, 3.0, 1e9])
def test_thin_voxels_away_from_dense_ones_are_left_out(tmp_path: Path, min_density: float) -> None:
    active, density, sh = dense(SOURCE)
    kept = active & grown(density > min_density)
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    report = prune(tmp_path / "s", tmp_path / "out", min_density=min_density)
    assert report.n_voxels == kept.sum() < active.sum()
    assert_holds(tmp_path / "out", from_dense(kept, density, sh), tmp_path, 8)


def test_picture_stays_the_same_with_zero(
    gyroid: CheckpointArrays, make_scene: Callable[..., Path], tmp_path: Path
) -> None:
    prune(make_scene(gyroid), tmp_path / "out")
    origins, dirs = rays_around(6, 500)
    pictures = []
    for scene in (make_scene(gyroid), tmp_path / "out"):
        with open_renderer(scene) as renderer:
            pictures.append(renderer.render_rays(origins, dirs).rgb)
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_density_below_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="min_density is -1"):
        prune(tmp_path / "s", tmp_path / "out", min_density=-1)
