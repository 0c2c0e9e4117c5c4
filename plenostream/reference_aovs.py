"""What rays gather beside colour and depth, for `reference`: float64, sample after sample.

It follows `docs/rules.md`, rules 29 to 33.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReferenceAovs", "slopes"]

Float64 = NDArray[np.float64]

_CORNERS = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReferenceAovs:
    """Of n rays."""

    depth_weight: Float64
    """[n]: the weights of depth, added up."""
    median_depth: Float64
    """[n]: where half of the light is left (world units along the ray); NaN: nowhere."""
    density_depth: Float64
    """[n]: where a density is exceeded; as before."""
    normals: Float64
    """[n, 3]: minus the gradients of density (world axes), weighted and added up."""
    cost: Float64
    """[n]: samples that contributed."""

    @classmethod
    def empty(cls, n: int) -> Self:
        """Those of rays that have met nothing."""
        return cls(
            depth_weight=np.zeros(n),
            median_depth=np.full(n, np.nan),
            density_depth=np.full(n, np.nan),
            normals=np.zeros((n, 3)),
            cost=np.zeros(n),
        )

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Those of all rays, from those of some after others."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})

    @property
    def unit_normals(self) -> Float64:
        """[n, 3]: of length 1, or 0."""
        length = np.linalg.norm(self.normals, axis=1, keepdims=True)
        return self.normals / np.where(length > 0.0, length, 1.0)

    def add(
        self,
        ray: NDArray[np.int64],
        *,
        weight: Float64,
        left: Float64,
        depth: Float64,
        is_dense: NDArray[np.bool_],
        gradient: Float64,
        half: float,
    ) -> None:
        """Take a sample of each of the rays [m]: its weight, the light left behind it, how far it is
        (world units), whether it exceeds the density, and the density's gradient [m, 3] (world)."""
        self.depth_weight[ray] += weight
        self.normals[ray] -= weight[:, None] * gradient
        self.cost[ray] += 1.0
        for first, is_there in ((self.median_depth, left < half), (self.density_depth, is_dense)):
            new = is_there & np.isnan(first[ray])
            first[ray[new]] = depth[new]


def slopes(values: Float64, place: Float64) -> Float64:
    """How the trilinear blend of `values` [n, 8] at the corners of cells rises along each axis, at
    `place` [n, 3] in the cell: its derivatives [n, 3]."""
    shares = np.where(_CORNERS == 1, place[:, None, :], 1.0 - place[:, None, :])
    signs = 2.0 * _CORNERS - 1.0
    x, y, z = np.moveaxis(shares, -1, 0)
    along = (signs[:, 0] * y * z, x * signs[:, 1] * z, x * y * signs[:, 2])
    return np.stack([(values * each).sum(1) for each in along], -1)
