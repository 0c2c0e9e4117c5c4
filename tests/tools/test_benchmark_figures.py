"""tools/bench: contestants take turns, figures are medians, the table has a column a scene."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from benchmarks.apart import apart, peak_resident_bytes, resident_bytes  # noqa: E402
from benchmarks.table import Row, as_json, spread, table_lines  # noqa: E402
from benchmarks.timing import Timing, take_turns  # noqa: E402


def silent(what: str) -> None:
    del what


def test_contestants_take_turns_and_every_other_round_goes_backwards() -> None:
    order: list[str] = []

    def contestant(name: str) -> float:
        order.append(name)
        return 1.0

    contestants = {"a": lambda: contestant("a"), "b": lambda: contestant("b")}
    take_turns(contestants, rounds=2, say=silent, warm=False)
    assert order == ["a", "b", "b", "a"]


def test_the_second_run_of_a_turn_counts_and_processor_time_is_taken_along() -> None:
    seconds = iter([9.0, 1.0, 9.0, 2.0])
    found = take_turns({"a": lambda: next(seconds)}, rounds=2, say=silent)["a"]
    assert found.seconds == (1.0, 2.0)
    assert len(found.cpu_seconds) == 2


def test_median_and_quartiles_are_those_of_the_repeats() -> None:
    timing = Timing(seconds=(5.0, 1.0, 2.0, 4.0, 3.0))
    assert (timing.median, timing.quartiles) == (3.0, (2.0, 4.0))
    assert Timing(seconds=(2.0,)).quartiles == (2.0, 2.0)


def test_processor_time_that_was_not_taken_is_no_number() -> None:
    timing = Timing(seconds=(1.0,))
    assert math.isnan(timing.median_cpu)
    assert "median_cpu_s" not in timing.to_dict()


def test_rows_of_several_columns_are_merged_in_the_order_of_each() -> None:
    first = [Row("s", "a", "1"), Row("s", "c", "3"), Row("t", "d", "7")]
    second = [Row("s", "a", "4"), Row("s", "b", "5"), Row("s", "c", "6")]
    lines = table_lines({"x": first, "y": second})
    words = [line.split() for line in lines]
    assert words[:3] == [["x", "y"], [], ["s"]]
    assert words[3:6] == [["a", "1", "4"], ["b", "5"], ["c", "3", "6"]]
    assert words[6:] == [[], ["t"], ["d", "7"]]
    assert lines[4].index("5") == lines[0].index("y")


def test_short_times_are_told_in_milliseconds_and_long_ones_in_seconds() -> None:
    assert spread(Timing(seconds=(0.0125,))) == "12.5 ms (12.5 to 12.5)"
    assert spread(Timing(seconds=(12.5,))) == "12.5 s (12.5 to 12.5)"


def test_records_become_json_values_those_inside_of_others_too() -> None:
    @dataclass
    class Figures:
        size: tuple[int, int]
        times: dict[str, Timing]

    told = as_json(Figures(size=(1, 2), times={"a": Timing(seconds=(3.0,))}))
    assert told["size"] == [1, 2]
    assert told["times"]["a"]["median_s"] == 3.0


def test_process_apart_has_its_own_environment_and_memory() -> None:
    ballast = bytearray(b"1" * 100_000_000)
    assert apart({"PLENOSTREAM_APART": "1"}, os.getenv, "PLENOSTREAM_APART") == "1"
    assert os.getenv("PLENOSTREAM_APART") is None
    assert resident_bytes() > len(ballast)
    assert 0 < apart({}, peak_resident_bytes) < peak_resident_bytes()


def test_what_a_process_apart_raises_is_raised_here() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        apart({}, int, "no number")
