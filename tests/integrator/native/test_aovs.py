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

pytestmark = pytest.mark.usefixtures("native")

VIEW = ps.look_at_camera((2.1, 0.8, 1.1), (0.0, 0.0, 0.0), fov_degrees=75.0, size=(104, 72))
OPTIONS = {"outputs": OUTPUTS.choices}
NATIVE = {"options": OPTIONS, "backend": "native"}
"""Its sums depend on no waves: to the last bit. `test_oracle_aovs.py` has the other backends."""


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid, brick_size=8)


@pytest.fixture(scope="module")
def whole(scene: Path) -> ps.RenderResult:
    with open_renderer(scene, **NATIVE) as renderer:
        return renderer.render(VIEW)


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


def test_waves_bands_and_threads_change_nothing(scene: Path, whole: ps.RenderResult) -> None:
    with open_renderer(scene, **NATIVE, n_threads=1) as renderer:
        smallest = renderer.plan(VIEW).smallest_budget_bytes
    with open_renderer(scene, **NATIVE, n_threads=1, device_memory=smallest) as renderer:
        plan, tight = renderer.plan(VIEW), renderer.render(VIEW)
    assert plan.waves > plan.n_bands > 1
    assert tight.stats.peak_device_bytes <= plan.planned_device_bytes <= smallest
    assert tight.stats.peak_host_bytes <= plan.planned_host_bytes
    for name in OUTPUTS.choices:
        assert np.array_equal(tight.channel(name), whole.channel(name), equal_nan=True), name


def test_outputs_change_no_others_and_come_only_when_asked_for(
    scene: Path, whole: ps.RenderResult
) -> None:
    with open_renderer(scene, backend="native") as renderer:
        usual = renderer.render(VIEW)
    for name in ("rgb", "alpha", "depth"):
        assert np.array_equal(usual.channel(name), whole.channel(name)), name
    assert usual.normals is None
    with pytest.raises(ps.InvalidInput, match="normals was not drawn"):
        usual.channel("normals")
