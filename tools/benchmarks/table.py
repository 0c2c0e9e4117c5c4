"""The figures for people and for programs: a table with a column a scene, and JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

from benchmarks.timing import Timing

__all__ = ["Row", "as_json", "both_ratios", "ratio", "spread", "table_lines"]


class Row(NamedTuple):
    """One figure."""

    section: str
    label: str
    value: str


def spread(timing: Timing) -> str:
    """Median and quartiles in milliseconds or seconds."""
    low, high = timing.quartiles
    if timing.median < 1.0:
        return f"{timing.median * 1e3:.3g} ms ({low * 1e3:.3g} to {high * 1e3:.3g})"
    return f"{timing.median:.3g} s ({low:.3g} to {high:.3g})"


def ratio(value: float, base: float) -> str:
    """`value` in units of `base`."""
    return f"{value / base:.2f}"


def both_ratios(timing: Timing, base: Timing) -> str:
    """Ratios of the medians of wall and processor time."""
    wall = ratio(timing.median, base.median)
    return f"{wall}, {ratio(timing.median_cpu, base.median_cpu)} in CPU time"


def table_lines(columns: Mapping[str, Sequence[Row]]) -> list[str]:
    """A text table, sections with a heading; figures that a column lacks are left blank."""
    cells = {name: {row[:2]: row.value for row in rows} for name, rows in columns.items()}
    keys = _merged([[(row.section, row.label) for row in rows] for rows in columns.values()])
    widths = [max(len(name), *map(len, own.values()), 1) for name, own in cells.items()]
    left = max([len(label) for _, label in keys], default=0) + 4
    head = " " * left + "  ".join(name.rjust(w) for name, w in zip(cells, widths, strict=True))
    lines, section = [head.rstrip()], ""
    for key in keys:
        if key[0] != section:
            section = key[0]
            lines += ["", section]
        values = [own.get(key, "").rjust(w) for own, w in zip(cells.values(), widths, strict=True)]
        lines.append((f"  {key[1]}".ljust(left) + "  ".join(values)).rstrip())
    return lines


def _merged(lists: Sequence[Sequence[tuple[str, str]]]) -> list[tuple[str, str]]:
    """All keys once, each after the one that it follows in its own list."""
    merged: list[tuple[str, str]] = []
    for keys in lists:
        at = 0
        for key in keys:
            if key not in merged:
                merged.insert(at, key)
            at = merged.index(key) + 1
    return merged


def as_json(value: Any) -> Any:
    """JSON values of a record, of records in it, and of mappings and sequences of them."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return value
