"""The samples of a pixel are those that the renderer takes there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras.lenses import Equirectangular, Orthographic
from plenostream.errors import InvalidInput
from plenostream.sketch.rays import pixel_ray, ray_samples
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.pictures import open_renderer

SIZE = (24, 16)
OUTSIDE = ps.look_at_camera((2.4, 0.9, 0.8), (0.0, 0.0, 0.0), fov_degrees=50.0, size=SIZE)
INSIDE = ps.look_at_camera((0.1, -0.2, 0.1), (1.0, 0.4, 0.3), fov_degrees=80.0, size=SIZE)
FORWARD = ps.Camera(np.eye(3, 4), 20.0, 18.0, 12.0, 8.0, *SIZE)
CASES: dict[str, tuple[ps.Camera, dict[str, Any]]] = {
    "outside": (OUTSIDE, {}),
    "inside": (INSIDE, {"near_clip": 0.2, "step_size": 0.3}),
    "ends early": (OUTSIDE, {"stop_thresh": 0.3, "sigma_thresh": 5.0}),
    "ellipsoid and cap": (OUTSIDE, {"spheric_clip": True, "far_cap": 60.0}),
    "orthographic": (
        ps.Camera(OUTSIDE.c2w, 10.0, 10.0, 12.0, 8.0, *SIZE, Orthographic()),
        {},
    ),
    "panorama": (ps.Camera(INSIDE.c2w, 6.0, 6.0, 12.0, 8.0, *SIZE, Equirectangular()), {}),
    "device coordinates": (FORWARD, {"ndc": (24, 16, 20, 18)}),
}


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Callable[..., Path]) -> Path:
    return make_scene(gyroid)


@pytest.mark.parametrize("case", CASES)
def test_samples_add_up_to_what_is_drawn(scene: Path, case: str) -> None:
    camera, given = CASES[case]
    options = ps.RenderOptions(**given)
    ndc = options.ndc if isinstance(options.ndc, tuple) else None
    wanted = ("rgb", "alpha", "depth", "cost")
    with open_renderer(scene, options=given | {"outputs": wanted}, precision="float32") as renderer:
        drawn = renderer.render(camera)
    lines = set()
    with ps.open_scene(scene) as opened:
        for pixel in ((3, 2), (12, 8), (23, 15), (9, 12)):
            origin, direction = pixel_ray(camera, pixel, ndc)
            samples = ray_samples(opened.store, origin, direction, options)
            at = pixel[::-1]
            assert samples.alpha == pytest.approx(drawn.alpha[at], abs=2e-5)
            assert samples.depth == pytest.approx(drawn.depth[at], abs=1e-4)
            assert (samples.weight > 0).sum() == drawn.channel("cost")[at]
            lines.add(samples.line)
    assert len(lines) == 4


def test_ray_beside_the_volume_has_no_samples(scene: Path) -> None:
    with ps.open_scene(scene) as opened:
        options = ps.RenderOptions()
        beside = ray_samples(opened.store, np.array([9.0, 9, 9]), np.array([1.0, 0, 0]), options)
    assert len(beside.points) == 0
    assert beside.line == "the ray misses the volume"


def test_pixel_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="24,3 is not inside a picture of 24x16"):
        pixel_ray(OUTSIDE, (24, 3), None)
    panorama = ps.Camera(INSIDE.c2w, 1.0, 1.0, 12.0, 8.0, *SIZE, Equirectangular())
    with pytest.raises(InvalidInput, match="0,0 has no ray"):
        pixel_ray(panorama, (0, 0), None)
