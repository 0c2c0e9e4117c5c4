"""A path of views: frames per second, and what each frame reads and uploads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plenostream.bench.timing import Say, Timing
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.results import FrameStats
from plenostream.scene import Scene

__all__ = ["OrbitRun", "draw_orbit"]


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
            "bytes_read_per_frame": self.per_frame("bytes_read"),
            "bytes_uploaded_per_frame": self.per_frame("bytes_uploaded"),
            "bytes_uploaded_in_first_frame": self.frames[0].bytes_uploaded,
            "compiles_after_first_frame": self.compiles,
            "frame": self.timing.to_dict(),
            "frames": [frame.to_dict() for frame in self.frames],
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
