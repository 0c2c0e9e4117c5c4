"""What pixels show of what their rays have gathered."""

from __future__ import annotations

import math

import numpy as np

from plenostream.field.aovs import AOVS, Aovs

NAN = math.nan


def test_columns_lie_side_by_side_in_one_order() -> None:
    some = Aovs.of(("cost", "rgb", "normals", "median-depth"))
    assert some.names == ("median-depth", "normals", "cost")
    assert [some.first(name) for name in AOVS] == [-1, 0, -1, 1, 4]
    assert some.n_columns == 5


def test_ray_that_meets_nothing_has_no_depth() -> None:
    everything = Aovs(tuple(AOVS))
    room = everything.room(3, 2)
    assert room["normals"].shape == (3, 2, 3)
    assert np.isnan(room["median_depth"]).all()
    assert np.isnan(room["density_depth"]).all()
    assert not room["cost"].any()
    assert not room["depth_weight"].any()


def test_pixel_is_the_mean_of_the_rays_that_have_something() -> None:
    asked = Aovs.of(("mean-depth", "median-depth", "cost"))
    rays = np.array([[[0.5, 2.0, 3.0], [1.0, 4.0, 6.0], [0.0, NAN, 0.0]]], np.float32)
    pixel = asked.of_pixels(rays)
    assert pixel["depth_weight"] == [0.5]
    assert pixel["median_depth"] == [3.0]
    assert pixel["cost"] == [3.0]
    assert np.isnan(asked.of_pixels(rays[:, 2:])["median_depth"]).all()


def test_normal_is_a_unit_vector_along_the_sum_of_any_length() -> None:
    rays = np.array([[3e37, 0, 0], [0, 0, -4e37]], np.float32)
    for scale in (1.0, 1e-30, 1e-60):
        normal = Aovs(("normals",)).of_pixels((rays * scale).astype(np.float32)[None])["normals"]
        expected = [[0.6, 0.0, -0.8]] if scale > 1e-50 else [[0.0, 0.0, 0.0]]
        np.testing.assert_allclose(normal, expected, atol=1e-6)
