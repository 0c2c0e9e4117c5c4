"""Tiles of photographs: rays, and what the photograph shows there."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream.cameras import PicturedCamera
from plenostream.train.photographs import Photographs


@pytest.mark.parametrize("spacing", [1, 3, 7])
def test_pixels_of_a_batch_belong_to_its_rays(
    toy_views: list[PicturedCamera], spacing: int
) -> None:
    read = Photographs.read(toy_views[:1], (1.0, 1.0, 1.0), lambda *told: None)
    batch = read.batch(np.random.default_rng(0), n_tiles=6, n_views=2, spacing=spacing)
    camera = read.cameras[0]
    tiles = batch.tiles
    points = (tiles.origins + tiles.directions)[tiles.valid]
    place = camera.project(points) - 0.5
    np.testing.assert_allclose(place, np.rint(place), atol=1e-9)
    column, row = np.rint(place).astype(int).T
    np.testing.assert_array_equal(batch.rgb[tiles.valid], read.pixels(0)[row, column])
    assert tiles.valid.sum() > 64


def test_photographs_are_reduced_to_the_means_of_pixels(toy_views: list[PicturedCamera]) -> None:
    read = Photographs.read(toy_views[:1], (1.0, 1.0, 1.0), lambda *told: None)
    small = read.reduced(5)
    assert (small.cameras[0].width, small.cameras[0].height) == (9, 9)
    wanted = read.pixels(0)[5:10, 10:15].mean((0, 1))
    np.testing.assert_allclose(small.pixels(0)[1, 2], wanted, atol=1e-3)
    # The middle of a reduced pixel is that of those it stands for.
    origins, directions, _ = small.cameras[0].rays()
    place = read.cameras[0].project((origins + directions)[1, 2][None])
    np.testing.assert_allclose(place, [[12.5, 7.5]], atol=1e-6)
