"""The float64 oracle against hand-worked pictures and against recorded svox2 outputs."""

from __future__ import annotations

import json
from math import exp, sqrt
from pathlib import Path

import numpy as np
import pytest

from plenostream import reference
from plenostream.field import basis
from plenostream.testing import checkpoints
from plenostream.testing.checkpoints import CheckpointArrays
from plenostream.testing.closed_forms import composite, constant_medium, n_samples
from plenostream.testing.recorded import (
    EXTRAS,
    MAIN_JOB,
    OPTIONS,
    PARALLEL_OUTSIDE,
    TRAINED,
    largest_difference,
    load_case,
)

# Both sides are float64; sums of some hundred terms of size 1.
CLOSE = 1e-12
COLOUR = (0.75, 0.5, 0.25)


def model_of(checkpoint: CheckpointArrays) -> reference.ReferenceModel:
    return reference.make_model(
        checkpoint.links,
        checkpoint.density,
        checkpoint.sh,
        radius=checkpoint.radius,
        center=checkpoint.center,
    )


def see(
    checkpoint: CheckpointArrays, origin: list[float], direction: list[float], **options: float
):
    picture = reference.render_rays(model_of(checkpoint), [origin], [direction], **options)
    return picture.rgb[0], picture.trans[0], picture.depth[0]


def assert_ray(got, known) -> None:
    rgb, trans, depth = got
    # Colours are given by float32 coefficients: 0.5 + C0 * coefficient.
    assert rgb == pytest.approx(known.rgb, abs=1e-7)
    assert trans == pytest.approx(known.trans, abs=CLOSE)
    assert depth == pytest.approx(known.depth, abs=CLOSE)


def test_ray_through_a_constant_medium_fades_exponentially() -> None:
    checkpoint = checkpoints.constant_checkpoint(size=(8, 8, 8), density=1.5, colour=COLOUR)
    # From x = -3 (world) the box [-1, 1] begins after 2 units: 4 grid units make one world unit.
    known = constant_medium(
        sigma=1.5, colour=COLOUR, background=1.0, t_min=8.0, n=17, step=0.5, world_per_t=0.25
    )
    assert_ray(see(checkpoint, [-3.0, 0.1, 0.2], [1.0, 0.0, 0.0]), known)


def test_oblique_ray_through_unequal_axes_uses_its_own_world_length() -> None:
    checkpoint = checkpoints.constant_checkpoint(
        size=(8, 10, 12), density=0.75, radius=(1.0, 2.0, 0.5), center=(0.5, 0.0, -1.0)
    )
    view = np.array([1.0, 0.3, -0.2])
    grid = view / np.linalg.norm(view) * np.array([8 / 2, 10 / 4, 12 / 1])
    world_per_t = 1.0 / np.linalg.norm(grid)
    eye = np.array([0.5, 0.0, -1.0])
    # From the centre of the box to the nearest face; the y and z faces are farther away.
    t_max = min(np.array([8, 10, 12]) / 2 / np.abs(grid * world_per_t))
    known = constant_medium(
        sigma=0.75,
        colour=COLOUR,
        background=0.0,
        t_min=0.0,
        n=n_samples(0.0, t_max, step=0.3),
        step=0.3,
        world_per_t=world_per_t,
    )
    rgb, trans, depth = see(checkpoint, list(eye), list(view), step_size=0.3, background=0.0)
    assert_ray((rgb, trans, depth), known)


def test_density_ramp_is_interpolated_exactly_and_clamped_at_the_border() -> None:
    checkpoint = checkpoints.ramp_checkpoint(size=(12, 8, 8), slope=0.5, intercept=0.25)
    positions = -0.5 + 0.5 * np.arange(25)
    samples = [
        (3.0 + 0.5 * k, 0.25 + 0.5 * min(max(x, 0.0), 11.0), COLOUR)
        for k, x in enumerate(positions)
    ]
    known = composite(samples, background=1.0, step=0.5, world_per_t=1 / 6)
    # 3 grid units in front of the face at x = -1, in a grid of 6 voxels a world unit
    assert_ray(see(checkpoint, [-1.5, 0.0, 0.0], [1.0, 0.0, 0.0]), known)


def test_single_voxel_is_a_tent_whose_colour_fades_to_grey() -> None:
    checkpoint = checkpoints.single_voxel_checkpoint(
        size=(8, 8, 8), voxel=(3, 4, 5), density=8.0, colour=COLOUR
    )
    centre_of_voxel = [-1.0, (4 + 0.5) / 4 - 1, (5 + 0.5) / 4 - 1]
    samples = []
    for k in range(17):
        weight = max(0.0, 1.0 - abs(-0.5 + 0.5 * k - 3.0))
        colour = tuple(0.5 + weight * (c - 0.5) for c in COLOUR)
        samples.append((0.5 * k, 8.0 * weight, colour))
    known = composite(samples, background=1.0, step=0.5, world_per_t=0.25)
    assert_ray(see(checkpoint, centre_of_voxel, [1.0, 0.0, 0.0]), known)


def test_negative_density_is_clamped_after_interpolation() -> None:
    links = np.arange(8).reshape(2, 2, 2)
    density = np.where(np.arange(8) < 4, -1.0, 3.0)  # x = 0: -1, x = 1: 3
    model = reference.make_model(links, density, np.zeros((8, 3)))
    # Grid x -0.5, 0, 0.5, 1, 1.5: the middle one is (-1 + 3) / 2 = 1, not 1.5.
    picture = reference.render_rays(model, [[-1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]])
    assert picture.trans[0] == pytest.approx(exp(-(1.0 + 3.0 + 3.0) * 0.5), abs=CLOSE)


def test_empty_scene_shows_the_background() -> None:
    rgb, trans, depth = see(
        checkpoints.empty_checkpoint(), [-3.0, 0.0, 0.0], [1.0, 0.0, 0.0], background=0.25
    )
    assert (list(rgb), trans, depth) == ([0.25] * 3, 1.0, 0.0)


@pytest.mark.parametrize(
    ("origin", "direction"),
    [
        pytest.param([-3.0, 0.0, 0.0], [-1.0, 0.0, 0.0], id="turned away"),
        pytest.param([-3.0, 5.0, 0.0], [1.0, 0.1, 0.0], id="passing by"),
        pytest.param([-3.0, 1.5, 0.0], [1.0, 1e-12, 0.0], id="almost parallel outside"),
    ],
)
def test_ray_that_misses_the_box_shows_the_background(origin, direction) -> None:
    rgb, trans, depth = see(checkpoints.constant_checkpoint(), origin, direction)
    assert (list(rgb), trans, depth) == ([1.0] * 3, 1.0, 0.0)


def test_exactly_parallel_ray_outside_sees_the_clamped_border() -> None:
    checkpoint = checkpoints.constant_checkpoint(density=1.5)
    inside = see(checkpoint, [-3.0, 0.9, 0.0], [1.0, 0.0, 0.0])
    outside = see(checkpoint, [-3.0, 5.0, 0.0], [1.0, -0.0, 0.0])
    assert [np.asarray(v).tolist() for v in outside] == [np.asarray(v).tolist() for v in inside]


def test_near_clip_is_a_world_distance() -> None:
    checkpoint = checkpoints.constant_checkpoint(size=(8, 8, 8), density=1.5, colour=COLOUR)
    known = constant_medium(
        sigma=1.5, colour=COLOUR, background=1.0, t_min=2.4, n=4, step=0.5, world_per_t=0.25
    )
    # 0.6 world units are 2.4 grid units; 4 of the box's 8 lie ahead of its middle.
    assert_ray(see(checkpoint, [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], near_clip=0.6), known)


def test_ray_ends_opaque_once_less_than_the_threshold_is_left() -> None:
    checkpoint = checkpoints.constant_checkpoint(size=(8, 8, 8), density=1.5, colour=COLOUR)
    q = exp(-1.5 * 0.5 * 0.25)
    # q^3 = 0.57 is the first power of q below 0.6
    rgb, trans, depth = see(
        checkpoint, [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], stop_thresh=0.6, background=0.0
    )
    assert trans == 0.0
    assert rgb == pytest.approx(np.asarray(COLOUR) * (1 - q**3), abs=1e-7)
    assert depth == pytest.approx((1 - q) * (q * 0.125 + q * q * 0.25), abs=CLOSE)


def test_sample_of_exactly_the_threshold_density_does_not_count() -> None:
    checkpoint = checkpoints.constant_checkpoint(density=1.5)
    _, trans, _ = see(checkpoint, [-3.0, 0.0, 0.0], [1.0, 0.0, 0.0], sigma_thresh=1.5)
    assert trans == 1.0


def test_length_of_a_direction_changes_nothing() -> None:
    model = model_of(checkpoints.random_checkpoint(3))
    rng = np.random.default_rng(0)
    origins, dirs = rng.normal(0, 1, (64, 3)), rng.normal(0, 1, (64, 3))
    dirs /= np.linalg.norm(dirs, axis=1, keepdims=True)
    one = reference.render_rays(model, origins, dirs)
    other = reference.render_rays(model, origins, dirs * 4.0)
    for a, b in zip(one[:3], other[:3], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)


def test_float16_densities_are_rounded_and_stop_at_65504_per_voxel() -> None:
    checkpoint = checkpoints.constant_checkpoint(density=1e6, size=(8, 8, 8))
    model = model_of(checkpoint)
    ray = ([[-3.0, 0.0, 0.0]], [[1.0, 0.0, 0.0]])
    rounded = reference.render_rays(model, *ray, density_float16=True, step_size=1e-5, near_clip=3)
    capped = checkpoints.constant_checkpoint(density=65504.0 * 4, size=(8, 8, 8))
    expected = reference.render_rays(model_of(capped), *ray, step_size=1e-5, near_clip=3)
    assert rounded.trans[0] == expected.trans[0]


def test_skipping_cells_without_density_changes_nothing(monkeypatch) -> None:
    model = model_of(checkpoints.random_checkpoint(5, active_share=0.05))
    rng = np.random.default_rng(0)
    origins = rng.normal(0, 1, (200, 3))
    dirs = rng.normal(0, 1, (200, 3))
    skipped = reference.render_rays(model, origins, dirs)
    honest = reference._Field.cells

    def look_everywhere(field, points):
        cell, place, worth = honest(field, points)
        return cell, place, np.ones_like(worth)

    monkeypatch.setattr(reference._Field, "cells", look_everywhere)
    complete = reference.render_rays(model, origins, dirs)
    for a, b in zip(skipped[:3], complete[:3], strict=True):
        assert (a == b).all()


def test_spherical_harmonics_are_orthonormal() -> None:
    # Gauss-Legendre in z and an even grid in angle: exact for products of degree 4.
    z, weight = np.polynomial.legendre.leggauss(12)
    angle = np.arange(24) * (2 * np.pi / 24)
    ring = np.sqrt(1 - z * z)[:, None]
    dirs = np.stack(
        [ring * np.cos(angle), ring * np.sin(angle), np.broadcast_to(z[:, None], (12, 24))], -1
    ).reshape(-1, 3)
    values = reference.sh_basis(dirs, 25)
    gram = np.einsum("ni,nj,n->ij", values, values, np.repeat(weight, 24) * (2 * np.pi / 24))
    np.testing.assert_allclose(gram, np.eye(25), atol=1e-12)


def test_constants_of_the_renderer_are_the_oracles_closed_forms() -> None:
    # Directions at which one monomial can be read off.
    s = 1 / sqrt(2)
    values = reference.sh_basis([[0, 0, 1], [s, s, 0], [0, s, s], [s, 0, s], [1, 0, 0]], 25)
    assert basis.C0 == pytest.approx(values[0, 0], abs=1e-15)
    assert basis.C1 == pytest.approx(values[0, 2], abs=1e-15)
    assert basis.C2[0] / 2 == pytest.approx(values[1, 4], abs=1e-15)
    assert basis.C2[1] / 2 == pytest.approx(values[2, 5], abs=1e-15)
    assert basis.C2[2] * 2 == pytest.approx(values[0, 6], abs=1e-15)
    assert basis.C2[3] / 2 == pytest.approx(values[3, 7], abs=1e-15)
    assert basis.C2[4] == pytest.approx(values[4, 8], abs=1e-15)
    assert basis.C3[3] * 2 == pytest.approx(values[0, 12], abs=1e-15)
    assert basis.C3[6] == pytest.approx(values[4, 15], abs=1e-15)
    assert basis.C4[4] * 8 == pytest.approx(values[0, 20], abs=1e-15)
    assert basis.C4[8] == pytest.approx(values[4, 24], abs=1e-15)


def test_camera_looks_along_z_with_pixel_centres_at_one_half() -> None:
    origins, dirs = reference.camera_rays(np.eye(4), 2.0, 4.0, 1.5, 1.0, 3, 2)
    assert origins.tolist() == [[0.0, 0.0, 0.0]] * 6
    corner = np.array([-0.5, -0.125, 1.0])  # (0.5 - 1.5) / 2, (0.5 - 1) / 4
    np.testing.assert_allclose(dirs[0], corner / np.linalg.norm(corner), atol=1e-15)
    # y grows downwards, x to the right; rows of pixels follow each other
    assert dirs[2, 0] > 0 > dirs[0, 0]
    assert dirs[3, 1] > 0 > dirs[0, 1]


def oracle_rays(case) -> tuple[np.ndarray, np.ndarray]:
    if case.origins is not None:
        return case.origins, case.dirs
    rays = [reference.camera_rays(**view) for view in case.views]
    return np.concatenate([o for o, _ in rays]), np.concatenate([d for _, d in rays])


CASES = [
    pytest.param(name, marks=pytest.mark.slow) if name == TRAINED else name
    for name in (*MAIN_JOB, PARALLEL_OUTSIDE, *EXTRAS, *OPTIONS)
]


@pytest.mark.parametrize("name", CASES)
def test_oracle_gives_what_svox2_gave(shared: Path, name: str) -> None:
    case = load_case(shared, name)
    model = reference.load_model(case.checkpoint)
    picture = reference.render_rays(model, *oracle_rays(case), **case.options)
    for got, expected, key in (
        (picture.rgb, case.rgb, "rgb"),
        (picture.trans, case.trans, "transmittance"),
        (picture.depth, case.depth, "depth"),
    ):
        difference = largest_difference(got, expected, fragile=case.fragile)
        assert difference <= case.tolerance[key], f"{key} differs by {difference:.2e}"


@pytest.mark.parametrize("name", CASES)
def test_float16_densities_move_the_picture_no_more_than_was_measured(
    shared: Path, name: str
) -> None:
    case = load_case(shared, name)
    picture = reference.render_rays(
        reference.load_model(case.checkpoint),
        *oracle_rays(case),
        **case.options,
        density_float16=True,
    )
    allowed = 1e-3 if name == TRAINED else 2e-4
    assert largest_difference(picture.rgb, case.rgb, fragile=case.fragile) <= allowed


def test_list_of_cases_is_that_of_the_folder(shared: Path) -> None:
    stages = {
        path.parent.name: json.loads(path.read_text())["stage"]
        for path in (shared / "reference").glob("*/case.json")
    }
    assert sorted(name for name, stage in stages.items() if stage == "main-job") == list(MAIN_JOB)
