"""All outputs of a picture, whatever the way it is made; and within the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.options import OUTPUTS
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.usefixtures("each_backend")

VIEW = ps.look_at_camera((2.1, 0.8, 1.1), (0.0, 0.0, 0.0), fov_degrees=75.0, size=(104, 72))
OPTIONS = {"outputs": OUTPUTS.choices}
FEW = 0.01
"""Share of pixels in which rounding may decide: where half of the light is left, say. It is the order
of float32 sums that differs; `native` has none that depends on waves."""


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid, brick_size=8)


@pytest.fixture(scope="module")
def whole(scene: Path, each_backend: str) -> ps.RenderResult:
    with open_renderer(scene, options=OPTIONS) as renderer:
        return renderer.render(VIEW)


def share_that_differs(one: ps.RenderResult, other: ps.RenderResult, name: str) -> float:
    first, second = (each.channel(name).reshape(72, 104, -1) for each in (one, other))
    same = np.isclose(first, second, rtol=0, atol=1e-4, equal_nan=True)
    return float((~same).any(-1).mean())


def test_every_output_shows_something(whole: ps.RenderResult) -> None:
    hit = whole.alpha > 0.6
    assert 0.2 < hit.mean() < 0.9
    assert (np.linalg.norm(whole.normals[hit], axis=-1) > 0.99).all()
    assert np.isfinite(whole.median_depth[hit]).all()
    assert np.isnan(whole.median_depth[whole.alpha < 0.4]).all()
    assert (whole.cost[whole.alpha == 0.0] == 0.0).all()
    assert whole.cost[hit].min() >= 1.0
    assert np.isnan(whole.mean_depth[whole.alpha == 0.0]).all()
    nearer = whole.mean_depth[hit] - whole.median_depth[hit]
    assert abs(np.median(nearer)) < 0.1


def test_waves_bands_and_threads_change_nothing(
    scene: Path, whole: ps.RenderResult, each_backend: str
) -> None:
    with open_renderer(scene, options=OPTIONS, n_threads=1) as renderer:
        smallest = renderer.plan(VIEW).smallest_budget_bytes
    with open_renderer(scene, options=OPTIONS, n_threads=1, device_memory=smallest) as renderer:
        plan, tight = renderer.plan(VIEW), renderer.render(VIEW)
    assert plan.waves > plan.n_bands > 1
    assert tight.stats.peak_device_bytes <= plan.planned_device_bytes <= smallest
    assert tight.stats.peak_host_bytes <= plan.planned_host_bytes
    for name in OUTPUTS.choices:
        if each_backend == "native":
            assert np.array_equal(tight.channel(name), whole.channel(name), equal_nan=True), name
        else:
            assert share_that_differs(tight, whole, name) < FEW, name


def test_outputs_change_no_others_and_come_only_when_asked_for(
    scene: Path, whole: ps.RenderResult
) -> None:
    with open_renderer(scene) as renderer:
        usual = renderer.render(VIEW)
    for name in ("rgb", "alpha", "depth"):
        assert np.array_equal(usual.channel(name), whole.channel(name)), name
    assert usual.normals is None
    with pytest.raises(ps.InvalidInput, match="normals was not drawn"):
        usual.channel("normals")
