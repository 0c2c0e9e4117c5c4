"""Warm frames: one view drawn again and again, with everything resident and with smaller pools."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction

from benchmarks.table import Row, both_ratios, spread
from benchmarks.timing import Contestant, Say, Timing, take_turns
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan.budget import RenderPlan
from plenostream.renderer import Renderer
from plenostream.results import FrameStats
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import Scene

__all__ = [
    "LIMIT",
    "FrameLine",
    "Rivals",
    "frame_rows",
    "nobody",
    "pool_budget",
    "pool_bytes",
    "warm_frames",
]

LIMIT = "baseline exact32"
"""The rival that shows what a processor can do; see `baseline`."""
Rivals = Callable[[str, StreamOptions], Mapping[str, Contestant]]
"""What else draws the view of a line (resident, pool 1/4, ...) drawn with these options, by name."""


def nobody(line: str, stream: StreamOptions) -> Mapping[str, Contestant]:
    """No rivals."""
    del line, stream
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLine:
    """One way to draw the view, and what it took."""

    timing: Timing
    pool_bytes: int
    """Device bytes that hold bricks."""
    plan: RenderPlan
    """What was planned for it, pool and bands among it."""
    stats: FrameStats
    """Counters of the last frame."""
    rivals: dict[str, Timing]
    """Others that drew the same view in turns with it."""


class _Drawer:
    """Draws one view with a renderer of its own."""

    def __init__(self, renderer: Renderer, camera: Camera) -> None:
        self._renderer, self._camera = renderer, camera
        self.plan = renderer.plan(camera)
        self.stats = FrameStats()

    def __call__(self) -> float:
        self.stats = self._renderer.render(self._camera).stats
        return self.stats.seconds


def pool_bytes(plan: RenderPlan) -> int:
    """Device bytes of a plan that hold bricks."""
    return sum(n for name, n in plan.device_items.items() if name.startswith("pool"))


def pool_budget(plan: RenderPlan, share: Fraction) -> int:
    """Device memory that leaves `share` of the working set to the pool; at least what works.

    `plan` is that of a picture drawn whole. Where its rays take more than half of this budget,
    the renderer draws the picture in bands and gives the rest to the pool: what came of it is in
    the plan for this budget.
    """
    others = plan.planned_device_bytes - pool_bytes(plan)
    return max(others + math.ceil(plan.working_set_bytes * share), plan.smallest_budget_bytes)


def warm_frames(
    scene: Scene,
    camera: Camera,
    *,
    options: RenderOptions,
    stream: StreamOptions,
    shares: Sequence[Fraction],
    budgets: Sequence[str],
    rivals: Rivals,
    rounds: int,
    say: Say,
) -> dict[str, FrameLine]:
    """Draw one view in every way, all taking turns; by name: resident, pool 1/2, pool in 64MB.

    Parameters
    ----------
    shares : of the view's working set, for the pools that are streamed through
    budgets : device memories, such as 64MB, that pools are made for as well
    """
    say("warm frames: compiling")
    with _drawers(scene, camera, options, stream, shares, budgets) as (drawers, streams):
        others = {line: rivals(line, streams[line]) for line in drawers}
        contestants: dict[str, Contestant] = {}
        for line, drawer in drawers.items():
            contestants |= {**others[line], line: drawer}
        times = take_turns(contestants, rounds=rounds, say=lambda what: say(f"warm frames: {what}"))
        return {
            line: FrameLine(
                timing=times[line],
                pool_bytes=pool_bytes(drawer.plan),
                plan=drawer.plan,
                stats=drawer.stats,
                rivals={name: times[name] for name in others[line]},
            )
            for line, drawer in drawers.items()
        }


@contextmanager
def _drawers(
    scene: Scene,
    camera: Camera,
    options: RenderOptions,
    stream: StreamOptions,
    shares: Sequence[Fraction],
    budgets: Sequence[str],
) -> Iterator[tuple[dict[str, _Drawer], dict[str, StreamOptions]]]:
    """A renderer for each line, and the options that it was made with."""
    with ExitStack() as stack:

        def drawer(stream: StreamOptions) -> _Drawer:
            renderer = stack.enter_context(Renderer(scene, options=options, stream=stream))
            return _Drawer(renderer, camera)

        streams, drawers = {"resident": stream}, {"resident": drawer(stream)}
        whole = drawers["resident"].plan
        memories: dict[str, int | str] = {f"{share}": pool_budget(whole, share) for share in shares}
        for name, memory in {**memories, **{f"in {size}": size for size in budgets}}.items():
            line = f"pool {name}"
            streams[line] = replace(stream, device_memory=memory)
            drawers[line] = drawer(streams[line])
        yield drawers, streams


def frame_rows(lines: Mapping[str, FrameLine]) -> Iterator[Row]:
    """Times of the lines and of their rivals, ratios, and what each line did."""
    section, resident = "warm frame", lines["resident"]
    for name, line in lines.items():
        for rival, timing in line.rivals.items():
            yield Row(section, rival, spread(timing))
        yield Row(section, name, spread(line.timing))
        streamed = line is not resident
        bases = dict(line.rivals)
        if streamed:
            bases["resident"] = resident.timing
            # What a processor can do with everything in memory.
            bases |= {name: t for name, t in resident.rivals.items() if name == LIMIT}
        for base, timing in bases.items():
            yield Row(section, f"  {name} / {base}", both_ratios(line.timing, timing))
        stats, plan = line.stats, line.plan
        pool = f"{format_bytes(line.pool_bytes)} of {format_bytes(plan.working_set_bytes)} in view"
        peak, planned = map(format_bytes, (stats.peak_device_bytes, plan.planned_device_bytes))
        yield Row(section, f"  {name}: pool", pool)
        yield Row(section, f"  {name}: device bytes of planned", f"{peak} of {planned}")
        if streamed:
            yield Row(section, f"  {name}: waves", f"{stats.waves} in {stats.bands} bands")
            yield Row(section, f"  {name}: uploaded", format_bytes(stats.bytes_uploaded))
