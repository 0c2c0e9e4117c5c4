"""How many reads are under way: simulated lines, in their own time."""

from __future__ import annotations

import heapq

import pytest

from plenostream.format.pace import MOST_AT_ONCE, Pace, Read

CHUNK = 300_000


class Line:
    """Reads of one size over a line that carries `rate` bytes a second and waits `latency` each time."""

    def __init__(self, latency: float, rate: float) -> None:
        self.latency, self.rate = latency, rate
        self.time = self.free_at = 0.0
        self.pace = Pace(lambda: self.time)
        self.events: list[tuple[float, int, str]] = []
        self.reads: dict[int, tuple[object, Read]] = {}
        self.most = 0

    def read(self, count: int) -> float:
        """Read so many, as many at once as the pace says; gives the bytes a second."""
        began, left = self.time, count
        while left or self.reads:
            while left and len(self.reads) < self.pace.n_at_once:
                left -= 1
                self._begin(left)
            self.most = max(self.most, len(self.reads))
            self.time, number, what = heapq.heappop(self.events)
            if what == "first byte":
                self.pace.first_byte(self.reads[number][1])
                self.free_at = max(self.free_at, self.time) + CHUNK / self.rate
                heapq.heappush(self.events, (self.free_at, number, "last byte"))
            else:
                reading, read = self.reads.pop(number)
                read.n_bytes = CHUNK
                reading.__exit__(None, None, None)  # type: ignore[attr-defined]
        return count * CHUNK / (self.time - began)

    def _begin(self, number: int) -> None:
        reading = self.pace.reading()
        self.reads[number] = reading, reading.__enter__()
        heapq.heappush(self.events, (self.time + self.latency, number, "first byte"))


@pytest.mark.parametrize("latency", [0.001, 0.02, 0.1])
@pytest.mark.parametrize("rate", [100e6, 300e6])
def test_the_line_is_filled_without_a_long_queue(latency: float, rate: float) -> None:
    line = Line(latency, rate)
    line.read(400)
    assert line.read(400) > 0.8 * rate
    fills = latency * rate / CHUNK + 1
    assert line.pace.n_at_once <= min(4 * fills + 12, MOST_AT_ONCE)


def test_a_slow_line_is_not_asked_for_more_than_comes_soon() -> None:
    line = Line(0.1, 1e6)
    line.read(400)
    assert line.pace.n_at_once * CHUNK / 1e6 <= 5.0


def test_one_read_after_another_says_nothing_of_the_rate() -> None:
    """Whoever asks for little is not held back when he asks for much."""
    line = Line(0.1, 100e6)
    for _ in range(200):
        line.read(1)
    assert line.pace.n_at_once * CHUNK / line.latency > 50e6


def test_reads_that_fail_are_not_counted_as_fast() -> None:
    pace = Pace(lambda: 0.0)
    before = pace.n_at_once
    for _ in range(1000):
        with pytest.raises(OSError, match="no"), pace.reading():
            raise OSError("no")
    assert pace.n_at_once == before
