"""Rendering on the GPU that is here: held to a budget, timed, and compared with the CPU's picture."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

import plenostream as ps
from gpucheck.cpu_picture import cpu_picture
from plenostream.options import Precision
from plenostream.plan.budget import RenderPlan

__all__ = ["Measured", "faults", "measure", "table"]

_TOLERANCE = 2e-5
"""Between pictures of one scene, however they are made."""
_STREAMED_SHARE = 4
"""One case streams: its pool holds this part of what the picture needs."""
_HEADS = (
    "picture",
    "budget",
    "planned",
    "allocator's peak",
    "bricks in the pool / in view",
    "waves",
    "first frame, compiling included",
    "same view again",
    "orbit",
    "uploaded in the orbit",
    "same view on the CPU",
    "furthest from the CPU's picture",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One size of picture under one budget."""

    name: str
    plan: RenderPlan
    peak_bytes: int
    """Of the device's allocator since the process began; 0 where it keeps none."""
    first_seconds: float
    """Compiling and uploading included."""
    seconds: list[float]
    """Of frames of one view."""
    orbit_seconds: list[float]
    """Of frames of different views."""
    orbit_uploaded: int
    """Bytes, in the whole orbit."""
    cpu_seconds: float
    difference: float
    """Largest of any channel of any pixel, colour and alpha."""


def measure(
    scene: Path, *, sizes: list[tuple[int, int]], precision: Precision, frames: int
) -> Iterator[Measured]:
    """Measure one case after another, those that take more memory later.

    The allocator's peak is one of the whole process, so each case must take more than the one
    before it for its own to be seen.
    """
    with ps.open_scene(scene) as opened:
        cpu = [cpu_picture(scene, size=size, precision=precision) for size in sizes]
        budget = _streaming_budget(opened, sizes[0], precision)
        yield _case(opened, sizes[0], precision, frames, cpu[0], budget=budget)
        for size, reference in zip(sizes, cpu, strict=True):
            yield _case(opened, size, precision, frames, reference, budget=None)


def _renderer(opened: Any, precision: Precision, budget: int | None) -> Any:
    return ps.Renderer(opened, stream=ps.StreamOptions(precision=precision, device_memory=budget))


def _streaming_budget(opened: Any, size: tuple[int, int], precision: Precision) -> int:
    with _renderer(opened, precision, None) as renderer:
        plan: RenderPlan = renderer.plan(ps.orbit_cameras(opened.grid, 1, size=size)[0])
    pool = sum(n for item, n in plan.device_items.items() if item.startswith("pool"))
    beside = plan.planned_device_bytes - pool
    return max(plan.smallest_budget_bytes, beside + plan.working_set_bytes // _STREAMED_SHARE)


def _case(
    opened: Any,
    size: tuple[int, int],
    precision: Precision,
    frames: int,
    cpu: tuple[NDArray[np.float32], float],
    *,
    budget: int | None,
) -> Measured:
    cameras = ps.orbit_cameras(opened.grid, frames, size=size)
    with _renderer(opened, precision, budget) as renderer:
        began = time.perf_counter()
        plan = renderer.plan(cameras[0])
        renderer.render(cameras[0])
        first_seconds = time.perf_counter() - began
        again = [renderer.render(cameras[0]).stats for _ in range(frames)]
        orbit = [renderer.render(camera).stats for camera in cameras]
        picture = renderer.render(cameras[0])
        stats = jax.devices()[0].memory_stats() or {}
    reference, cpu_seconds = cpu
    colours = np.concatenate([picture.rgb, picture.alpha[..., None]], axis=-1)
    return Measured(
        name=f"{size[0]}x{size[1]}{', streamed' if budget else ''}",
        plan=plan,
        peak_bytes=int(stats.get("peak_bytes_in_use", 0)),
        first_seconds=first_seconds,
        seconds=[s.seconds for s in again],
        orbit_seconds=[s.seconds for s in orbit],
        orbit_uploaded=sum(s.bytes_uploaded for s in orbit),
        cpu_seconds=cpu_seconds,
        difference=float(np.abs(colours - reference[..., :4]).max()),
    )


def table(cases: list[Measured]) -> Iterator[str]:
    """The cases as a table for a README."""
    yield f"| {' | '.join(_HEADS)} |"
    yield f"|{' --- |' * len(_HEADS)}"
    for case in cases:
        plan = case.plan
        cells = (
            case.name,
            f"{plan.allowed_device_bytes / 1e6:.0f} MB",
            f"{plan.planned_device_bytes / 1e6:.0f} MB",
            f"{case.peak_bytes / 1e6:.0f} MB",
            f"{plan.n_slots} / {plan.bricks_visible}",
            str(plan.waves),
            f"{case.first_seconds:.2f} s",
            _times(case.seconds),
            _times(case.orbit_seconds),
            f"{case.orbit_uploaded / 1e6:.0f} MB",
            f"{case.cpu_seconds * 1e3:.0f} ms",
            f"{case.difference:.1e}",
        )
        yield f"| {' | '.join(cells)} |"


def _times(seconds: list[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * 1e3:.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"


def faults(cases: list[Measured]) -> Iterator[str]:
    """What is wrong: each a sentence."""
    for case in cases:
        planned = case.plan.planned_device_bytes
        if case.peak_bytes > planned:
            yield f"{case.name}: the allocator gave {case.peak_bytes} bytes, planned were {planned}"
        if not case.difference <= _TOLERANCE:
            yield (
                f"{case.name}: the picture is {case.difference:.1e} from the CPU's; "
                f"{_TOLERANCE:.0e} is what it may be"
            )
