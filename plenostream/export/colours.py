"""Colours of voxels without a ray: what they show on average, and towards a direction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.basis import C0
from plenostream.format.extra_arrays import basis_of
from plenostream.format.reader import SceneStore

__all__ = ["VoxelColours"]

_DIRECTIONS = 4096
"""Directions that stand for all."""


class VoxelColours:
    """Colours from the coefficients of an open scene, whatever its basis."""

    def __init__(self, store: SceneStore) -> None:
        self._basis = basis_of(store)
        self._means = np.zeros(store.meta.basis_dim)
        if store.meta.learned is None:
            self._means[0] = C0  # those of all others are 0
        else:
            # Points of a spiral from pole to pole: each stands for as much of the sphere.
            number = np.arange(_DIRECTIONS) + 0.5
            height = 1.0 - 2.0 * number / _DIRECTIONS
            angle = np.pi * (1.0 + 5.0**0.5) * number
            across = np.sqrt(1.0 - height**2)
            self._means = self._values(
                np.stack([across * np.cos(angle), across * np.sin(angle), height], axis=-1)
            ).mean(axis=0)

    def mean(self, sh: NDArray[Any]) -> NDArray[np.float32]:
        """Colours [n, 3], 0 to 1, on average over all directions; `sh` [n, 3 dim]."""
        return _limited(self._channels(sh) @ self._means + 0.5)

    def along(self, sh: NDArray[Any], directions: NDArray[np.float64]) -> NDArray[np.float32]:
        """Colours [n, 3], 0 to 1, for rays of unit directions [n, 3] (world)."""
        colours = np.einsum("vck,vk->vc", self._channels(sh), self._values(directions)) + 0.5
        return _limited(colours)

    def _channels(self, sh: NDArray[Any]) -> NDArray[np.float64]:
        """Coefficients [n, 3, dim]; n may be 0."""
        return sh.reshape(len(sh), 3, len(self._means)).astype(np.float64)

    def _values(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the basis functions [n, dim] at directions [n, 3]."""
        values = self._basis.functions(np, directions.T, *self._basis.arrays)
        return np.stack(values, axis=-1).astype(np.float64)


def _limited(colours: NDArray[np.float64]) -> NDArray[np.float32]:
    limited: NDArray[np.float32] = np.clip(colours, 0, 1).astype(np.float32)
    return limited
