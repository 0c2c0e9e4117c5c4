"""What a frame asks of storage: which bricks of a wave are missing in the pool, and those, read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import PAGE_ROWS, Arrivals
from plenostream.stream.fetcher import BrickFetcher
from plenostream.stream.residency import EMPTY, Admission, Residency
from plenostream.stream.staging import Room, Staging

__all__ = ["BrickSupply", "pages_of"]


def pages_of(row_start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pages that the colour rows of each brick take, [n]."""
    return -(-np.diff(row_start) // PAGE_ROWS)


class BrickSupply:
    """Gives bricks their places in a pool, and reads those that come in."""

    def __init__(
        self,
        store: SceneStore,
        fetcher: BrickFetcher,
        residency: Residency,
        staging: Staging,
        *,
        batch_bricks: int,
        filled_by: Callable[[NDArray[np.int64]], NDArray[np.int64]],
        most_filled: int,
        for_good: bool = False,
    ) -> None:
        """Hand over at most `batch_bricks` bricks at a time that fill at most `most_filled` of a room, or one
        brick; `filled_by` says how much the bricks [k] up to each, and that one, fill together [k]. With
        `for_good` the pool has room for all bricks: what is in it is read no more."""
        self._tables = store.tables
        self._fetcher = fetcher
        self._residency = residency
        self._staging = staging
        self._batch_bricks = batch_bricks
        self._filled_by = filled_by
        self._most_filled = most_filled
        self._for_good = for_good

    @property
    def slot_of(self) -> NDArray[np.int32]:
        """Slot of each brick of the scene [n], `residency.EMPTY` where it is not in the pool."""
        return self._residency.slot_of

    def begin_frame(self, bricks: NDArray[np.int64]) -> None:
        """Say which bricks the coming frame shows."""
        self._residency.begin_frame(bricks)

    @property
    def wants_more(self) -> bool:
        """See `BrickFetcher`."""
        return self._fetcher.wants_more

    def request(self, wave: NDArray[np.int64]) -> None:
        """Have the missing bricks of a coming wave read ahead."""
        self._fetcher.request(self._residency.missing(wave))

    def cancel(self, bricks: NDArray[np.int64]) -> None:
        """Take back what was requested for these bricks."""
        self._fetcher.cancel(bricks)

    def end_frame(self) -> None:
        """Take back what was requested, and let go of what is being gathered."""
        self._fetcher.cancel()
        self._staging.drop()

    def admit(self, wave: NDArray[np.int64]) -> Admission:
        """Give the missing bricks of a wave their places; others leave where there is no room."""
        return self._residency.admit(wave)

    def forget(self, admission: Admission) -> None:
        """Take admitted bricks out again: they did not arrive."""
        self._residency.forget(admission.bricks)

    def arrivals(self, admission: Admission) -> Iterator[Arrivals]:
        """The admitted bricks, read and checked, a batch at a time; the first are gathered from now
        on, whether they are asked for or not.

        Raises
        ------
        BrickCorrupt : one cannot be read, or does not match its digest.
        """
        bricks = admission.bricks
        if not len(bricks):  # of a frame that is resident: what follows looks at the whole scene
            return self._staging.fill([])
        n_pages = np.concatenate([[0], np.cumsum(pages_of(self._tables.row_start)[bricks])])

        def bring(start: int, stop: int, room: Room) -> Arrivals:
            some = bricks[start:stop]
            rows = room.bring(self._fetcher, some, self._staging.is_dropped)
            return Arrivals(
                index=self._tables.index[some],
                mask=self._tables.mask[some],
                density=rows.density,
                sh=rows.sh,
                run_start=rows.run_start,
                row_start=rows.row_start,
                slots=admission.slots[start:stop],
                pages=admission.pages[n_pages[start] : n_pages[stop]],
                is_last=stop == len(bricks),
            )

        batches = list(self._batches(bricks))
        return self._in_place(
            bricks, batches, self._staging.fill([partial(bring, *b) for b in batches])
        )

    def _in_place(
        self, bricks: NDArray[np.int64], batches: list[tuple[int, int]], coming: Iterator[Arrivals]
    ) -> Iterator[Arrivals]:
        """The batches of bricks [b] as they come; each is in place when the next is asked for."""
        for (start, stop), some in zip(batches, coming, strict=True):
            yield some
            if self._for_good:
                never_drawn = ~self._tables.occupied
                in_place = never_drawn | (self.slot_of != EMPTY)
                in_place[bricks[stop:]] = False
                self._fetcher.spend(bricks[start:stop], in_place)

    def _batches(self, bricks: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Where the batches of bricks [b] start and stop."""
        start = 0
        while start < len(bricks):
            some = bricks[start : start + self._batch_bricks]
            n = int(np.searchsorted(self._filled_by(some), self._most_filled, "right"))
            stop = start + max(n, 1)
            yield start, stop
            start = stop
