"""Where issue 8 wants the figures to be, and where they are: ratios of medians of one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.startup import BEYOND_JAX
from plenostream.bench.conversion import ConversionRun
from plenostream.bench.frames import FrameLine
from plenostream.bench.scene import SceneBench
from plenostream.bench.timing import Timing

__all__ = [
    "Goal",
    "conversion_goals",
    "goal_lines",
    "scene_goals",
    "startup_goals",
    "tiled_goals",
]

_LARGE = ("still_256", "still_512", "gyroid_512")
"""Models whose frames are compared with the native baseline's."""
_FULL = "still_512"


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One figure and its bound."""

    model: str
    what: str
    value: float
    bound: float
    unit: str = "x"
    at_least: bool = False
    """The bound is the least value, not the largest."""

    @property
    def met(self) -> bool:
        """Whether the figure is within its bound."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def to_dict(self) -> dict[str, Any]:
        """The goal as JSON values."""
        names = ("model", "what", "value", "bound", "unit", "at_least", "met")
        return {name: getattr(self, name) for name in names}


def scene_goals(name: str, bench: SceneBench) -> Iterator[Goal]:
    """The goals that the frames and the decoding of a model are held to; small ones to none."""
    if name not in _LARGE:
        return
    lines, beside = bench.frames.lines, bench.frames.beside
    resident = lines["resident"].timing.median
    for other, bound in (("native exact32", 4.0), ("native plain", 1.0)):
        if other in beside:
            ratio = resident / beside[other].median
            yield Goal(model=name, what=f"resident / {other}", value=ratio, bound=bound)
    for share, bound in (("1/4", 1.5), ("1/8", 2.0)):
        if (line := lines.get(f"pool {share}")) is not None:
            ratio = line.timing.median / resident
            yield Goal(model=name, what=f"pool {share} / resident", value=ratio, bound=bound)
    if name == _FULL:
        yield from _memory_goals(name, lines)
    if bench.decoding is not None:
        ratio = bench.decoding.zarr.median / bench.decoding.threads.median
        yield Goal(
            model=name, what="decoding in threads / Zarr", value=ratio, bound=3.0, at_least=True
        )


def _memory_goals(name: str, lines: Mapping[str, FrameLine]) -> Iterator[Goal]:
    """Device bytes: of all at once, and streaming through what is left of 64 MB."""
    for line, what, bound in (
        ("resident", "device bytes, resident", 300.0),
        ("pool in 64MB", "device bytes, streaming", 64.0),
    ):
        if line in lines:
            peak = lines[line].stats.peak_device_bytes / 1e6
            yield Goal(model=name, what=what, value=peak, bound=bound, unit="MB")


def conversion_goals(name: str, bench: SceneBench, run: ConversionRun) -> Iterator[Goal]:
    """The goals that converting a model, and its first frame, are held to."""
    if name != _FULL:
        return
    ratio = run.converting.median / run.least_s
    yield Goal(model=name, what="converting / load and write", value=ratio, bound=3.0)
    if "warm" in bench.first:
        first = bench.first["warm"]
        allowed = run.loading.median + 2 * first.second.median
        ratio = first.whole.median / allowed
        what = "first frame / (numpy.load + 2 frames)"
        yield Goal(model=name, what=what, value=ratio, bound=1.0)


def tiled_goals(name: str, bench: SceneBench, alone: str) -> Iterator[Goal]:
    """That cost follows what is seen; `alone` is the name of the model's own frame."""
    frame, base = bench.frames.lines["resident"].timing, bench.frames.beside[alone]
    ratio = frame.median / base.median
    yield Goal(model=name, what=f"resident / {alone}", value=ratio, bound=1.3)


def startup_goals(times: Mapping[str, Timing]) -> Iterator[Goal]:
    """The goals that starting is held to."""
    told = {"plenostream --help": 0.3, BEYOND_JAX: 1.0}
    for what, bound in told.items():
        yield Goal(model="", what=what, value=times[what].median, bound=bound, unit="s")


def goal_lines(goals: list[Goal]) -> list[str]:
    """The goals as text."""
    lines = []
    for goal in goals:
        bound = f"at {'least' if goal.at_least else 'most'} {goal.bound:g}"
        mark = "met" if goal.met else "MISSED"
        figure = f"{goal.value:.3g} {goal.unit}"
        lines.append(f"  {goal.model:<12}{goal.what:<40}{figure:>10}  {bound:<14}{mark}")
    return lines
