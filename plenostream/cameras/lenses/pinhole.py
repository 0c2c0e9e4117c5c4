"""The pinhole: direction (x, y, 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras.lenses.lens import Lens
from plenostream.cameras.rays import pinhole_rays

__all__ = ["Pinhole"]


@dataclass(frozen=True, slots=True)
class Pinhole(Lens):
    """No distortion: a straight line of the world is straight in the picture."""

    @property
    def make(self) -> Callable[..., tuple[Any, Any, Any]]:
        """See `Lens.make`."""
        return pinhole_rays

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Lens.project`; what is not before the eye is not seen."""
        depth = np.where(points[:, 2:] > 0, points[:, 2:], np.nan)
        return points[:, :2] / depth
