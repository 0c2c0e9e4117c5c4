"""How fast the viewer answers: a visitor without a browser moves, rests, and moves again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.table import Row, spread
from benchmarks.timing import Say, Timing
from plenostream.cameras import orbit_cameras
from plenostream.options import RenderOptions, StreamOptions, ViewOptions
from plenostream.scene import open_scene
from plenostream.testing.visiting import VisitingClient
from plenostream.viewer.server import Viewer

__all__ = ["ViewingRun", "measure_viewing", "viewing_rows"]

_MOVES_PER_SECOND = 60
"""As a browser says them: one a refresh of the screen."""
_AROUND = 240
"""Views around the scene."""
_WARM_UP_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewingRun:
    """What the visitor saw."""

    frames_per_second: float
    """Coarse pictures of a camera that moves."""
    latency: Timing
    """From the moment that a view is said to its coarse picture."""
    cpu_per_frame: float
    """Seconds of all threads, the visitor's included."""
    divisors: dict[int, int]
    """Coarse pictures by what their edges were divided by."""
    to_exact: Timing
    """From the moment that a camera rests to the last patch."""
    to_turn: Timing
    """From a move while patches are drawn to the coarse picture of it."""


def measure_viewing(
    place: str,
    *,
    size: tuple[int, int],
    seconds: float,
    rounds: int,
    options: RenderOptions,
    stream: StreamOptions,
    say: Say,
) -> ViewingRun:
    """Look around in the scene at `place` in pictures of `size`."""
    view = ViewOptions(port=0)
    with (
        open_scene(place) as scene,
        Viewer(Path(place).name, scene, [], options=options, stream=stream, view=view) as viewer,
        VisitingClient(viewer.url) as visitor,
    ):
        cameras = orbit_cameras(scene.grid, _AROUND, fov_degrees=45.0, size=size)
        poses = [camera.c2w.reshape(-1).tolist() for camera in cameras]
        say("a camera that moves")
        _move(visitor, poses, size, _WARM_UP_S)
        cpu = time.process_time()
        latencies, divisors = _move(visitor, poses, size, seconds)
        cpu = time.process_time() - cpu
        say("a camera that rests, and is moved again")
        exact, turned = [], []
        for number in range(rounds):
            exact.append(_rest(visitor, poses[number * 7 % _AROUND], size))
            turned.append(_disturb(visitor, poses, number * 11 % _AROUND, size))
    return ViewingRun(
        frames_per_second=len(latencies) / seconds,
        latency=Timing(seconds=tuple(latencies)),
        cpu_per_frame=cpu / max(len(latencies), 1),
        divisors=dict(sorted(divisors.items())),
        to_exact=Timing(seconds=tuple(exact)),
        to_turn=Timing(seconds=tuple(turned)),
    )


def _move(
    visitor: VisitingClient, poses: list[list[float]], size: tuple[int, int], seconds: float
) -> tuple[list[float], Counter[int]]:
    """Latencies and divisors of the coarse pictures that come meanwhile."""
    said: dict[int, float] = {}
    over = threading.Event()

    def go() -> None:
        for pose in _endless(poses):
            said[visitor.number + 1] = time.perf_counter()
            visitor.look(moves=True, pose=pose, size=list(size))
            if over.wait(1 / _MOVES_PER_SECOND):
                return

    going = threading.Thread(target=go, daemon=True)
    going.start()
    latencies, divisors = [], Counter[int]()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        picture = visitor.picture()
        if picture.head["view"] in said:  # not of a view before these
            latencies.append(time.perf_counter() - said[picture.head["view"]])
            divisors[picture.head["divisor"]] += 1
    over.set()
    going.join()
    return latencies, divisors


def _rest(visitor: VisitingClient, pose: list[float], size: tuple[int, int]) -> float:
    began = time.perf_counter()
    visitor.pictures_until_exact(visitor.look(pose=pose, size=list(size)))
    return time.perf_counter() - began


def _disturb(
    visitor: VisitingClient, poses: list[list[float]], at: int, size: tuple[int, int]
) -> float:
    number = visitor.look(pose=poses[at], size=list(size))
    while visitor.picture(number).is_coarse:
        pass
    began = time.perf_counter()
    visitor.picture(visitor.look(moves=True, pose=poses[at - 1], size=list(size)))
    return time.perf_counter() - began


def _endless(poses: list[list[float]]) -> Iterator[list[float]]:
    while True:
        yield from poses


def viewing_rows(run: ViewingRun, size: tuple[int, int]) -> Iterator[Row]:
    """The same as lines of a table."""
    edges = np.array(size)
    seen = ", ".join(
        f"{'x'.join(map(str, edges // divisor))}: {n}" for divisor, n in run.divisors.items()
    )
    section = f"the viewer, {'x'.join(map(str, size))}"
    told: dict[str, Any] = {
        "moving: pictures a second": f"{run.frames_per_second:.1f}",
        "moving: from a view to its picture": spread(run.latency),
        "moving: processor time a picture": f"{run.cpu_per_frame * 1e3:.1f} ms",
        "moving: pictures by resolution": seen,
        "resting: until it is exact": spread(run.to_exact),
        "moved while it is refined: first picture": spread(run.to_turn),
    }
    for label, value in told.items():
        yield Row(section, label, value)
