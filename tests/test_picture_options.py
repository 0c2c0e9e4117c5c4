"""Options of the picture: each is what the oracle says, from rays and from cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plenostream as ps
from plenostream import reference
from plenostream.cameras.lenses import Equirectangular, Fisheye, Orthographic
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.invariants import assert_same_picture
from plenostream.testing.pictures import model_of, open_renderer, rays_around
from plenostream.testing.recorded import largest_difference

pytestmark = pytest.mark.usefixtures("each_backend", "alike_pools")

Scenes = Callable[..., Path]

ORACLE = 2e-5
SAME = 2e-5
SIZE = (56, 40)
OPTIONS: dict[str, dict[str, Any]] = {
    "ellipsoid": {"spheric_clip": True},
    "two ellipsoids": {"spheric_clip": True, "near_clip": 0.3},
    "far cap": {"far_cap": 63.3},
    "opaque end": {"last_sample_opaque": True},
    "opaque end at an ellipsoid": {"last_sample_opaque": True, "spheric_clip": True},
    "nvol": {"model": "nvol"},
    "nvol that ends early": {"model": "nvol", "stop_thresh": 0.3},
    "ndc": {"ndc": (56, 40, 50, 45)},
    "ndc with an opaque end": {"ndc": (56, 40, 50, 45), "last_sample_opaque": True},
}
OUTSIDE = ps.look_at_camera((2.4, 0.9, 0.8), (0.0, 0.0, 0.0), fov_degrees=50.0, size=SIZE)
INSIDE = ps.look_at_camera((0.1, -0.2, 0.1), (1.0, 0.4, 0.3), fov_degrees=80.0, size=SIZE)
FORWARD = ps.Camera(np.eye(3, 4), 50.0, 45.0, 28.0, 20.0, *SIZE)
"""Looks along +z from the middle of the world, as the reference camera of `ndc` does."""


def posed(camera: ps.Camera, x: float, y: float, z: float) -> ps.Camera:
    """The same from another place."""
    return replace(camera, c2w=np.column_stack([camera.c2w[:, :3], (x, y, z)]))


CAMERAS = {
    "outside": OUTSIDE,
    "inside": INSIDE,
    "away from the scene": ps.look_at_camera((2.4, 0.9, 0.8), (5.0, 2.0, 1.0), size=SIZE),
    "panorama": ps.Camera(INSIDE.c2w, 9.0, 9.0, 28.0, 20.0, *SIZE, Equirectangular()),
    "orthographic": ps.Camera(OUTSIDE.c2w, 25.0, 25.0, 28.0, 20.0, *SIZE, Orthographic()),
    "orthographic inside": ps.Camera(INSIDE.c2w, 25.0, 25.0, 28.0, 20.0, *SIZE, Orthographic()),
}
FORWARD_CAMERAS = {
    "behind the plane": posed(FORWARD, 0.1, -0.05, -0.2),
    "on the plane z = 0": posed(FORWARD, 0.1, -0.05, 0.0),
    "before it": posed(FORWARD, -0.2, 0.1, 0.3),
    "within the volume": posed(FORWARD, -0.2, 0.1, 1.6),
    "at an angle": posed(
        ps.look_at_camera((0.0, 0.0, 0.0), (0.3, 0.2, 1.0), fov_degrees=50.0, size=SIZE),
        0.1,
        0.0,
        -0.1,
    ),
    "orthographic": ps.Camera(FORWARD.c2w, 25.0, 25.0, 28.0, 20.0, *SIZE, Orthographic()),
    "fisheye": ps.Camera(
        posed(FORWARD, 0.1, 0.0, -0.1).c2w,
        14.0,
        14.0,
        28.0,
        20.0,
        *SIZE,
        Fisheye(k=(0.01, 0, 0, 0)),
    ),
    "half of it looks back": (
        posed(
            ps.look_at_camera((0, 0, 0), (1.0, 0.0, 0.5), fov_degrees=100.0, size=SIZE),
            0.1,
            0,
            -0.1,
        )
    ),
}
ON_EVERY_BACKEND = [
    *(("ellipsoid", camera) for camera in ("outside", "inside")),
    *(("ndc", camera) for camera in ("behind the plane", "within the volume")),
]
"""Options that change how a backend makes a camera's rays; the others change what rays see, which
every backend shows for rays from everywhere."""
SEEN = [
    pytest.param(
        option,
        camera,
        id=f"{option}-{camera}",
        marks=[
            *([] if quick else [pytest.mark.slow]),
            *([] if (option, camera) in ON_EVERY_BACKEND else [pytest.mark.one_backend]),
        ],
    )
    for option, values in OPTIONS.items()
    for camera in (FORWARD_CAMERAS if "ndc" in values else CAMERAS)
    for quick in [
        option == "ndc"
        if "ndc" in values
        else camera in ("outside", "inside") and option != "far cap"
    ]
]


@pytest.fixture(scope="module")
def scene(gyroid: CheckpointArrays, make_scene: Scenes) -> Path:
    return make_scene(gyroid)


def fragile(model: reference.ReferenceModel, rays: tuple[Any, Any], /, **options: Any) -> Any:
    """Rays [n] whose result turns on whether a last sample counts: the oracle moves their end."""
    ends = [
        reference.render_rays(model, *rays, **options | {"step_size": step})
        for step in (0.5 * (1 - 1e-7), 0.5, 0.5 * (1 + 1e-7))
    ]
    moved = [
        np.abs(end.rgb - ends[1].rgb).max(1) + np.abs(end.depth - ends[1].depth) for end in ends
    ]
    return np.maximum(*moved[::2]) > 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_rays_from_everywhere_see_what_the_oracle_sees(
    scene: Path, gyroid: CheckpointArrays, name: str
) -> None:
    options = OPTIONS[name]
    rays = rays_around(5, 600)
    if "ndc" in options:
        origins, dirs = rays
        rays = 0.2 * origins, np.column_stack([dirs[:, :2], np.abs(dirs[:, 2]) + 0.5])
    model = model_of(gyroid)
    expected = reference.render_rays(model, *rays, background=0.25, **options)
    left_out = fragile(model, rays, background=0.25, **options)
    assert left_out.mean() < 0.03
    assert expected.trans.min() < 0.1
    with open_renderer(
        scene, options=options | {"background": 0.25}, precision="float32"
    ) as opened:
        seen = opened.render_rays(*rays)
    assert largest_difference(seen.rgb, expected.rgb, fragile=left_out) <= ORACLE
    assert largest_difference(1.0 - seen.alpha, expected.trans, fragile=left_out) <= ORACLE
    assert largest_difference(seen.depth, expected.depth, fragile=left_out) <= 5 * ORACLE


@pytest.mark.parametrize(("option", "camera"), SEEN)
def test_picture_is_what_its_rays_see(scene: Path, option: str, camera: str) -> None:
    view = (FORWARD_CAMERAS if "ndc" in OPTIONS[option] else CAMERAS)[camera]
    origins, directions, seen = view.rays()
    with open_renderer(scene, options=OPTIONS[option]) as renderer:
        picture = renderer.render(view)
        rays = renderer.render_rays(origins[seen], directions[seen])
    assert picture.rgb.shape == (view.height, view.width, 3)
    assert np.abs(picture.rgb[seen] - rays.rgb).max() <= SAME
    assert np.abs(picture.alpha[seen] - rays.alpha).max() <= SAME
    assert np.abs(picture.depth[seen] - rays.depth).max() <= 5 * SAME
    assert (picture.alpha[~seen] == 0).all()
    if camera not in ("away from the scene", "within the volume"):
        assert picture.alpha.mean() > 0.02


def test_eye_in_an_ellipsoid_sees_what_lies_behind_it(scene: Path) -> None:
    with open_renderer(scene, options={"spheric_clip": True}) as renderer:
        ahead = renderer.render(INSIDE)
    assert ahead.depth.min() < -0.1
    turned = INSIDE.c2w * (-1, 1, -1, 1)
    with open_renderer(scene, options={"spheric_clip": True}) as renderer:
        behind = renderer.render(replace(INSIDE, c2w=turned))
    # The same lines from their other ends, upside down: as opaque, but for where samples fall.
    assert np.abs(ahead.alpha - behind.alpha[::-1]).mean() < 0.01


def test_cap_beyond_the_volume_and_an_end_without_density_change_nothing(scene: Path) -> None:
    rays = rays_around(6, 300)
    with open_renderer(scene) as renderer:
        plain = renderer.render_rays(*rays)
    with open_renderer(scene, options={"far_cap": 1e6}) as renderer:
        capped = renderer.render_rays(*rays)
    assert_same_picture(capped, plain, at_most=0.0)


@pytest.mark.one_backend  # by hand, what every backend shows to be the oracle's above
def test_opaque_end_hides_the_background_where_there_is_density(make_scene: Scenes) -> None:
    from plenostream.testing.checkpoints import constant_checkpoint

    thin = make_scene(constant_checkpoint(size=(9, 9, 9), density=1e-3, colour=(0.75, 0.5, 0.25)))
    ray = np.array([[-3.0, 0.1, 0.2]]), np.array([[1.0, 0.0, 0.0]])
    options = {"background": 0.0, "last_sample_opaque": True}
    with open_renderer(thin, options=options, precision="float32") as renderer:
        seen = renderer.render_rays(*ray)
    with open_renderer(thin, precision="float32") as renderer:
        plain = renderer.render_rays(*ray)
    assert seen.alpha[0] == 1.0
    assert seen.rgb[0] == pytest.approx((0.75, 0.5, 0.25), abs=1e-6)
    assert plain.alpha[0] < 0.01
    assert seen.depth[0] == pytest.approx(plain.depth[0], abs=1e-6)


def test_ray_that_does_not_move_along_z_sees_nothing_in_device_coordinates(scene: Path) -> None:
    origins = np.zeros((2, 3))
    with open_renderer(scene, options={"ndc": (56, 40, 50)}) as renderer:
        seen = renderer.render_rays(origins, [[1.0, 0.2, 0.0], [0.05, 0.0, 1.0]])
    assert seen.alpha[0] == 0.0
    assert seen.alpha[1] > 0.0
