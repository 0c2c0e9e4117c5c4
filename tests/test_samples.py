"""Several samples a pixel: the mean of a larger picture, and in the memory of the small one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import plenostream as ps
from plenostream.cameras.lenses import RadialTangential
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.usefixtures("each_backend")

VIEW = ps.look_at_camera((1.9, 0.8, 0.9), (0.0, 0.0, 0.0), size=(45, 35))
LENSES = {
    "pinhole": VIEW,
    "barrel": ps.Camera(
        VIEW.c2w, 60.0, 55.0, 22.0, 18.0, 45, 35, RadialTangential(k=(-0.3, 0.1, 0, 0, 0, 0))
    ),
    "region": VIEW.region(3, 5, 30, 21),
}


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


def means(values: NDArray[np.float32], n: int) -> NDArray[np.float64]:
    height, width = values.shape[0] // n, values.shape[1] // n
    return values.astype(np.float64).reshape(height, n, width, n, -1).mean((1, 3)).squeeze()


@pytest.mark.parametrize(
    ("name", "n"),
    [
        pytest.param(
            name,
            n,
            marks=() if (name, n) in [("pinhole", 2), ("barrel", 4)] else pytest.mark.one_backend,
        )
        for name in LENSES
        for n in (2, 4, 8)
    ],
)
def test_pixel_is_the_mean_of_the_picture_of_n_times_the_size(
    scene: Path, name: str, n: int
) -> None:
    camera = LENSES[name]
    with open_renderer(scene) as renderer:
        large = renderer.render(camera.resized(n * camera.width, n * camera.height))
    with open_renderer(scene, options={"samples": n}) as renderer:
        picture = renderer.render(camera)
    assert picture.rgb.shape == (camera.height, camera.width, 3)
    assert picture.alpha.max() > 0.5
    for plane in ("rgb", "alpha", "depth"):
        mean = means(getattr(large, plane), n)
        assert np.abs(getattr(picture, plane) - mean).max() < 1e-6


@pytest.mark.one_backend
def test_pixels_that_are_drawn_as_rays_of_their_own_are_means_too(scene: Path) -> None:
    """From within an ellipsoid that rays begin at, there is no order of bricks for all of them."""
    camera = ps.look_at_camera((0.2, 0.1, 0.0), (0.9, 0.4, 0.3), size=(31, 22))
    options = {"spheric_clip": True, "outputs": ("rgb", "alpha", "depth", "mean-depth")}
    with open_renderer(scene, options=options) as renderer:
        large = renderer.render(camera.resized(62, 44))
    with open_renderer(scene, options=options | {"samples": 2}) as renderer:
        picture, plan = renderer.render(camera), renderer.plan(camera)
    assert picture.alpha.max() > 0.5
    for plane in ("rgb", "alpha", "depth", "depth_weight"):
        mean = means(getattr(large, plane), 2)
        assert np.abs(getattr(picture, plane) - mean).max() < 1e-6
    assert picture.stats.peak_host_bytes <= plan.planned_host_bytes


def test_budgets_hold_and_change_nothing(scene: Path) -> None:
    with open_renderer(scene, options={"samples": 4}) as renderer:
        plan, whole = renderer.plan(VIEW), renderer.render(VIEW)
    little = plan.smallest_budget_bytes * 11 // 10
    with open_renderer(scene, options={"samples": 4}, device_memory=little) as renderer:
        tight, small = renderer.plan(VIEW), renderer.render(VIEW)
    assert_same_picture(small, whole, at_most=2e-5)
    for stats, made in ((whole.stats, plan), (small.stats, tight)):
        assert stats.peak_device_bytes <= stats.planned_device_bytes == made.planned_device_bytes
        assert stats.peak_host_bytes <= stats.planned_host_bytes == made.planned_host_bytes
        assert stats.bands == made.n_bands
    assert small.stats.bands > 1


@pytest.mark.one_backend  # nothing is drawn: the picture is the host's
def test_large_picture_is_never_there_as_a_whole(scene: Path) -> None:
    camera = VIEW.resized(360, 280)
    budget = {"device_memory": "12MB"}
    with open_renderer(scene, options={"samples": 8}, **budget) as renderer:
        sampled = renderer.plan(camera).host_items["picture"]
    with open_renderer(scene, **budget) as renderer:
        large = renderer.plan(camera.resized(8 * 360, 8 * 280)).host_items["picture"]
    assert sampled < large / 4
