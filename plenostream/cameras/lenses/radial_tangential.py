"""OpenCV's radial and tangential distortion, with the rational terms.

With (a, b) = (X / Z, Y / Z), s = a^2 + b^2 and R = (1 + k1 s + k2 s^2 + k3 s^3) / (1 + k4 s +
k5 s^2 + k6 s^3), the point is seen at ::

    x = a R + 2 p1 a b + p2 (s + 2 a^2)
    y = b R + p1 (s + 2 b^2) + 2 p2 a b

Source: OpenCV, module calib3d, "Detailed Description" (without thin prism and tilted sensor).

The model has an inverse from the middle of the picture to where it folds over: to the s at which
a R, as a function of the radius alone, stops rising, or where the determinant of its derivatives
is not above 0. Points beyond are not seen, and pixels that no point before maps to are transparent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import polynomial
from numpy.typing import NDArray

from plenostream.cameras.lenses.inverse import first_guess, inverse_table, least_root
from plenostream.cameras.lenses.lens import Lens, checked_coefficients
from plenostream.cameras.rays import plane_points, seen_rays

__all__ = ["RadialTangential", "radial_tangential_rays"]

_STEPS = 16
"""Newton steps: five are exact, but where the radial part is nearly flat and a guess without the
tangential part is far off: eleven were needed there."""
_EXACT = 1e-12
"""Residual in the plane of a point that was found: 1e-9 of a pixel at a focal length of 1000."""
_NEAR = 1e-11
"""Residual before a step after which nothing is left of it."""
_FLAT = 1e-30
"""Determinant below which no step leads anywhere."""
_ROUNDING = 1e-9
"""Relative excess over the limit that is taken for rounding."""


@dataclass(frozen=True, slots=True)
class RadialTangential(Lens):
    """Raises CameraError for coefficients that are no numbers."""

    k: tuple[float, ...] = (0.0,) * 6
    """k1 to k6."""
    p: tuple[float, ...] = (0.0,) * 2
    """p1, p2."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", checked_coefficients("k1 to k6", self.k, 6))
        object.__setattr__(self, "p", checked_coefficients("p1, p2", self.p, 2))

    @property
    def make(self) -> Callable[..., tuple[Any, Any, Any]]:
        """See `Lens.make`."""
        return radial_tangential_rays

    def arrays(self, reach: float) -> tuple[NDArray[np.float64], ...]:
        """Coefficients [8], the largest radius [], the table of the radial part and its top."""
        limit = self._limit()
        terms = np.array((*self.k, *self.p))

        def seen_at(radius: NDArray[np.float64]) -> NDArray[np.float64]:
            factor: NDArray[np.float64] = _radial(radius * radius, terms)[0]
            return radius * factor

        return (terms, np.array(limit), *inverse_table(seen_at, limit, reach))

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Lens.project`."""
        depth = np.where(points[:, 2] > 0, points[:, 2], np.nan)
        a, b = points[:, 0] / depth, points[:, 1] / depth
        terms = np.array((*self.k, *self.p))
        seen = np.hypot(a, b) <= self._limit() * (1.0 + _ROUNDING)
        x, y, aa, ab, bb = _distorted(a, b, terms)
        seen &= aa * bb - ab * ab > 0.0
        return np.where(seen[:, None], np.stack([x, y], -1), np.nan)

    def _limit(self) -> float:
        """Largest radius before the fold: the first zero of d(a R)/da or pole of R."""
        over, under = [1.0, *self.k[:3]], [1.0, *self.k[3:]]
        twice = [0.0, 2.0]
        slope = polynomial.polysub(
            polynomial.polymul(
                polynomial.polyadd(over, polynomial.polymul(twice, polynomial.polyder(over))), under
            ),
            polynomial.polymul(polynomial.polymul(twice, over), polynomial.polyder(under)),
        )
        # Not the pole itself, where there is nothing to divide by.
        pole = least_root(under) * (1.0 - _ROUNDING)
        return math.sqrt(min(least_root(list(slope)), pole))


def radial_tangential_rays(
    xp: Any,
    corners: Any,
    c2w: Any,
    intrinsics: Any,
    pixels: Any,
    terms: Any,
    limit: Any,
    table: Any,
    top: Any,
) -> tuple[Any, Any, Any]:
    """World rays of tiles, as `rays.pinhole_rays`; the rest as `RadialTangential.arrays`."""
    x, y, valid = plane_points(xp, corners, intrinsics, pixels)
    seen_at = xp.sqrt(x * x + y * y)
    radius = first_guess(xp, table, top, seen_at)
    # In the very middle the factor is that of no distortion, 1.
    scale = xp.where(seen_at > 0.0, radius / xp.where(seen_at > 0.0, seen_at, 1.0), 1.0)
    a, b = x * scale, y * scale
    # Steps that lead away, where there is no inverse, end here rather than beyond float64.
    far = 1.0 + 2.0 * table[-1]
    for _ in range(_STEPS):
        at_x, at_y, aa, ab, bb = _distorted(a, b, terms)
        off_x, off_y, det = at_x - x, at_y - y, aa * bb - ab * ab
        det = xp.where(xp.abs(det) < _FLAT, 1.0, det)
        a, b = a - (bb * off_x - ab * off_y) / det, b - (aa * off_y - ab * off_x) / det
        a, b = xp.clip(a, -far, far), xp.clip(b, -far, far)
        # On the host it can be seen when all are there; a step squares what was missing.
        if xp is np and max(np.abs(off_x).max(), np.abs(off_y).max()) < _NEAR:
            break
    at_x, at_y, aa, ab, bb = _distorted(a, b, terms)
    off = xp.maximum(xp.abs(at_x - x), xp.abs(at_y - y))
    seen = (off <= _EXACT * (1.0 + seen_at)) & (aa * bb - ab * ab > 0.0)
    seen = seen & (xp.sqrt(a * a + b * b) <= limit * (1.0 + _ROUNDING))
    return seen_rays(xp, c2w, (a, b, xp.ones_like(a)), seen, valid)


def _radial(s: Any, terms: Any) -> tuple[Any, Any]:
    """R and dR/ds at squared radii s."""
    over = 1.0 + s * (terms[0] + s * (terms[1] + s * terms[2]))
    under = 1.0 + s * (terms[3] + s * (terms[4] + s * terms[5]))
    rise = terms[0] + s * (2.0 * terms[1] + s * (3.0 * terms[2]))
    fall = terms[3] + s * (2.0 * terms[4] + s * (3.0 * terms[5]))
    return over / under, (rise - over / under * fall) / under


def _distorted(a: Any, b: Any, terms: Any) -> tuple[Any, Any, Any, Any, Any]:
    """x and y of points a, b, and the derivatives dx/da, dx/db = dy/da, dy/db."""
    p1, p2 = terms[6], terms[7]
    s = a * a + b * b
    factor, slope = _radial(s, terms)
    x = a * factor + 2.0 * p1 * a * b + p2 * (s + 2.0 * a * a)
    y = b * factor + p1 * (s + 2.0 * b * b) + 2.0 * p2 * a * b
    aa = factor + 2.0 * a * a * slope + 2.0 * p1 * b + 6.0 * p2 * a
    ab = 2.0 * a * b * slope + 2.0 * p1 * a + 2.0 * p2 * b
    bb = factor + 2.0 * b * b * slope + 6.0 * p1 * b + 2.0 * p2 * a
    return x, y, aa, ab, bb
