"""What a render cost: totals over its frames, as lines to read and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plenostream.errors import printable
from plenostream.rules.bytesize import format_bytes

if TYPE_CHECKING:
    from plenostream.field.precision import ChosenPrecision
    from plenostream.integrator.backends import ChosenBackend

__all__ = ["choice_lines", "format_seconds", "stats_json", "summary_lines", "totals"]

_LARGEST = ("peak_", "planned_", "allowed_")
"""Counters of which the largest over the frames is told; all others add up."""


def totals(frames: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One record for several frames' counters: bounds and peaks are maxima, the rest are sums."""
    return {
        # One renderer draws all frames, in one way.
        name: frames[0][name]
        if name in ("backend", "precision")
        else (max if name.startswith(_LARGEST) else sum)(frame[name] for frame in frames)
        for name in frames[0]
    }


def stats_json(numbers: Sequence[int], frames: Sequence[dict[str, Any]]) -> str:
    """The totals as a JSON object, with each frame's counters under `frames`."""
    listed = [{"frame": number, **frame} for number, frame in zip(numbers, frames, strict=True)]
    sums = totals(frames) if frames else {}
    return json.dumps({**sums, "frames": listed}, indent=1) + "\n"


def summary_lines(
    written: Sequence[Path],
    frames: Sequence[dict[str, Any]],
    *,
    size: tuple[int, int],
    seconds: float,
) -> list[str]:
    """What was made, where it is and what it cost.

    Parameters
    ----------
    written : the files made
    frames : each frame's counters
    size : width and height of the first frame, in pixels
    seconds : wall time of all frames, writing included
    """
    sums = totals(frames)
    n_frames = len(frames)
    what = "1 frame" if n_frames == 1 else f"{n_frames} frames"
    names = [printable(str(path)) for path in written]
    where = ", ".join(names) if len(names) <= 3 else f"{names[0]} to {names[-1]}"
    took = format_seconds(seconds)
    if n_frames > 1:
        took += f", {n_frames / seconds:.3g} frames/s"
    elif sums["compiles"]:
        took += f", {sums['compiles']} kernels made ready"
    return [
        f"{where}: {what}, {size[0]}x{size[1]}",
        f"time: {took}",
        f"device memory: peak {format_bytes(sums['peak_device_bytes'])}, planned "
        f"{format_bytes(sums['planned_device_bytes'])}, allowed "
        f"{format_bytes(sums['allowed_device_bytes'])}",
        f"bricks: {sums['bricks_visible']} in view, {sums['bricks_read']} read "
        f"({format_bytes(sums['bytes_read'])}), {sums['bricks_culled']} hidden, "
        f"{sums['bricks_evicted']} evicted",
    ]


def choice_lines(backend: ChosenBackend, precision: ChosenPrecision) -> list[str]:
    """Which backend and precision were taken, where that is not the usual one or costs something."""
    lines = [f"backend: {backend.name}, since {backend.why}"] if backend.why else []
    word = "since" if precision.name == "float32" else "as asked for, though"
    return (
        [*lines, f"precision: {precision.name}, {word} {precision.why}"] if precision.why else lines
    )


def format_seconds(seconds: float) -> str:
    """`seconds` for reading: 0.42 s, 73 s, 12 min 5 s, 3 h 4 min."""
    if seconds < 99.5:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
