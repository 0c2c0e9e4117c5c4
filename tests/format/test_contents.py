"""What `info` counts is what the arrays hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plenostream.format.contents import bricks_by_rows, density_histogram, world_bounds
from plenostream.format.info import info_lines, scene_info
from plenostream.format.opening import open_store
from plenostream.testing.checkpoints import (
    CheckpointArrays,
    empty_checkpoint,
    random_checkpoint,
    single_voxel_checkpoint,
)
from plenostream.testing.scenes import write_checkpoint_plain

SOURCE = random_checkpoint(3, size=(40, 25, 17), radius=(1.0, 2.0, 0.5), center=(4.0, 0.0, 1.0))


@pytest.fixture
def scene(tmp_path: Path, small_chunks: None) -> Path:
    write_checkpoint_plain(tmp_path / "s", SOURCE, brick_size=8)
    return tmp_path / "s"


def test_bounds_are_those_of_what_is_drawn(tmp_path: Path) -> None:
    checkpoint = single_voxel_checkpoint(size=(20, 8, 12), voxel=(11, 4, 5))
    write_checkpoint_plain(tmp_path / "s", checkpoint, brick_size=8)
    with open_store(tmp_path / "s") as store:
        bounds = world_bounds(store)
        corners = store.meta.grid.grid_to_world([[10, 3, 4], [12, 5, 6]])
    np.testing.assert_allclose(bounds["drawn"], corners)
    assert bounds["volume"] == [[-1, -1, -1], [1, 1, 1]]


def test_voxels_and_bricks_are_counted_once(scene: Path) -> None:
    calls: list[tuple[int, int]] = []
    with open_store(scene) as store:
        rows = np.diff(store.tables.row_start)
        by_rows = bricks_by_rows(store)
        found = density_histogram(store, lambda word, done, total: calls.append((done, total)))
        n_chunks = store.specs["rows/density"].n_chunks
    assert n_chunks > 3
    assert calls == [(done, n_chunks) for done in range(1, n_chunks + 1)]
    for low, high, n in zip(
        by_rows["edges"], by_rows["edges"][1:], by_rows["bricks"], strict=False
    ):
        assert ((rows > low) & (rows <= high)).sum() == n
    assert sum(by_rows["bricks"]) == len(rows)
    edges = [*found["edges"], np.inf][: len(found["voxels"]) + 1]
    for low, high, n in zip(edges, edges[1:], found["voxels"], strict=False):
        assert ((SOURCE.density > low) & (SOURCE.density <= high)).sum() == n
    assert sum(found["voxels"]) + found["n_not_positive"] == len(SOURCE.density)


@pytest.mark.parametrize("density", [1e-30, 3e30])
def test_densities_beyond_all_edges_are_counted(tmp_path: Path, density: float) -> None:
    checkpoint = single_voxel_checkpoint()
    checkpoint.density[:] = density
    write_checkpoint_plain(tmp_path / "s", checkpoint)
    info = scene_info(tmp_path / "s", histogram=True)
    assert info["density_histogram"]["voxels"] == [1]
    assert any("1  ####" in line for line in info_lines(info))


def test_empty_scene_has_nothing_to_count(tmp_path: Path) -> None:
    empty: CheckpointArrays = empty_checkpoint()
    write_checkpoint_plain(tmp_path / "s", empty)
    info = scene_info(tmp_path / "s", histogram=True)
    assert info["bounds"]["drawn"] is None
    assert info["density_histogram"] == {"edges": [], "voxels": [], "n_not_positive": 0}
    assert any("none" in line for line in info_lines(info))
