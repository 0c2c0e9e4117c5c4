"""The figures as a table for people: a row a line, a column a scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from plenostream.bench.conversion import ConversionRun
from plenostream.bench.frames import FrameLine, pool_bytes
from plenostream.bench.scene import SceneBench
from plenostream.bench.timing import Timing
from plenostream.rules.bytesize import format_bytes

__all__ = ["Row", "conversion_rows", "scene_rows", "spread", "table_lines"]


class Row(NamedTuple):
    """One figure."""

    section: str
    label: str
    value: str


def scene_rows(bench: SceneBench) -> list[Row]:
    """The figures of a scene, in order."""
    return [
        Row("scene", "voxels", f"{bench.n_voxels:,}"),
        Row("scene", "grid", " x ".join(map(str, bench.grid_size))),
        Row("scene", "picture", " x ".join(map(str, bench.image_size))),
        Row("scene", "opening it", spread(bench.opening)),
        *_frame_rows(bench),
        *_first_rows(bench),
        *_orbit_rows(bench),
        *_read_rows(bench),
        *_decoding_rows(bench),
    ]


def conversion_rows(run: ConversionRun) -> list[Row]:
    """The figures of a conversion."""
    seconds = run.converting.median
    rate = format_bytes(round(run.array_bytes / seconds))
    growth = run.peak_resident_bytes - run.resident_bytes
    resident = f"{format_bytes(run.peak_resident_bytes)}, {format_bytes(growth)} by converting"
    rows = [
        ("converting", f"{spread(run.converting)}, {rate}/s"),
        ("peak resident size", resident),
        ("numpy.load of all arrays", spread(run.loading)),
        ("writing with Zarr in one go", spread(run.writing)),
        ("converting / both of these", _ratio(seconds, run.least_s)),
    ]
    return [Row("conversion", label, value) for label, value in rows]


def spread(timing: Timing) -> str:
    """Median and quartiles in milliseconds or seconds."""
    low, high = timing.quartiles
    if timing.median < 1.0:
        return f"{timing.median * 1e3:.3g} ms ({low * 1e3:.3g} to {high * 1e3:.3g})"
    return f"{timing.median:.3g} s ({low:.3g} to {high:.3g})"


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


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}"


def _both_ratios(timing: Timing, base: Timing) -> str:
    ratio = _ratio(timing.median, base.median)
    return f"{ratio}, {_ratio(timing.median_cpu, base.median_cpu)} in CPU time"


def _frame_rows(bench: SceneBench) -> Iterator[Row]:
    section, frames = "warm frame", bench.frames
    for name, timing in frames.beside.items():
        yield Row(section, name, spread(timing))
    resident = frames.lines["resident"]
    for name, line in frames.lines.items():
        streamed = name.startswith("pool ")
        yield Row(section, name, spread(line.timing))
        others = {"resident": resident.timing} if streamed else frames.beside
        for other, timing in others.items():
            yield Row(section, f"  {name} / {other}", _both_ratios(line.timing, timing))
        yield from _line_rows(section, name, line)


def _line_rows(section: str, name: str, line: FrameLine) -> Iterator[Row]:
    """What a line did, beside how long it took."""
    stats, plan = line.stats, line.plan
    pool = f"{format_bytes(pool_bytes(plan))} of {format_bytes(plan.working_set_bytes)} in view"
    device = f"{format_bytes(stats.peak_device_bytes)} of {format_bytes(plan.planned_device_bytes)}"
    yield Row(section, f"  {name}: pool", pool)
    yield Row(section, f"  {name}: device bytes of planned", device)
    if name.startswith("pool "):
        waves = f"{stats.waves} in {stats.bands} bands"
        yield Row(section, f"  {name}: waves", waves)
        yield Row(section, f"  {name}: uploaded", format_bytes(stats.bytes_uploaded))


def _first_rows(bench: SceneBench) -> Iterator[Row]:
    section = "first frame after opening"
    for state, first in bench.first.items():
        yield Row(section, f"compile cache {state}", spread(first.whole))
        yield Row(section, f"  {state}: of which opening", spread(first.opening))
        yield Row(section, f"  {state}: programs", str(first.compiles))
        yield Row(section, f"  {state}: second frame", spread(first.second))


def _orbit_rows(bench: SceneBench) -> Iterator[Row]:
    for name, run in bench.orbits.items():
        section = f"orbit of {len(run.frames)} frames, {name}"
        read, uploaded = (
            format_bytes(round(run.per_frame(counter)))
            for counter in ("bytes_read", "bytes_uploaded")
        )
        yield Row(section, "frames per second", f"{run.frames_per_second:.3g}")
        yield Row(section, "a frame", spread(run.timing))
        yield Row(section, "uploaded in the first", format_bytes(run.frames[0].bytes_uploaded))
        yield Row(section, "read in a later frame", read)
        yield Row(section, "uploaded in a later frame", uploaded)
        yield Row(section, "compiles in later frames", str(run.compiles))


def _read_rows(bench: SceneBench) -> Iterator[Row]:
    section = "reads of a view, from nothing, small pool"
    for name, view in bench.reads.items():
        stats = view.stats
        hidden = f"{view.hidden_share:.1%} of {stats.bricks_visible} bricks"
        yield Row(section, f"{name}: read", format_bytes(stats.bytes_read))
        yield Row(section, f"{name}: hidden, not read", hidden)


def _decoding_rows(bench: SceneBench) -> Iterator[Row]:
    rates = bench.decoding
    if rates is None:
        return
    ways = {
        "Zarr arrays, chunk by chunk": rates.zarr,
        "the same chunks, one thread": rates.chunks,
        "the same chunks, reader threads": rates.threads,
        "bricks, as renders take them": rates.bricks,
    }
    for name, timing in ways.items():
        rate = format_bytes(round(rates.n_bytes / timing.median))
        yield Row("decoding rows", name, f"{rate}/s")
        if timing is not rates.zarr:
            ratio = _ratio(rates.zarr.median, timing.median)
            yield Row("decoding rows", f"  {name} / Zarr", ratio)
