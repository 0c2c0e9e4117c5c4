"""Views drawn once each: a path of them, and what views from far, near and a long lens read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.table import Row, as_json, spread
from benchmarks.timing import Say, Timing
from plenostream.cameras import Camera
from plenostream.field.grid import GridSpec
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.results import FrameStats
from plenostream.rules.bytesize import format_bytes
from plenostream.scene import Scene

__all__ = [
    "OrbitRun",
    "draw_orbit",
    "measure_reads",
    "moved",
    "orbit_rows",
    "other_views",
    "read_rows",
]

_FAR, _NEAR, _ZOOM = 2.0, 0.45, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrbitRun:
    """The views of a path, drawn once, one after another, from an empty pool."""

    frames: tuple[FrameStats, ...]
    """Counters of each, the first included."""

    @property
    def later(self) -> tuple[FrameStats, ...]:
        """All frames but the first, which has to fill the pool (the same frame if it is alone)."""
        return self.frames[1:] or self.frames

    @property
    def timing(self) -> Timing:
        """Seconds of the later frames."""
        return Timing(seconds=tuple(frame.seconds for frame in self.later))

    @property
    def frames_per_second(self) -> float:
        """Of the later frames."""
        return len(self.later) / sum(frame.seconds for frame in self.later)

    @property
    def compiles(self) -> int:
        """Programs made during the later frames: there should be none."""
        return sum(frame.compiles for frame in self.later)

    def per_frame(self, counter: str) -> float:
        """Mean of a counter of `FrameStats` over the later frames."""
        return sum(float(getattr(frame, counter)) for frame in self.later) / len(self.later)

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "frames_per_second": self.frames_per_second,
            "compiles_after_first_frame": self.compiles,
            "frame": self.timing.to_dict(),
            "frames": as_json(self.frames),
        }


def draw_orbit(
    scene: Scene,
    cameras: Sequence[Camera],
    *,
    options: RenderOptions,
    stream: StreamOptions,
    say: Say,
) -> OrbitRun:
    """Draw `cameras` with a new renderer."""
    frames = []
    with Renderer(scene, options=options, stream=stream) as renderer:
        for number, camera in enumerate(cameras):
            if number % 10 == 0:
                say(f"orbit: frame {number + 1} of {len(cameras)}")
            frames.append(renderer.render(camera).stats)
    return OrbitRun(frames=tuple(frames))


def orbit_rows(orbits: Mapping[str, OrbitRun]) -> Iterator[Row]:
    """The figures, by the name of the pool that an orbit was drawn with."""
    for name, run in orbits.items():
        section = f"orbit of {len(run.frames)} frames, {name}"
        yield Row(section, "frames per second", f"{run.frames_per_second:.3g}")
        yield Row(section, "a frame", spread(run.timing))
        yield Row(section, "uploaded in the first", format_bytes(run.frames[0].bytes_uploaded))
        for label, counter in (("read", "bytes_read"), ("uploaded", "bytes_uploaded")):
            mean = format_bytes(round(run.per_frame(counter)))
            yield Row(section, f"{label} in a later frame", mean)
        yield Row(section, "compiles in later frames", str(run.compiles))


def other_views(camera: Camera, grid: GridSpec) -> dict[str, Camera]:
    """The view itself and three others along its line of sight, by name."""
    return {
        "as given": camera,
        "far": moved(camera, grid, _FAR),
        "near": moved(camera, grid, _NEAR),
        "zoomed": replace(camera, fx=camera.fx * _ZOOM, fy=camera.fy * _ZOOM),
    }


def moved(camera: Camera, grid: GridSpec, factor: float) -> Camera:
    """The camera at `factor` times its distance from the middle of the grid."""
    pose = camera.c2w.copy()
    middle = np.asarray(grid.center, np.float64)
    pose[:, 3] = middle + factor * (pose[:, 3] - middle)
    return replace(camera, c2w=pose)


def measure_reads(
    scene: Scene, camera: Camera, *, options: RenderOptions, stream: StreamOptions, say: Say
) -> dict[str, FrameStats]:
    """Draw each of `other_views` from an empty pool and an empty host cache.

    Nothing is hidden from a pool that holds everything: it is filled in one wave, and what is
    hidden is known only once waves have been drawn. So `stream` should allow a small pool.
    """
    found = {}
    for name, view in other_views(camera, scene.grid).items():
        say(f"reads: {name}")
        with Renderer(scene, options=options, stream=stream) as renderer:
            found[name] = renderer.render(view).stats
    return found


def read_rows(views: Mapping[str, FrameStats]) -> Iterator[Row]:
    """Bytes read, and the bricks in view that were not, because nothing of them could be seen."""
    section = "reads of a view, from nothing, small pool"
    for name, stats in views.items():
        hidden = stats.bricks_culled / max(stats.bricks_visible, 1)
        yield Row(section, f"{name}: read", format_bytes(stats.bytes_read))
        yield Row(
            section,
            f"{name}: hidden, not read",
            f"{hidden:.1%} of {stats.bricks_visible} bricks",
        )
