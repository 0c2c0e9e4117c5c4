"""Boxes of voxels, and what a source of voxels is asked about them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from types import EllipsisType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoxSource", "BoxValues", "VoxelBox"]

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class VoxelBox:
    """The voxels [lower, upper) of a grid."""

    lower: Triple
    upper: Triple

    @property
    def shape(self) -> Triple:
        """Voxels per axis."""
        x, y, z = (b - a for a, b in zip(self.lower, self.upper, strict=True))
        return x, y, z

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """What indexes an array of the whole grid."""
        x, y, z = map(slice, self.lower, self.upper)
        return x, y, z

    def grown(self, size: Triple) -> VoxelBox:
        """This box and the voxels around it that a grid of `size` voxels has."""
        x0, y0, z0 = (max(0, a - 1) for a in self.lower)
        x1, y1, z1 = (min(n, b + 1) for n, b in zip(size, self.upper, strict=True))
        return VoxelBox((x0, y0, z0), (x1, y1, z1))

    def within(self, outer: VoxelBox) -> tuple[slice, slice, slice]:
        """What indexes an array of `outer` to give this box."""
        x, y, z = (
            slice(a - o, b - o) for a, b, o in zip(self.lower, self.upper, outer.lower, strict=True)
        )
        return x, y, z

    def common(self, other: VoxelBox) -> VoxelBox:
        """The voxels of both; the boxes must meet."""
        x0, y0, z0 = map(max, self.lower, other.lower)
        x1, y1, z1 = map(min, self.upper, other.upper)
        return VoxelBox((x0, y0, z0), (x1, y1, z1))

    def parts(self, edge: int) -> list[VoxelBox]:
        """The box in halves along every axis that is longer than `edge`, cut at multiples of it."""
        cuts = []
        for a, b in zip(self.lower, self.upper, strict=True):
            middle = (a + -(-(b - a) // (2 * edge)) * edge) if b - a > edge else b
            cuts.append([(a, middle), (middle, b)] if middle < b else [(a, b)])
        return [
            VoxelBox((x[0], y[0], z[0]), (x[1], y[1], z[1])) for x, y, z in itertools.product(*cuts)
        ]

    def __str__(self) -> str:
        return f"voxels {self.lower} to {self.upper}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxValues:
    """What a source holds in a box."""

    density: NDArray[np.float32]
    """[x, y, z] (per world unit)."""
    colours: NDArray[np.float32]
    """[x, y, z, c]: plain colours or coefficients."""
    given: NDArray[np.bool_] | None = None
    """Which voxels there are, [x, y, z]; None: all."""


class BoxSource(Protocol):
    """A grid of voxels that is asked box by box, each voxel's values once or a few times."""

    def positive(self, box: VoxelBox) -> NDArray[np.bool_] | EllipsisType | None:
        """Which voxels of a box have a positive density, [x, y, z].

        None: the box holds nothing; Ellipsis: to be asked in smaller boxes.
        """

    def values(self, box: VoxelBox) -> BoxValues:
        """What is in a box, which lies in the one that `positive` was asked for last."""
