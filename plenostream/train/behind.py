"""What rays see behind the volume, while it is trained."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.train.tiles import RayTiles

__all__ = ["Behind", "Colour"]


class Behind(Protocol):
    """Something behind the volume."""

    def seen(self, tiles: RayTiles, left: NDArray[np.float32]) -> NDArray[np.float32]:
        """Its colours [t, 64, 3] to tiles of rays with so much light left [t, 64]."""
        ...

    def back(
        self, tiles: RayTiles, left: NDArray[np.float32], by_seen: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The derivative of a loss by that light [t, 64], given the one by the colours [t, 64, 3]."""
        ...


class Colour:
    """One colour."""

    def __init__(self, rgb: tuple[float, float, float]) -> None:
        self.rgb = np.array(rgb, np.float32)

    def seen(self, tiles: RayTiles, left: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Behind`."""
        return left[..., None] * self.rgb

    def back(
        self, tiles: RayTiles, left: NDArray[np.float32], by_seen: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See `Behind`."""
        by_left: NDArray[np.float32] = by_seen @ self.rgb
        return by_left
