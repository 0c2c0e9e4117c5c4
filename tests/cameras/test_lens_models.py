"""Lenses: each model is the inverse of itself to 1e-9 of a pixel, and says where it has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plenostream.cameras import Camera, look_at_camera
from plenostream.cameras.lenses import (
    Equirectangular,
    Fisheye,
    FTheta,
    Lens,
    Orthographic,
    Pinhole,
    RadialTangential,
)
from plenostream.errors import CameraError

EXACT = 1e-9
"""Of a pixel."""
POSE = look_at_camera((1.2, -0.7, 0.4), (0.0, 0.1, 0.2)).c2w

LENSES: dict[str, tuple[Lens, tuple[float, float]]] = {
    "pinhole": (Pinhole(), (90.0, 80.0)),
    "barrel": (RadialTangential(k=(-0.3, 0.1, -0.02, 0, 0, 0), p=(1e-3, -2e-3)), (90.0, 80.0)),
    "pincushion": (RadialTangential(k=(0.3, 0.1, 0.05, 0, 0, 0), p=(0.01, 0.02)), (50.0, 60.0)),
    "rational": (
        RadialTangential(k=(0.4, -0.1, 0.02, 0.7, 0.05, 0.01), p=(2e-3, 1e-3)),
        (70.0, 70.0),
    ),
    "equidistant": (Fisheye(), (30.0, 30.0)),
    "fisheye": (Fisheye(k=(0.08, -0.03, 0.01, -0.002)), (45.0, 50.0)),
    "f-theta": (FTheta(p=(0.0, 0.02, 3e-5, -1e-7, 1e-9)), (1.0, 1.0)),
    "panorama": (Equirectangular(), (101 / (2 * math.pi), 75 / math.pi)),
    "orthographic": (Orthographic(), (40.0, 45.0)),
}


def camera_of(name: str) -> Camera:
    lens, (fx, fy) = LENSES[name]
    middle = (49.3, 38.1) if name != "panorama" else (50.5, 37.5)
    return Camera(POSE, fx, fy, *middle, width=101, height=75, lens=lens)


def pixel_centres(camera: Camera) -> np.ndarray:
    row, column = np.mgrid[: camera.height, : camera.width]
    return np.stack([column + 0.5, row + 0.5], -1)


@pytest.mark.parametrize("name", LENSES)
def test_point_on_a_pixels_ray_is_seen_at_that_pixel(name: str) -> None:
    camera = camera_of(name)
    origins, directions, seen = camera.rays()
    assert seen.mean() > 0.5
    points = origins + directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    found = camera.project(points[seen])
    assert np.abs(found - pixel_centres(camera)[seen]).max() < EXACT


@pytest.mark.parametrize("name", LENSES)
def test_ray_of_the_pixel_that_sees_a_point_leads_through_it(name: str) -> None:
    camera = camera_of(name)
    rng = np.random.default_rng(3)
    points = rng.uniform(-1, 1, (400, 3)) @ np.diag([1.5, 1.5, 1.0]) + (0, 0, 1.2)
    world = points @ camera.c2w[:, :3].T + camera.eye_world
    at = camera.project(world)
    inside = (at >= 0).all(-1) & (at < (camera.width, camera.height)).all(-1)
    assert inside.sum() > 20
    for (x, y), point in zip(at[inside], world[inside], strict=True):
        # The camera whose only pixel has its centre where the point is seen.
        one = Camera(
            camera.c2w, camera.fx, camera.fy, camera.cx - x + 0.5, camera.cy - y + 0.5, 1, 1,
            lens=camera.lens,
        )  # fmt: skip
        origins, directions, seen = one.rays()
        assert seen.all()
        along = directions[0, 0] / np.linalg.norm(directions[0, 0])
        towards = point - origins[0, 0]
        assert np.linalg.norm(np.cross(along, towards)) < 1e-10 * (1 + np.linalg.norm(towards))
        assert along @ towards > 0


coefficient = st.floats(-0.5, 0.5, allow_subnormal=False)


@given(
    k=st.tuples(*[coefficient] * 6), p=st.tuples(*[st.floats(-0.02, 0.02)] * 2),
    focal=st.floats(20, 2000),
)  # fmt: skip
def test_any_radial_and_tangential_distortion_is_inverted_or_transparent(
    k: tuple[float, ...], p: tuple[float, ...], focal: float
) -> None:
    camera = Camera(POSE, focal, focal, 40.2, 31.7, 83, 61, lens=RadialTangential(k=k, p=p))
    origins, directions, seen = camera.rays()
    found = camera.project(origins[seen] + directions[seen])
    assert np.abs(found - pixel_centres(camera)[seen]).max(initial=0.0) < EXACT
    assert np.isfinite(directions).all()


@given(k=st.tuples(*[coefficient] * 6), reach=st.floats(0.01, 2.0))
def test_no_pixel_that_a_purely_radial_lens_shows_a_point_at_is_transparent(
    k: tuple[float, ...], reach: float
) -> None:
    lens = RadialTangential(k=k)
    radii = np.linspace(0, 3, 301)
    points = np.stack([radii * 0.6, radii * 0.8, np.ones_like(radii)], -1)
    at = lens.project(points)
    for x, y in at[~np.isnan(at[:, 0]) & (np.hypot(*at.T) < reach)][::29]:
        one = Camera(POSE, 100, 100, 0.5 - 100 * x, 0.5 - 100 * y, 1, 1, lens=lens)
        assert one.rays()[2].all()


@given(k=st.tuples(*[coefficient] * 4), focal=st.floats(5, 500))
def test_any_fisheye_is_inverted_or_transparent(k: tuple[float, ...], focal: float) -> None:
    camera = Camera(POSE, focal, focal, 40.2, 31.7, 83, 61, lens=Fisheye(k=k))
    origins, directions, seen = camera.rays()
    found = camera.project(origins[seen] + directions[seen])
    assert np.abs(found - pixel_centres(camera)[seen]).max(initial=0.0) < EXACT


def test_coefficients_of_any_size_give_rays_without_a_warning() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        terms = rng.choice([-1.0, 0.0, 1.0], 8) * 10.0 ** rng.uniform(-12, 12, 8)
        k = tuple(terms.tolist())
        focal, middle = 10.0 ** rng.uniform((-6, -3), (9, 6))
        lenses = (RadialTangential(k=k[:6], p=k[6:]), Fisheye(k=k[:4]), FTheta(p=k[:5]))
        for lens in lenses:
            camera = Camera(POSE, focal, focal, middle, 4, 9, 9, lens=lens)
            directions = camera.rays()[1]
            assert np.isfinite(directions).all()
            assert (np.abs(directions).max(-1) > 0).all()


def test_pixels_beyond_the_fold_of_a_barrel_lens_are_transparent() -> None:
    # a (1 - a^2 / 2) rises up to a = sqrt(2 / 3), where it is 0.5443.
    camera = Camera(
        np.eye(3, 4), 50, 50, 50, 50, 100, 100, lens=RadialTangential(k=(-0.5,) + (0.0,) * 5)
    )
    radius = np.hypot(*np.moveaxis(pixel_centres(camera) - 50, -1, 0)) / 50
    fold = math.sqrt(2 / 3) * 2 / 3
    assert (camera.rays()[2] == (radius <= fold)).all()
    behind = camera.project([[0.0, 0.0, -1.0], [0.9, 0.0, 1.0]])
    assert np.isnan(behind).all()


def test_equidistant_fisheye_sees_the_point_behind_it_at_pi() -> None:
    camera = Camera(np.eye(3, 4), 10, 10, 40.5, 0.5, 81, 1, lens=Fisheye())
    _, directions, seen = camera.rays()
    angle = np.arctan2(directions[0, :, 0], directions[0, :, 2])
    np.testing.assert_allclose(angle[seen[0]], np.arange(-31, 32) / 10, atol=1e-12)


def test_panorama_looks_ahead_in_its_middle_and_down_below() -> None:
    camera = Camera(
        np.eye(3, 4), 8 / (2 * math.pi), 4 / math.pi, 4, 2, 8, 4, lens=Equirectangular()
    )
    directions = camera.rays()[1]
    level = math.cos(math.pi / 8)
    expected = [math.sin(math.pi / 8) * level, math.sin(math.pi / 8), math.cos(math.pi / 8) * level]
    np.testing.assert_allclose(directions[2, 4], expected, atol=1e-15)
    assert camera.resized(16, 8).rays()[2].all()


def test_lens_without_distortion_is_a_pinhole() -> None:
    pinhole = Camera(POSE, 90, 80, 20, 15, 40, 30)
    lens = Camera(POSE, 90, 80, 20, 15, 40, 30, lens=RadialTangential())
    np.testing.assert_allclose(lens.rays()[1], pinhole.rays()[1], atol=1e-15)


@pytest.mark.parametrize("name", LENSES)
def test_region_and_size_say_nothing_about_the_lens(name: str) -> None:
    camera = camera_of(name)
    part = camera.region(13, 7, 40, 30)
    for whole, cut in zip(camera.rays(), part.rays(), strict=True):
        np.testing.assert_allclose(cut, whole[7:37, 13:53], atol=1e-12)
    twice = camera.resized(303, 225)
    for whole, large in zip(camera.rays(), twice.rays(), strict=True):
        np.testing.assert_allclose(large[1::3, 1::3], whole, atol=1e-11)


@pytest.mark.parametrize(
    "lens",
    [
        lambda: RadialTangential(k=(0.1, 0.2)), lambda: RadialTangential(p=(0.1, math.nan)),
        lambda: Fisheye(k=("0", 0, 0, 0)), lambda: FTheta(p=(0, 1e13, 0, 0, 0)),
        lambda: Fisheye(k=0.1),
        lambda: Camera(POSE, 1, 1, 1, 1, 1, 1, lens="fisheye"),
    ],
)  # fmt: skip
def test_lenses_that_cannot_be_are_refused(lens: object) -> None:
    with pytest.raises(CameraError):
        lens()  # type: ignore[operator]
