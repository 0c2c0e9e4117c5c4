"""Decoded chunks in a cache of bounded size, filled by worker threads.

A chunk is **wanted** while somebody has said that it will be needed, **in use** while somebody
waits for it, copies from it or holds it, and idle otherwise. Room is made

- for a chunk that is only wanted: by forgetting idle chunks, least recently used first;
- for a chunk that somebody waits for: also by forgetting wanted ones, the last wanted first. They
  are read again when their turn comes, so any cache that holds one chunk gets everything done.

A chunk that is spent, because all that is in it has gone to where it stays, is forgotten as soon as it is
idle: what is read next finds its memory at hand, where fresh memory would cost as much as decoding.

Who waits for a chunk while others are held waits for none of these: a cache has room for as many as
may be held at a time (`n_held`), and whoever holds several asks for no more than that.

Decoded chunks lie in buffers of one size, which are used again (`chunk_memory`); what is being read
counts with the most that its stored bytes can take as well.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plenostream.errors import InternalError
from plenostream.format.reader import SceneStore
from plenostream.stream.cache_room import cache_room
from plenostream.stream.chunk_memory import Buffer, ChunkMemory
from plenostream.stream.row_chunks import RowChunks

__all__ = ["ChunkCache", "Chunks", "Counters"]

Chunks = NDArray[np.int64]
"""Chunks by their numbers in `RowChunks`, each once."""


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


# States of a chunk: numbers, since arrays hold them.
_ABSENT, _QUEUED, _READING, _READY, _FAILED = range(5)
_NOTHING = np.empty(0)


@dataclass(slots=True, eq=False)
class _Entry:
    """One chunk that is there, on its way, or failed."""

    n_users: int = 0
    is_done: bool = False
    """Whether it has been read, or that failed."""
    values: NDArray[Any] = field(default_factory=lambda: _NOTHING)
    """What was read, once that is done."""
    buffer: Buffer | None = None
    future: Future[tuple[NDArray[Any], int]] = field(default_factory=Future)


class ChunkCache:
    """See the module; all methods may be called from several threads."""

    def __init__(
        self,
        store: SceneStore,
        chunks: RowChunks,
        *,
        cache_bytes: int,
        n_threads: int,
        n_held: int = 0,
    ) -> None:
        """Have room for the `n_held` chunks that may stay held while others are waited for.

        Raises BudgetError where `cache_bytes` is too few for them."""
        room = cache_room(store, cache_bytes=cache_bytes, n_threads=n_threads, n_held=n_held)
        self.counters = Counters()
        self.room = room
        self._store = store
        self._place = chunks.place
        self._memory = ChunkMemory(buffer_bytes=room.buffer_bytes, n_buffers=room.n_buffers)
        self._changed = threading.Condition()
        self._entries: list[_Entry | None] = [None] * chunks.n
        # Of each chunk: its state, whether it is spent, how often it is wanted, when it was sorted in last.
        self._state = np.full(chunks.n, _ABSENT, np.uint8)
        self._spent = np.zeros(chunks.n, np.bool_)
        self._wanted = np.zeros(chunks.n, np.int64)
        self._sorted_at = np.zeros(chunks.n, np.int64)
        self._clock = 0
        self._oldest: deque[tuple[int, int]] = deque()
        self._awaited: deque[int] = deque()
        self._queue: deque[int] = deque()
        self._n_reading = 0
        self._closed = False
        self.n_decoded = 0
        """Chunks decoded so far: the time on a clock that ticks with each."""
        self.decoded_at = np.zeros(chunks.n, np.int64)
        """When each chunk was last decoded, on that clock; 0: never."""
        self._threads = ThreadPoolExecutor(room.n_parallel, thread_name_prefix="plenostream-read")

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
            self._entries = [None] * len(self._entries)
            self._state[:] = _ABSENT

    @property
    def n_reading(self) -> int:
        """Chunks that are being read and decoded."""
        return self._n_reading

    @property
    def n_waiting(self) -> int:
        """Reads that are worth having under way beside those that are being decoded."""
        return min(self._store.source.n_at_once, self.room.most_waiting)

    @property
    def n_coming(self) -> int:
        """Chunks that are being read, or will be; some may be counted twice."""
        return self._n_reading + len(self._awaited) + len(self._queue)

    def want(self, chunks: Chunks, times: NDArray[np.int64] | int, *, first: bool = False) -> None:
        """Have chunks [k] read ahead, in order; each is wanted so many `times` more [k].

        With `first` they go before everything queued so far, and are counted as hits and misses.
        """
        with self._changed:
            self._refuse_closed()
            self._wanted[chunks] += times
            state = self._state[chunks]
            absent = state == _ABSENT
            if first:
                n_absent = int(absent.sum())
                self.counters.hits += len(chunks) - n_absent
                self.counters.misses += n_absent
            self._enter(chunks[absent])
            queued = chunks[absent | (state == _QUEUED)].tolist()
            if first:
                self._queue.extendleft(reversed(queued))
            else:
                self._queue.extend(queued)
            self._sort_in(chunks)
            self._start_reading()

    def unwant(self, chunks: Chunks, times: NDArray[np.int64] | int) -> None:
        """Take back `want`; what nobody wants any more is not read, or may be forgotten."""
        with self._changed:
            self._want_less(chunks, times)
            self._start_reading()

    def forget(self, chunks: Chunks, *, seen: int) -> None:
        """Have chunks that hold what they should not read again, from where they come from, when they are
        needed the next time, but for those decoded since the clock said `seen`. Who holds one keeps it until
        it is let go: whoever else needs the chunk reads it anew."""
        with self._changed:
            for chunk in chunks[self.decoded_at[chunks] <= seen].tolist():
                self._store.forget_chunk(*self._place(chunk))
                if self._state[chunk] == _READY:
                    self._drop(chunk)
            self._start_reading()

    def spend(self, chunks: Chunks) -> None:
        """Say that what is in these chunks will not be needed again for long; see the module."""
        with self._changed:
            self._spent[chunks] = True
            self._tidy(chunks)
            self._start_reading()

    @contextmanager
    def hold(
        self, chunks: Chunks, is_dropped: Callable[[], bool] = lambda: False
    ) -> Iterator[list[NDArray[Any]]]:
        """The values of the first of `chunks`, which is waited for, and of those behind it that are
        there as well; they stay in the cache inside the `with`. One `want` of each is taken back in
        the end.

        Raises whatever reading the first raised (BrickCorrupt); the next call tries again. Raises
        CancelledError where the wait is dropped, see `wake`; the chunk is read to its end.
        """
        held = [self._use(int(chunks[0]))]
        try:
            self._wait_for(int(chunks[0]), held[0], is_dropped)
            with self._changed:
                is_ready = self._state[chunks[1:]] == _READY
                n_ready = len(is_ready) if is_ready.all() else int(is_ready.argmin())
                held += [self._used(chunk) for chunk in chunks[1 : 1 + n_ready].tolist()]
            yield [held[0].future.result()[0], *(entry.values for entry in held[1:])]
        finally:
            with self._changed:
                self._let_go(chunks[: len(held)], held)
                self._start_reading()

    def wake(self) -> None:
        """Have those who wait ask whether their wait is dropped."""
        with self._changed:
            self._changed.notify_all()

    def _use(self, chunk: int) -> _Entry:
        with self._changed:
            if self._state[chunk] == _ABSENT:
                # It had been forgotten again, to make room.
                self.counters.misses += 1
                self._enter(np.array([chunk]))
            return self._used(chunk)

    def _wait_for(self, chunk: int, entry: _Entry, is_dropped: Callable[[], bool]) -> None:
        with self._changed:
            if self._state[chunk] == _QUEUED:
                self._awaited.append(chunk)
                self._start_reading()
            while not entry.is_done and not self._closed:
                if is_dropped():
                    raise CancelledError
                self._changed.wait()
        self._refuse_closed()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise InternalError("bricks were asked for after their fetcher had been closed")

    # What follows is called with the lock held.

    def _enter(self, chunks: Chunks) -> None:
        """Take on chunks that are absent."""
        self._state[chunks] = _QUEUED
        self._spent[chunks] = False
        for chunk in chunks.tolist():
            self._entries[chunk] = _Entry()

    def _used(self, chunk: int) -> _Entry:
        entry = self._entry(chunk)
        entry.n_users += 1
        return entry

    def _let_go(self, chunks: Chunks, held: list[_Entry]) -> None:
        for chunk, entry in zip(chunks.tolist(), held, strict=True):
            entry.n_users -= 1
            if self._entries[chunk] is not entry:
                self._give_back(entry)
        for chunk in chunks[self._state[chunks] == _FAILED].tolist():
            self._drop(chunk)
        self._want_less(chunks, 1)

    def _want_less(self, chunks: Chunks, times: NDArray[np.int64] | int) -> None:
        self._wanted[chunks] = np.maximum(self._wanted[chunks] - times, 0)
        self._tidy(chunks[self._wanted[chunks] == 0])

    def _tidy(self, chunks: Chunks) -> None:
        """Sort in chunks that are used or wanted less than before, and forget what nobody needs of them."""
        self._sort_in(chunks)
        state = self._state[chunks]
        is_there = (state == _READY) & ~self._spent[chunks]
        unneeded = (
            (self._wanted[chunks] == 0) & ~is_there & (state != _READING) & (state != _ABSENT)
        )
        for chunk in chunks[unneeded].tolist():
            if self._entry(chunk).n_users == 0:
                self._drop(chunk)

    def _sort_in(self, chunks: Chunks) -> None:
        """Have chunks be those used last, in this order."""
        self._sorted_at[chunks] = np.arange(self._clock, self._clock + len(chunks))
        self._clock += len(chunks)

    def _drop(self, chunk: int) -> None:
        """Forget a chunk that is not being read; who holds it keeps it."""
        entry = self._entries[chunk]
        self._entries[chunk] = None
        self._state[chunk] = _ABSENT
        if entry is not None:
            self._give_back(entry)

    def _give_back(self, entry: _Entry) -> None:
        """Give back the memory of a chunk that was forgotten, once nobody holds it."""
        if entry.n_users == 0 and entry.buffer is not None and not self._closed:
            self._memory.give_back(entry.buffer)
            entry.buffer = None

    def _start_reading(self) -> None:
        """Start what is awaited, then what is queued, each in order, as threads and room allow.

        Nothing overtakes a chunk that has to wait for room: it would take that room away.
        """
        n_parallel = self.room.n_decoding + self.n_waiting
        for queue, awaited in ((self._awaited, True), (self._queue, False)):
            while queue and not self._closed:
                chunk = queue[0]
                entry = self._entries[chunk]
                if entry is None or self._state[chunk] != _QUEUED:
                    queue.popleft()
                    continue
                if self._n_reading >= n_parallel:
                    return
                if (buffer := self._free_buffer(awaited)) is None:
                    return
                queue.popleft()
                self._n_reading += 1
                held = self._memory.allocated_bytes + self._n_reading * self.room.stored_limit
                self.counters.peak_cache_bytes = max(self.counters.peak_cache_bytes, held)
                entry.buffer = buffer
                self._state[chunk] = _READING
                entry.future = self._threads.submit(self._read, chunk, buffer)
                # Runs at once, inside this loop, when the chunk is read already.
                # It knows the number alone: an entry that its own future refers to would outlive the
                # cache, with all of its memory, until cycles are collected.
                entry.future.add_done_callback(partial(self._finish, chunk))

    def _free_buffer(self, awaited: bool) -> Buffer | None:
        buffer = self._memory.take()
        if buffer is None and (chunk := self._dispensable(awaited)) is not None:
            self._drop(chunk)
            buffer = self._memory.take()
        return buffer

    def _dispensable(self, awaited: bool) -> int | None:
        """The chunk that is forgotten next, see the module."""
        chunk = self._oldest_idle()
        if chunk is None:
            # To look at all chunks for each that is read would take longer than reading.
            self._oldest.extend(self._ready(self._wanted == 0))
            chunk = self._oldest_idle()
        if chunk is None and awaited and (reserved := self._ready(self._wanted > 0)):
            chunk = reserved[-1][0]
        return chunk

    def _oldest_idle(self) -> int | None:
        while self._oldest:
            chunk, sorted_at = self._oldest.popleft()
            if self._sorted_at[chunk] == sorted_at and self._is_idle(chunk):
                return chunk
        return None

    def _ready(self, which: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Chunks that nobody uses `which` [all chunks] are there, and when each was sorted in, rising."""
        chunks = np.flatnonzero(which & (self._state == _READY))
        chunks = chunks[np.argsort(self._sorted_at[chunks])]
        places = zip(chunks.tolist(), self._sorted_at[chunks].tolist(), strict=True)
        return [(chunk, at) for chunk, at in places if self._entry(chunk).n_users == 0]

    def _is_idle(self, chunk: int) -> bool:
        is_ready = self._state[chunk] == _READY and self._wanted[chunk] == 0
        return bool(is_ready) and self._entry(chunk).n_users == 0

    def _entry(self, chunk: int) -> _Entry:
        entry = self._entries[chunk]
        if entry is None:
            raise InternalError(f"chunk {chunk} is looked at and was forgotten")
        return entry

    # What follows runs in the threads.

    def _read(self, chunk: int, buffer: Buffer) -> tuple[NDArray[Any], int]:
        return self._store.fetch_and_decode(*self._place(chunk), into=buffer)

    def _finish(self, chunk: int, future: Future[tuple[NDArray[Any], int]]) -> None:
        with self._changed:
            self._n_reading -= 1
            entry = self._entry(chunk)  # nothing forgets a chunk while it is being read
            entry.is_done = True
            if future.cancelled() or future.exception() is not None:
                self._state[chunk] = _FAILED
                if entry.buffer is not None:
                    self._memory.give_back(entry.buffer)
                    entry.buffer = None
            else:
                self._state[chunk] = _READY
                self.n_decoded += 1
                self.decoded_at[chunk] = self.n_decoded
                self.counters.chunks_read += 1
                entry.values, n_bytes = future.result()
                self.counters.bytes_read += n_bytes
            self._tidy(np.array([chunk]))
            self._changed.notify_all()
            self._start_reading()
