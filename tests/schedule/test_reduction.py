"""The bound of reduced shading, against colours worked out in float64 for random coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream import reference
from plenostream.grid import BrickGrid, GridSpec
from plenostream.schedule.reduction import (
    REDUCIBLE_DIMS,
    shading_error,
)

GRID = GridSpec(size=(33, 33, 33), radius=(1.0, 0.8, 1.3))
BRICKS = BrickGrid(size=GRID.size, brick_size=16)
BRICK = np.array([[1, 0, 1]], np.int32)
STEP = 1e-5
"""Of the numerical gradient: the square root of float64's resolution, and a little more."""


def functions(views: np.ndarray, basis_dim: int) -> np.ndarray:
    """Spherical harmonics [n, basis_dim] by the oracle, at directions of any length near 1."""
    return reference.sh_basis(views, basis_dim)


def bounds_of(coefficients: np.ndarray) -> np.ndarray:
    """`bricks/sh_bound` [1, 3] of a brick with one channel of coefficients."""
    parts = (coefficients[:1], coefficients[1:4], coefficients[4:])
    return np.array([[np.linalg.norm(part) for part in parts]])


def largest_error(
    coefficients: np.ndarray, eye_grid: np.ndarray, rng: np.random.Generator
) -> float:
    """How far first-order colours are from exact ones, for samples anywhere in the brick."""
    dim = len(coefficients)
    low = BRICK[0] * 16.0
    cell = low + rng.integers(0, 16, (400, 3))
    fraction = rng.random((400, 3))
    sample = cell + fraction
    rays = (sample - eye_grid) / GRID.scale
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    exact, linear = np.zeros(400), np.zeros(400)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, fraction, 1.0 - fraction).prod(1)
        seen = (cell + corner - eye_grid) / GRID.scale
        seen /= np.linalg.norm(seen, axis=1, keepdims=True)
        value = functions(seen, dim) @ coefficients
        for axis in range(3):
            aside = np.eye(3)[axis] * STEP
            rise = functions(seen + aside, dim) - functions(seen - aside, dim)
            value = value + rise @ coefficients / (2 * STEP) * (rays - seen)[:, axis]
        linear += weight * value
        exact += weight * (functions(rays, dim) @ coefficients)
    return float(np.abs(linear - exact).max())


@pytest.mark.parametrize("basis_dim", REDUCIBLE_DIMS)
@pytest.mark.parametrize("distance", [0.05, 1.0, 30.0])
def test_first_order_stays_within_the_bound_from_near_and_far(
    basis_dim: int, distance: float
) -> None:
    rng = np.random.default_rng(int(distance * 100) + basis_dim)
    eye_world = GRID.grid_to_world(np.array([33.0, -0.5, 24.0])) + np.array([distance, 0.0, 0.0])
    eye = GRID.world_to_grid(eye_world)
    for _ in range(5):
        coefficients = rng.normal(size=basis_dim)
        bound = shading_error(
            bounds_of(coefficients), BRICK, GRID, BRICKS, eye, basis_dim=basis_dim, itemsize=4
        )
        assert largest_error(coefficients, eye, rng) <= bound[0]


def test_bound_of_a_colour_without_a_direction_is_that_of_rounding() -> None:
    eye = np.array([100.0, 8.0, 24.0])
    for itemsize, roundoff in ((2, 2.0**-11), (4, 2.0**-24)):
        bound = shading_error(
            np.array([[1.0, 0.0, 0.0]]), BRICK, GRID, BRICKS, eye, basis_dim=9, itemsize=itemsize
        )[0]
        assert 0.28 * roundoff <= bound <= 0.29 * roundoff + 1e-5


def test_bound_falls_with_the_square_of_the_distance() -> None:
    only_second = np.array([[0.0, 0.0, 1.0]])
    near, far = (
        shading_error(
            only_second, BRICK, GRID, BRICKS, np.array([x, 8.0, 24.0]), basis_dim=9, itemsize=4
        )[0]
        for x in (32.5 + 16.0, 32.5 + 32.0)
    )
    floor = shading_error(
        only_second, BRICK, GRID, BRICKS, np.array([1e7, 8.0, 24.0]), basis_dim=9, itemsize=4
    )[0]
    assert (near - floor) / (far - floor) == pytest.approx(4.0, rel=0.01)


def test_brick_that_the_eye_is_in_or_beside_is_never_reduced() -> None:
    for eye in ((24.0, 8.0, 24.0), (32.4, 16.0, 24.0), (16.0, 0.0, 16.0)):
        error = shading_error(
            np.array([[0.1, 0.1, 0.1]]),
            BRICK,
            GRID,
            BRICKS,
            np.array(eye),
            basis_dim=9,
            itemsize=4,
        )
        assert not (error <= 1.0).any()
