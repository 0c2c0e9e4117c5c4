"""Coefficients that come nearest to colours which a model squeezes through a sigmoid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from plenostream.field.basis import SphericalHarmonics

__all__ = ["fitted_coefficients", "harmonics", "sigmoid"]

_ROWS = 1 << 14
_DIRECTIONS = 200


def sigmoid(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """1 / (1 + exp(-values)), without overflow."""
    result: NDArray[np.floating] = 0.5 + 0.5 * np.tanh(0.5 * values)
    return result


def harmonics(dirs: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
    """The first `dim` spherical harmonics [n, dim] at `dirs` [n, 3], as the formulas give them for
    directions of any length."""
    return np.stack(SphericalHarmonics(dim)(np, dirs.T), axis=1)


def _sphere() -> NDArray[np.float64]:
    """Directions [n, 3] evenly around (a Fibonacci spiral)."""
    number = np.arange(_DIRECTIONS) + 0.5
    z = 1 - 2 * number / _DIRECTIONS
    turn = math.pi * (1 + math.sqrt(5)) * number
    level = np.sqrt(1 - z * z)
    return np.stack([level * np.cos(turn), level * np.sin(turn), z], axis=1)


def fitted_coefficients(sh: NDArray[np.floating], dim: int) -> NDArray[np.float32]:
    """Coefficients [v, 3 dim] whose colour + 0.5 is next to sigmoid(colour of `sh`) [v, 3 dim].

    Least squares over all directions; exact where the colour is the same from everywhere.
    """
    basis = harmonics(_sphere(), dim)
    back = np.linalg.pinv(basis).T.astype(np.float32)
    forth = basis.T.astype(np.float32)
    rows = np.ascontiguousarray(sh, np.float32).reshape(-1, dim)
    fitted = np.empty_like(rows)
    for start in range(0, len(rows), _ROWS):
        seen = sigmoid(rows[start : start + _ROWS] @ forth) - 0.5
        fitted[start : start + _ROWS] = seen.astype(np.float32) @ back
    return fitted.reshape(sh.shape)
