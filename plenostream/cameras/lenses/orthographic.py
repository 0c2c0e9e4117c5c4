"""The orthographic camera: parallel rays, as from infinitely far away.

The ray of a point of the plane starts at ``eye + x right + y down`` and looks ahead, so fx and fy
are pixels per world unit. What lies behind the plane through the eye is not seen. Source:
instant-ngp, `ELensMode::Orthographic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.lenses.lens import Lens
from plenostream.cameras.rays import plane_points

__all__ = ["Orthographic", "orthographic_rays"]


@dataclass(frozen=True, slots=True)
class Orthographic(Lens):
    """Things are as large far away as near by."""

    has_eye: ClassVar[bool] = False

    @property
    def make(self) -> Callable[..., tuple[Any, Any, Any]]:
        """See `Lens.make`."""
        return orthographic_rays

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Lens.project`."""
        return np.where(points[:, 2:] >= 0, points[:, :2], np.nan)


def orthographic_rays(
    xp: Any, corners: Any, c2w: Any, intrinsics: Any, pixels: Any
) -> tuple[Any, Any, Any]:
    """World rays of tiles, as `rays.pinhole_rays`."""
    x, y, valid = plane_points(xp, corners, intrinsics, pixels)
    origins = x * c2w[:, 0:1] + y * c2w[:, 1:2] + c2w[:, 3:4]
    return origins, xp.broadcast_to(c2w[:, 2:3], origins.shape), valid
