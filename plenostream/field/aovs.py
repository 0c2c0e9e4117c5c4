"""What rays gather beside colour, depth and alpha: arbitrary output variables, in renderers' words.

`docs/rules.md`, rules 29 to 33, say what each of them is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["AOVS", "NO_AOVS", "Aovs"]

AOVS = {"mean-depth": 1, "median-depth": 1, "density-depth": 1, "normals": 3, "cost": 1}
"""Columns of each, by the names of `OUTPUTS`. What a ray has in them:

- mean-depth: what the weights in its depth add up to, 0 to 1;
- median-depth, density-depth: world units along the ray, NaN where there is none;
- normals: a sum of weighted gradients along the axes of the world, times anything above zero that
  is the same for all rays;
- cost: samples that contributed.
"""
_DEPTHS = ("median-depth", "density-depth")


@dataclass(frozen=True, slots=True)
class Aovs:
    """Which of them rays gather: E columns, side by side in the order of `AOVS`."""

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, outputs: Iterable[str]) -> Self:
        """Those among the `outputs` that are asked for."""
        asked = set(outputs)
        return cls(tuple(name for name in AOVS if name in asked))

    @property
    def n_columns(self) -> int:
        """E."""
        return sum(AOVS[name] for name in self.names)

    def first(self, name: str) -> int:
        """First column of one of them; -1 where it is not gathered."""
        if name not in self.names:
            return -1
        before = self.names[: self.names.index(name)]
        return sum(AOVS[other] for other in before)

    @property
    def nothing(self) -> NDArray[np.float32]:
        """[E]: what a ray has that meets nothing."""
        values = np.zeros(self.n_columns, np.float32)
        for name in _DEPTHS:
            if name in self.names:
                values[self.first(name)] = np.nan
        return values

    def room(self, *shape: int) -> dict[str, NDArray[np.float32]]:
        """Arrays [*shape] for those gathered, normals [*shape, 3], as what meets nothing has them;
        by the fields of `results.Outputs`."""
        nothing = self.of_pixels(self.nothing[None])
        return {
            name: np.full((*shape, *value.shape), value, np.float32)
            for name, value in nothing.items()
        }

    def of_pixels(self, rays: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """What pixels show whose n rays each have gathered `rays` [..., n, E]; as `room`.

        Weights and costs are means; depths are means over those rays that have one, NaN where none
        has; normals are the sum of those of the rays, as a unit vector, 0 where it is 0.
        """
        found = {}
        for name in self.names:
            start = self.first(name)
            part = rays[..., start : start + AOVS[name]]
            if name == "normals":
                found["normals"] = _unit(part)
            elif name in _DEPTHS:
                found[name.replace("-", "_")] = _mean_of_some(part[..., 0])
            else:
                field = "depth_weight" if name == "mean-depth" else name
                found[field] = part[..., 0].mean(-1)
        return found


NO_AOVS = Aovs()
"""None of them."""


def _unit(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors [..., 3] along the sums over n of vectors [..., n, 3]."""
    total: NDArray[np.float32] = sums.sum(-2)
    # By the largest component first: squares of what is left are within float32.
    for length in (_largest, _norm):
        divisor = length(total)
        np.divide(total, divisor, out=total, where=divisor > 0.0)
    return total


def _largest(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    largest: NDArray[np.float32] = np.abs(vectors).max(-1, keepdims=True)
    return largest


def _norm(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norm: NDArray[np.float32] = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return norm


def _mean_of_some(depths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means [...] of the numbers among [..., n] that are no NaN; NaN where all are."""
    is_one = ~np.isnan(depths)
    count = is_one.sum(-1, dtype=np.float32)
    mean = np.full(count.shape, np.nan, np.float32)
    np.divide(depths.sum(-1, where=is_one), count, out=mean, where=count > 0)
    return mean
