"""`resample`: linear fields stay what they are, and means are those of the voxels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.edits import resample
from plenostream.errors import InvalidInput
from plenostream.testing.checkpoints import from_dense, random_checkpoint
from plenostream.testing.scenes import write_checkpoint_plain


def ramp(n: int) -> np.ndarray:
    """A density that is linear in the world, at the centres of n voxels."""
    return 3.0 + 2.0 * ((np.arange(n) + 0.5) / n * 2 - 1)


@pytest.mark.parametrize("factor", [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
def test_what_is_linear_stays_so(tmp_path: Path, factor: float) -> None:
    n, m = 80, round(80 * factor)  # of a quarter, one box is made in two portions
    active = np.ones((n, 20, 20), np.bool_)
    density = np.broadcast_to(ramp(n)[:, None, None], active.shape)
    sh = np.full(3, 0.25)
    write_checkpoint_plain(tmp_path / "s", from_dense(active, density, sh), brick_size=8)
    resample(tmp_path / "s", tmp_path / "out", factor)
    with ps.open_scene(tmp_path / "out") as scene:
        assert scene.grid.size == (m, round(20 * factor), round(20 * factor))
        assert scene.grid.radius == (1.0, 1.0, 1.0)
        values = scene.store.read_array("rows/density")
        index = scene.store.tables.index[0]
        first = int(scene.store.tables.row_start[1])
        assert index.tolist() == [0, 0, 0]
        local = values[:first].reshape(9, -1)
    expected = ramp(m)[:9]
    inside = expected > ramp(n)[0] + 0.05  # beyond the outermost old centres it is constant
    np.testing.assert_allclose(local[inside][:, 0], expected[inside], rtol=1e-5)


def test_half_the_voxels_are_means_of_eight(tmp_path: Path) -> None:
    source = random_checkpoint(4, size=(20, 16, 24), active_share=1.0, sh_dtype=np.float32)
    write_checkpoint_plain(tmp_path / "s", source, brick_size=8)
    eight = source.density.reshape(10, 2, 8, 2, 12, 2).astype(np.float64)
    density = eight.mean(axis=(1, 3, 5))
    weights = np.maximum(eight, 0)[..., None]
    sh = source.sh.reshape(10, 2, 8, 2, 12, 2, -1)
    total = weights.sum(axis=(1, 3, 5))
    mean = np.where(
        total > 0,
        (weights * sh).sum(axis=(1, 3, 5)) / np.where(total > 0, total, 1),
        sh.mean(axis=(1, 3, 5)),
    )
    resample(tmp_path / "s", tmp_path / "out", 0.5)
    with ps.open_scene(tmp_path / "out") as scene:
        assert scene.meta.n_voxels == density.size  # all have a positive one beside them
        assert scene.store.tables.index[0].tolist() == [0, 0, 0]
        n = int(scene.store.tables.row_start[1])
        got = scene.store.read_array("rows/density")[:n], scene.store.read_array("rows/sh")[:n]
    np.testing.assert_allclose(got[0], density[:9, :, :9].reshape(-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got[1], mean[:9, :, :9].reshape(n, -1), rtol=1e-4, atol=1e-5)


def test_scene_verifies_and_keeps_its_frame(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s", random_checkpoint(6, size=(40, 24, 22)), brick_size=8)
    resample(tmp_path / "s", tmp_path / "out", 1.3)
    assert ps.verify(tmp_path / "out").ok
    with ps.open_scene(tmp_path / "out") as scene:
        assert scene.meta.history[0].startswith("resample from (40, 24, 22) to (52, 31, 29) voxels")


def test_a_grid_may_have_another_shape(tmp_path: Path) -> None:
    active = np.ones((40, 20, 20), np.bool_)
    density = np.broadcast_to(ramp(40)[:, None, None], active.shape)
    write_checkpoint_plain(tmp_path / "s", from_dense(active, density, np.full(3, 0.25)))
    resample(tmp_path / "s", tmp_path / "out", grid=(10, 37, 20))
    assert ps.verify(tmp_path / "out").ok
    with ps.open_scene(tmp_path / "out") as scene:
        assert scene.grid.size == (10, 37, 20)
        assert scene.grid.radius == (1.0, 1.0, 1.0)
        first = int(scene.store.tables.row_start[1])
        values = scene.store.read_array("rows/density")[:first]
    rows = values.reshape(10, -1)
    np.testing.assert_allclose(rows, np.broadcast_to(ramp(10)[:, None], rows.shape), rtol=1e-5)


def test_grids_that_are_none_are_refused(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s", random_checkpoint(6, size=(40, 24, 22)), brick_size=8)
    said: dict[str, dict[str, Any]] = {
        "expected a factor or a grid": {},
        "and not both": {"factor": 1, "grid": (40, 24, 22)},
        "grid is .*each 2 to 65536 voxels": {"grid": (40, 1, 22)},
        "a quarter to four times": {"grid": (9, 24, 22)},
        "several steps": {"grid": (40, 24, 89)},
    }
    for match, given in said.items():
        with pytest.raises(InvalidInput, match=match):
            resample(tmp_path / "s", tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_factors_beyond_their_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="factor is 5; expected a number from 0.25 to 4"):
        resample(tmp_path / "s", tmp_path / "out", 5)
    write_checkpoint_plain(tmp_path / "s", random_checkpoint(6, size=(40, 4, 22)), brick_size=8)
    with pytest.raises(InvalidInput, match=r"leaves \(10, 1, 6\)"):
        resample(tmp_path / "s", tmp_path / "out", 0.25)
