"""What rays see behind the volume, while it is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.backdrop import fastest_layers
from plenostream.field.background import OutwardRays
from plenostream.field.background_back import see_layers_back
from plenostream.field.grid import GridSpec
from plenostream.options import RenderOptions
from plenostream.train.layers import TrainedLayers
from plenostream.train.tiles import RayTiles

__all__ = ["Behind", "Colour", "Layers"]

_RAYS_AT_ONCE = 4096
"""Rays that go through layers together: bounds what NumPy takes for them."""
_LEAST_LIGHT = 1e-3
"""A ray with less light left says next to nothing of what lies behind, and the optimiser steps as far for it
as for others: it does not go back there."""


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


class Layers:
    """Layers that are trained, and one colour behind them."""

    def __init__(
        self,
        layers: TrainedLayers,
        grid: GridSpec,
        render: RenderOptions,
    ) -> None:
        self._trained, self._layers = layers, layers.around(grid, render)
        self._colour = np.array(render.background_rgb, np.float64)
        self._see = fastest_layers()

    def seen(self, tiles: RayTiles, left: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Behind`."""
        colours = np.zeros((left.size, 3), np.float32)
        for some, origins, directions, trans in _outward(tiles, left, 0.0):
            rays = OutwardRays.leaving(origins, directions, trans)
            self._see(self._layers, rays)
            colours[some] = rays.colour + rays.trans[:, None] * self._colour
        return colours.reshape(*left.shape, 3)

    def back(
        self, tiles: RayTiles, left: NDArray[np.float32], by_seen: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """See `Behind`; adds the derivatives by texels to those of the step."""
        by_left = np.zeros(left.size, np.float32)
        for some, origins, directions, trans in _outward(tiles, left, _LEAST_LIGHT):
            by_left[some] = see_layers_back(
                self._layers,
                origins,
                directions,
                trans,
                by_seen.reshape(-1, 3)[some].astype(np.float64),
                behind=self._colour,
                by_texels=self._trained.by_texels,
                touched=self._trained.touched,
                see=self._see,
            )
        self._trained.seen |= self._trained.touched
        return by_left.reshape(left.shape)


def _outward(
    tiles: RayTiles, left: NDArray[np.float32], least: float
) -> Iterator[
    tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
]:
    """Numbers [r] of rays with more light left than `least`, their origins and directions [3, r] and that
    light [r]; some at a time."""
    numbers = np.flatnonzero((left > least) & tiles.valid)
    origins, directions = tiles.origins.reshape(-1, 3), tiles.directions.reshape(-1, 3)
    for first in range(0, len(numbers), _RAYS_AT_ONCE):
        some = numbers[first : first + _RAYS_AT_ONCE]
        trans = left.reshape(-1)[some].astype(np.float64)
        yield some, origins[some].T, directions[some].T, trans
