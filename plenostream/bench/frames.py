"""Warm frames: one view drawn again and again, with everything resident and with smaller pools."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from plenostream.bench.timing import Contestant, Say, Timing, take_turns
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.plan.budget import RenderPlan
from plenostream.renderer import Renderer
from plenostream.results import FrameStats
from plenostream.scene import Scene

__all__ = ["FrameLine", "WarmFrames", "pool_budget", "pool_bytes", "warm_frames"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLine:
    """One way to draw the view, and what it took."""

    timing: Timing
    plan: RenderPlan
    """What was planned for it, pool and bands among it."""
    stats: FrameStats
    """Counters of the last frame."""

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON values."""
        return {
            **self.timing.to_dict(),
            "pool_bytes": pool_bytes(self.plan),
            "plan": self.plan.to_dict(),
            "stats": self.stats.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmFrames:
    """All ways to draw the view, and what was measured beside them."""

    lines: dict[str, FrameLine]
    """By name: resident, pool 1, pool 1/2, ..., pool in 64MB."""
    beside: dict[str, Timing]
    """Other renderers of the same view, by name."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "lines": {name: line.to_dict() for name, line in self.lines.items()},
            "beside": {name: timing.to_dict() for name, timing in self.beside.items()},
        }


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
    budgets: Sequence[str] = (),
    rounds: int,
    say: Say,
    beside: Mapping[str, Contestant] | None = None,
) -> WarmFrames:
    """Draw one view in every way, all taking turns.

    Parameters
    ----------
    shares : of the view's working set, for the pools that are streamed through
    budgets : device memories, such as 64MB, that pools are made for as well
    beside : what else draws this view, and takes turns with ours
    """
    beside = beside or {}
    say("warm frames: compiling")
    with _drawers(scene, camera, options, stream, shares, budgets) as drawers:
        times = take_turns({**beside, **drawers}, rounds=rounds, say=_prefixed(say))
        lines = {
            name: FrameLine(timing=times[name], plan=drawer.plan, stats=drawer.stats)
            for name, drawer in drawers.items()
        }
    return WarmFrames(lines=lines, beside={name: times[name] for name in beside})


def _prefixed(say: Say) -> Callable[[str], None]:
    return lambda what: say(f"warm frames: {what}")


@contextmanager
def _drawers(
    scene: Scene,
    camera: Camera,
    options: RenderOptions,
    stream: StreamOptions,
    shares: Sequence[Fraction],
    budgets: Sequence[str],
) -> Iterator[dict[str, _Drawer]]:
    with ExitStack() as stack:

        def drawer(stream: StreamOptions) -> _Drawer:
            renderer = stack.enter_context(Renderer(scene, options=options, stream=stream))
            return _Drawer(renderer, camera)

        drawers = {"resident": drawer(stream)}
        whole = drawers["resident"].plan
        memories: dict[str, int | str] = {f"{share}": pool_budget(whole, share) for share in shares}
        for name, memory in {**memories, **{f"in {size}": size for size in budgets}}.items():
            drawers[f"pool {name}"] = drawer(replace(stream, device_memory=memory))
        yield drawers
