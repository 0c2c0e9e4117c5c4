"""The first frame after opening a scene, in a process of its own, compile cache cold and warm."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.apart import apart
from benchmarks.table import Row, spread
from benchmarks.timing import Say, Timing
from plenostream.cameras import Camera
from plenostream.integrator.xla.environment import prepare_jax
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import open_scene

__all__ = ["FirstFrame", "first_frames", "first_rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrame:
    """The first frame of a process that has imported everything, its parts, and the second."""

    whole: Timing
    """Opening and first picture together."""
    opening: Timing
    """Opening the scene: its documents and tables."""
    second: Timing
    """The same picture again."""
    compiles: int
    """Programs that were compiled, or loaded from the compile cache."""


class _Measured(NamedTuple):
    whole_s: float
    opening_s: float
    second_s: float
    compiles: int


def first_frames(
    scene: str,
    camera: Camera,
    *,
    options: RenderOptions,
    stream: StreamOptions,
    repeats: int,
    say: Say,
) -> dict[str, FirstFrame]:
    """With an empty compile cache (cold, once), and with a warm one (`repeats` times).

    The disk's cache is warm if the scene has been read before. The compile cache is a folder of
    this measurement's own.
    """
    with tempfile.TemporaryDirectory(prefix="plenostream-compiled-") as cache:
        environment = {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }

        def measured(what: str) -> _Measured:
            say(f"first frame: compile cache {what}")
            return apart(environment, _measure, scene, camera, options, stream)

        cold = [measured("cold")]
        warm = [measured(f"warm, {n + 1} of {repeats}") for n in range(repeats)]
    return {"cold": _first_frame(cold), "warm": _first_frame(warm)}


def _measure(path: str, camera: Camera, options: RenderOptions, stream: StreamOptions) -> _Measured:
    prepare_jax()
    began = time.perf_counter()
    with open_scene(path) as scene:
        opened = time.perf_counter()
        with Renderer(scene, options=options, stream=stream) as renderer:
            stats = renderer.render(camera).stats
            drawn = time.perf_counter()
            second = renderer.render(camera).stats.seconds
    return _Measured(drawn - began, opened - began, second, stats.compiles)


def _first_frame(found: list[_Measured]) -> FirstFrame:
    whole, opening, second, compiles = zip(*found, strict=True)
    return FirstFrame(
        whole=Timing(seconds=whole),
        opening=Timing(seconds=opening),
        second=Timing(seconds=second),
        compiles=compiles[0],
    )


def first_rows(frames: Mapping[str, FirstFrame]) -> Iterator[Row]:
    """The figures, by the state of the compile cache."""
    section = "first frame after opening"
    for state, first in frames.items():
        yield Row(section, f"compile cache {state}", spread(first.whole))
        yield Row(section, f"  {state}: of which opening", spread(first.opening))
        yield Row(section, f"  {state}: programs", str(first.compiles))
        yield Row(section, f"  {state}: second frame", spread(first.second))
