"""The f-theta lens: the angle from the axis is a polynomial of the radius in the picture.

A point of the plane at the radius r sees the angle ``p0 + p1 r + p2 r^2 + p3 r^3 + p4 r^4`` from
the optical axis, in its own direction around it. Source: instant-ngp, `ELensMode::FTheta`
(``ftheta_p0`` to ``ftheta_p4`` of its files), where r is in pixels: then fx = fy = 1.

The polynomial leads from pixels to rays, so nothing is inverted. Where the angle is below 0 or
above 180 degrees the pixel is transparent, and in the very middle where p0 is not 0. (instant-ngp
leaves out all beyond 90 degrees; this lens is for wider ones.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.lenses.inverse import least_root, solve
from plenostream.cameras.lenses.lens import Lens, checked_coefficients
from plenostream.cameras.rays import plane_points, seen_rays

__all__ = ["FTheta", "ftheta_rays"]


@dataclass(frozen=True, slots=True)
class FTheta(Lens):
    """Raises CameraError for coefficients that are no numbers."""

    p: tuple[float, ...]
    """p0 to p4, radians over powers of the plane's unit."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", checked_coefficients("p0 to p4", self.p, 5))

    @property
    def make(self) -> Callable[..., tuple[Any, Any, Any]]:
        """See `Lens.make`."""
        return ftheta_rays

    def arrays(self, reach: float) -> tuple[NDArray[np.float64], ...]:
        """Coefficients [5]."""
        del reach
        return (np.array(self.p),)

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Lens.project`; the nearest to the middle, where several pixels see a point."""
        beside = np.hypot(points[:, 0], points[:, 1])
        angle = np.arctan2(beside, points[:, 2])
        limit = least_root([i * p for i, p in enumerate(self.p) if i > 0])
        radius = solve(lambda r: self._angle(r) - self.p[0], angle - self.p[0], limit)
        seen = np.abs(self._angle(radius) - angle) < 1e-9
        around = points[:, :2] / np.where(beside > 0, beside, 1.0)[:, None]
        return around * np.where(seen, radius, np.nan)[:, None]

    def _angle(self, radius: NDArray[np.float64]) -> NDArray[np.float64]:
        angle: NDArray[np.float64] = _angle(radius, np.array(self.p))
        return angle


def ftheta_rays(
    xp: Any, corners: Any, c2w: Any, intrinsics: Any, pixels: Any, terms: Any
) -> tuple[Any, Any, Any]:
    """World rays of tiles, as `rays.pinhole_rays`; `terms` [5] are p0 to p4."""
    x, y, valid = plane_points(xp, corners, intrinsics, pixels)
    radius = xp.sqrt(x * x + y * y)
    angle = _angle(radius, terms)
    off_axis = radius > 0.0
    sine = xp.where(off_axis, xp.sin(angle) / xp.where(off_axis, radius, 1.0), 0.0)
    seen = (angle >= 0.0) & (angle <= math.pi) & (off_axis | (terms[0] == 0.0))
    return seen_rays(xp, c2w, (x * sine, y * sine, xp.cos(angle)), seen, valid)


def _angle(r: Any, terms: Any) -> Any:
    return terms[0] + r * (terms[1] + r * (terms[2] + r * (terms[3] + r * terms[4])))
