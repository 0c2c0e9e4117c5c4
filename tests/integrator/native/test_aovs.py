"""All outputs of a picture, whatever the way it is made; and within the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.options import OUTPUTS
from plenostream.testing.checkpoints import CheckpointArrays, random_checkpoint
from plenostream.testing.extras import layer_arrays, save_with
from plenostream.testing.pictures import open_renderer, rays_around, rays_of

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


@pytest.mark.parametrize("options", [{"model": "nvol"}, {"last_sample_opaque": True}], ids=str)
def test_other_lights_change_colour_and_alpha_alone(
    scene: Path, whole: ps.RenderResult, options: dict[str, object]
) -> None:
    with open_renderer(scene, options=OPTIONS | options, backend="native") as renderer:
        other = renderer.render(VIEW)
    assert not np.array_equal(other.alpha, whole.alpha)
    for name in OUTPUTS.choices[2:]:
        assert np.array_equal(other.channel(name), whole.channel(name), equal_nan=True), name


def test_pixel_of_several_rays_is_made_of_those_of_the_larger_picture(
    scene: Path, whole: ps.RenderResult
) -> None:
    half = VIEW.resized(52, 36)
    with open_renderer(scene, options=OPTIONS | {"samples": 2}, backend="native") as renderer:
        picture = renderer.render(half)
    parts = {name: whole.channel(name).reshape(36, 2, 52, 2, -1) for name in OUTPUTS.choices}
    np.testing.assert_allclose(picture.cost, parts["cost"].mean((1, 3))[..., 0], rtol=1e-6)
    depths = np.ma.masked_invalid(parts["median-depth"]).mean((1, 3))[..., 0]
    np.testing.assert_allclose(picture.median_depth, depths.filled(np.nan), rtol=1e-6)


def test_picture_that_is_drawn_ray_by_ray_has_what_its_rays_have(scene: Path) -> None:
    inside = ps.look_at_camera((0.1, -0.2, 0.1), (1.0, 0.4, 0.3), fov_degrees=80.0, size=(40, 30))
    options = OPTIONS | {"spheric_clip": True}
    with open_renderer(scene, options=options, backend="native") as renderer:
        picture, rays = renderer.render(inside), renderer.render_rays(*rays_of(inside))
    for name in OUTPUTS.choices:
        drawn = rays.channel(name).reshape(picture.channel(name).shape)
        np.testing.assert_array_equal(picture.channel(name), drawn, err_msg=name)


def test_mean_depth_knows_no_background_layer(tmp_path: Path) -> None:
    checkpoint, rays, seen = random_checkpoint(4, size=(20, 18, 17)), rays_around(3, 300), []
    for name, extras in (("bare", {}), ("layers", layer_arrays(1, height=11, layers=4))):
        source = save_with(tmp_path / f"{name}.npz", checkpoint, **extras)
        ps.convert(source, tmp_path / f"{name}.zarr")
        with open_renderer(tmp_path / f"{name}.zarr", **NATIVE) as renderer:
            seen.append(renderer.render_rays(*rays))
    bare, layers = seen
    assert (layers.alpha > bare.alpha + 0.1).mean() > 0.2
    assert np.array_equal(layers.mean_depth, bare.mean_depth, equal_nan=True)
    there = bare.alpha > 0.0
    mean = bare.depth[there] / bare.alpha[there]
    np.testing.assert_allclose(bare.mean_depth[there], mean, rtol=1e-6)
