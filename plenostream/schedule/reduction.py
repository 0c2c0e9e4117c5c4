"""Which bricks may be shaded as one eye sees them, without moving a pixel by more than a tolerance.

A channel is f(w) = sum_k c_k Y_k(w), clamped later on; Y of degree l is a homogeneous harmonic
polynomial. Instead of f, `kernels.reduce` uses for each voxel its first-order expansion about the
direction v in which the eye sees the voxel, written around the direction b of the brick's centre.

The expansion. The largest value of a polynomial of degree l with coefficients of norm ``|c_l|`` on
the sphere is ``S_l |c_l|`` with S_l = sqrt((2 l + 1) / 4 pi) (addition theorem). For homogeneous
polynomials the symmetric multilinear form has the same norm (Banach 1938), so gradients are at
most ``l S_l |c_l|``, and what the first order leaves out is at most
``l (l - 1) / 2 S_l |c_l| |w - v|^2`` on the unit ball. The ray through a sample s and a corner p of
its cell differ by ``|w - v| <= |s - p| / r``, r being the distance from the eye to the brick, and
the trilinear weights give ``sum weight |s - p|^2 <= |h|^2 / 4`` for voxels of size h.

The rounding. Rows are kept as ``f(v) + G (b - v)`` and G, used as ``value + G (w - b)`` and rounded
to the pool's type, with a relative error of u each.

A pixel is a sum of clamped colours whose weights add up to 1 at most, and clamping only brings
values closer together: the bound of a sample is that of the pixel.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from plenostream.grid import BrickGrid, GridSpec

__all__ = ["REDUCIBLE_DIMS", "shading_error"]

REDUCIBLE_DIMS = (9, 16)
"""Numbers of functions for which a reduced row is smaller and its bound is proved: with 1 and 4 it
would be no smaller, and the functions of degree 4 are not written as homogeneous polynomials."""
_UNIT_ROUNDOFF = {2: 2.0**-11, 4: 2.0**-24}
"""Of float16 and float32, by their bytes."""
_ARITHMETIC = 5e-6
"""For everything that is computed in float32, and for float16 numbers too small to be normal."""


def _largest(degree: int) -> float:
    return math.sqrt((2 * degree + 1) / (4 * math.pi))


def shading_error(
    sh_bound: NDArray[np.floating],
    index: NDArray[np.int32],
    grid: GridSpec,
    bricks: BrickGrid,
    eye_grid: NDArray[np.float64],
    *,
    basis_dim: int,
    itemsize: int,
) -> NDArray[np.float64]:
    """Largest difference [n] between reduced and exact colours of samples in each brick; infinite
    where the eye is in it or beside it.

    Parameters
    ----------
    sh_bound : [n, 3]       ``bricks/sh_bound``: largest norms of degree 0, 1, and 2 or more
    index : [n, 3]          ``bricks/index``
    eye_grid : [3]          grid coordinates of the eye
    itemsize : int          bytes of the pool's numbers: 2 or 4
    """
    voxel = 1.0 / np.asarray(grid.scale, np.float64)
    low = index * float(bricks.brick_size)
    # Half a voxel around: samples outside the outermost voxel centres are clamped to them.
    nearest = np.maximum(low - 0.5 - eye_grid, eye_grid - (low + bricks.brick_size + 0.5))
    distance = np.linalg.norm(np.maximum(nearest, 0.0) * voxel, axis=1)
    degrees = range(2, math.isqrt(basis_dim))
    value, slope, second = (
        math.sqrt(sum((factor(d) * _largest(d)) ** 2 for d in degrees))
        for factor in (lambda d: 1.0, lambda d: float(d), lambda d: 0.5 * d * (d - 1))
    )
    b0, b1, b2 = np.asarray(sh_bound, np.float64).T
    most = _largest(0) * b0 + _largest(1) * b1 + value * b2
    gradient = _largest(1) * b1 + slope * b2
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = 0.25 * float(voxel @ voxel) / distance**2
        aside = float(np.linalg.norm((0.5 * bricks.brick_size + 0.5) * voxel)) / distance
        lost = second * b2 * spread
        rounded = _UNIT_ROUNDOFF[itemsize] * (most + 2.0 * gradient * aside)
        error = lost + rounded + _ARITHMETIC * (1.0 + most)
    return np.where(distance > 0.0, error, np.inf)
