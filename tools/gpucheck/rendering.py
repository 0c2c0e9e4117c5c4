"""Rendering on the GPU that is here: held to a budget, timed, and compared with the CPU's picture."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gpucheck.drawing import Drawn, Request, draw_apart
from plenostream.options import Backend, Precision

__all__ = ["WAYS", "Measured", "Way", "faults", "measure", "table"]

_TOLERANCE = 2e-5
"""Between pictures of one scene, however they are made."""
_STREAMED_FRAMES = 10
"""Frames that are timed at most where bricks are streamed."""
_HEADS = (
    "picture",
    "planned",
    "allocator's peak",
    "bricks in the pool / in view",
    "waves",
    "first frame, caches cold",
    "caches warm",
    "same view again",
    "GPU busy",
    "orbit",
    "uploaded in the orbit",
    "furthest from the CPU's picture",
)


@dataclass(frozen=True, slots=True)
class Way:
    """How much of what is in view fits the device."""

    name: str
    share: int = 0
    device_bytes: int = 0


WAYS = (
    Way("resident"),
    Way("a half", share=2),
    Way("a quarter", share=4),
    Way("an eighth", share=8),
    Way("64 MB", device_bytes=64_000_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One size of picture, drawn one way by one backend."""

    name: str
    drawn: Drawn
    cold_seconds: float | None
    """The first frame with nothing compiled; None where it was not tried."""
    difference: float
    """Largest of any channel of any pixel, colour and alpha."""


def measure(
    scene: Path,
    *,
    sizes: list[tuple[int, int]],
    precision: Precision,
    frames: int,
    backends: Iterable[Backend] = ("xla", "warp"),
    ways: Iterable[Way] = WAYS,
) -> Iterator[Measured]:
    """Measure one case after another, each in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as caches:
        kept = {
            "JAX_COMPILATION_CACHE_DIR": f"{caches}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "WARP_CACHE_PATH": f"{caches}/warp",
        }
        for size in sizes:
            asked = Request(
                scene=str(scene), size=size, precision=precision, backend="xla", frames=0
            )
            _, reference = draw_apart(asked, JAX_PLATFORMS="cpu")
            for backend in backends:
                for way in ways:
                    asked = replace(
                        asked, backend=backend, share=way.share, device_bytes=way.device_bytes
                    )
                    streams = bool(way.share or way.device_bytes)
                    cold = None if streams else draw_apart(asked, **kept)[0].first_seconds
                    n = min(frames, _STREAMED_FRAMES) if streams else frames
                    drawn, picture = draw_apart(replace(asked, frames=n), **kept)
                    yield Measured(
                        name=f"{size[0]}x{size[1]}, {backend}, {way.name}",
                        drawn=drawn,
                        cold_seconds=cold,
                        difference=float(np.abs(picture - reference).max()),
                    )


def table(cases: list[Measured]) -> Iterator[str]:
    """The cases as a table for a README."""
    yield f"| {' | '.join(_HEADS)} |"
    yield f"|{' --- |' * len(_HEADS)}"
    for case in cases:
        drawn = case.drawn
        cells = (
            case.name,
            f"{drawn.planned_bytes / 1e6:.0f} MB",
            f"{drawn.peak_bytes / 1e6:.0f} MB",
            f"{drawn.n_slots} / {drawn.bricks_visible}",
            str(drawn.waves),
            "-" if case.cold_seconds is None else f"{case.cold_seconds:.2f} s",
            f"{drawn.first_seconds:.2f} s",
            _times(drawn.seconds),
            "-" if drawn.busy is None else f"{drawn.busy} %",
            _times(drawn.orbit_seconds),
            f"{drawn.orbit_uploaded / 1e6:.0f} MB",
            f"{case.difference:.1e}",
        )
        yield f"| {' | '.join(cells)} |"


def _times(seconds: list[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * 1e3:.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"


def faults(cases: list[Measured]) -> Iterator[str]:
    """What is wrong: each a sentence."""
    for case in cases:
        peak, planned = case.drawn.peak_bytes, case.drawn.planned_bytes
        if peak > planned:
            yield f"{case.name}: the allocator gave {peak} bytes, planned were {planned}"
        if not case.difference <= _TOLERANCE:
            yield (
                f"{case.name}: the picture is {case.difference:.1e} from the CPU's; "
                f"{_TOLERANCE:.0e} is what it may be"
            )
