"""The threads of the native integrator: tasks one after another, each by all of them together."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from plenostream.integrator.native.crew import Crew

TIMEOUT_S = 60


@pytest.fixture(params=[1, 3])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    crew = Crew(request.param)
    yield crew
    crew.close()


def test_begin_returns_once_all_threads_are_at_it_and_not_when_they_are_done(crew: Crew) -> None:
    begun, go = [], threading.Event()

    def part(number: int) -> int:
        begun.append(number)
        assert go.wait(TIMEOUT_S)
        return number

    future = crew.begin(part)
    assert not future.done()
    go.set()
    assert sorted(future.result(TIMEOUT_S)) == sorted(begun) == list(range(crew.n_threads))


def test_begin_comes_after_what_was_asked_for_before(crew: Crew) -> None:
    done: list[str] = []
    crew.submit(lambda _: done.append("before"), n=1)
    crew.begin(lambda _: None)
    assert done == ["before"]


def test_begin_does_not_wait_for_ever_for_what_cannot_be_done(crew: Crew) -> None:
    go = threading.Event()

    def fail(_: int) -> None:
        assert go.wait(TIMEOUT_S)
        raise RuntimeError("this fails")

    failing = crew.submit(fail)
    threading.Timer(0.05, go.set).start()
    future = crew.begin(lambda _: pytest.fail("a task before this one failed"))
    for each in (failing, future):
        with pytest.raises(RuntimeError, match="this fails"):
            each.result(TIMEOUT_S)
