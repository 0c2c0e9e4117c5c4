"""OpenCV's fisheye: the radius in the picture is a polynomial of the angle from the axis.

A ray at the angle t from the optical axis is seen at the radius
``t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8)``, in the direction that it has around the axis.
Source: OpenCV, module calib3d, "Fisheye camera model" (without its skew alpha); Kannala and Brandt,
2006. With all terms zero it is the equidistant fisheye.

It has an inverse up to the angle at which the radius stops rising, 180 degrees at most; pixels
beyond the radius there are transparent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.lenses.inverse import first_guess, inverse_table, least_root
from plenostream.cameras.lenses.lens import Lens, checked_coefficients
from plenostream.cameras.rays import plane_points, seen_rays

__all__ = ["Fisheye", "fisheye_rays"]

_STEPS = 4
"""Newton steps: the table is exact to 1e-6."""
_EXACT = 1e-12
"""Residual in the plane of an angle that was found."""
_FLAT = 1e-30
"""Slope below which no step leads anywhere."""
_ROUNDING = 1e-9
"""Relative excess over the limit that is taken for rounding."""


@dataclass(frozen=True, slots=True)
class Fisheye(Lens):
    """Raises CameraError for coefficients that are no numbers."""

    k: tuple[float, ...] = (0.0,) * 4
    """k1 to k4."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", checked_coefficients("k1 to k4", self.k, 4))

    @property
    def make(self) -> Callable[..., tuple[Any, Any, Any]]:
        """See `Lens.make`."""
        return fisheye_rays

    def arrays(self, reach: float) -> tuple[NDArray[np.float64], ...]:
        """Coefficients [4], the largest angle [], the table of the inverse and its top."""
        limit, terms = self._limit(), np.array(self.k)

        def seen_at(angle: NDArray[np.float64]) -> NDArray[np.float64]:
            radius: NDArray[np.float64] = _radius(angle, terms)[0]
            return radius

        return (terms, np.array(limit), *inverse_table(seen_at, limit, reach))

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Lens.project`."""
        beside = np.hypot(points[:, 0], points[:, 1])
        angle = np.arctan2(beside, points[:, 2])
        seen = (angle <= self._limit() * (1.0 + _ROUNDING)) & (np.abs(points).max(-1) > 0)
        radius = np.where(seen, _radius(angle, np.array(self.k))[0], np.nan)
        around = points[:, :2] / np.where(beside > 0, beside, 1.0)[:, None]
        return around * radius[:, None]

    def _limit(self) -> float:
        """Largest angle up to which the radius rises."""
        slope = [1.0, *((2 * i + 1) * k for i, k in enumerate(self.k, 1))]
        return min(math.pi, math.sqrt(least_root(slope)))


def fisheye_rays(
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
    """World rays of tiles, as `rays.pinhole_rays`; the rest as `Fisheye.arrays`."""
    x, y, valid = plane_points(xp, corners, intrinsics, pixels)
    radius = xp.sqrt(x * x + y * y)
    angle = first_guess(xp, table, top, radius)
    for _ in range(_STEPS):
        value, slope = _radius(angle, terms)
        angle = angle - (value - radius) / xp.where(xp.abs(slope) < _FLAT, 1.0, slope)
        angle = xp.clip(angle, 0.0, 2.0 * limit)
    seen = xp.abs(_radius(angle, terms)[0] - radius) <= _EXACT * (1.0 + radius)
    seen = seen & (angle <= limit * (1.0 + _ROUNDING))
    off_axis = radius > 0.0
    sine = xp.where(off_axis, xp.sin(angle) / xp.where(off_axis, radius, 1.0), 1.0)
    return seen_rays(xp, c2w, (x * sine, y * sine, xp.cos(angle)), seen, valid)


def _radius(angle: Any, terms: Any) -> tuple[Any, Any]:
    """Radius in the plane at angles, and its derivative."""
    q = angle * angle
    radius = angle * (1.0 + q * (terms[0] + q * (terms[1] + q * (terms[2] + q * terms[3]))))
    slope = 1.0 + q * (
        3.0 * terms[0] + q * (5.0 * terms[1] + q * (7.0 * terms[2] + q * (9.0 * terms[3])))
    )
    return radius, slope
