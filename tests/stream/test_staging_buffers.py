"""The two staging buffers: filled ahead, in order, and never while somebody reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from plenostream.errors import BrickCorrupt
from plenostream.integrator.staging_memory import ALIGNMENT, plain_memory
from plenostream.stream.staging import Room, Staging, StagingBuffer, buffers, staging_bytes

ROWS, COLUMNS = 40, 27


@pytest.fixture
def staging() -> Iterator[Staging]:
    with Staging(buffers(ROWS, COLUMNS, "float16", memory=plain_memory)) as opened:
        yield opened


class Fill:
    """A task that fills its buffer with a number."""

    def __init__(self, number: int, *, waits_for: threading.Event | None = None) -> None:
        self.number = number
        self.begun = threading.Event()
        self._go = waits_for

    def __call__(self, buffer: Room) -> tuple[int, StagingBuffer]:
        assert isinstance(buffer, StagingBuffer)
        self.begun.set()
        assert self._go is None or self._go.wait(60)
        buffer.density[:] = self.number
        buffer.sh[:] = self.number
        return self.number, buffer


def test_results_come_in_order_and_hold_until_the_next_is_asked_for(staging: Staging) -> None:
    seen = []
    for number, buffer in staging.fill([Fill(n) for n in range(17)]):
        seen.append(number)
        assert (buffer.density == number).all()
        assert (buffer.sh == number).all()
    assert seen == list(range(17))


def test_only_two_buffers_are_ever_used_and_both_begin_where_jax_takes_them(
    staging: Staging,
) -> None:
    used = {id(buffer): buffer for _, buffer in staging.fill([Fill(n) for n in range(9)])}
    assert len(used) == 2
    for buffer in used.values():
        assert buffer.density.ctypes.data % ALIGNMENT == buffer.sh.ctypes.data % ALIGNMENT == 0
    assert sum(buffer.nbytes for buffer in used.values()) == staging.nbytes
    assert staging.nbytes == staging_bytes(ROWS, COLUMNS, "float16") == 2 * ROWS * (4 + 54)


def test_two_are_filled_before_anybody_asks_and_the_third_after(staging: Staging) -> None:
    tasks = [Fill(n) for n in range(4)]
    results = staging.fill(tasks)
    assert tasks[0].begun.wait(60)
    assert tasks[1].begun.wait(60)
    next(results)
    assert not tasks[2].begun.wait(0.05), "the first result is still being read"
    next(results)
    assert tasks[2].begun.wait(60)
    assert not tasks[3].begun.wait(0.05)
    assert [number for number, _ in results] == [2, 3]


def test_nothing_to_fill_gives_nothing(staging: Staging) -> None:
    assert list(staging.fill([])) == []


def test_error_of_a_task_comes_in_its_turn_and_the_buffers_work_again(staging: Staging) -> None:
    def fail(_: Room) -> tuple[int, StagingBuffer]:
        raise BrickCorrupt("brick 7")

    results = staging.fill([Fill(0), fail, Fill(2)])
    assert next(results)[0] == 0
    with pytest.raises(BrickCorrupt, match="brick 7"):
        next(results)
    assert [number for number, _ in staging.fill([Fill(n) for n in range(5)])] == list(range(5))


def test_what_is_dropped_is_told_so_and_what_waits_is_not_begun(staging: Staging) -> None:
    running, told = threading.Event(), threading.Event()

    def until_dropped(buffer: StagingBuffer) -> None:
        running.set()
        while not staging.is_dropped():
            threading.Event().wait(0.001)
        told.set()

    later = Fill(2)
    staging.fill([until_dropped, until_dropped, later])
    assert running.wait(60)
    assert not staging.is_dropped()
    staging.drop()
    assert told.is_set()
    assert not later.begun.is_set()


def test_closing_ends_the_threads() -> None:
    before = threading.active_count()
    rooms = buffers(ROWS, COLUMNS, "float32", memory=plain_memory)
    with Staging(rooms) as opened:
        assert len(list(opened.fill([Fill(n) for n in range(3)]))) == 3
        assert threading.active_count() > before
    assert threading.active_count() == before
    assert opened.nbytes == 0


def test_memory_is_zeros_at_a_multiple_of_the_alignment() -> None:
    for n in (0, 1, 63, 64, 1000):
        memory = plain_memory(n)
        assert memory.shape == (n,)
        assert not memory.any()
        assert n == 0 or memory.ctypes.data % ALIGNMENT == 0
