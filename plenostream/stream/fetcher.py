"""Bricks read ahead, cut out of decoded chunks and checked: what the renderer streams from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plenostream.errors import BrickCorrupt, InternalError
from plenostream.format.brick_damage import matches_digest, naming_brick, no_match
from plenostream.format.layout import ROW_ARRAYS
from plenostream.format.reader import SceneStore
from plenostream.integrator.interface import Runs
from plenostream.integrator.staging_memory import CopyRows, copy_rows
from plenostream.process.closing import Closing
from plenostream.stream.chunk_cache import ChunkCache, Chunks, Counters
from plenostream.stream.holding import Hold, RowRuns, row_runs_of
from plenostream.stream.row_chunks import RowChunks

__all__ = ["BrickFetcher", "BrickRows", "most_chunks"]

_Held = AbstractContextManager[list[NDArray[Any]]]
_COMING = 2
"""Times the reads that are under way at once: what is asked for, so that there are always enough."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrickRows:
    """The rows of some bricks, one brick after another; n rows in all."""

    density: NDArray[np.float32]
    """Density per row [n], per world unit."""
    sh: NDArray[np.float16] | NDArray[np.float32]
    """Coefficients per row [n, 3 dim], channel-major, in the type of the store."""
    row_start: NDArray[np.int64]
    """Rows of the k-th brick asked for are [row_start[k], row_start[k + 1])."""

    def bricks(
        self, which: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.floating]]]:
        """Densities and coefficients of the k-th bricks `which` names."""
        bounds = self.row_start[which].tolist(), self.row_start[which + 1].tolist()
        for low, high in zip(*bounds, strict=True):
            yield self.density[low:high], self.sh[low:high]


_Rows = TypeVar("_Rows", BrickRows, RowRuns)


def most_chunks(store: SceneStore, largest_rows: int) -> int:
    """Bound on the chunks that a brick of up to `largest_rows` rows has rows in."""
    return sum(
        max(largest_rows - 2, 0) // store.specs[name].chunk_shape[0] + 2 for name in ROW_ARRAYS
    )


class BrickFetcher(Closing):
    """Reads bricks ahead with threads of its own and hands them over; a context manager.

    Parameters
    ----------
    cache_bytes : bound on the decoded chunks that are kept and the reads in flight together; what
        `take` returns is not part of it
    n_threads : threads that read and decode
    n_held : chunks that may stay held while others are waited for: those of a brick in each `Hold`, see
        `most_chunks`; 0 where `hold` is not called
    copy : copies what `take` gives

    Raises
    ------
    BudgetError : `cache_bytes` is below `smallest_cache_bytes`.
    """

    def __init__(
        self,
        store: SceneStore,
        *,
        cache_bytes: int,
        n_threads: int,
        n_held: int = 0,
        copy: CopyRows = copy_rows,
    ) -> None:
        self._store = store
        self._copy = copy
        self._row_chunks = RowChunks(store)
        self._chunks = ChunkCache(
            store, self._row_chunks, cache_bytes=cache_bytes, n_threads=n_threads, n_held=n_held
        )
        self._lock = threading.Lock()
        n_bricks = len(store.tables.index)
        self._n_requests = np.zeros(n_bricks, np.int64)
        # When each brick was last held against its digest, on the clock of `ChunkCache.n_decoded`.
        self._checked_at = np.full(n_bricks, -1, np.int64)

    def close(self) -> None:
        """Stop reading and end the threads, each within the chunk that it is at."""
        self._chunks.close()

    @property
    def counters(self) -> Counters:
        """What has been read so far, and what `take` found ready or not."""
        return self._chunks.counters

    @property
    def n_reading(self) -> int:
        """Chunks that are being read and decoded."""
        return self._chunks.n_reading

    @property
    def wants_more(self) -> bool:
        """Whether answers have to be waited for, and too few are asked for: more should be requested
        than the next waves need."""
        n_waiting = self._chunks.n_waiting
        return n_waiting > 0 and self._chunks.n_coming < _COMING * n_waiting

    def request(self, brick_ids: ArrayLike) -> None:
        """Have the chunks of bricks [k] read ahead, in this order, as far as the cache has room.

        Returns at once. What was requested stays in the cache until it is taken or cancelled.
        """
        ids = self._checked(brick_ids)
        if not len(ids):
            return
        with self._lock:
            np.add.at(self._n_requests, ids, 1)
            self._chunks.want(*self._row_chunks.needed(ids))

    def cancel(self, brick_ids: ArrayLike | None = None) -> None:
        """Take back every request for these bricks [k], or for all; others stay as they are."""
        with self._lock:
            if brick_ids is None:
                ids = np.flatnonzero(self._n_requests)
            else:
                ids = np.unique(self._checked(brick_ids))
            if not len(ids):
                return
            asked = np.repeat(ids, self._n_requests[ids])
            self._chunks.unwant(*self._row_chunks.needed(asked))
            self._n_requests[ids] = 0

    def take(
        self,
        brick_ids: ArrayLike,
        *,
        into: tuple[NDArray[Any], NDArray[Any]] | None = None,
        is_dropped: Callable[[], bool] = lambda: False,
    ) -> BrickRows:
        """The rows of bricks [k], in this order; waits for what is not there yet.

        One request for each brick is done with afterwards. More chunks than the cache holds are
        read piece by piece.

        Parameters
        ----------
        into : densities [N] and coefficients [N, columns] at whose beginning the rows come to lie;
            else they get arrays of their own
        is_dropped : whether nobody wants the rows any more; asked before each wait for a chunk, and
            meanwhile when `wake` is called

        Raises
        ------
        BrickCorrupt : a chunk cannot be read, or a brick does not match its digest; named.
        CancelledError : the rows are not wanted any more.
        """
        ids = self._checked(brick_ids)
        return self._sound(ids, lambda: self._gathered(ids, into, is_dropped), lambda: None)

    def hold(
        self,
        brick_ids: ArrayLike,
        hold: Hold,
        *,
        is_dropped: Callable[[], bool] = lambda: False,
    ) -> RowRuns:
        """As `take`, where they lie: all of their chunks stay in the cache until the hold is released.

        Raises
        ------
        As `take`; what came by then stays in the hold.
        """
        ids = self._checked(brick_ids)
        return self._sound(ids, lambda: self._held(ids, hold, is_dropped), hold.release)

    def spend(self, brick_ids: ArrayLike, in_place: NDArray[np.bool_]) -> None:
        """Let go of the chunks of bricks [k] in which none has rows but bricks that are `in_place` for good,
        all of the scene, once nobody holds them: their memory is better used for those that come."""
        only = self._row_chunks.only_of(self._checked(brick_ids), in_place)
        self._chunks.spend(only)

    def n_chunks_up_to(self, brick_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many chunks the bricks [k] up to each, and that one, have rows in [k]."""
        return self._row_chunks.n_up_to(brick_ids)

    @property
    def n_held_at_once(self) -> int:
        """Chunks that one of two holds may have, so that there is as much room for those that come."""
        return self._chunks.room.n_buffers // 4

    def _sound(
        self, ids: NDArray[np.int64], read: Callable[[], _Rows], let_go: Callable[[], None]
    ) -> _Rows:
        """What `read` reads, once all bricks match their digests; what does not is let go of."""
        for left in reversed(range(self._store.source.n_attempts)):
            now = self._chunks.n_decoded
            rows = read()
            seen = self._chunks.n_decoded
            strangers = self._strangers(ids, rows)
            if not len(strangers):
                break
            # What was kept of them is not what was written, here or on the way: it is read again, now or
            # the next time.
            let_go()
            self._chunks.forget(self._row_chunks.needed(strangers)[0], seen=seen)
            if not left:
                raise no_match(self._store, int(strangers[0]))
        self._checked_at[ids] = now
        return rows

    def _gathered(
        self,
        ids: NDArray[np.int64],
        into: tuple[NDArray[Any], NDArray[Any]] | None,
        is_dropped: Callable[[], bool],
    ) -> BrickRows:
        """`take`, without looking at the digests."""
        meta, spans = self._store.meta, self._row_chunks.spans(ids)
        row_start = self._row_chunks.row_start(ids)
        n = int(row_start[-1])
        if into is None:
            into = np.empty(n, np.float32), np.empty((n, meta.sh_columns), meta.sh_dtype)
        out = dict(zip(ROW_ARRAYS, (into[0][:n], into[1][:n]), strict=True))
        place_of = np.full(self._row_chunks.n, -1)

        def copy(coming: Chunks, chunks: _Held) -> int:
            with chunks as held:
                here = coming[: len(held)]
                place_of[here] = np.arange(len(held))
                for name, some in spans.items():
                    which = np.flatnonzero(place_of[some.chunk] >= 0)
                    if len(which):
                        array_of, low = place_of[some.chunk[which]], some.low[which]
                        runs = Runs(arrays=held, array_of=array_of, first=low)
                        self._copy(out[name], runs, some.high[which] - low, some.out[which])
                place_of[here] = -1
            return len(held)

        self._read(ids, copy, is_dropped)
        return BrickRows(density=out["rows/density"], sh=out["rows/sh"], row_start=row_start)

    def _held(self, ids: NDArray[np.int64], hold: Hold, is_dropped: Callable[[], bool]) -> RowRuns:
        """`hold`, without looking at the digests."""
        had: list[NDArray[Any]] = []

        def keep(_: Chunks, chunks: _Held) -> int:
            held = hold.add(chunks)
            had.extend(held)
            return len(held)

        order = self._read(ids, keep, is_dropped)
        return row_runs_of(self._row_chunks, ids, order, had)

    def _read(
        self,
        ids: NDArray[np.int64],
        use: Callable[[Chunks, _Held], int],
        is_dropped: Callable[[], bool],
    ) -> Chunks:
        """Have `use` called with the chunks of bricks that are still to come and what gives the first of
        them, until it has had all; it returns how many it had. Returns all of them in their order."""
        order, _ = self._row_chunks.needed(ids)
        # Wanted by this call before the requests are taken back, so that nothing is lost between.
        self._chunks.want(order, 1, first=True)
        n_had = 0
        try:
            self._settle_requests(ids)
            while n_had < len(order):
                if is_dropped():
                    raise CancelledError
                coming, n_had = order[n_had:], n_had + 1  # the first of them, whatever happens
                n_had += use(coming, self._chunks.hold(coming, is_dropped)) - 1
        except BrickCorrupt as error:
            raise naming_brick(self._store, error, ids) from error
        finally:
            self._chunks.unwant(order[n_had:], 1)
        return order

    def wake(self) -> None:
        """Have every `take` that waits ask whether its rows are wanted."""
        self._chunks.wake()

    def _checked(self, brick_ids: ArrayLike) -> NDArray[np.int64]:
        ids = np.asarray(brick_ids).reshape(-1)
        if ids.size == 0:
            return np.zeros(0, np.int64)
        n = len(self._n_requests)
        if ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= n:
            raise InternalError(f"there are no such bricks among {n}: {ids[:8].tolist()} ...")
        return ids.astype(np.int64)

    def _settle_requests(self, ids: NDArray[np.int64]) -> None:
        with self._lock:
            requested = np.unique(ids)
            requested = requested[self._n_requests[requested] > 0]
            self._n_requests[requested] -= 1
            self._chunks.unwant(*self._row_chunks.needed(requested))

    def _strangers(self, ids: NDArray[np.int64], rows: BrickRows | RowRuns) -> NDArray[np.int64]:
        """Those of the bricks that do not match their digests, of those that have not been checked since
        their chunks were decoded: what stays in the cache does not change."""
        tables = self._store.tables
        due = self._checked_at[ids] < self._row_chunks.latest(ids, self._chunks.decoded_at)
        due |= self._checked_at[ids] < 0
        places = np.flatnonzero(due)
        found = []
        for brick, its_rows in zip(ids[places].tolist(), rows.bricks(places), strict=True):
            if not matches_digest(tables, brick, *its_rows):
                found.append(brick)
        return np.array(found, np.int64)
