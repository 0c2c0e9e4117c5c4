"""Rotations as unit quaternions x, y, z, w, and courses through them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["course_of_rotations", "quaternion_of", "rotation_of"]

_PARALLEL = 1e-7
"""Sine of an angle below which an arc is as good as its chord."""

Quaternion = NDArray[np.float64]


def rotation_of(quaternion: Quaternion) -> NDArray[np.float64]:
    """The matrix [3, 3] of a quaternion [4] of any length above zero."""
    x, y, z, w = quaternion / math.hypot(*quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of(rotation: NDArray[np.float64]) -> Quaternion:
    """The unit quaternion [4] of a rotation [3, 3], w >= 0."""
    # The eigenvector of the largest eigenvalue, which is 1: no case is worse than another
    # (Bar-Itzhack, 2000).
    m = rotation
    lower = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], np.trace(m)],
        ]
    )
    found: Quaternion = np.linalg.eigh(lower)[1][:, -1]
    return -found if found[3] < 0 else found


def course_of_rotations(
    rotations: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rotations [m, 3, 3] at `times`, of a smooth course that is rotation i of [n, 3, 3] at time i.

    Spherical cubic interpolation: its angular velocity has no jumps.
    Source: Shoemake, "Quaternion calculus and fast animation", 1987 (squad).
    """
    keys = np.stack([quaternion_of(rotation) for rotation in rotations])
    for before, after in zip(keys, keys[1:], strict=False):
        after *= -1 if before @ after < 0 else 1  # the shorter way round
    last = len(keys) - 1
    inner = keys.copy()  # at the ends, nothing to lean to
    for i in range(1, last):
        inner[i] = _inner(keys[i - 1], keys[i], keys[i + 1])
    found = []
    for time in times:
        i = min(int(time), max(last - 1, 0))
        j, part = min(i + 1, last), time - i
        outer = _slerp(keys[i], keys[j], part)
        found.append(
            rotation_of(_slerp(outer, _slerp(inner[i], inner[j], part), 2 * part * (1 - part)))
        )
    return np.stack(found)


def _inner(before: Quaternion, key: Quaternion, after: Quaternion) -> Quaternion:
    """The quaternion that the course leans to at a key, so that its velocity goes on there."""
    turn = _log(_product(_inverse(key), after)) + _log(_product(_inverse(key), before))
    return _product(key, _exp(-turn / 4))


def _slerp(first: Quaternion, second: Quaternion, part: float) -> Quaternion:
    """The point `part` (0 to 1) of the arc between two unit quaternions."""
    angle = 2 * math.atan2(math.hypot(*(second - first)), math.hypot(*(second + first)))
    if math.sin(angle) < _PARALLEL:
        mixed = first + part * (second - first)
    else:
        mixed = math.sin((1 - part) * angle) * first + math.sin(part * angle) * second
    unit: Quaternion = mixed / math.hypot(*mixed)
    return unit


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    vector = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
    return np.append(vector, a[3] * b[3] - a[:3] @ b[:3])


def _inverse(unit: Quaternion) -> Quaternion:
    return unit * (-1, -1, -1, 1)


def _log(unit: Quaternion) -> NDArray[np.float64]:
    """Half the rotation's angle times its axis [3], the shorter way round."""
    unit = -unit if unit[3] < 0 else unit
    sine = math.hypot(*unit[:3])
    return unit[:3] * (math.atan2(sine, unit[3]) / sine if sine > 0 else 1.0)


def _exp(turn: NDArray[np.float64]) -> Quaternion:
    angle = math.hypot(*turn)
    return np.append(turn * (math.sin(angle) / angle if angle > 0 else 1.0), math.cos(angle))
