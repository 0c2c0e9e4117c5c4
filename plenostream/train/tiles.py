"""Tiles of rays that are trained with: 8x8 pixels of a photograph, or of any picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import Camera
from plenostream.engine.rays import world_rays
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import RaySource

__all__ = ["RayTiles", "camera_tiles"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RayTiles:
    """Rays of t tiles, in the world."""

    origins: NDArray[np.float64]
    """[t, 64, 3]."""
    directions: NDArray[np.float64]
    """[t, 64, 3], of any length above zero."""
    valid: NDArray[np.bool_]
    """[t, 64]: which of them are rays."""

    def __len__(self) -> int:
        return len(self.valid)

    def some(self, part: slice) -> RayTiles:
        """Those of a part of the tiles."""
        return RayTiles(
            origins=self.origins[part], directions=self.directions[part], valid=self.valid[part]
        )

    @classmethod
    def joined(cls, parts: list[RayTiles]) -> RayTiles:
        """Tiles one after another."""
        return cls(
            origins=np.concatenate([part.origins for part in parts]),
            directions=np.concatenate([part.directions for part in parts]),
            valid=np.concatenate([part.valid for part in parts]),
        )

    def source(self) -> RaySource:
        """The same as an integrator takes them."""
        ones = np.ones((1, TILE_RAYS, 3))
        return RaySource(
            make=world_rays,
            per_tile=(self.origins, self.directions, self.valid),
            nothing=(ones, ones, np.zeros((1, TILE_RAYS), bool)),
            shared=(),
            packets=True,
        )


def camera_tiles(camera: Camera, corners: NDArray[np.int32]) -> RayTiles:
    """The rays of a camera's tiles, whose first pixels are `corners` [t, 2] (column, row)."""
    origins, directions, valid = camera.lens.make(np, corners, *camera.ray_arrays)
    shape = (len(corners), TILE_RAYS)
    return RayTiles(
        origins=origins.T.reshape(*shape, 3),
        directions=directions.T.reshape(*shape, 3),
        valid=valid.reshape(shape),
    )
