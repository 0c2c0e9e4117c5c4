"""Numbers on the device: any unit of length gives the same picture, and float16 is never infinite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.cli.summary import choice_lines
from plenostream.field.basis import SphericalHarmonics
from plenostream.field.precision import (
    choose_precision,
    density_rounding,
    density_unit,
    device_densities,
    float16_densities,
)
from plenostream.integrator.backends import ChosenBackend
from plenostream.testing import checkpoints
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import model_of, rays_around

pytestmark = pytest.mark.usefixtures("alike_pools")

Scenes = Callable[..., Path]
LIMITS = {"float16": 2e-4, "float32": 1e-4}


def scaled(model: CheckpointArrays, unit: float) -> CheckpointArrays:
    """The same scene, with lengths in another unit."""
    radius, center = (
        tuple(np.float64(np.float32(v * unit)) for v in values)
        for values in (model.radius, model.center)
    )
    density = (model.density.astype(np.float64) / unit).astype(np.float32)
    return replace(model, radius=radius, center=center, density=density)


def picture(scene: Path, model: CheckpointArrays, unit: float, precision: str) -> ps.RenderResult:
    eye = (np.array(model.center) + np.array(model.radius) * (2.0, -2.4, 1.3)) * unit
    camera = ps.look_at_camera(
        tuple(eye), tuple(np.array(model.center) * unit), fov_degrees=50.0, size=(48, 40)
    )
    stream = ps.StreamOptions(precision=precision)
    with ps.open_scene(scene) as opened, ps.Renderer(opened, stream=stream) as renderer:
        return renderer.render(camera)


MODELS = {
    "cube": checkpoints.random_checkpoint(3, size=(20, 20, 20), active_share=0.4),
    "stretched": replace(
        checkpoints.random_checkpoint(5, size=(12, 25, 18), active_share=0.4),
        radius=(0.7, 1.9, 1.1),
        center=(40.0, -3.0, 0.2),
    ),
}


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("unit", [1e-30, 1e-8, 1e-6, 1e-3, 0.3, 1e3, 1e6])
@pytest.mark.parametrize("name", MODELS)
def test_picture_does_not_depend_on_the_unit_of_length(
    name: str, unit: float, precision: str, make_scene: Scenes
) -> None:
    model = MODELS[name]
    expected = picture(make_scene(model), model, 1.0, precision)
    drawn = picture(make_scene(scaled(model, unit)), model, unit, precision)
    assert expected.alpha.max() > 0.5
    assert np.abs(drawn.rgb - expected.rgb).max() <= LIMITS[precision]
    assert np.abs(drawn.depth / unit - expected.depth).max() <= 50 * LIMITS[precision]


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("unit", [1e-6, 1e-3, 0.3, 1e3, 1e6])
def test_scene_converted_to_float16_does_not_depend_on_the_unit_of_length(
    unit: float, precision: str, tmp_path: Path
) -> None:
    model = MODELS["stretched"]
    pictures = []
    for length in (1.0, unit):
        source = scaled(model, length).save(tmp_path / f"{length}.npz", compressed=False)
        scene = tmp_path / f"{length}.zarr"
        ps.convert(source, scene, ps.ConvertOptions(dtype="float16"))
        pictures.append(picture(scene, model, length, precision).rgb)
    assert np.abs(pictures[1] - pictures[0]).max() <= LIMITS["float16"]


@pytest.mark.parametrize("precision", ["auto", "float32"])
@pytest.mark.parametrize("unit", [1e8, 1e10, 1e12, 1e20])
@pytest.mark.parametrize("name", MODELS)
def test_scene_so_wide_that_the_threshold_shows_is_drawn_as_the_reference_draws_it(
    name: str, unit: float, precision: str, make_scene: Scenes
) -> None:
    wide = scaled(MODELS[name], unit)
    origins, dirs = rays_around(11, 400)
    origins = origins * np.array(wide.radius) + np.array(wide.center)
    stream = ps.StreamOptions(precision=precision)
    with ps.open_scene(make_scene(wide)) as opened, ps.Renderer(opened, stream=stream) as renderer:
        assert renderer.precision.name == "float32" or unit < 1e9
        drawn = renderer.render_rays(origins, dirs)
    expected = reference.render_rays(model_of(wide), origins, dirs)
    off = np.abs(drawn.rgb - expected.rgb).max(axis=1)
    # A sample whose density is the threshold, to float32's last bits, is drawn by one of the two.
    assert np.mean(off > 1e-4) <= 0.01
    assert off.max() <= 0.05


@pytest.mark.parametrize("unit", [1e-36, 1e-9, 0.013, 1.0, 3e7, 1e30])
def test_density_that_was_rounded_to_float16_is_not_changed_again(unit: float) -> None:
    rng = np.random.default_rng(0)
    exponents = rng.uniform(-12, 6, 1000) - np.log10(unit)
    some = np.where(np.abs(exponents) < 37, 10.0**exponents, 1e-3)
    density = np.float32([*some, *-some, 3e38, -3e38, 1e-45, 0.0])
    rounded = float16_densities(density, unit)
    assert np.isfinite(rounded).all()
    assert np.array_equal(rounded > 0, density > 0)
    assert density_rounding(density, unit) > 0
    assert density_rounding(rounded, unit) == 0


@pytest.mark.parametrize("radius", [1e-39, 1e37])
def test_scene_beyond_float32_is_refused(radius: float) -> None:
    grid = ps.GridSpec(size=(16, 16, 16), radius=(radius,) * 3)
    with pytest.raises(ps.InvalidInput, match="another unit of length"):
        density_unit(grid)


def test_positive_density_stays_above_zero_and_none_becomes_infinite() -> None:
    values = np.array([1e-30, 1e9, -1e9, 0.0, -1e-30], np.float32)
    half = device_densities(values, 1.0, np.dtype("float16"))
    assert half[0] > 0
    assert half[1:].tolist() == [65504.0, -65504.0, 0.0, 0.0]


def test_value_between_two_of_float16_is_rounded_alike_in_every_unit_of_length() -> None:
    between = np.float32(1.0 + 2.0**-11)
    around = np.array([np.nextafter(between, np.float32(0)), between, between * 1.0000001], "f4")
    assert set(device_densities(around, 1.0, np.dtype("float16")).tolist()) == {1.0}


NORMS = SphericalHarmonics(25).basis.bound


def choose(wanted: str, bound: float, dtype: str = "float32", threshold: float = 1e-12) -> str:
    bounds = np.full((4, 3), bound)
    return choose_precision(
        wanted, sh_bound=bounds, basis_bound=NORMS, sh_dtype=dtype, threshold=threshold
    ).name


def test_auto_takes_float16_where_it_is_safe_and_float32_elsewhere() -> None:
    assert choose("auto", 2.0) == "float16"
    assert choose("auto", 1e6) == "float32"
    assert choose("auto", 1e3) == "float32"
    assert choose("auto", 6e4, dtype="float16") == "float16"
    assert choose("auto", 2.0, threshold=1.0) == "float32"


def test_float16_is_refused_where_coefficients_may_be_infinite_in_it() -> None:
    with pytest.raises(ps.InvalidInput, match="precision auto or float32"):
        choose("float16", 1e6)


def test_float16_that_is_asked_for_is_taken_and_what_it_costs_is_said() -> None:
    bounds = np.full((4, 3), 2.0)
    chosen = choose_precision(
        "float16", sh_bound=bounds, basis_bound=NORMS, sh_dtype="float32", threshold=1.0
    )
    assert chosen.name == "float16"
    (line,) = choice_lines(ChosenBackend("xla"), chosen)
    assert line.startswith("precision: float16, as asked for, though sigma_thresh cuts off")


def test_colours_beyond_float32_are_refused() -> None:
    with pytest.raises(ps.InvalidInput, match="float32"):
        choose("float32", 1e38)


def test_large_coefficients_are_drawn_in_float32_and_the_stats_say_so(make_scene: Scenes) -> None:
    model = MODELS["cube"]
    bright = replace(model, sh=model.sh.astype(np.float32) * np.float32(1e6))
    scene = make_scene(bright)
    drawn = picture(scene, model, 1.0, "auto")
    assert drawn.stats.precision == "float32"
    assert np.isfinite(drawn.rgb).all()
    assert (drawn.rgb == picture(scene, model, 1.0, "float32").rgb).all()
    with pytest.raises(ps.InvalidInput, match="precision"):
        picture(scene, model, 1.0, "float16")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_info_says_what_float16_costs_a_pixel_and_it_costs_no_more(
    dtype: str, make_scene: Scenes
) -> None:
    model = MODELS["cube"]
    positive = replace(
        model,
        density=np.abs(model.density) * np.float32(1.2345),
        sh=(model.sh * 1.2345).astype(dtype),
    )
    scene = make_scene(positive)
    half, full = (picture(scene, model, 1.0, name).rgb for name in ("float16", "float32"))
    said = ps.scene_info(scene)["float16_pixel_shift"]
    assert 0 < np.abs(half - full).max() <= said < 0.02
