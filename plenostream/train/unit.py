"""The unit of length that a scene is trained in.

What a density does depends on the unit of length, and with it every rate, weight and threshold, float32's
smallest squares included. So training goes on in a world in which the volume's radius is about 1, and
what it reads and writes is of the scene's own world. Its lengths differ by a power of two, which changes
no digit, and for radii from 0.71 to 1.41 not at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plenostream.cameras import PicturedCamera
from plenostream.cameras.similarity import Similarity
from plenostream.field.grid import GridSpec
from plenostream.options import RenderOptions
from plenostream.options.limits import LARGE

__all__ = ["TrainingUnit"]

_WIDEST = np.finfo(np.float32).max


@dataclass(frozen=True, slots=True)
class TrainingUnit:
    """How long a world unit is where a scene is trained."""

    length: float
    """A power of two."""

    @classmethod
    def of(cls, volume: GridSpec) -> Self:
        """That of a volume: its radius, or were it a cube of its shortest voxel edge, becomes about 1."""
        radius = max(volume.size) / (2.0 * float(volume.scale.max()))
        return cls(2.0 ** -round(math.log2(radius)))

    def volume(self, grid: GridSpec) -> GridSpec:
        """A grid of the world, where it is trained."""
        return _resized(grid, self.length)

    def world_volume(self, grid: GridSpec) -> GridSpec:
        """A grid that is trained, in the world."""
        return _resized(grid, 1.0 / self.length)

    def views(self, views: Sequence[PicturedCamera]) -> list[PicturedCamera]:
        """Cameras of the world, where they learn."""
        moved = Similarity.scaled(self.length).moved
        return [replace(view, camera=moved(view.camera)) for view in views]

    def options(self, render: RenderOptions) -> RenderOptions:
        """How pictures are drawn there."""
        near = render.near_clip * (1.0 if render.spheric_clip else self.length)
        thresh = render.sigma_thresh / self.length
        return replace(render, near_clip=min(near, LARGE), sigma_thresh=min(thresh, LARGE))

    def densities(self, density: NDArray[np.float32]) -> NDArray[np.float32]:
        """Densities per world unit, turned in place into such per unit of training."""
        return _multiplied(density, 1.0 / self.length)

    def world_densities(self, density: NDArray[np.float32]) -> NDArray[np.float32]:
        """Densities per unit of training, turned in place into such per world unit."""
        return _multiplied(density, self.length)


def _resized(grid: GridSpec, factor: float) -> GridSpec:
    x, y, z = (radius * factor for radius in grid.radius)
    a, b, c = (middle * factor for middle in grid.center)
    return GridSpec(size=grid.size, radius=(x, y, z), center=(a, b, c))


def _multiplied(density: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):
        np.multiply(density, np.float32(factor), out=density)
    return np.clip(density, -_WIDEST, _WIDEST, out=density)
