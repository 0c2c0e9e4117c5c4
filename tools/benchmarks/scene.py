"""Everything that is measured of one scene."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from benchmarks.decoding import DecodeRates, decoding_rows, measure_decoding
from benchmarks.first_frame import FirstFrame, first_frames, first_rows
from benchmarks.frames import FrameLine, Rivals, frame_rows, nobody, pool_budget, warm_frames
from benchmarks.rays import RayFigures, measure_rays, ray_rows, square_view
from benchmarks.table import Row, spread
from benchmarks.timing import Say, Timing, take_turns, timed
from benchmarks.views import OrbitRun, draw_orbit, measure_reads, orbit_rows, read_rows
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.results import FrameStats
from plenostream.scene import open_scene

__all__ = ["PARTS", "Effort", "SceneFigures", "measure_scene", "scene_rows"]

PARTS = ("orbit", "rays", "reads", "decoding", "first")
"""What can be left out: opening the scene and warm frames are always measured."""
_SMALL_SHARE = Fraction(1, 4)
"""The pool with which orbits and reads are measured beside a resident one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured, and how often."""

    rounds: int = 7
    """Turns of everything that is measured in this process."""
    repeats: int = 3
    """Runs of what is measured in processes of its own."""
    shares: tuple[Fraction, ...] = (Fraction(1), Fraction(1, 2), _SMALL_SHARE, Fraction(1, 8))
    """Of the view's working set, for the pools that are streamed through."""
    budgets: tuple[str, ...] = ()
    """Device memories, such as 64MB, for which there is a pool as well."""
    n_rays: int = 1_000_000
    """Arbitrary rays."""
    parts: Sequence[str] = PARTS
    """Which of `PARTS`."""


@dataclass(slots=True, kw_only=True)
class SceneFigures:
    """What was measured of one scene; parts that were left out are empty."""

    scene: str
    n_voxels: int
    grid_size: tuple[int, int, int]
    image_size: tuple[int, int]
    opening: Timing
    """Opening the scene: documents and tables, no rows."""
    frames: dict[str, FrameLine]
    orbit: dict[str, OrbitRun] = field(default_factory=dict)
    """By the name of a line of `frames`."""
    rays: RayFigures | None = None
    reads: dict[str, FrameStats] = field(default_factory=dict)
    """By the name of the view."""
    decoding: DecodeRates | None = None
    first_frame: dict[str, FirstFrame] = field(default_factory=dict)
    """By the state of the compile cache: cold, warm."""


def measure_scene(
    path: str,
    camera: Camera,
    orbit: Sequence[Camera],
    *,
    options: RenderOptions,
    stream: StreamOptions,
    effort: Effort,
    say: Say,
    rivals: Rivals = nobody,
) -> SceneFigures:
    """Measure the scene at `path`.

    Parameters
    ----------
    camera : the view of everything but the orbit
    stream : what it allows should hold all that is in view
    rivals : what else draws the view, in turns with ours
    """
    opening = take_turns(
        {"opening": timed(lambda: open_scene(path).close())},
        rounds=effort.rounds,
        say=lambda what: say(f"opening: {what}"),
    )
    with open_scene(path) as scene:
        with Renderer(scene, options=options, stream=stream) as renderer:
            budget = pool_budget(renderer.plan(camera), _SMALL_SHARE)
        small = replace(stream, device_memory=budget)
        # First of all, since it counts compiles: what has been compiled in a process stays.
        orbits = {}
        if "orbit" in effort.parts:
            for name, allowed in (("resident", stream), (f"pool {_SMALL_SHARE}", small)):
                run = draw_orbit(scene, orbit, options=options, stream=allowed, say=say)
                orbits[name] = run
        frames = warm_frames(
            scene,
            camera,
            options=options,
            stream=stream,
            shares=effort.shares,
            budgets=effort.budgets,
            rivals=rivals,
            rounds=effort.rounds,
            say=say,
        )
        found = SceneFigures(
            scene=path,
            n_voxels=scene.meta.n_voxels,
            grid_size=scene.grid.size,
            image_size=(camera.width, camera.height),
            opening=opening["opening"],
            frames=frames,
            orbit=orbits,
        )
        if "rays" in effort.parts:
            found.rays = measure_rays(
                scene,
                square_view(camera, effort.n_rays),
                options=options,
                stream=stream,
                rivals=rivals,
                rounds=effort.repeats,
                say=say,
            )
        if "reads" in effort.parts:
            found.reads = measure_reads(scene, camera, options=options, stream=small, say=say)
        if "decoding" in effort.parts:
            n_threads = stream.n_threads or len(os.sched_getaffinity(0))
            found.decoding = measure_decoding(
                scene.store, n_threads=n_threads, rounds=effort.rounds, say=say
            )
    if "first" in effort.parts:
        found.first_frame = first_frames(
            path, camera, options=options, stream=stream, repeats=effort.repeats, say=say
        )
    return found


def scene_rows(found: SceneFigures) -> list[Row]:
    """The figures of a scene, in order."""
    return [
        Row("scene", "voxels", f"{found.n_voxels:,}"),
        Row("scene", "grid", " x ".join(map(str, found.grid_size))),
        Row("scene", "picture", " x ".join(map(str, found.image_size))),
        Row("scene", "opening it", spread(found.opening)),
        *frame_rows(found.frames),
        *first_rows(found.first_frame),
        *orbit_rows(found.orbit),
        *ray_rows(found.rays),
        *read_rows(found.reads),
        *decoding_rows(found.decoding),
    ]
