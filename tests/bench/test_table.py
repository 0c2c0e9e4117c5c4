"""The table: a row a figure, a column a scene."""

from __future__ import annotations

from plenostream.bench.table import Row, spread, table_lines
from plenostream.bench.timing import Timing


def test_rows_of_several_columns_are_merged_in_the_order_of_each() -> None:
    first = [Row("s", "a", "1"), Row("s", "c", "3")]
    second = [Row("s", "a", "4"), Row("s", "b", "5"), Row("s", "c", "6")]
    lines = [line.split() for line in table_lines({"x": first, "y": second})]
    assert lines == [["x", "y"], [], ["s"], ["a", "1", "4"], ["b", "5"], ["c", "3", "6"]]


def test_figure_that_a_column_lacks_is_left_blank_in_its_place() -> None:
    lines = table_lines({"x": [Row("s", "a", "1")], "y": [Row("s", "b", "2")]})
    row = next(line for line in lines if line.lstrip().startswith("b"))
    head = lines[0]
    assert row.index("2") == head.index("y")


def test_each_section_has_one_heading() -> None:
    rows = [Row("one", "a", "1"), Row("one", "b", "2"), Row("two", "a", "3")]
    lines = table_lines({"x": rows})
    assert [line for line in lines if line in ("one", "two")] == ["one", "two"]


def test_short_times_are_told_in_milliseconds_and_long_ones_in_seconds() -> None:
    assert spread(Timing(seconds=(0.0125,))) == "12.5 ms (12.5 to 12.5)"
    assert spread(Timing(seconds=(12.5,))) == "12.5 s (12.5 to 12.5)"
