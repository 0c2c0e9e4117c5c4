"""The host loop: waves of bricks through the pool, and the rays through the waves.

::

    for each wave, front to back:
        1. drop the bricks that no live ray can reach     (the report of two waves ago)
        2. give the others their places in the pool       (some leave)
        3. have the missing ones brought in               (read and gathered by the supply's threads)
        4. ask for the bricks of the next waves           (reads go on while this wave is drawn)
        5. have the rays brought through the wave's boxes

Resident and streaming are the same loop: with everything in the pool, step 3 finds nothing to do.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from plenostream.engine.ledger import HostLedger
from plenostream.engine.oversight import Oversight
from plenostream.field.tiles import Pairs
from plenostream.integrator.interface import LEFT_OUT, Integrator, Report, Sizes
from plenostream.plan import View, plan_waves
from plenostream.stream.supply import BrickSupply

__all__ = ["Frame", "Leaving"]

Leaving = Callable[[NDArray[np.int64], NDArray[np.int32]], None]
"""Told the bricks [e] that leave the pool and their slots [e], while they are still there."""

_READ_AHEAD = 2
"""Waves whose bricks are read before their turn, at least."""
_REPORT_DELAY = 2
"""Waves after which a report of live tiles is used, so that nobody waits for it."""


class Frame:
    """Draws what views show, with the rays that the integrator was given."""

    def __init__(
        self,
        integrator: Integrator,
        supply: BrickSupply,
        host: HostLedger,
        sizes: Sizes,
        pages: NDArray[np.int64],
        oversight: Oversight,
        leaving: Leaving | None = None,
    ) -> None:
        """Take the `pages` that each brick's rows need."""
        self.counts: Counter[str] = Counter()
        self.host = host
        self._integrator = integrator
        self._supply = supply
        self._sizes = sizes
        self._pages = pages
        self._oversight = oversight
        self._leaving = leaving

    def draw(self, view: View, *, is_all: bool = False) -> None:
        """Bring the rays through everything that `view` shows.

        Parameters
        ----------
        is_all : whether the rays then are at their ends, so that waves say how far they are

        Raises
        ------
        BrickCorrupt : a brick that it needs is damaged. DeviceError : the device failed.
        RenderCancelled : the picture is not wanted any more.
        """
        self.host.note("view", view.nbytes)
        self._supply.begin_frame(view.bricks)
        n_slots, n_pages = self._sizes.n_slots, self._sizes.n_pages - 1
        pages = self._pages[view.bricks]
        waves = [
            # As they are stored: a chunk is then needed by bricks that follow each other.
            np.sort(view.bricks[places])
            for places in plan_waves(view.shells, pages, n_slots=n_slots, n_pages=n_pages)
        ]
        self.counts["bricks_visible"] += len(view.bricks)
        try:
            self._draw_waves(view, waves, is_all=is_all)
        finally:
            self._supply.end_frame()

    def _draw_waves(self, view: View, waves: list[NDArray[np.int64]], *, is_all: bool) -> None:
        reports: deque[Report] = deque()
        alive: NDArray[np.bool_] | None = None
        coming = deque(waves)
        self._read_ahead(coming, len(waves) - _READ_AHEAD)
        for number, wave in enumerate(waves):
            self._oversight.lot_is_at(number / len(waves) if is_all else 0.0)
            if number >= _REPORT_DELAY:
                alive = reports.popleft()()
                hidden = view.hidden(wave, alive)
                self.counts["bricks_culled"] += int(hidden.sum())
                self._supply.cancel(wave[hidden])
                wave = wave[~hidden]
            if len(wave):
                self._draw_wave(view, wave, alive)
                self._read_ahead(coming, len(waves) - number - 1 - _READ_AHEAD)
                self.counts["waves"] += 1
            if number + _REPORT_DELAY < len(waves):
                reports.append(self._integrator.report())

    def _read_ahead(self, coming: deque[NDArray[np.int64]], n_left: int) -> None:
        """Ask for the bricks of coming waves until `n_left` are left; further where that is too little
        for a source whose answers have to be waited for."""
        while coming and (len(coming) > n_left or self._supply.wants_more):
            self._supply.request(coming.popleft())

    def _draw_wave(
        self, view: View, wave: NDArray[np.int64], alive: NDArray[np.bool_] | None
    ) -> None:
        admission = self._supply.admit(wave)
        self.counts["bricks_evicted"] += admission.n_evicted
        try:
            if self._leaving is not None and admission.n_evicted:
                self._leaving(admission.evicted, admission.evicted_slots)
            self._integrator.take_in(self._supply.arrivals(admission))
            slot_of = self._supply.slot_of
            if view.left_out is not None:
                slot_of = np.where(view.left_out, np.int32(LEFT_OUT), slot_of)
            self._integrator.advance(self._pairs(view, wave, alive), slot_of)
        except BaseException:
            self._supply.forget(admission)
            raise
        self.counts["bricks_read"] += len(admission.bricks)

    def _pairs(
        self, view: View, wave: NDArray[np.int64], alive: NDArray[np.bool_] | None
    ) -> Iterator[Pairs]:
        wanted = np.zeros(len(self._supply.slot_of), bool)
        wanted[wave] = True
        for pairs in view.pairs(wanted, alive):
            self.host.note("items", pairs.nbytes)
            yield pairs
