"""Learned bases and background layers in slow float64 NumPy, for `reference`.

`docs/rules.md`, rule 27 and, for the layers, the one that is called sphere background.
Of its own, like `reference`: it shares no code with what it is the oracle of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BasisValues", "Layers", "learned_basis", "see_layers", "stored_layers"]

Float64 = NDArray[np.float64]
BasisValues = Callable[[Float64], Float64]
"""Unit directions [n, 3] -> values [n, K]."""

_MLP = 255


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """Background layers, dense."""

    texels: Float64
    """[2 h, h, layers, 4]: red, green, blue, density; 0 where there is none."""


def learned_basis(arrays: Mapping[str, NDArray[Any]]) -> BasisValues | None:
    """The learned basis that the arrays of a checkpoint hold, None for spherical harmonics."""
    if int(arrays.get("basis_type", np.array(1))) == _MLP:
        names = [f"pt__basis_mlp__{number}__" for number in (0, 2, 4, 6)]
        network = [
            (np.asarray(arrays[f"{n}weight"], float), np.asarray(arrays[f"{n}bias"], float))
            for n in names
        ]
        return lambda dirs: _network(dirs, network, int(arrays.get("mlp_posenc_size", np.array(0))))
    if "basis_data" in arrays:
        values = np.asarray(arrays["basis_data"], float)
        return lambda dirs: _texture(dirs, values)
    return None


def stored_layers(arrays: Mapping[str, NDArray[Any]]) -> Layers | None:
    """The background layers that the arrays of a checkpoint hold, None where there are none."""
    if "background_data" not in arrays:
        return None
    links, data = arrays["background_links"], np.asarray(arrays["background_data"], float)
    texels = np.zeros((*links.shape, *data.shape[1:]))
    texels[links >= 0] = data[links[links >= 0]]
    return Layers(texels=texels)


def _texture(dirs: Float64, values: Float64) -> Float64:
    """Values [n, K], interpolated in a cube [R, R, R, K], clamped at 0 afterwards."""
    last = len(values) - 1
    at = (dirs * 0.5 + 0.5) * last
    low = np.minimum(at.astype(int), last - 1)
    total = np.zeros((len(dirs), values.shape[-1]))
    for corner in product((0, 1), repeat=3):
        weight = np.where(corner, at - low, 1.0 - (at - low)).prod(1)
        total += weight[:, None] * values[tuple((low + corner).T)]
    return np.maximum(total, 0.0)


def _network(dirs: Float64, layers: list[tuple[Float64, Float64]], n_frequencies: int) -> Float64:
    """Sigmoid [n, K] of what a network makes of directions and their encoding."""
    scaled = (dirs[:, None, :] * 2.0 ** np.arange(n_frequencies)[:, None]).reshape(len(dirs), -1)
    values = np.concatenate([dirs, np.sin(scaled), np.sin(scaled + pi / 2)], axis=1)
    for weight, bias in layers[:-1]:
        values = np.maximum(values @ weight.T + bias, 0.0)
    weight, bias = layers[-1]
    result: Float64 = 1.0 / (1.0 + np.exp(-(values @ weight.T + bias)))
    return result


def see_layers(
    layers: Layers,
    origins: Float64,
    dirs: Float64,
    trans: Float64,
    *,
    step_size: float,
    stop_thresh: float,
) -> tuple[Float64, Float64]:
    """Colour [n, 3] of the layers, and the light [n] that they leave, ray by ray.

    `origins` and `dirs` [n, 3] in units of the ellipsoid inscribed in the volume: the world's
    minus its centre, and unit ones, divided by its radius.
    """
    colour, left = np.zeros((len(trans), 3)), trans.copy()
    for ray in np.flatnonzero(trans > 0.0):
        stretch = float(np.linalg.norm(dirs[ray]))
        colour[ray], left[ray] = _see(
            layers.texels,
            origins[ray],
            dirs[ray] / stretch,
            float(trans[ray]),
            world_per_t=1.0 / stretch,
            step_size=step_size,
            stop_thresh=stop_thresh,
        )
    return colour, left


def _see(
    texels: Float64,
    origin: Float64,
    direction: Float64,
    light: float,
    *,
    world_per_t: float,
    step_size: float,
    stop_thresh: float,
) -> tuple[Float64, float]:
    around, height, n_layers, _ = texels.shape
    n = int(n_layers / step_size) + 2
    distance = float(np.linalg.norm(np.cross(origin, direction)))
    first = max(1.0, distance + 1e-3)
    colour, inverse_before = np.zeros(3), 1.0 / first
    for i in range(n):
        radius = n / (n - i - 0.5)
        if radius < first:
            continue
        t = -float(origin @ direction) + sqrt(radius**2 - distance**2)
        x, y, z = (origin + t * direction) / radius
        place = (
            around * (0.5 + np.arctan2(x, z) / (2 * pi)),
            height * (0.5 - np.arcsin(np.clip(y, -1.0, 1.0)) / pi),
            min(max((1.0 - 1.0 / radius) * n_layers - 0.5, 0.0), n_layers - 1.0),
        )
        *rgb, sigma = _texel(texels, place)
        if sigma > 0.0:
            attenuation = np.exp(-(inverse_before - 1.0 / radius) * world_per_t * sigma)
            seen = np.maximum(np.array(rgb) * sqrt(1 / (4 * pi)) + 0.5, 0.0)
            colour += light * (1.0 - attenuation) * seen
            light *= float(attenuation)
            if light < stop_thresh:
                break
        inverse_before = 1.0 / radius
    return colour, light


def _texel(texels: Float64, place: tuple[float, float, float]) -> Float64:
    """Values [4] between the eight texels around a place; around and from pole to pole wrap."""
    low = [int(v) for v in place]
    low[2] = min(low[2], texels.shape[2] - 2)
    total = np.zeros(4)
    for corner in product((0, 1), repeat=3):
        weight = 1.0
        for upper, v, at in zip(corner, place, low, strict=True):
            weight *= v - at if upper else 1.0 - (v - at)
        i, j, k = (at + upper for at, upper in zip(low, corner, strict=True))
        total += weight * texels[i % texels.shape[0], j % texels.shape[1], k]
    return total
