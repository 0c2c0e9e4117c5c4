"""The renderer gives what svox2 gave, on every recorded case, from rays and from cameras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.testing.pictures import open_renderer
from plenostream.testing.recorded import (
    EXTRAS,
    MAIN_JOB,
    OPTIONS,
    PARALLEL_OUTSIDE,
    TRAINED,
    RecordedCase,
    largest_difference,
    load_case,
)

pytestmark = pytest.mark.usefixtures("each_backend", "alike_pools")

IN_NDC = ("52_ndc", "53_ndc_last_opaque")
WITH_CAMERAS = ("26_camera", TRAINED)
ROUNDED = 2e-4
"""What float16 on the device may add: rounding the densities alone moves rgb by up to 9e-5."""
ROUNDED_TRAINED = {"rgb": 1e-3, "transmittance": 2e-3, "depth": 5e-3}
"""The same where densities reach a thousand: in float64 the oracle finds 6.9e-4, 1.1e-3, 3.4e-3."""
PSNR_TRAINED = 90.0
SHARED_IN_FLOAT16 = ("01_random_16", "11_dense_opaque", "27_huge_density", TRAINED)
"""Cases that every backend draws in both precisions; the others, `native` alone in float16. What
float16 changes in a backend, the type of its pool, is the same in all of them."""
DEPTH_FACTOR = 5.0
"""Depths are up to five times as large as colours, here as in the recorded tolerances."""


def allowed(case: RecordedCase, precision: str) -> dict[str, float]:
    if precision == "float32":
        return case.tolerance
    if case.name == TRAINED:
        return ROUNDED_TRAINED
    rounded = {"rgb": ROUNDED, "transmittance": ROUNDED, "depth": DEPTH_FACTOR * ROUNDED}
    return {key: max(case.tolerance[key], limit) for key, limit in rounded.items()}


def assert_as_recorded(
    case: RecordedCase, precision: str, rgb: np.ndarray, alpha: np.ndarray, depth: np.ndarray
) -> None:
    limits = allowed(case, precision)
    for value, expected, key in (
        (rgb, case.rgb, "rgb"),
        (1.0 - alpha.astype(np.float64), case.trans, "transmittance"),
        (depth, case.depth, "depth"),
    ):
        difference = largest_difference(value, expected, fragile=case.fragile)
        assert difference <= limits[key], f"{key} differs by {difference:.2e} > {limits[key]:.0e}"
    if case.name == TRAINED:
        error = (rgb.reshape(case.rgb.shape) - case.rgb)[~case.fragile].astype(np.float64)
        psnr = -10.0 * np.log10(np.mean(error**2))
        assert psnr >= PSNR_TRAINED, f"PSNR {psnr:.1f} dB"


CASES = [
    pytest.param(
        name,
        precision,
        marks=pytest.mark.one_backend
        if precision == "float16" and name not in SHARED_IN_FLOAT16
        else (),
    )
    for name in (*MAIN_JOB, PARALLEL_OUTSIDE, *EXTRAS, *OPTIONS)
    for precision in ("float32", "float16")
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision"), CASES)
def test_rays_see_what_svox2_saw(
    shared: Path, make_scene: Callable[..., Path], name: str, precision: str
) -> None:
    case = load_case(shared, name)
    origins, dirs = case.origins, case.dirs
    if origins is None or dirs is None:
        rays = [reference.camera_rays(**view) for view in case.views]
        origins, dirs = (np.concatenate(part) for part in zip(*rays, strict=True))
    scene = make_scene(case.checkpoint)
    with open_renderer(scene, options=case.options, precision=precision) as renderer:
        seen = renderer.render_rays(origins, dirs)
    assert_as_recorded(case, precision, seen.rgb, seen.alpha, seen.depth)


@pytest.mark.parametrize(
    "precision", ["float32", pytest.param("float16", marks=pytest.mark.one_backend)]
)
def test_rays_that_end_at_a_cap_see_what_svox2s_kernel_saw(
    shared: Path, make_scene: Callable[..., Path], precision: str
) -> None:
    case = load_case(shared, "50_far_cap")
    assert case.origins is not None
    assert case.dirs is not None
    assert case.rgb_cap is not None
    options = case.options | {"far_cap": 2000.0}
    with open_renderer(
        make_scene(case.checkpoint), options=options, precision=precision
    ) as renderer:
        seen = renderer.render_rays(case.origins, case.dirs)
    limit = allowed(case, precision)["rgb"]
    assert largest_difference(seen.rgb, case.rgb_cap, fragile=case.fragile) <= limit
    assert largest_difference(seen.rgb, case.rgb, fragile=case.fragile) > 0.1


@pytest.mark.parametrize(
    "precision",
    [
        "float32",
        pytest.param("float16", marks=[pytest.mark.slow, pytest.mark.one_backend]),
    ],
)
@pytest.mark.parametrize("name", IN_NDC)
def test_cameras_of_forward_facing_scenes_see_what_svox2_saw(
    shared: Path, tmp_path: Path, name: str, precision: str
) -> None:
    case = load_case(shared, name)
    view = case.views[0]
    ndc = (view["width"], view["height"], view["fx"], view["fy"])
    ps.convert(case.checkpoint, tmp_path / "scene.zarr", ps.ConvertOptions(ndc=ndc))
    with open_renderer(
        tmp_path / "scene.zarr", options=case.options, precision=precision
    ) as renderer:
        pictures = [renderer.render(ps.Camera(**view)) for view in case.views]
    rgb, alpha, depth = (
        np.concatenate([getattr(picture, part).reshape(-1, *shape) for picture in pictures])
        for part, shape in (("rgb", (3,)), ("alpha", ()), ("depth", ()))
    )
    assert_as_recorded(case, precision, rgb, alpha, depth)


@pytest.mark.parametrize("precision", ["float32", pytest.param("float16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow, pytest.mark.one_backend])
        if name == TRAINED
        else name
        for name in WITH_CAMERAS
    ],
)
def test_cameras_see_what_svox2_saw(
    shared: Path, make_scene: Callable[..., Path], name: str, precision: str
) -> None:
    case = load_case(shared, name)
    with open_renderer(
        make_scene(case.checkpoint), options=case.options, precision=precision
    ) as renderer:
        pictures = [renderer.render(ps.Camera(**view)) for view in case.views]
    rgb = np.concatenate([picture.rgb.reshape(-1, 3) for picture in pictures])
    alpha = np.concatenate([picture.alpha.reshape(-1) for picture in pictures])
    depth = np.concatenate([picture.depth.reshape(-1) for picture in pictures])
    assert_as_recorded(case, precision, rgb, alpha, depth)


def test_every_case_with_cameras_is_rendered_from_them(shared: Path) -> None:
    with_views = [name for name in MAIN_JOB if load_case(shared, name).views]
    assert tuple(with_views) == WITH_CAMERAS
