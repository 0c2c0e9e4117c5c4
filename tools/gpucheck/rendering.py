"""Rendering on the GPU that is here: held to a budget, timed, and compared with the CPU's picture."""

from __future__ import annotations

import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

import plenostream as ps
from gpucheck.drawing import TOLERANCE, Drawn, Request, Way, draw_apart, picture_of, reference_apart
from plenostream.options import Backend, Precision

__all__ = ["BY_ALL", "WAYS", "Measured", "faults", "from_record", "measure", "table"]

_FRAGILE = 1e-4
"""Share of the pixels whose rays may turn on rounding: another sample, at an edge, on one of them."""
_RECORDED_OFF = 1.0
"""Of 255, from a recorded picture: it is rounded to whole numbers, and float16 moves a few."""
_DATA = Path(__file__).resolve().parents[2] / "data"
_RECORDED = "still_r_0.png"
"""What svox2 itself made of the first camera of the sample scene."""
_HEADS = (
    "picture",
    "planned",
    "allocator's peak",
    "bricks in the pool / in view",
    "waves",
    "first frame, caches cold",
    "caches warm",
    "colours on the device",
    "same view again",
    "GPU busy",
    "orbit",
    "uploaded a frame of it",
    "transfers",
    "furthest from the CPU's picture",
)

WAYS = (
    Way("64 MB", device_bytes=64_000_000),
    Way("an eighth", share=8),
    Way("a quarter", share=4),
    Way("a half", share=2),
    Way("resident"),
)
"""In the order of the memory that they take."""
BY_ALL: tuple[tuple[Backend, Sequence[Way]], ...] = (
    ("warp", WAYS),
    ("xla", tuple(way for way in WAYS if way.name in ("a quarter", "resident"))),
)
"""What draws, and in which ways: first what is made for the GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One size of picture, drawn one way by one backend."""

    name: str
    drawn: Drawn | None
    """None where it was not tried."""
    cold_seconds: float | None = None
    """The first frame with nothing compiled; None where it was not tried."""


def measure(
    scene: Path,
    *,
    sizes: list[tuple[int, int]],
    precision: Precision,
    frames: int,
    draws: Sequence[tuple[Backend, Sequence[Way]]] = BY_ALL,
    seconds: float = math.inf,
) -> Iterator[Measured]:
    """Measure one case after another; those of a backend and a size in one process, and of them none
    that would begin after so many seconds: it is named in its place."""
    began = time.monotonic()
    with ExitStack() as held:
        caches = held.enter_context(tempfile.TemporaryDirectory(prefix="gpu-check-"))
        kept = {
            "JAX_COMPILATION_CACHE_DIR": f"{caches}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "WARP_CACHE_PATH": f"{caches}/warp",
        }
        references: dict[tuple[int, int], Path] = {}
        for (backend, ways), size in itertools.product(draws, sizes):
            name = f"{size[0]}x{size[1]}, {backend}"
            if time.monotonic() - began > seconds:
                yield Measured(name=f"{name}: there was no time for it", drawn=None)
                continue
            if size not in references:
                references[size] = reference_apart(str(scene), size, precision)
                held.callback(references[size].unlink)
            asked = Request(
                scene=str(scene),
                size=size,
                precision=precision,
                backend=backend,
                ways=ways,
                reference=str(references[size]),
                frames=frames,
            )
            # Programs are compiled for a size: the first of each finds nothing.
            once = replace(asked, ways=ways[-1:], frames=0)
            (cold,) = draw_apart(once, **kept)
            (warm,) = draw_apart(once, **kept)
            for drawn in draw_apart(asked, **kept):
                first = drawn.way == cold.way
                if first:
                    drawn = replace(drawn, first_seconds=warm.first_seconds)
                yield Measured(
                    name=f"{name}, {drawn.way}",
                    drawn=drawn,
                    cold_seconds=cold.first_seconds if first else None,
                )


def from_record(backend: Backend) -> tuple[float, bool]:
    """The largest difference, of 255, from the picture that svox2 made of the sample scene, and
    whether it is no larger than it may be."""
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        scene = Path(folder) / "still.zarr"
        ps.convert(_DATA / "still_128.npz", scene)
        recorded = cv2.cvtColor(cv2.imread(str(_DATA / _RECORDED)), cv2.COLOR_BGR2RGB)
        height, width = recorded.shape[:2]
        with ps.open_scene(scene) as opened:
            camera = ps.load_cameras(_DATA / "still_cameras.json", size=(width, height))[0]
            stream = ps.StreamOptions(backend=backend)
            with ps.Renderer(opened, stream=stream) as renderer:
                drawn = picture_of(renderer.render(camera))[..., :3]
    off = float(np.abs(np.clip(drawn, 0.0, 1.0) * 255 - recorded).max())
    return off, off <= _RECORDED_OFF


def table(cases: list[Measured]) -> Iterator[str]:
    """The cases as a table for a README."""
    yield f"| {' | '.join(_HEADS)} |"
    yield f"|{' --- |' * len(_HEADS)}"
    for case in cases:
        drawn = case.drawn
        if drawn is None:
            yield f"| {case.name} |{' |' * (len(_HEADS) - 1)}"
            continue
        cells = (
            case.name,
            f"{drawn.planned_bytes / 1e6:.0f} MB",
            f"{drawn.peak_bytes / 1e6:.0f} MB",
            f"{drawn.n_slots} / {drawn.bricks_visible}",
            str(drawn.waves),
            "-" if case.cold_seconds is None else f"{case.cold_seconds:.2f} s",
            f"{drawn.first_seconds:.2f} s",
            _times(drawn.device_seconds),
            _times(drawn.seconds),
            "-" if drawn.busy is None else f"{drawn.busy} %",
            _times(drawn.orbit_seconds),
            f"{drawn.orbit_uploaded / max(len(drawn.orbit_seconds), 1) / 1e6:.0f} MB",
            str(drawn.transfers),
            f"{drawn.difference:.1e}",
        )
        yield f"| {' | '.join(cells)} |"


def _times(seconds: list[float]) -> str:
    if not seconds:
        return "-"
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * 1e3:.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"


def faults(cases: list[Measured]) -> Iterator[str]:
    """What is wrong: each a sentence."""
    for case in cases:
        if case.drawn is None:
            continue
        peak, planned = case.drawn.peak_bytes, case.drawn.planned_bytes
        if peak > planned:
            yield f"{case.name}: the allocator gave {peak} bytes, planned were {planned}"
        if not case.drawn.apart <= _FRAGILE:
            yield (
                f"{case.name}: {case.drawn.apart:.2%} of the pixels are more than {TOLERANCE:.0e} "
                f"from the CPU's picture, one by {case.drawn.difference:.1e}"
            )
