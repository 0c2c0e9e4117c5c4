"""How many reads to have under way at once, where answers have to be waited for.

A line is full once as many bytes are asked for as it carries while one answer is waited for (Little's law:
rate times wait). With fewer reads it lies idle; with more, what is needed first comes later, since all
share it. The wait is measured with every read. The rate is found by trying: as long as twice as many
reads bring clearly more bytes a second, they are doubled again, as TCP starts a connection.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["MOST_AT_ONCE", "Pace", "Read"]

MOST_AT_ONCE = 128
"""Reads under way at most: chunks of 300 kB fill 400 MB/s at 100 ms."""
_LEAST_AT_ONCE = 8
_FIRST_WAIT_S = 0.02
"""Taken for the wait until there was one."""
_FIRST_RATE = 100e6
"""Bytes a second that a line is first taken to carry: about what one machine gets of a bucket."""
_FIRST_BYTES = 300_000
"""Bytes of a read until there was one: those of a stored chunk of colours."""
_WAITS = 64
"""The shortest wait of so many counts: the others stood in a queue of ours."""
_GAIN = 1.2
"""Times the rate before that twice as many reads have to bring, to be doubled again."""
_FULL = 0.75
"""Share of the reads that has to be under way for a rate to count."""
_LONGEST_S = 5.0
"""On a slow line, no more reads than come in this time: what is needed first comes among them."""


class Read:
    """One read under way."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.first_byte_at: float | None = None
        self.n_bytes = 0
        """Bytes that came."""


class Pace:
    """Measures reads, and says how many are worth having under way; used by several threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._waits: deque[float] = deque(maxlen=_WAITS)
        self._mean_bytes = float(_FIRST_BYTES)
        self._factor = 1
        self._rate = 0.0
        self._n_under_way = 0
        self._round = (0.0, 0, 0)
        self._settled = False

    @property
    def n_at_once(self) -> int:
        """Reads that fill the line."""
        with self._lock:
            return self._wanted()

    @contextmanager
    def reading(self) -> Iterator[Read]:
        """Measure a read, which notes what comes of it."""
        read = Read(self._now())
        with self._lock:
            self._n_under_way += 1
        try:
            yield read
        finally:
            with self._lock:
                self._note(read, self._now())
                self._n_under_way -= 1

    def first_byte(self, read: Read) -> None:
        """The answer of a read has begun."""
        read.first_byte_at = self._now()

    # What follows is called with the lock held.

    def _wanted(self) -> int:
        wait = min(self._waits, default=_FIRST_WAIT_S)
        n = self._factor * max(math.ceil(_FIRST_RATE * wait / self._mean_bytes), _LEAST_AT_ONCE)
        if self._rate:
            n = min(n, int(_LONGEST_S * self._rate / self._mean_bytes))
        return min(max(n, _LEAST_AT_ONCE), MOST_AT_ONCE)

    def _note(self, read: Read, now: float) -> None:
        if read.first_byte_at is not None:
            self._waits.append(read.first_byte_at - read.began)
        if not read.n_bytes:
            return
        self._mean_bytes += (read.n_bytes - self._mean_bytes) / _WAITS
        began, count, n_bytes = self._round
        wanted = self._wanted()
        if self._n_under_way < _FULL * wanted:
            self._round = now, 0, 0
        elif count + 1 < wanted:
            self._round = began, count + 1, n_bytes + read.n_bytes
        else:
            self._round = now, 0, 0
            self._end_round((n_bytes + read.n_bytes) / max(now - began, 1e-6))

    def _end_round(self, rate: float) -> None:
        """As many reads as are wanted came one after another, at this rate."""
        if not self._settled:
            self._settled = rate < _GAIN * self._rate or self._wanted() == MOST_AT_ONCE
            self._factor *= 1 if self._settled else 2
        self._rate = rate
