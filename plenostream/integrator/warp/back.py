"""Derivatives beside the pool: which pages are whose, and how they come to the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import PAGE_ROWS, Arrivals, LossByRays, RowDerivatives
from plenostream.integrator.warp.kernels.back import LOSS_COLUMNS, SPARSITY
from plenostream.integrator.warp.programs import PAGES_TAKEN, WalkPrograms

__all__ = ["Derivatives", "loss_numbers"]


def loss_numbers(loss: LossByRays, n_tiles: int) -> NDArray[np.float32]:
    """What each ray goes back for [n_tiles * 64, LOSS_COLUMNS], see `kernels.back`."""
    n = loss.alpha.size
    numbers = np.zeros((n_tiles * TILE_RAYS, LOSS_COLUMNS), np.float32)
    numbers[:n, 0:3] = loss.rgb.reshape(n, 3)
    numbers[:n, 3:6] = loss.by_rgb.reshape(n, 3)
    numbers[:n, 7] = loss.by_alpha.reshape(n)
    numbers[:n, 6] = numbers[:n, 7] * (1.0 - loss.alpha.reshape(n))
    numbers[:n, SPARSITY] = loss.sparsity
    return numbers


class Derivatives:
    """Those by all rows of a pool of `n_pages` pages; the worker's thread alone touches the array."""

    def __init__(self, programs: WalkPrograms, n_pages: int) -> None:
        self._take = programs.take_derivatives(n_pages)
        self.array: jax.Array | None = programs.no_derivatives(n_pages)()
        self._pages: dict[int, NDArray[np.int32]] = {}
        self._n_rows: dict[int, int] = {}

    @property
    def is_lost(self) -> bool:
        """Whether the array was given to a program that never gave it back."""
        return self.array is None or self.array.is_deleted()

    def came(self, some: Arrivals) -> NDArray[np.int32]:
        """Bricks are coming; their pages, which have to be cleared first."""
        n_rows = np.diff(some.row_start)
        ends = np.cumsum(-(-n_rows // PAGE_ROWS))
        mine = np.split(some.pages, ends[:-1])
        for slot, n, pages in zip(some.slots.tolist(), n_rows.tolist(), mine, strict=True):
            self._n_rows[slot], self._pages[slot] = n, pages.copy()
        return some.pages.copy()

    def clear(self, pages: NDArray[np.int32], put: Callable[[Any], Any]) -> None:
        """Make those of `pages` [p] 0."""
        for part in _portions(pages):
            self._taken(put(part))

    def hand_over(
        self,
        slots: NDArray[np.int32],
        into: RowDerivatives | None,
        *,
        put: Callable[[Any], Any],
        get: Callable[[Any], NDArray[Any]],
    ) -> RowDerivatives:
        """See `Integrator.derivatives`."""
        assert self.array is not None
        columns = self.array.shape[1] - 1
        counts = [self._n_rows[slot] for slot in slots.tolist()]
        room = RowDerivatives.zeros(sum(counts), columns) if into is None else into
        if room.density.shape != (sum(counts),) or room.sh.shape != (sum(counts), columns):
            raise InternalError(
                f"room for derivatives of {sum(counts)} rows has the shape {room.sh.shape}"
            )
        pages = [self._pages[slot] for slot in slots.tolist()]
        filled = [np.arange(n) for n in counts]
        starts = np.cumsum([0, *(len(own) * PAGE_ROWS for own in pages)])
        places = np.concatenate(
            [n + start for n, start in zip(filled, starts, strict=False)] or [[]]
        )
        done = first = 0
        for part in _portions(np.concatenate(pages or [np.empty(0, np.int32)])):
            taken = get(self._taken(put(part)))
            end = first + PAGES_TAKEN * PAGE_ROWS
            stop = int(np.searchsorted(places, end))
            here = taken[places[done:stop].astype(np.int64) - first]
            room.density[done:stop], room.sh[done:stop] = here[:, -1], here[:, :-1]
            done, first = stop, end
        if room.touched is not None:
            room.touched[:] = (room.density != 0.0) | room.sh.any(axis=1)
        return room

    def _taken(self, pages: Any) -> jax.Array:
        array, self.array = self.array, None
        taken: jax.Array
        self.array, taken = self._take(array, pages)
        return taken


def _portions(pages: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """Pages, PAGES_TAKEN at a time; the last ones are page 0, which no row is in."""
    n = -(-len(pages) // PAGES_TAKEN)
    padded = np.zeros(n * PAGES_TAKEN, np.int32)
    padded[: len(pages)] = pages
    return list(padded.reshape(n, PAGES_TAKEN))
