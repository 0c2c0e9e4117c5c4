"""A frame taken apart: phases on the host and stages of the integrator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark.phases import HostPhases, measure_phases, phase_rows
from benchmark.stages import compiled_texts, measure_stages, stage_rows
from plenostream.bench.table import Row
from plenostream.cameras import Camera
from plenostream.options import RenderOptions, StreamOptions
from plenostream.renderer import Renderer
from plenostream.scene import Scene

__all__ = ["FrameProfile", "profile_frame", "profile_rows"]


@dataclass(frozen=True, slots=True)
class FrameProfile:
    """Where the time of a warm frame goes."""

    phases: HostPhases
    stages: dict[str, float]
    """Seconds of all threads by stage of the integrator, others by the program's name."""

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {"phases": self.phases.to_dict(), "stages_s": self.stages}


def profile_frame(
    scene: Scene,
    camera: Camera,
    *,
    stream: StreamOptions,
    n_frames: int,
    options: RenderOptions | None = None,
) -> FrameProfile:
    """Draw a view with a new renderer, first with timers on the host, then with XLA's profiler."""
    with compiled_texts() as texts, Renderer(scene, options=options, stream=stream) as renderer:
        phases = measure_phases(renderer, camera, n_frames=n_frames)
        return FrameProfile(phases, measure_stages(renderer, camera, texts))


def profile_rows(name: str, profile: FrameProfile) -> list[Row]:
    """The figures; `name` says of what they are."""
    of = f" of {name}" if name else ""
    return [
        *phase_rows(f"phases{of}, milliseconds of each kind of thread", profile.phases),
        *stage_rows(f"stages{of}, milliseconds of all threads", profile.stages),
    ]
