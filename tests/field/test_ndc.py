"""Normalised device coordinates: rays of the world as they are there, and what tells such a scene."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream import reference
from plenostream.field.grid import GridSpec
from plenostream.field.ndc import in_ndc, looks_forward_facing, ndc_factors

CAMERA = (44.0, 36.0, 40.0, 30.0)


def given(
    xp: object, origins: np.ndarray, dirs: np.ndarray, valid: np.ndarray
) -> tuple[np.ndarray, ...]:
    return origins.T, dirs.T, valid


def brought(origins: np.ndarray, dirs: np.ndarray) -> tuple[np.ndarray, ...]:
    valid = np.ones(len(origins), bool)
    o, d, there = in_ndc(given)(np, origins, dirs, valid, ndc_factors(CAMERA))  # type: ignore[arg-type]
    return o.T, d.T, there


def point(at: np.ndarray) -> np.ndarray:
    """A point of the world [n, 3] in NDC."""
    x, y, z = at.T
    a, b = ndc_factors(CAMERA)
    return np.stack([a * x / z, b * y / z, 1.0 - 2.0 / z], -1)


def rays(seed: int = 0, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    dirs = np.column_stack(
        [rng.normal(size=(n, 2)), rng.choice([-1, 1], n) * rng.uniform(0.1, 2, n)]
    )
    return rng.normal(0, 0.5, (n, 3)), dirs


def test_rays_are_the_oracles() -> None:
    origins, dirs = rays()
    o, d, there = brought(origins, dirs)
    expected = reference.ndc_rays(origins, dirs, CAMERA)
    assert there.all()
    np.testing.assert_allclose(o, expected[0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(d, expected[1], rtol=1e-10, atol=1e-12)


def test_points_of_a_ray_lie_on_it_there_too() -> None:
    origins, dirs = rays(1)
    o, d, _ = brought(origins, dirs)
    for z in (1.0, 1.5, 4.0, 1e3):
        world = origins + ((z - origins[:, 2]) / dirs[:, 2])[:, None] * dirs
        np.testing.assert_allclose(o + (1.0 - 1.0 / z) * d, point(world), rtol=1e-9, atol=1e-9)


def test_length_of_a_direction_changes_nothing() -> None:
    origins, dirs = rays(2)
    for one, other in zip(brought(origins, dirs), brought(origins, 8.0 * dirs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ray_along_the_plane_is_none() -> None:
    o, d, there = brought(np.zeros((2, 3)), np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]]))
    assert there.tolist() == [False, True]
    assert np.isfinite(o).all()
    assert np.isfinite(d).all()


def test_function_is_the_same_for_the_same_rays() -> None:
    assert in_ndc(given) is in_ndc(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("radius", "center", "expected"),
    [
        ((1.5, 1.3, 1.0), (0.0, 0.0, 0.0), True),
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), False),
        ((1.5, 1.3, 1.1), (0.0, 0.0, 0.0), False),
        ((1.5, 0.9, 1.0), (0.0, 0.0, 0.0), False),
        ((1.5, 1.3, 1.0), (0.0, 0.0, 0.1), False),
    ],
)
def test_forward_facing_scenes_are_told_by_their_place(
    radius: tuple[float, float, float], center: tuple[float, float, float], expected: bool
) -> None:
    assert looks_forward_facing(GridSpec(size=(9, 8, 7), radius=radius, center=center)) is expected
