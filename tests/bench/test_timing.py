"""Contestants take turns, and what is told of them are medians."""

from __future__ import annotations

import math

import pytest

from plenostream.bench.timing import Timing, take_turns


def silent(what: str) -> None:
    del what


def test_contestants_take_turns_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def contestant(name: str) -> float:
        order.append(name)
        return 1.0

    take_turns(
        {"a": lambda: contestant("a"), "b": lambda: contestant("b")},
        rounds=2,
        say=silent,
        warm=False,
    )
    assert order == ["a", "b", "b", "a"]


def test_the_second_run_of_a_turn_counts() -> None:
    seconds = iter([9.0, 1.0, 9.0, 2.0])
    found = take_turns({"a": lambda: next(seconds)}, rounds=2, say=silent)
    assert found["a"].seconds == (1.0, 2.0)


def test_processor_time_is_taken_along() -> None:
    found = take_turns({"a": lambda: 1.0}, rounds=3, say=silent)
    assert len(found["a"].cpu_seconds) == 3


def test_median_and_quartiles_are_those_of_the_repeats() -> None:
    timing = Timing(seconds=(5.0, 1.0, 2.0, 4.0, 3.0))
    assert (timing.median, timing.quartiles) == (3.0, (2.0, 4.0))


def test_processor_time_that_was_not_taken_is_no_number() -> None:
    assert math.isnan(Timing(seconds=(1.0,)).median_cpu)
    assert "median_cpu_s" not in Timing(seconds=(1.0,)).to_dict()


def test_a_single_repeat_has_no_spread() -> None:
    timing = Timing(seconds=(2.0,))
    assert (timing.median, timing.quartiles) == (2.0, (2.0, 2.0))
    assert timing.to_dict()["min_s"] == pytest.approx(2.0)
