"""Arbitrary rays: sorted into packets of one octant each, drawn in lots that fit the budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.oversight import UNWATCHED, Oversight
from plenostream.engine.session import Lot, Session
from plenostream.engine.sight import packet_view
from plenostream.field.finished import Finished
from plenostream.field.tiles import TILE_RAYS
from plenostream.integrator.interface import RaySource
from plenostream.plan import View
from plenostream.results import FrameStats

__all__ = ["RaysJob", "packets_of"]

_OCTANTS = 8
_OCTANT_BIT = 32
"""Where the number of the octant begins in a key."""
_PLACE_BITS = 26
"""Of the number of a ray among those that are drawn together."""
_MISSES = 8
"""Number of the octant that rays are in which can meet no box."""


def world_rays(xp: Any, origins: Any, dirs: Any, valid: Any) -> tuple[Any, Any, Any]:
    """Rays that are given: origins and directions [n, 64, 3] f64, and which there are [n, 64]."""
    return origins.reshape(-1, 3).T, dirs.reshape(-1, 3).T, valid.reshape(-1)


def packets_of(
    origins: NDArray[np.float64],
    directions: NDArray[np.float64],
    members: NDArray[np.int64] | None = None,
    *,
    keys_only: bool = False,
) -> RaySource:
    """Packets of 64 rays each: `members` [m] of the rays [n, 3], or all in the order given."""
    n = len(origins) if members is None else len(members)
    n_packets = -(-n // TILE_RAYS)
    whole = np.empty((2, n_packets * TILE_RAYS, 3))
    whole[:, n:] = 1.0
    for part, rays in zip(whole, (origins, directions), strict=True):
        if members is None:
            part[:n] = rays
        else:
            np.take(rays, members, axis=0, out=part[:n], mode="clip")  # others go through a copy
    start, course = whole.reshape(2, n_packets, TILE_RAYS, 3)
    valid = (np.arange(n_packets * TILE_RAYS) < n).reshape(-1, TILE_RAYS)
    ones = np.ones((1, TILE_RAYS, 3))
    return RaySource(
        make=world_rays,
        per_tile=(start, course, valid),
        nothing=(ones, ones, np.zeros((1, TILE_RAYS), bool)),
        shared=(),
        packets=True,
        keys_only=keys_only,
    )


def _put(drawn: NDArray[np.float32], some: Finished) -> None:
    drawn[some.tile, :, :3] = some.rgb
    drawn[some.tile, :, 3] = some.alpha
    drawn[some.tile, :, 4] = some.depth
    drawn[some.tile, :, 5:] = some.aovs


def _whole_rays(values: NDArray[np.float32]) -> NDArray[np.void]:
    """Values [..., 5] as one thing [n] a ray: NumPy copies those four times as fast."""
    return values.view(np.dtype((np.void, values.itemsize * values.shape[-1]))).reshape(-1)


class RaysJob:
    """Colours of arbitrary rays, planned."""

    def __init__(
        self,
        session: Session,
        origins: NDArray[np.float64],
        directions: NDArray[np.float64],
        *,
        behind: NDArray[np.float32] | None = None,
    ) -> None:
        """World rays [n, 3], n > 0; `behind` as of `Lot`. Raises BudgetError where they do not fit;
        allocates nothing."""
        self._session = session
        self._behind = behind
        self._origins, self._directions = origins, directions
        session.begin()
        kind = session.projected(packets_of(origins[:1], directions[:1]))
        self._layout, self._at_once = session.planner.packets(kind, len(origins))

    def draw(
        self,
        held_bytes: int = 0,
        oversight: Oversight = UNWATCHED,
        turn: Callable[[Lot], Lot] | None = None,
    ) -> tuple[NDArray[np.float32], FrameStats]:
        """Colour, alpha, depth and AOVs [n, 5 + E], and what it cost.

        Parameters
        ----------
        held_bytes : what the caller holds beside them
        turn : makes the lots that are drawn of those that would be, such as `WayBack.turn`
        """
        oversight.begin(len(self._origins))
        aovs = self._session.aovs
        values = np.empty((len(self._origins), 5 + aovs.n_columns), np.float32)
        values[:, :3] = (
            self._session.options.background_rgb if self._behind is None else self._behind
        )
        values[:, 3:5] = 0.0
        values[:, 5:] = aovs.nothing
        held_bytes += self._origins.nbytes + self._directions.nbytes + values.nbytes
        held = {"caller": held_bytes}
        lots = self._lots(values) if turn is None else map(turn, self._lots(values))
        stats = self._session.draw(self._layout, lots, held, oversight)
        return values, stats

    def _lots(self, values: NDArray[np.float32]) -> Iterator[Lot]:
        # Each of eight octants may leave one packet that is not full.
        most = (self._layout.sizes.n_tiles - _OCTANTS) * TILE_RAYS
        for first in range(0, len(values), most):
            part = slice(first, first + most)
            origins, directions = self._origins[part], self._directions[part]
            for octant, members in self._octants(origins, directions):
                mine = members + first
                rays = self._session.projected(packets_of(origins, directions, members))
                drawn = np.empty((rays.n_tiles, TILE_RAYS, values.shape[1]), np.float32)

                yield Lot(
                    rays=rays,
                    n_rays=len(members),
                    views=partial(self._views, octant, rays.n_tiles),
                    has_one_view=False,
                    place=partial(_put, drawn),
                    behind=self._behind,
                    members=mine,
                )
                _whole_rays(values)[mine] = _whole_rays(drawn)[: len(mine)]

    def _octants(
        self, origins: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The rays [n, 3] by octant: (octant, their places in an order that makes narrow packets).

        Rays that can meet no box are left out, unless there is something to see behind it.
        """
        integrator = self._session.integrator
        try:
            rays = self._session.projected(packets_of(origins, directions, keys_only=True))
            integrator.begin(rays, self._layout.sizes.n_tiles)
            keys = integrator.octant_keys()[: len(origins)]
        finally:
            integrator.drop()
        behind = self._behind is None and self._session.store.root.meta.background is not None
        # A ray's place stands below its key: NumPy sorts numbers five times as fast as their places.
        drawn = np.flatnonzero(keys < (_MISSES + behind) << _OCTANT_BIT)
        order = np.sort((keys[drawn] << _PLACE_BITS) | drawn)
        starts = np.arange(_OCTANTS + 2) << (_OCTANT_BIT + _PLACE_BITS)
        ends = np.searchsorted(order, starts)
        order &= (1 << _PLACE_BITS) - 1
        for octant, (first, end) in enumerate(pairwise(ends.tolist())):
            if end > first:
                yield octant, order[first:end]

    def _views(self, octant: int, n_packets: int) -> Iterator[View]:
        if octant == _MISSES:
            return
        table, index = self._session.table, self._session.store.tables.index
        for packet, box in self._session.integrator.boxes_met(n_packets, self._at_once.pairs):
            yield packet_view(table, index, octant, packet, box)
