"""The threads that draw: tasks in order, a bounded queue, and errors that arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from plenostream.integrator.xla.workers import QUEUED_CALLS, Worker, Workers


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(2)
    yield made
    made.close()


def test_tasks_of_a_worker_run_one_after_the_other_in_its_own_thread(workers: Workers) -> None:
    done: list[tuple[int, str]] = []

    def task(number: int) -> None:
        done.append((number, threading.current_thread().name))

    for number in range(20):
        workers.all[0].submit(task, number)
    workers.wait()
    assert [number for number, _ in done] == list(range(20))
    assert len({name for _, name in done}) == 1


def test_no_more_tasks_are_queued_than_the_host_plan_counts(workers: Workers) -> None:
    worker, gate, most = workers.all[0], threading.Event(), []
    held = np.zeros(100)

    def task(_: np.ndarray) -> None:
        gate.wait()

    for _ in range(QUEUED_CALLS):
        worker.submit(task, held)
    most.append(worker.queued_bytes)
    # The next one has to wait until the first is done, so let it.
    threading.Timer(0.05, gate.set).start()
    worker.submit(task, held)
    workers.wait()
    assert most == [QUEUED_CALLS * held.nbytes]
    assert workers.queued_bytes == 0


def test_error_of_a_task_arrives_where_somebody_waits(workers: Workers) -> None:
    def fail() -> None:
        raise ValueError("no good")

    workers.all[1].submit(fail)
    with pytest.raises(ValueError, match="no good"):
        workers.wait()


def test_work_that_is_dropped_takes_its_errors_and_the_rays_along(workers: Workers) -> None:
    worker: Worker = workers.all[0]
    started, gate, ran = threading.Event(), threading.Event(), []

    def first() -> None:
        started.set()
        gate.wait()
        raise ValueError("nobody listens any more")

    worker.submit(first)
    worker.submit(ran.append, "second")
    started.wait()
    threading.Timer(0.05, gate.set).start()
    workers.drop()
    assert ran == []
    assert worker.rays is worker.state is None
    # It can be used on.
    worker.submit(ran.append, "third")
    workers.wait()
    assert ran == ["third"]
