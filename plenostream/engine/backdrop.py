"""Puts background layers behind finished tiles, whatever drew them: between `finish` and the picture."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache

import numpy as np

from plenostream.errors import DeviceError
from plenostream.field.background import OutwardRays, SeeLayers, see_layers
from plenostream.field.finished import Finished, Place
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import RaySource
from plenostream.integrator.native.layers import compiled_layers
from plenostream.integrator.native.library import load_kernels
from plenostream.stream.texels import Texels

__all__ = ["Backdrop", "backdrop_bytes", "fastest_layers"]

_TILES_AT_ONCE = 64
"""Tiles whose rays are made again together: bounds what NumPy takes for them."""
_RAY_BYTES = 640
"""Bytes of a ray while it is made and its texels are blended, at most."""


def backdrop_bytes(n_threads: int) -> int:
    """Host bytes of drawing layers with so many threads, the layers apart."""
    return n_threads * _TILES_AT_ONCE * TILE_RAYS * _RAY_BYTES


@cache
def fastest_layers() -> SeeLayers:
    """Compiled, where that was installed."""
    try:
        return compiled_layers(load_kernels())
    except DeviceError:
        return see_layers


class Backdrop:
    """The layers of a scene, and threads that draw them."""

    def __init__(
        self,
        texels: Texels,
        background: tuple[float, float, float],
        *,
        n_threads: int,
    ) -> None:
        """Take the colour behind all layers."""
        self.nbytes = texels.nbytes + backdrop_bytes(n_threads)
        self.texels = texels
        self._behind = np.array(background)
        self._see = fastest_layers()
        self._threads = ThreadPoolExecutor(n_threads, thread_name_prefix="plenostream-backdrop")
        self._alone = threading.Lock()
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

        def draw(some: Finished) -> None:
            if not self._stopped:
                place(self._drawn(rays, some))

        def put(finished: Finished) -> None:
            # Not in the thread that brings them: of those there may be more than are planned for.
            parts = finished.parts(_TILES_AT_ONCE)
            for drawn in [self._threads.submit(draw, part) for part in parts]:
                drawn.result()

        return put

    def _drawn(self, rays: RaySource, some: Finished) -> Finished:
        """Tiles that were finished on black, with everything behind them."""
        tiles = np.flatnonzero((some.alpha < 1.0).any(axis=1))
        if not len(tiles):
            return some
        colour, opaque = np.array(some.rgb, np.float32), np.array(some.alpha, np.float32)
        number = some.tile[tiles]
        origins, directions, valid = rays.make(
            np, *(a[number] for a in rays.per_tile), *rays.shared
        )
        trans = 1.0 - opaque[tiles].reshape(-1).astype(np.float64)
        seen = np.flatnonzero((trans > 0.0) & valid)
        outward = OutwardRays.leaving(origins[:, seen], directions[:, seen], trans[seen])
        self._bring_outward(outward)
        at = tiles[seen // TILE_RAYS], seen % TILE_RAYS
        colour[at] += outward.colour + outward.trans[:, None] * self._behind
        opaque[at] = 1.0 - outward.trans
        return replace(some, rgb=colour, alpha=opaque)

    def _bring_outward(self, rays: OutwardRays) -> None:
        """Let rays see everything that is behind the volume."""
        if self.texels.is_whole:
            self._see(self.texels.layers, rays)
            return
        # Nobody may look at a chunk while it makes room for another.
        with self._alone:
            while len(wanted := self._see(self.texels.layers, rays)) and not self._stopped:
                self.texels.bring(wanted)
