"""The equirectangular panorama: x is the longitude, y the latitude, in radians.

``direction = (sin x cos y, sin y, cos x cos y)``: the middle looks ahead, x to the right and y
down. A full panorama of W x H pixels has fx = W / 2 pi, fy = H / pi and its principal point in the
middle; a part of one has the same with another principal point. Source: instant-ngp,
`latlong_to_dir`; nerfstudio's EQUIRECTANGULAR is the same.

Rows beyond the poles are transparent; columns go round and round.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.lenses.lens import Lens
from plenostream.cameras.rays import plane_points, seen_rays

__all__ = ["Equirectangular", "equirectangular_rays"]


@dataclass(frozen=True, slots=True)
class Equirectangular(Lens):
    """All directions, or those of a part of the sphere."""

    @property
    def make(self) -> Callable[..., tuple[Any, Any, Any]]:
        """See `Lens.make`."""
        return equirectangular_rays

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Lens.project`; longitudes of -pi to pi."""
        x, y, z = points.T
        seen = np.abs(points).max(-1) > 0
        at = np.stack([np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))], -1)
        return np.where(seen[:, None], at, np.nan)


def equirectangular_rays(
    xp: Any, corners: Any, c2w: Any, intrinsics: Any, pixels: Any
) -> tuple[Any, Any, Any]:
    """World rays of tiles, as `rays.pinhole_rays`."""
    x, y, valid = plane_points(xp, corners, intrinsics, pixels)
    level = xp.cos(y)
    seen = xp.abs(y) <= 0.5 * math.pi
    course = (xp.sin(x) * level, xp.broadcast_to(xp.sin(y), x.shape), xp.cos(x) * level)
    return seen_rays(xp, c2w, course, seen, valid)
