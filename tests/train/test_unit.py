"""A scene is learnt alike in any unit of length."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plenostream.cameras import PicturedCamera
from plenostream.cameras.similarity import Similarity
from plenostream.field.grid import GridSpec
from plenostream.format.extra_arrays import read_extras
from plenostream.format.opening import open_store
from plenostream.options import RenderOptions, StreamOptions, TrainOptions
from plenostream.train.trainer import Trainer
from plenostream.train.unit import TrainingUnit

OPTIONS = TrainOptions(
    size=16,
    steps=6,
    rays=512,
    views_a_step=4,
    basis_dim=1,
    lr_sigma=100,
    sparsity=1e-9,
    background_layers=2,
    background_resolution=8,
)


def learnt(
    views: list[PicturedCamera], target: Path, factor: float, start: Path | None = None
) -> list[np.ndarray]:
    """Densities, coefficients and texels of a scene that is learnt in a world so many times as large,
    densities as they were in the world itself."""
    moved = Similarity.scaled(factor).moved
    Trainer(
        [replace(view, camera=moved(view.camera)) for view in views],
        target,
        replace(OPTIONS, radius=(factor, factor, factor)),
        render=RenderOptions(near_clip=0.1 * factor, sigma_thresh=1e-8 / factor),
        stream=StreamOptions(n_threads=1),
        start=start,
    ).run()
    with open_store(target) as store:
        assert store.meta.grid == GridSpec(size=(16, 16, 16), radius=(factor, factor, factor))
        density, sh = (store.read_chunk(name, 0) for name in ("rows/density", "rows/sh"))
        _, texels = read_extras(store, "background")
    texels[..., 3] *= factor
    return [density * np.float32(factor), sh, texels]


@pytest.mark.parametrize("factor", [2.0**-12, 2.0**20])
def test_lengths_times_a_power_of_two_change_no_bit(
    toy_views: list[PicturedCamera], tmp_path: Path, factor: float
) -> None:
    expected = learnt(toy_views, tmp_path / "one", 1.0)
    expected += learnt(toy_views, tmp_path / "one_more", 1.0, tmp_path / "one")
    found = learnt(toy_views, tmp_path / "other", factor)
    found += learnt(toy_views, tmp_path / "more", factor, tmp_path / "other")
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("radius", [1e-30, 0.0071, 0.71, 1.4, 3e4, 1e30])
def test_radius_is_brought_near_to_1(radius: float) -> None:
    grid = GridSpec(size=(4, 8, 8), radius=(radius / 2, radius, radius))
    unit = TrainingUnit.of(grid)
    assert 0.7 < max(unit.volume(grid).radius) < 1.42
    assert unit.world_volume(unit.volume(grid)) == grid
