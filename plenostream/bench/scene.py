"""Everything that is measured of one scene."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from plenostream.bench.decode import DecodeRates, measure_decoding
from plenostream.bench.first_frame import FirstFrame, first_frames
from plenostream.bench.frames import WarmFrames, pool_budget, warm_frames
from plenostream.bench.orbit import OrbitRun, draw_orbit
from plenostream.bench.reads import ViewReads, measure_reads
from plenostream.bench.timing import Contestant, Say, Timing, take_turns, timed
from plenostream.cameras import Camera
from plenostream.options import PARTS, ROUNDS, RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import open_scene

__all__ = ["BenchSettings", "SceneBench", "bench_scene"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """How much is measured."""

    rounds: int = 7
    """Turns of everything that is measured in this process."""
    repeats: int = 3
    """Runs of what is measured in processes of its own."""
    shares: tuple[Fraction, ...] = (Fraction(1), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))
    """Of the view's working set, for the pools that are streamed through."""
    budgets: tuple[str, ...] = ()
    """Device memories, such as 64MB, for which there is a pool as well."""
    small_share: Fraction = Fraction(1, 4)
    """The one with which orbits and reads are measured too."""
    parts: tuple[str, ...] = PARTS.choices
    """Which of `PARTS`; all but the frames can be left out."""

    def __post_init__(self) -> None:
        ROUNDS.check("rounds", self.rounds)
        ROUNDS.check("repeats", self.repeats)
        PARTS.check("parts", self.parts)


@dataclass(slots=True, kw_only=True)
class SceneBench:
    """What was measured of one scene; parts that were left out are empty."""

    scene: str
    n_voxels: int
    grid_size: tuple[int, int, int]
    image_size: tuple[int, int]
    opening: Timing
    """Opening the scene: documents and tables, no rows."""
    frames: WarmFrames
    orbits: dict[str, OrbitRun] = field(default_factory=dict)
    """By the name of a line of `frames`."""
    reads: dict[str, ViewReads] = field(default_factory=dict)
    decoding: DecodeRates | None = None
    first: dict[str, FirstFrame] = field(default_factory=dict)
    """By the state of the compile cache: cold, warm."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "scene": self.scene,
            "n_voxels": self.n_voxels,
            "grid_size": list(self.grid_size),
            "image_size": list(self.image_size),
            "opening": self.opening.to_dict(),
            "frames": self.frames.to_dict(),
            "orbit": {name: run.to_dict() for name, run in self.orbits.items()},
            "reads": {name: view.to_dict() for name, view in self.reads.items()},
            "decoding": self.decoding.to_dict() if self.decoding else None,
            "first_frame": {name: first.to_dict() for name, first in self.first.items()},
        }


def bench_scene(
    path: str,
    camera: Camera,
    orbit: Sequence[Camera],
    *,
    options: RenderOptions,
    stream: StreamOptions,
    settings: BenchSettings,
    environment: Mapping[str, str],
    say: Say,
    beside: Mapping[str, Contestant] | None = None,
) -> SceneBench:
    """Measure the scene at `path`.

    Parameters
    ----------
    camera : the view of everything but the orbit
    stream : what it allows should hold all that is in view
    environment : for the processes that some of it is measured in
    beside : what else draws the view, to take turns with ours
    """
    opening = take_turns(
        {"opening": timed(lambda: open_scene(path).close())},
        rounds=settings.rounds,
        say=lambda what: say(f"opening: {what}"),
    )
    with open_scene(path) as scene:
        with Renderer(scene, options=options, stream=stream) as renderer:
            budget = pool_budget(renderer.plan(camera), settings.small_share)
        small = replace(stream, device_memory=budget)
        # First of all, since it counts compiles: what has been compiled in a process stays.
        orbits = {}
        if "orbit" in settings.parts:
            for name, allowed in (("resident", stream), (f"pool {settings.small_share}", small)):
                run = draw_orbit(scene, orbit, options=options, stream=allowed, say=say)
                orbits[name] = run
        frames = warm_frames(
            scene,
            camera,
            options=options,
            stream=stream,
            shares=settings.shares,
            budgets=settings.budgets,
            rounds=settings.rounds,
            say=say,
            beside=beside,
        )
        found = SceneBench(
            scene=path,
            n_voxels=scene.meta.n_voxels,
            grid_size=scene.grid.size,
            image_size=(camera.width, camera.height),
            opening=opening["opening"],
            frames=frames,
            orbits=orbits,
        )
        if "reads" in settings.parts:
            found.reads = measure_reads(scene, camera, options=options, stream=small, say=say)
        if "decoding" in settings.parts:
            n_threads = stream.n_threads or len(os.sched_getaffinity(0))
            found.decoding = measure_decoding(
                scene.store, n_threads=n_threads, rounds=settings.rounds, say=say
            )
    if "first" in settings.parts:
        found.first = first_frames(
            path,
            camera,
            options=options,
            stream=stream,
            repeats=settings.repeats,
            environment=environment,
            say=say,
        )
    return found
