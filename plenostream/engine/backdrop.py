"""Puts background layers behind finished tiles, whatever drew them: between `finish` and the picture."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from plenostream.field.background import BackgroundLayers, see_layers
from plenostream.field.grid import GridSpec
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import Place, RaySource
from plenostream.options import RenderOptions

__all__ = ["Backdrop", "backdrop_bytes"]

_TILES_AT_ONCE = 64
"""Tiles whose rays are made again together: bounds what NumPy takes for them."""
_RAY_BYTES = 640
"""Bytes of a ray while it is made and its texels are blended, at most."""


def backdrop_bytes(layers_bytes: int, n_threads: int) -> int:
    """Host bytes of layers, and of drawing them with so many threads."""
    return layers_bytes + n_threads * _TILES_AT_ONCE * TILE_RAYS * _RAY_BYTES


class Backdrop:
    """The layers of a scene, and threads that draw them."""

    def __init__(
        self, layers: BackgroundLayers, grid: GridSpec, options: RenderOptions, *, n_threads: int
    ) -> None:
        self.nbytes = backdrop_bytes(layers.nbytes, n_threads)
        self._layers = layers
        self._center, self._radius = (np.array(v, np.float64) for v in (grid.center, grid.radius))
        self._options = options
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="plenostream-backdrop")
        self._stopped = False

    def close(self) -> None:
        """End the threads."""
        self.stop()
        self._threads.shutdown()

    def stop(self) -> None:
        """Leave out what is not drawn yet: the picture is given up."""
        self._stopped = True

    def behind(self, rays: RaySource, place: Place) -> Place:
        """What takes tiles of `rays` that were finished on black, and hands them on to `place` with
        the layers, and the background's colour, behind them."""
        self._stopped = False

        def put(
            number: NDArray[np.int64],
            rgb: NDArray[np.float32],
            depth: NDArray[np.float32],
            alpha: NDArray[np.float32],
            aovs: NDArray[np.float32],
        ) -> None:
            parts = [
                slice(first, first + _TILES_AT_ONCE)
                for first in range(0, len(number), _TILES_AT_ONCE)
            ]

            def draw(part: slice) -> None:
                if not self._stopped:
                    colour, opaque = self._drawn(rays, number[part], rgb[part], alpha[part])
                    place(number[part], colour, depth[part], opaque, aovs[part])

            # Not in the thread that brings them: of those there may be more than are planned for.
            for drawn in [self._threads.submit(draw, part) for part in parts]:
                drawn.result()

        return put

    def _drawn(
        self,
        rays: RaySource,
        number: NDArray[np.int64],
        rgb: NDArray[np.float32],
        alpha: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Colour [t, 64, 3] and alpha [t, 64] of tiles with everything behind them."""
        colour, opaque = np.array(rgb, np.float32), np.array(alpha, np.float32)
        tiles = np.flatnonzero((opaque < 1.0).any(axis=1))
        if not len(tiles):
            return colour, opaque
        origins, directions, valid = rays.make(
            np, *(a[number[tiles]] for a in rays.per_tile), *rays.shared
        )
        trans = 1.0 - opaque[tiles].reshape(-1).astype(np.float64)
        seen = np.flatnonzero((trans > 0.0) & valid)
        added, left = see_layers(
            np,
            self._layers.links,
            self._layers.data,
            origins[:, seen],
            directions[:, seen],
            trans[seen],
            center=self._center,
            radius=self._radius,
            step_size=self._options.step_size,
            stop_thresh=self._options.stop_thresh,
        )
        at = tiles[seen // TILE_RAYS], seen % TILE_RAYS
        colour[at] += added + left[:, None] * np.array(self._options.background_rgb)
        opaque[at] = 1.0 - left
        return colour, opaque
