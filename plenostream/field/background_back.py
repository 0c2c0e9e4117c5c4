"""The way back through background layers: derivatives of a loss by their texels, and by the light that
comes to them.

Colours are C = sum w_j c_j + T_n b with w_j = T_j (1 - exp(-l_j s_j)), as in the volume (`docs/rules.md`,
rules 23 and 34), and for g, the loss's derivative by C::

    dL/ds_j = l_j (T_{j+1} g.c_j - g.(C_n - C_{j+1})),    dL/dT_0 = g.C / T_0

with C_n - C_j what is seen from sphere j on. Texels share it as they share colours and density.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.field.background import (
    BackgroundLayers,
    OutwardRays,
    SeeLayers,
    blended_from,
    see_layers,
    spheres_of,
)
from plenostream.field.basis import C0

__all__ = ["see_layers_back"]

Floats = NDArray[np.float64]


def see_layers_back(
    layers: BackgroundLayers,
    origins: Floats,
    directions: Floats,
    trans: Floats,
    by_rgb: Floats,
    *,
    behind: Floats,
    by_texels: NDArray[np.float32] | None = None,
    touched: NDArray[np.bool_] | None = None,
    see: SeeLayers = see_layers,
) -> Floats:
    """Derivative of a loss by the light [R] that comes to the layers.

    Parameters
    ----------
    layers : all of whose chunks are in memory
    origins, directions : [3, R] world
    trans : [R] light that comes to them, above 0
    by_rgb : [R, 3] derivative of the loss by the colours
    behind : [3] red, green, blue behind all layers
    by_texels : of the shape of the texels: gets the derivatives by them added
    touched : [rows of texels]: set where they may be others than 0
    see : takes rays through the layers
    """
    whole = OutwardRays.leaving(origins, directions, trans)
    missing = see(layers, whole)
    assert not len(missing), "layers that go back are whole"
    total = whole.colour + whole.trans[:, None] * behind
    if by_texels is not None:
        _add_texels(
            layers,
            OutwardRays.leaving(origins, directions, trans),
            total,
            by_rgb,
            by_texels,
            touched,
        )
    by_trans: Floats = (by_rgb * total).sum(1) / trans
    return by_trans


def _add_texels(
    layers: BackgroundLayers,
    rays: OutwardRays,
    total: Floats,
    by_rgb: Floats,
    by_texels: NDArray[np.float32],
    touched: NDArray[np.bool_] | None,
) -> None:
    seen = np.zeros_like(total)
    for sphere in spheres_of(layers, rays, []):
        here, values, lengths = sphere.rays, sphere.values, sphere.lengths
        light, g = rays.trans[here], by_rgb[here]
        signed = values[:, :3] * C0 + 0.5
        weight, colour = light * (1.0 - sphere.left), np.maximum(signed, 0.0)
        seen[here] += weight[:, None] * colour
        by_values = np.empty_like(values)
        by_values[:, :3] = np.where(signed > 0.0, g, 0.0) * weight[:, None] * C0
        rest = (g * (total[here] - seen[here])).sum(1)
        by_sigma = lengths * ((g * colour).sum(1) * light * sphere.left - rest)
        by_values[:, 3] = np.where(values[:, 3] > 0.0, by_sigma, 0.0)
        if touched is not None:
            rows = sphere.corners.rows
            touched[rows[rows >= 0]] = True
        places, deeper = blended_from(layers, sphere.corners, sphere.inverse)
        for place, share in zip(places, sphere.corners.shares, strict=True):
            _share(by_values, place, share * (1.0 - deeper), by_texels)
            _share(by_values, place + 1, share * deeper, by_texels)


def _share(
    by_values: Floats,
    place: NDArray[np.int64],
    share: NDArray[np.floating],
    by_texels: NDArray[np.float32],
) -> None:
    """Add a `share` [R] of derivatives [R, 4] to the texels at places [R]."""
    flat = by_texels.reshape(-1)
    for channel in range(4):
        np.add.at(flat, place * 4 + channel, (share * by_values[:, channel]).astype(np.float32))
