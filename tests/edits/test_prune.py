"""`prune` keeps dense voxels and what is around them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dense import assert_holds, dense

import plenostream as ps
from plenostream.edits import prune
from plenostream.engine.weighing import Weighing
from plenostream.errors import InvalidInput
from plenostream.format.opening import open_store
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


VIEWS = ps.orbit_cameras(SOURCE.grid, 3, size=(64, 48))


def weights_in(scene: Path) -> np.ndarray:
    """Weights of all voxels in `VIEWS`."""
    with (
        open_store(scene) as store,
        tempfile.TemporaryFile() as file,
        Weighing(store, ps.RenderOptions(), ps.StreamOptions(device="cpu"), file) as weighing,
    ):
        for camera in VIEWS:
            weighing.draw(camera)
        kept, found = weighing.weights(), np.zeros(store.meta.grid.size, np.float32)
        for brick, first in enumerate((store.tables.index * store.meta.brick_size).tolist()):
            local = np.argwhere(kept.active(brick).reshape((store.meta.bricks.edge,) * 3))
            np.maximum.at(found, tuple((local + first).T), kept.of(brick))
        return found


def test_voxels_that_no_view_sees_are_left_out(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    weights = weights_in(tmp_path / "s")
    active, density, sh = dense(SOURCE)
    least = float(np.median(weights[weights > 0]))
    kept = active & grown(weights > least)
    report = prune(tmp_path / "s", tmp_path / "out", min_weight=least, cameras=VIEWS)
    assert report.n_voxels == kept.sum() < active.sum()
    assert_holds(tmp_path / "out", from_dense(kept, density, sh), tmp_path, 8)
    pictures = []
    for scene in ("s", "out"):
        with open_renderer(tmp_path / scene) as renderer:
            pictures.append([renderer.render(view).rgb.clip(0, 1) for view in VIEWS])
    squares = [np.square(a.astype(float) - b).mean() for a, b in zip(*pictures, strict=True)]
    np.testing.assert_allclose(report.psnr, -10 * np.log10(squares), rtol=1e-9)
    assert f"{min(report.psnr):.2f} dB the worst" in report.lines()[-1]


@pytest.mark.slow
def test_warp_leaves_out_the_same_voxels(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    weights = np.sort(weights_in(tmp_path / "s"), axis=None)
    least = float(weights[weights > 0][100:102].mean())
    left = {}
    for backend in ("native", "warp"):
        stream = ps.StreamOptions(device="cpu", backend=backend)  # type: ignore[arg-type]
        how: dict[str, Any] = {"min_weight": least, "cameras": VIEWS, "stream": stream}
        prune(tmp_path / "s", tmp_path / backend, **how)
        with open_store(tmp_path / backend) as store:
            left[backend] = store.tables.mask, store.read_chunk("rows/density", 0)
    for one, other in zip(*left.values(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert 0 < len(left["warp"][1]) < len(SOURCE.density)


def test_what_views_see_stays_as_it_is_with_zero(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    report = prune(tmp_path / "s", tmp_path / "out", min_weight=0, cameras=VIEWS)
    assert report.psnr == (np.inf,) * 3
    assert "none: the pictures of 3 views are the same" in report.lines()[-1]
    assert report.n_voxels < np.count_nonzero(SOURCE.links >= 0)


def test_error_of_pruning_by_density_is_measured_too(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    report = prune(tmp_path / "s", tmp_path / "out", min_density=6.0, cameras=VIEWS[:1])
    assert 5 < report.psnr[0] < 60


def test_memory_too_small_for_the_views_is_said_with_what_would_do(tmp_path: Path) -> None:
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    small = ps.EditOptions(host_memory="80MB")
    large = [camera.resized(4000, 3000) for camera in VIEWS]
    with pytest.raises(ps.BudgetError, match="a third of host_memory") as refused:
        prune(tmp_path / "s", tmp_path / "out", small, min_weight=0.1, cameras=large)
    assert refused.value.allowed_bytes <= 80_000_000 < refused.value.smallest_bytes
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("way", [{"min_weight": 0.1}, {"min_density": 6.0}], ids=str)
def test_memory_too_small_for_bricks_is_said_before_views_are_drawn(
    tmp_path: Path, way: dict[str, float]
) -> None:
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    told: list[str] = []
    small = ps.EditOptions(host_memory="50MB")
    with pytest.raises(ps.BudgetError, match="at least, and 50 MB are allowed"):
        prune(
            tmp_path / "s",
            tmp_path / "out",
            small,
            cameras=VIEWS,
            progress=lambda step, done, total: told.append(step),
            **way,
        )
    assert told == []
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_what_is_no_pruning_is_refused(tmp_path: Path) -> None:
    def refused(match: str, **said: Any) -> None:
        with pytest.raises(InvalidInput, match=match):
            prune(tmp_path / "s", tmp_path / "out", **said)

    refused("min_weight takes the place of min_density", min_weight=0.1)
    refused("takes the place", min_weight=0.1, min_density=1, cameras=VIEWS)
    refused("min_weight is 1.5", min_weight=1.5, cameras=VIEWS)
    refused(r"cameras is \[\]; expected one Camera or more", cameras=[])
    refused("render says how pictures are drawn", render=ps.RenderOptions())
    refused("stream is 3; expected StreamOptions", stream=3, cameras=VIEWS)


def test_density_below_zero_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="min_density is -1"):
        prune(tmp_path / "s", tmp_path / "out", min_density=-1)
