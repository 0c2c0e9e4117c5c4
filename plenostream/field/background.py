"""Layers behind the volume: spheres around it, evenly spaced in inverse radius, seen after everything.

Source: svox2, `render_background_forward` in `csrc/render_lerp_kernel_cuvol.cu`; `docs/rules.md`,
rule 23. One function for every backend: it takes rays that are finished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.field.basis import C0

__all__ = ["BackgroundLayers", "see_layers"]

_APART = 1e-3
"""How far outside of a ray's nearest point to the centre its first sphere lies, at least."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackgroundLayers:
    """Texels of L spheres, each an equirectangular picture of h texels from pole to pole."""

    links: NDArray[np.int32]
    """Row of each texel [2 h, h]; negative: nothing in any layer."""
    data: NDArray[np.float32]
    """Red, green, blue (coefficients of the constant function) and density [n, L, 4]."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.links.nbytes + self.data.nbytes


def see_layers(
    xp: Any,
    links: Any,
    data: Any,
    origins: Any,
    dirs: Any,
    trans: Any,
    *,
    center: Any,
    radius: Any,
    step_size: float,
    stop_thresh: float,
) -> tuple[Any, Any]:
    """What rays that have left the volume see of the layers: colour to add, and light left.

    Parameters
    ----------
    xp : the array namespace, numpy or jax.numpy
    links, data : see `BackgroundLayers`; one row at least
    origins, dirs : [3, R] f64      world space; directions of any length above zero
    trans : [R] f64                 light left behind the volume; 0: nothing is seen
    center, radius : [3] f64        of the volume (world units)

    Returns
    -------
    colour [R, 3] f64, trans [R] f64

    Notes
    -----
    The unit sphere is the ellipsoid inscribed in the volume. A sphere of radius r is seen where the
    ray leaves it; its thickness is (1 / r_before - 1 / r) * world_per_t * density.
    """
    n_layers = data.shape[1]
    n_spheres = int(n_layers / step_size) + 2
    along = dirs / _length(xp, dirs)[None] / radius[:, None]
    world_per_t = 1.0 / _length(xp, along)
    along = along * world_per_t[None]
    start = (origins - center[:, None]) / radius[:, None]
    nearest = _dot(start, along)
    squared = _squared(start - nearest[None] * along)
    innermost = xp.maximum(xp.sqrt(squared) + _APART, 1.0)
    before = 1.0 / innermost
    colour = xp.zeros((3, trans.shape[0]), xp.float64)
    goes_on = trans > 0.0
    for number in range(n_spheres):
        inverse = (n_spheres - number - 0.5) / n_spheres
        counts = goes_on & (1.0 / inverse >= innermost)
        # Spheres that do not count lie inside of the ray's nearest point: no root there.
        t = xp.sqrt(xp.maximum(inverse**-2 - squared, 0.0)) - nearest
        texels = _texels(xp, links, data, (start + t[None] * along) * inverse, inverse)
        sigma = texels[3]
        seen = counts & (sigma > 0.0)
        left = xp.exp(-xp.where(seen, (before - inverse) * world_per_t * sigma, 0.0))
        weight = trans * (1.0 - left)
        colour = colour + weight[None] * xp.maximum(texels[:3] * C0 + 0.5, 0.0)
        trans = trans * left
        before = xp.where(counts, inverse, before)
        goes_on = goes_on & ~(seen & (trans < stop_thresh))
    return colour.T, trans


def _texels(xp: Any, links: Any, data: Any, place: Any, inverse: float) -> Any:
    """Values [4, R] f64 at places [3, R] of the unit sphere, between two layers."""
    around, height = links.shape
    n_layers = data.shape[1]
    depth = min(max((1.0 - inverse) * n_layers - 0.5, 0.0), n_layers - 1.0)
    layer = min(int(depth), n_layers - 2)
    x = around * (0.5 + xp.arctan2(place[0], place[2]) / (2.0 * math.pi))
    y = height * (0.5 - xp.arcsin(xp.clip(place[1], -1.0, 1.0)) / math.pi)
    part_x, part_y = ((v - xp.floor(v)).astype(xp.float32) for v in (x, y))
    low_x, low_y = x.astype(xp.int32), y.astype(xp.int32)
    columns = low_x % around, (low_x + 1) % around
    lines = low_y % height, (low_y + 1) % height
    # Rows of four numbers are taken by `take` in half the time that indexing needs in NumPy.
    texels, flat = data.reshape(-1, 4), links.reshape(-1)
    total: Any = None
    for i, j in np.ndindex(2, 2):
        row = xp.take(flat, columns[i] * height + lines[j])
        weight = (part_x if i else 1.0 - part_x) * (part_y if j else 1.0 - part_y)
        weight = xp.where(row >= 0, weight, xp.zeros_like(weight))
        place = xp.maximum(row, 0).astype(xp.int64) * n_layers + layer
        near, far = xp.take(texels, place, axis=0), xp.take(texels, place + 1, axis=0)
        # Repeated first: 5.7 ns a row in NumPy, against 7.5 where it spreads a number over four itself.
        part = xp.repeat(weight, 4).reshape(-1, 4) * (near + (depth - layer) * (far - near))
        total = part if total is None else total + part
    return total.T.astype(xp.float64)


def _dot(a: Any, b: Any) -> Any:
    """Products [R] of vectors [3, R]."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _squared(vectors: Any) -> Any:
    return _dot(vectors, vectors)


def _length(xp: Any, vectors: Any) -> Any:
    return xp.sqrt(_squared(vectors))
