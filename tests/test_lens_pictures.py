"""Pictures through lenses: each is what its rays see, one by one, in any budget and band."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import plenostream as ps
from plenostream.cameras.lenses import (
    Equirectangular,
    Fisheye,
    FTheta,
    Lens,
    Orthographic,
    RadialTangential,
)
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import open_renderer

pytestmark = pytest.mark.usefixtures("each_backend")

Scenes = Callable[..., Path]

SAME = 2e-5
WIDTH, HEIGHT = 72, 56
LENSES: dict[str, tuple[Lens, tuple[float, float]]] = {
    "barrel": (RadialTangential(k=(-0.3, 0.1, 0, 0, 0, 0), p=(0.01, -0.02)), (60.0, 55.0)),
    "rational": (RadialTangential(k=(0.4, -0.1, 0.02, 0.7, 0.05, 0.01)), (60.0, 60.0)),
    "fisheye": (Fisheye(k=(0.08, -0.03, 0.01, -0.002)), (25.0, 22.0)),
    "f-theta": (FTheta(p=(0.0, 0.02, 3e-4, 0, 0)), (1.0, 1.0)),
    "panorama": (Equirectangular(), (WIDTH / (2 * math.pi), HEIGHT / math.pi)),
    "part of a panorama": (Equirectangular(), (40.0, 40.0)),
    "orthographic": (Orthographic(), (30.0, 25.0)),
}
POSES = {
    "outside": ps.look_at_camera((1.9, 0.8, 0.9), (0.0, 0.0, 0.0)).c2w,
    "inside": ps.look_at_camera((0.1, -0.2, 0.1), (1.0, 0.4, 0.3)).c2w,
    "along an axis": np.array([[0.0, 0, -1, 2.1], [1, 0, 0, 0.3], [0, -1, 0, 0.2]]),
}
ON_EVERY_BACKEND = [
    *((name, "outside") for name in LENSES),
    ("fisheye", "inside"),
    ("panorama", "inside"),
    ("orthographic", "along an axis"),
]
SHOWN = [
    pytest.param(
        name,
        pose,
        marks=() if (name, pose) in ON_EVERY_BACKEND else pytest.mark.one_backend,
    )
    for name in LENSES
    for pose in POSES
]


def camera_of(name: str, pose: str) -> ps.Camera:
    lens, (fx, fy) = LENSES[name]
    return ps.Camera(POSES[pose], fx, fy, WIDTH / 2 + 0.5, HEIGHT / 2, WIDTH, HEIGHT, lens)


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Scenes) -> Path:
    return make_scene(gyroid)


@pytest.mark.parametrize(("name", "pose"), SHOWN)
def test_picture_is_what_render_rays_gives_for_its_rays(scene: Path, name: str, pose: str) -> None:
    camera = camera_of(name, pose)
    origins, directions, seen = camera.rays()
    with open_renderer(scene) as renderer:
        picture = renderer.render(camera)
        rays = renderer.render_rays(origins[seen], directions[seen])
    assert picture.alpha[seen].mean() > 0.02
    assert np.abs(picture.rgb[seen] - rays.rgb).max() <= SAME
    assert np.abs(picture.alpha[seen] - rays.alpha).max() <= SAME
    assert np.abs(picture.depth[seen] - rays.depth).max() <= SAME * 4
    assert (picture.alpha[~seen] == 0).all()
    assert (picture.rgb[~seen] == 1).all()


IN_LITTLE = [
    (name, pose)
    if (name, pose) in [("fisheye", "inside"), ("orthographic", "along an axis")]
    else pytest.param(name, pose, marks=pytest.mark.one_backend)
    for i, (name, pose) in enumerate(itertools.product(LENSES, POSES))
    if i % 2 == 0
]


@pytest.mark.parametrize(("name", "pose"), IN_LITTLE)
def test_smallest_budget_changes_nothing(scene: Path, name: str, pose: str) -> None:
    camera = camera_of(name, pose)
    with open_renderer(scene) as renderer:
        whole = renderer.render(camera)
        plan = renderer.plan(camera)
    with open_renderer(scene, device_memory=plan.smallest_budget_bytes) as renderer:
        again = renderer.plan(camera)
        small = renderer.render(camera)
    assert_same_picture(small, whole, at_most=SAME)
    assert small.stats.waves > whole.stats.waves
    assert again.bricks_visible <= plan.bricks_visible
    stats = small.stats
    assert stats.peak_device_bytes <= stats.planned_device_bytes <= stats.allowed_device_bytes
    assert stats.peak_host_bytes <= stats.planned_host_bytes


@pytest.mark.one_backend
@pytest.mark.parametrize("name", LENSES)
def test_region_is_cut_out_of_the_whole_picture(scene: Path, name: str) -> None:
    camera = camera_of(name, "outside")
    with open_renderer(scene) as renderer:
        whole = renderer.render(camera)
        part = renderer.render(camera.region(13, 9, 33, 30))
    np.testing.assert_array_equal(part.rgb, whole.rgb[9:39, 13:46])
    np.testing.assert_array_equal(part.alpha, whole.alpha[9:39, 13:46])
