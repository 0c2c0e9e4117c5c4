"""Spherical harmonics against the oracle's, and against what defines them."""

from __future__ import annotations

import numpy as np
import pytest

from plenostream import reference
from plenostream.field.basis import BASIS_DIMS, SphericalHarmonics

FLOAT64 = 1e-13
"""A few products and sums of numbers up to 35."""


def directions(n: int) -> np.ndarray:
    dirs = np.random.default_rng(1).normal(size=(n, 3))
    return dirs / np.linalg.norm(dirs, axis=1, keepdims=True)


def values(dirs: np.ndarray, basis_dim: int) -> np.ndarray:
    return np.stack(SphericalHarmonics(basis_dim)(np, dirs.T), -1)


@pytest.mark.parametrize("basis_dim", BASIS_DIMS)
def test_functions_are_the_oracles(basis_dim: int) -> None:
    dirs = directions(500)
    expected = reference.sh_basis(dirs, basis_dim)
    assert values(dirs, basis_dim).shape == expected.shape
    np.testing.assert_allclose(values(dirs, basis_dim), expected, rtol=0, atol=FLOAT64)


def test_functions_are_orthonormal_on_the_sphere() -> None:
    # Gauss-Legendre in z and even steps in the angle are exact for these polynomials.
    z, weight = np.polynomial.legendre.leggauss(10)
    angle = np.arange(20) * 2 * np.pi / 20
    radius = np.sqrt(1 - z**2)[:, None]
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    dirs = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], -1).reshape(-1, 3)
    basis = values(dirs, 25)
    area = np.repeat(weight * 2 * np.pi / 20, 20)
    np.testing.assert_allclose((basis * area[:, None]).T @ basis, np.eye(25), atol=1e-12)
