"""Decoded chunks in a cache of bounded size, filled by worker threads.

A chunk is **wanted** while somebody has said that it will be needed, **in use** while somebody
waits for it, copies from it or holds it, and idle otherwise. Room is made

- for a chunk that is only wanted: by forgetting idle chunks, least recently used first;
- for a chunk that somebody waits for: also by forgetting wanted ones, the last wanted first. They
  are read again when their turn comes, so any cache that holds one chunk gets everything done.

Who waits for a chunk while others are held waits for none of these: a cache has room for as many as
may be held at a time (`n_held`), and whoever holds several asks for no more than that.

Decoded chunks lie in buffers of one size, which are used again (`chunk_memory`); what is being read
counts with the most that its stored bytes can take as well.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import BudgetError, InternalError
from plenostream.format.layout import ROW_ARRAYS
from plenostream.format.reader import SceneStore
from plenostream.rules.bytesize import format_bytes
from plenostream.stream.chunk_memory import Buffer, ChunkMemory, buffer_bytes

__all__ = ["ChunkCache", "ChunkKey", "Counters", "smallest_cache_bytes"]

ChunkKey = tuple[str, int]
"""Array and number of a chunk."""


@dataclass(slots=True)
class Counters:
    """What a cache has done so far."""

    bytes_read: int = 0
    """Stored (compressed) bytes fetched."""
    chunks_read: int = 0
    """Chunks fetched and decoded."""
    hits: int = 0
    """Chunks that were there, or asked for ahead, when they were needed."""
    misses: int = 0
    """Chunks that nobody had asked for ahead, or that had been forgotten again."""
    peak_cache_bytes: int = 0
    """Largest number of bytes held at a time, reads in flight included."""


def smallest_cache_bytes(store: SceneStore, *, n_held: int = 0) -> int:
    """The smallest cache that any brick of the scene can be read through, where up to `n_held` chunks stay
    held while others are waited for."""
    return max(n_held, 1) * buffer_bytes(_chunk_sizes(store)) + _stored_limit(store)


def _chunk_sizes(store: SceneStore) -> list[int]:
    return [store.specs[name].chunk_bytes for name in ROW_ARRAYS]


def _n_chunks(store: SceneStore) -> int:
    return sum(store.specs[name].n_chunks for name in ROW_ARRAYS)


def _stored_limit(store: SceneStore) -> int:
    return max(store.arrays[name].reading_bytes for name in ROW_ARRAYS)


class _State(Enum):
    QUEUED = 1
    READING = 2
    READY = 3
    FAILED = 4


@dataclass(slots=True, eq=False)
class _Entry:
    """One chunk that is there, on its way, or failed."""

    state: _State = _State.QUEUED
    n_users: int = 0
    buffer: Buffer | None = None
    future: Future[tuple[NDArray[Any], int]] = field(default_factory=Future)


class ChunkCache:
    """See the module; all methods may be called from several threads."""

    def __init__(
        self, store: SceneStore, *, cache_bytes: int, n_threads: int, n_held: int = 0
    ) -> None:
        """Have room for the `n_held` chunks that may stay held while others are waited for.

        Raises BudgetError where `cache_bytes` is too few for them."""
        smallest = smallest_cache_bytes(store, n_held=n_held)
        if cache_bytes < smallest:
            raise BudgetError(
                f"a chunk cache of {format_bytes(cache_bytes)} cannot hold what a brick of {store.path} "
                f"needs at a time; it takes at least {format_bytes(smallest)}",
                planned_bytes=smallest,
                allowed_bytes=cache_bytes,
                smallest_bytes=smallest,
            )
        self.counters = Counters()
        self._store = store
        self._stored_limit = _stored_limit(store)
        n_bytes = buffer_bytes(_chunk_sizes(store))
        n_chunks = _n_chunks(store)
        # A small cache has room for fewer reads at a time than there are threads. Those that wait for
        # another machine take half of it at most, or what all chunks leave: the rest holds what has come.
        beside_held = cache_bytes - max(n_held, 1) * n_bytes
        room = min(cache_bytes // (n_bytes + self._stored_limit), beside_held // self._stored_limit)
        self._n_decoding = min(n_threads, room)
        # More than all chunks, since one that is held may have to be read anew.
        most = n_chunks + n_held
        left = (cache_bytes - most * n_bytes) // self._stored_limit - self._n_decoding
        half = (room - self._n_decoding) // 2
        self._most_waiting = min(store.source.most_at_once, max(left, half))
        n_parallel = self._n_decoding + self._most_waiting
        self.n_buffers = min((cache_bytes - n_parallel * self._stored_limit) // n_bytes, most)
        """Chunks that there is room for."""
        self._memory = ChunkMemory(buffer_bytes=n_bytes, n_buffers=self.n_buffers)
        self._changed = threading.Condition()
        self._entries: dict[ChunkKey, _Entry] = {}
        self._wanted: Counter[ChunkKey] = Counter()
        self._awaited: deque[ChunkKey] = deque()
        self._queue: deque[ChunkKey] = deque()
        self._idle: OrderedDict[ChunkKey, None] = OrderedDict()
        self._reserved: OrderedDict[ChunkKey, None] = OrderedDict()
        self._n_reading = 0
        self._closed = False
        self.n_decoded = 0
        """Chunks decoded so far: the time on a clock that ticks with each."""
        self.decoded_at = {
            name: np.zeros(store.specs[name].n_chunks, np.int64) for name in ROW_ARRAYS
        }
        """When each chunk was last decoded, on that clock; 0: never."""
        self._threads = ThreadPoolExecutor(n_parallel, thread_name_prefix="plenostream-read")

    def close(self) -> None:
        """Forget what is queued, wait for the chunks being read, and end the threads."""
        with self._changed:
            self._closed = True
            self._awaited.clear()
            self._queue.clear()
            self._changed.notify_all()
        self._threads.shutdown(wait=True, cancel_futures=True)
        with self._changed:
            self._memory.release()
            self._entries.clear()
            self._idle.clear()
            self._reserved.clear()

    @property
    def n_reading(self) -> int:
        """Chunks that are being read and decoded."""
        return self._n_reading

    @property
    def n_waiting(self) -> int:
        """Reads that are worth having under way beside those that are being decoded."""
        return min(self._store.source.n_at_once, self._most_waiting)

    @property
    def n_coming(self) -> int:
        """Chunks that are being read, or will be; some may be counted twice."""
        return self._n_reading + len(self._awaited) + len(self._queue)

    def want(self, keys: Iterable[tuple[ChunkKey, int]], *, first: bool = False) -> None:
        """Have chunks read ahead, in order; each is wanted as many times more as its number says.

        With `first` they go before everything queued so far, and are counted as hits and misses.
        """
        with self._changed:
            self._refuse_closed()
            queued: list[ChunkKey] = []
            for key, times in keys:
                self._wanted[key] += times
                entry = self._entries.get(key)
                if first:
                    self.counters.hits += entry is not None
                    self.counters.misses += entry is None
                if entry is None:
                    self._entries[key] = entry = _Entry()
                if entry.state is _State.QUEUED:
                    queued.append(key)
                self._sort_in(key, entry)
            if first:
                self._queue.extendleft(reversed(queued))
            else:
                self._queue.extend(queued)
            self._start_reading()

    def unwant(self, keys: Iterable[tuple[ChunkKey, int]]) -> None:
        """Take back `want`; what nobody wants any more is not read, or may be forgotten."""
        with self._changed:
            for key, times in keys:
                if self._want_less(key, times):
                    self._tidy(key)
            self._start_reading()

    def forget(self, keys: Iterable[ChunkKey], *, seen: int) -> None:
        """Have chunks that hold what they should not read again, from where they come from, when they are
        needed the next time, but for those decoded since the clock said `seen`. Who holds one keeps it until
        it is let go: whoever else needs the chunk reads it anew."""
        with self._changed:
            for key in keys:
                if self.decoded_at[key[0]][key[1]] > seen:
                    continue
                self._store.forget_chunk(*key)
                entry = self._entries.get(key)
                if entry is not None and entry.state is _State.READY:
                    self._idle.pop(key, None)
                    self._reserved.pop(key, None)
                    self._forget(key, entry)
                    self._give_back_forgotten(key, entry)
            self._start_reading()

    @contextmanager
    def hold(
        self, keys: Sequence[ChunkKey], is_dropped: Callable[[], bool] = lambda: False
    ) -> Iterator[list[NDArray[Any]]]:
        """The values of the first of `keys`, which are waited for, and of those behind it that are
        there as well; they stay in the cache inside the `with`. One `want` of each is taken back in
        the end.

        Raises whatever reading the first raised (BrickCorrupt); the next call tries again. Raises
        CancelledError where the wait is dropped, see `wake`; the chunk is read to its end.
        """
        held = [self._use(keys[0])]
        try:
            self._wait_for(keys[0], held[0], is_dropped)
            with self._changed:
                for key in keys[1:]:
                    entry = self._entries.get(key)
                    if entry is None or entry.state is not _State.READY:
                        break
                    held.append(self._use(key))
            yield [entry.future.result()[0] for entry in held]
        finally:
            with self._changed:
                for key, entry in zip(keys, held, strict=False):
                    entry.n_users -= 1
                    self._want_less(key, 1)
                    self._give_back_forgotten(key, entry)
                    if entry.state is _State.FAILED:
                        self._forget(key, entry)
                    else:
                        self._tidy(key)
                self._start_reading()

    def _use(self, key: ChunkKey) -> _Entry:
        with self._changed:
            entry = self._entries.get(key)
            if entry is None:
                # It had been forgotten again, to make room.
                self.counters.misses += 1
                self._entries[key] = entry = _Entry()
            entry.n_users += 1
            self._sort_in(key, entry)
        return entry

    def wake(self) -> None:
        """Have those who wait ask whether their wait is dropped."""
        with self._changed:
            self._changed.notify_all()

    def _wait_for(self, key: ChunkKey, entry: _Entry, is_dropped: Callable[[], bool]) -> None:
        with self._changed:
            if entry.state is _State.QUEUED:
                self._awaited.append(key)
                self._start_reading()
            while entry.state in (_State.QUEUED, _State.READING) and not self._closed:
                if is_dropped():
                    raise CancelledError
                self._changed.wait()
        self._refuse_closed()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise InternalError("bricks were asked for after their fetcher had been closed")

    # What follows is called with the lock held.

    def _want_less(self, key: ChunkKey, times: int) -> bool:
        """Whether nobody wants the chunk any more."""
        self._wanted[key] -= times
        unwanted = self._wanted[key] <= 0
        if unwanted:
            del self._wanted[key]
        return unwanted

    def _start_reading(self) -> None:
        """Start what is awaited, then what is queued, each in order, as threads and room allow.

        Nothing overtakes a chunk that has to wait for room: it would take that room away.
        """
        n_parallel = self._n_decoding + self.n_waiting
        for queue, awaited in ((self._awaited, True), (self._queue, False)):
            while queue and not self._closed:
                entry = self._entries.get(queue[0])
                if entry is None or entry.state is not _State.QUEUED:
                    queue.popleft()
                    continue
                if self._n_reading >= n_parallel:
                    return
                if (buffer := self._free_buffer(awaited)) is None:
                    return
                self._n_reading += 1
                held = self._memory.allocated_bytes + self._n_reading * self._stored_limit
                self.counters.peak_cache_bytes = max(self.counters.peak_cache_bytes, held)
                entry.buffer = buffer
                entry.state = _State.READING
                key = queue.popleft()
                entry.future = self._threads.submit(self._read, key, buffer)
                # Runs at once, inside this loop, when the chunk is read already.
                # It knows the key alone: an entry that its own future refers to would outlive the
                # cache, with all of its memory, until cycles are collected.
                entry.future.add_done_callback(partial(self._finish, key))

    def _free_buffer(self, awaited: bool) -> Buffer | None:
        buffer = self._memory.take()
        if buffer is None:
            if self._idle:
                key, _ = self._idle.popitem(last=False)
            elif awaited and self._reserved:
                key, _ = self._reserved.popitem(last=True)
            else:
                return None
            buffer = self._entries.pop(key).buffer
        return buffer

    def _sort_in(self, key: ChunkKey, entry: _Entry) -> None:
        """Put a chunk where `_free_buffer` finds it, as the one used last."""
        self._idle.pop(key, None)
        self._reserved.pop(key, None)
        if entry.state is _State.READY and entry.n_users == 0:
            (self._reserved if self._wanted[key] > 0 else self._idle)[key] = None

    def _tidy(self, key: ChunkKey) -> None:
        """Sort in a chunk that is used or wanted less than before."""
        entry = self._entries.get(key)
        if entry is None:
            return
        unneeded = entry.n_users == 0 and key not in self._wanted
        if unneeded and entry.state in (_State.QUEUED, _State.FAILED):
            self._forget(key, entry)
        else:
            self._sort_in(key, entry)

    def _give_back_forgotten(self, key: ChunkKey, entry: _Entry) -> None:
        """Give back the memory of a chunk that was forgotten, once nobody holds it."""
        is_forgotten = self._entries.get(key) is not entry and not self._closed
        if is_forgotten and entry.n_users == 0 and entry.buffer is not None:
            self._memory.give_back(entry.buffer)
            entry.buffer = None

    def _forget(self, key: ChunkKey, entry: _Entry) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]

    # What follows runs in the threads.

    def _read(self, key: ChunkKey, buffer: Buffer) -> tuple[NDArray[Any], int]:
        return self._store.fetch_and_decode(*key, into=buffer)

    def _finish(self, key: ChunkKey, future: Future[tuple[NDArray[Any], int]]) -> None:
        with self._changed:
            self._n_reading -= 1
            entry = self._entries[key]  # nothing forgets a chunk while it is being read
            if future.cancelled() or future.exception() is not None:
                entry.state = _State.FAILED
                if entry.buffer is not None:
                    self._memory.give_back(entry.buffer)
                    entry.buffer = None
            else:
                entry.state = _State.READY
                self.n_decoded += 1
                self.decoded_at[key[0]][key[1]] = self.n_decoded
                self.counters.chunks_read += 1
                self.counters.bytes_read += future.result()[1]
            self._tidy(key)
            self._changed.notify_all()
            self._start_reading()
