"""The rays of a picture: set up by the camera's function and the kernels, a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.basis import Basis
from plenostream.field.finished import Finished, Place
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import RaySource
from plenostream.integrator.native import structs
from plenostream.integrator.native.arrays import SPARE_BYTES, aligned
from plenostream.integrator.native.library import Kernels
from plenostream.integrator.native.structs import tile_dtype

__all__ = ["PADDING_BYTES", "RayTiles", "part_bytes", "tile_bytes"]

_AT_ONCE = 64
"""Tiles whose rays are made together: bounds what NumPy takes for them."""
_RAY_BYTES = 512
"""Bytes of a ray while it is made by a camera and its functions are evaluated, at most, beside what
the functions themselves take."""
PADDING_BYTES = 3 * SPARE_BYTES
"""Bytes beside the tiles."""
_EMPTY = -1


def part_bytes(basis: Basis) -> int:
    """Bytes that each thread takes beside the rays themselves."""
    return _AT_ONCE * TILE_RAYS * (_RAY_BYTES + basis.functions.ray_bytes)


def tile_bytes(basis_dim: int, n_aovs: int) -> int:
    """Bytes of a tile of rays, in all arrays."""
    return tile_dtype(basis_dim, n_aovs).itemsize + 2


class RayTiles:
    """Room for `n_tiles` tiles, and what the kernels keep in them."""

    def __init__(self, kernels: Kernels, scene: structs.Scene, basis: Basis, n_tiles: int) -> None:
        self.n_tiles = n_tiles
        self._kernels, self._scene = kernels, scene
        self._basis = basis
        self._numbers: tuple[NDArray[np.float32], ...] = ()
        self._n_aovs = scene.aovs.n
        self._tiles = aligned((n_tiles,), tile_dtype(scene.basis_dim, self._n_aovs))
        self.live = aligned((n_tiles,), np.uint8)
        self._drawn = aligned((n_tiles,), np.uint8)
        self.nbytes = n_tiles * tile_bytes(scene.basis_dim, self._n_aovs) + PADDING_BYTES
        self._parts: Iterator[int] = iter(())
        self.record = structs.Rays(
            tiles=self._tiles.ctypes.data,
            tile_bytes=self._tiles.itemsize,
            live=self.live.ctypes.data,
        )

    def begin(self, rays: RaySource) -> None:
        """Get ready for rays; they are there once `make` was called by all threads."""
        if rays.n_tiles > self.n_tiles:
            raise InternalError(f"{rays.n_tiles} tiles of rays in room for {self.n_tiles}")
        self.record.n_tiles = rays.n_tiles
        self.record.stop = 0
        self.live[:] = self._drawn[:] = 0
        self._parts = iter(range(0, rays.n_tiles, _AT_ONCE))
        self._numbers = self._basis.arrays

    def share(self) -> None:
        """Let threads claim tiles anew, from the first on."""
        self._parts = iter(range(0, self.record.n_tiles, _AT_ONCE))
        self.record.claimed = 0

    def begin_again(self) -> None:
        """Get ready for the same rays once more; they are there once `restart` was called by all threads."""
        self.record.stop = 0
        self.record.claimed = 0

    def restart(self) -> None:
        """Have the rays begin anew, as long as there are tiles that no other thread has."""
        self._kernels.restart(self._scene, self.record, self._drawn.ctypes.data)

    def make(self, rays: RaySource) -> None:
        """Make rays, as long as there is a part that no other thread makes."""
        for first in self._parts:
            if self.record.stop:
                return
            end = min(first + _AT_ONCE, rays.n_tiles)
            world, record = _made(rays, slice(first, end))
            self._kernels.set_up(self._scene, record, self.record, first, end - first)
            drawn = np.flatnonzero(self.live[first:end])
            self._drawn[first + drawn] = 1
            if len(drawn):
                self._evaluate(first + drawn, world[1].reshape(3, -1, TILE_RAYS)[:, drawn])

    def _evaluate(self, tiles: NDArray[np.int64], directions: NDArray[np.float64]) -> None:
        """Keep the values of the functions for tiles [t] of world directions [3, t, 64]."""
        x, y, z = directions
        unit = (directions / np.sqrt(x * x + y * y + z * z)).reshape(3, -1)
        values = self._basis.functions(np, unit, *self._numbers)
        for number, value in enumerate(values):
            self._tiles["basis"][tiles, number] = value.reshape(-1, TILE_RAYS)

    def finish(self, background: NDArray[np.float32], place: Place) -> int:
        """Hand finished tiles to `place`, as long as there are some that no other thread finishes.

        Returns a brick that a live ray still waits for, or -1.
        """
        missing = _EMPTY
        rgb = np.empty((_AT_ONCE, TILE_RAYS, 3), np.float32)
        depth, alpha = np.empty((2, _AT_ONCE, TILE_RAYS), np.float32)
        aovs = np.empty((_AT_ONCE, TILE_RAYS, self._n_aovs), np.float32)
        waits = np.empty(1, np.int32)
        out = [a.ctypes.data for a in (rgb, depth, alpha, aovs, waits)]
        for first in self._parts:
            if self.record.stop:
                break
            n = min(_AT_ONCE, self.record.n_tiles - first)
            drawn = self._drawn[first:].ctypes.data
            behind = background.ctypes.data
            self._kernels.finish(self._scene, self.record, drawn, first, n, behind, *out)
            missing = max(missing, int(waits[0]))
            tile = np.arange(first, first + n)
            place(Finished(tile=tile, rgb=rgb[:n], depth=depth[:n], alpha=alpha[:n], aovs=aovs[:n]))
        return missing

    def octant_keys(self, rays: RaySource, keys: NDArray[np.int64]) -> None:
        """Write keys [n * 64], see `Integrator.octant_keys`, as long as there is a part that no other
        thread works on; of rays without a state."""
        for first in self._parts:
            end = min(first + _AT_ONCE, rays.n_tiles)
            world, record = _made(rays, slice(first, end))
            self._kernels.keys(
                self._scene, record, end - first, keys[first * TILE_RAYS :].ctypes.data
            )


def _made(rays: RaySource, tiles: slice) -> tuple[list[NDArray[Any]], structs.WorldRays]:
    """Rays of some tiles in the world: origins, directions [3, n] and which there are [n], and the
    record that points to them."""
    per_tile = (a[tiles] for a in rays.per_tile)
    world = [np.ascontiguousarray(a) for a in rays.make(np, *per_tile, *rays.shared)]
    nearest, farthest = rays.between
    pointers = [a.ctypes.data for a in world]
    record = structs.WorldRays(*pointers, n=len(world[2]), nearest=nearest, farthest=farthest)
    return world, record
