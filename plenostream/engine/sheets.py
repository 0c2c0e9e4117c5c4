"""Sheets: what a subvolume shows of some tiles, on black; and how two of them are laid over each other.

As light goes: what is behind is seen through what is in front, ``rgb = near.rgb + near.trans far.rgb``,
depth and sums over samples likewise, ``trans = near.trans far.trans``. Where that is below the
`stop_thresh` at which a ray ends, it ends here. A ray that another subvolume has all but stopped goes
on in its own until it ends there: that adds less than `stop_thresh` times what is seen behind.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from plenostream.field.finished import Finished
from plenostream.field.tiles import TILE_RAYS

__all__ = ["Sheet", "SheetMaker", "laid_over", "sheet_bytes"]

_TILES_AT_ONCE = 256
"""Tiles that are laid over others together: bounds what NumPy takes for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What is seen of t tiles; through all others light comes unchanged."""

    number: NDArray[np.int64]
    """[t], rising: the tiles."""
    rgb: NDArray[np.float32]
    """[t, 64, 3]: colour on black."""
    depth: NDArray[np.float32]
    """[t, 64]: sum of weight times distance."""
    trans: NDArray[np.float32]
    """[t, 64]: light that comes through."""
    aovs: NDArray[np.float32]
    """[t, 64, E]: sums over samples, by their weights."""

    @classmethod
    def clear(cls, number: NDArray[np.int64], n_columns: int) -> Self:
        """Tiles in which nothing is seen yet."""
        t = len(number)
        rgb, aovs = (np.zeros((t, TILE_RAYS, n), np.float32) for n in (3, n_columns))
        depth, trans = np.zeros((t, TILE_RAYS), np.float32), np.ones((t, TILE_RAYS), np.float32)
        return cls(number, rgb, depth, trans, aovs)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(getattr(self, field.name).nbytes for field in fields(self))

    def put(self, places: NDArray[np.int64], other: Sheet) -> None:
        """Take over the tiles of `other`, which are here in these places [t]."""
        for field in fields(self)[1:]:
            getattr(self, field.name)[places] = getattr(other, field.name)

    def some(self, places: NDArray[np.int64] | slice) -> Self:
        """The tiles in these places [s]."""
        return type(self)(*(getattr(self, field.name)[places] for field in fields(self)))


def sheet_bytes(n_tiles: int, n_columns: int) -> int:
    """Bytes of a sheet of so many tiles with so many columns of AOVs."""
    return Sheet.clear(np.zeros(1, np.int64), n_columns).nbytes * n_tiles


class SheetMaker:
    """Gathers the tiles in which something is seen."""

    def __init__(self) -> None:
        self._parts: list[Sheet] = []
        self._lock = threading.Lock()

    def take(self, some: Finished) -> None:
        """A `Place`: tiles that were finished on black, from several threads at once."""
        # A sample may be so thin that float32 has no transmittance for it, and yet have a colour.
        seen = np.flatnonzero((some.alpha > 0.0).any(1) | (some.rgb > 0.0).any((1, 2)))
        trans = 1.0 - some.alpha[seen]
        number = some.tile[seen].astype(np.int64)
        part = Sheet(number, some.rgb[seen], some.depth[seen], trans, some.aovs[seen])
        with self._lock:
            self._parts.append(part)

    def sheet(self, n_columns: int) -> Sheet:
        """All that came, with so many columns of AOVs."""
        number = np.concatenate([np.empty(0, np.int64), *(part.number for part in self._parts)])
        order = np.argsort(number)
        whole = Sheet.clear(number[order], n_columns)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        for part in self._parts:
            start = len(part.number)
            whole.put(place[:start], part)
            place = place[start:]
        return whole


def laid_over(
    low: Sheet, high: Sheet, low_in_front: NDArray[np.bool_], stop_thresh: float
) -> Sheet:
    """What is seen of both sides of a cut.

    Parameters
    ----------
    low_in_front : [s, 64] for the s tiles of both, in rising order, whether the ray meets the low side
        first; or [1, 1] for all
    stop_thresh : transmittance below which a ray ends
    """
    number = np.union1d(low.number, high.number)
    both, in_low, in_high = np.intersect1d(
        low.number, high.number, assume_unique=True, return_indices=True
    )
    whole = Sheet.clear(number, low.aovs.shape[-1])
    for side in (low, high):
        whole.put(np.searchsorted(number, side.number), side)
    in_whole = np.searchsorted(number, both)
    first = np.broadcast_to(low_in_front, (len(both), TILE_RAYS))
    for start in range(0, len(both), _TILES_AT_ONCE):
        part = slice(start, start + _TILES_AT_ONCE)
        sides = low.some(in_low[part]), high.some(in_high[part])
        whole.put(in_whole[part], _over(*sides, first[part], stop_thresh))
    return whole


def _over(low: Sheet, high: Sheet, low_first: NDArray[np.bool_], stop_thresh: float) -> Sheet:
    near_trans = np.where(low_first, low.trans, high.trans)

    def seen(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        first, trans = (
            (low_first, near_trans)
            if a.ndim == 2
            else (low_first[..., None], near_trans[..., None])
        )
        near, far = np.where(first, a, b), np.where(first, b, a)
        return np.asarray(near + trans * far, np.float32)

    trans = low.trans * high.trans
    trans[trans < stop_thresh] = 0.0
    rgb, depth = seen(low.rgb, high.rgb), seen(low.depth, high.depth)
    return Sheet(low.number, rgb, depth, trans, seen(low.aovs, high.aovs))
