"""Basis functions that were trained with a scene: a texture of directions, and a small network.

Source: svox2, `svox2/svox2.py` (_eval_learned_bases, _eval_basis_mlp) and `calc_sphfunc` in
`csrc/include/render_util.cuh`; `docs/rules.md`, rule 27.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NetworkBasis", "TextureBasis"]

_TEXTURE_BYTES = 160
"""Bytes of a ray at a texture: its place, its cell, and a corner's row number and weight."""
_NETWORK_LAYERS = 4
"""Layers of a network that are held at once: one, the one before, what it becomes, and weights."""


@dataclass(frozen=True, slots=True)
class TextureBasis:
    """Functions interpolated in a cube of `resolution` voxels an axis around the unit sphere."""

    resolution: int
    dim: int

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the array that it takes: a row for each voxel, in C order (z fastest)."""
        return self.resolution**3, self.dim

    @property
    def ray_bytes(self) -> int:
        """See `BasisFunctions`; the rows of a corner, what they become, and their sum."""
        return _TEXTURE_BYTES + 4 * 4 * self.dim

    def __call__(self, xp: Any, dirs: Any, values: Any) -> list[Any]:
        """See `BasisFunctions`; `values` [R^3, K] f32. What is below 0 counts as 0, after
        interpolation."""
        n = self.resolution
        place = (dirs * 0.5 + 0.5) * (n - 1.0)
        cell = xp.clip(xp.floor(place), 0.0, n - 2.0)
        within = (place - cell).astype(xp.float32)
        x, y, z = cell.astype(xp.int32)
        total: Any = None
        for i, j, k in np.ndindex(2, 2, 2):
            weight = xp.ones_like(within[0])
            for axis, upper in enumerate((i, j, k)):
                weight = weight * (within[axis] if upper else 1.0 - within[axis])
            part = weight[:, None] * values[((x + i) * n + (y + j)) * n + (z + k)]
            total = part if total is None else total + part
        total = xp.maximum(total, 0.0)
        return [total[:, function] for function in range(self.dim)]

    def bound(self, values: NDArray[np.float32]) -> tuple[float, float, float]:
        """See `Basis.bound`: interpolation exceeds no voxel."""
        largest = np.maximum(values.max(axis=0), 0.0).astype(np.float64)
        return _band_norms(largest)


@dataclass(frozen=True, slots=True)
class NetworkBasis:
    """The sigmoid of a network's output: linear layers, each but the last followed by max(0, x).

    It takes the direction v and, for each of `n_frequencies` k, the sine of 2^k v and that of
    2^k v + pi / 2: all of the first kind before those of the second.
    """

    n_frequencies: int
    widths: tuple[int, ...]
    """Numbers that go into each layer, and those that come out of the last."""

    @property
    def dim(self) -> int:
        """See `BasisFunctions`."""
        return self.widths[-1]

    @property
    def shape(self) -> tuple[int]:
        """Shape of the array that it takes: of each layer weights [out, in], then what is added."""
        return (sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.widths)),)

    @property
    def ray_bytes(self) -> int:
        """See `BasisFunctions`."""
        return 8 * (_NETWORK_LAYERS * max(self.widths) + 2 * self.widths[0])

    def __call__(self, xp: Any, dirs: Any, values: Any) -> list[Any]:
        """See `BasisFunctions`; `values` f32. In float64: float32 products of matrices are not
        what they say on every device."""
        scaled = [dirs * 2.0**k for k in range(self.n_frequencies)]
        inputs = [dirs, *map(xp.sin, scaled), *(xp.sin(s + 0.5 * math.pi) for s in scaled)]
        layer, first = xp.concatenate(inputs), 0
        for number, (n_in, n_out) in enumerate(pairwise(self.widths)):
            end = first + n_in * n_out
            weights = values[first:end].reshape(n_out, n_in).astype(xp.float64)
            added = values[end : end + n_out].astype(xp.float64)
            if number:
                layer = xp.maximum(layer, 0.0)
            layer = weights @ layer + added[:, None]
            first = end + n_out
        sigmoid = 0.5 + 0.5 * xp.tanh(0.5 * layer)
        return [sigmoid[function] for function in range(self.dim)]

    def bound(self, values: NDArray[np.float32]) -> tuple[float, float, float]:
        """See `Basis.bound`: no sigmoid exceeds 1."""
        return _band_norms(np.ones(self.dim))


def _band_norms(largest: NDArray[np.float64]) -> tuple[float, float, float]:
    """Norms of the first of the largest values [K], of the three after it, and of the others."""
    parts = largest[:1], largest[1:4], largest[4:]
    first, three, others = (float(np.sqrt(np.square(part).sum())) for part in parts)
    return first, three, others
